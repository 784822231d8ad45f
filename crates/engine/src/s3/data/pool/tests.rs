//! Runs the pool with its judge and the gate in virtual time, against a store with several
//! addresses or several backends behind one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::time::sleep;

use super::*;
use crate::body::{BufferPool, Meter};
use crate::pace::{Concurrency, Gate, Success};
use crate::s3::transport::{Proxies, Resolver, Trust, client_config};

const PART_BYTES: u64 = 8 << 20;
const ROUND_TRIP: Duration = Duration::from_millis(2);

/// The bytes per second of one connection to the address that ends in this number. Without several
/// addresses, the number is that of the backend, and the connections take turns.
type Rates = [f64; 8];

const FAST: f64 = 50e6;
const GOOD: Rates = [FAST; 8];
const ONE_SLOW: Rates = [FAST, FAST, FAST, 2e6, FAST, FAST, FAST, FAST];

struct Connection {
    rate: f64,
    idle_since: Instant,
    speed: Speed,
}

static OPENED: AtomicU64 = AtomicU64::new(0);

impl Pooled for Connection {
    async fn open(
        transport: &Transport,
        origin: &Origin,
        _: Duration,
    ) -> Result<Self, ConnectError> {
        let address = transport.next_address(origin).await.expect("the name has addresses");
        sleep(2 * ROUND_TRIP).await;
        // The tests of this file know the rates by the name of the host.
        let rates = if origin.host.starts_with("slow") { ONE_SLOW } else { GOOD };
        let number = match address.ip() {
            std::net::IpAddr::V4(ip) if ip.octets()[3] < 100 => ip.octets()[3].into(),
            // A balancer with eight backends.
            _ => OPENED.fetch_add(1, Ordering::Relaxed),
        };
        let rate = rates[usize::try_from(number % 8).unwrap()];
        let (idle_since, speed) = (Instant::now(), Speed::of(address));
        Ok(Self { rate, idle_since, speed })
    }

    fn is_reusable(&self) -> bool {
        true
    }

    async fn is_ready(&mut self) -> bool {
        true
    }

    fn idle_since(&mut self) -> &mut Instant {
        &mut self.idle_since
    }

    fn speed(&mut self) -> &mut Speed {
        &mut self.speed
    }
}

/// A pool of connections to a store with these addresses; `fixed` by name.
fn pool(host: &str, last_octets: &[u8]) -> Arc<ConnectionPool<Connection>> {
    let address = |last: &u8| SocketAddr::from(([10, 0, 0, *last], 80));
    let table = HashMap::from([(host.to_owned(), last_octets.iter().map(address).collect())]);
    let tls = client_config(Trust::Anything).unwrap();
    let patience = Duration::from_secs(20);
    let transport =
        Arc::new(Transport::new(Resolver::Fixed(table), tls, Proxies::default(), patience));
    let origin = Origin::of(&format!("http://{host}").parse().unwrap()).unwrap();
    let timeouts = Timeouts { connect: patience, idle: patience, answer: patience };
    Arc::new(ConnectionPool::new(origin, transport, timeouts))
}

/// Sends parts without end through the pool and the gate; returns the bytes per second in ten
/// seconds, after ten seconds in which the pool gets to know the addresses.
async fn goodput(pool: &Arc<ConnectionPool<Connection>>, concurrency: Concurrency) -> f64 {
    let meter = Meter::default();
    let gate = Gate::limited(concurrency, meter.clone(), BufferPool::new(128 << 20));
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..64)
        .map(|_| {
            let (pool, gate, meter) = (Arc::clone(pool), gate.clone(), meter.clone());
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let pass = gate.enter().await;
                    let sent = pool.checkout(Operation::UploadPart, false).await;
                    let mut connection = sent.unwrap();
                    connection.speed.begin();
                    #[allow(clippy::cast_precision_loss, reason = "a rate")]
                    let seconds = PART_BYTES as f64 / connection.rate;
                    for _ in 0..8 {
                        sleep(Duration::from_secs_f64(seconds / 8.0)).await;
                        meter.add(PART_BYTES / 8);
                    }
                    sleep(ROUND_TRIP).await;
                    connection.speed.sent(PART_BYTES, Duration::ZERO);
                    pool.check_in(connection);
                    pass.succeeded(Success::Part { attempt: 1 });
                }
            })
        })
        .collect();
    sleep(Duration::from_secs(15)).await;
    let before = meter.all_bytes();
    sleep(Duration::from_secs(10)).await;
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let rate = (meter.all_bytes() - before) as f64 / 10.0;
    stop.store(true, Ordering::Relaxed);
    futures_util::future::join_all(senders).await;
    rate
}

const EIGHT: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
const BALANCER: [u8; 1] = [100];

/// With a slow address or backend, the default moves as much as the best fixed number moves
/// without one, but for a tenth.
async fn converges(addresses: &[u8]) {
    let mut best = 0.0_f64;
    for fixed in [8, 16, 32, 64] {
        best = best.max(goodput(&pool("good.test", addresses), fixed.into()).await);
    }
    let found = goodput(&pool("slow.test", addresses), Concurrency::default()).await;
    assert!(found >= 0.9 * best, "{:.3} of the best", found / best);
    let fixed = goodput(&pool("slow.test", addresses), 16.into()).await;
    let without = goodput(&pool("good.test", addresses), 16.into()).await;
    assert!(fixed >= 0.9 * without, "{:.3} of sixteen fast ones", fixed / without);
}

#[tokio::test(start_paused = true)]
async fn one_slow_address_among_eight_is_left() {
    converges(&EIGHT).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_backend_behind_one_address_is_left() {
    converges(&BALANCER).await;
}

#[tokio::test(start_paused = true)]
async fn idle_connections_to_an_avoided_address_are_closed() {
    let pool = pool("slow.test", &EIGHT);
    // The slow address gets two of sixteen connections.
    goodput(&pool, 16.into()).await;
    let origin = pool.origin.clone();
    for _ in 0..16 {
        let next = pool.transport.next_address(&origin).await.unwrap();
        assert_ne!(next.ip().to_string(), "10.0.0.3");
    }
    let mut state = pool.state();
    assert!(!state.idle.is_empty());
    for connection in &mut state.idle {
        assert_ne!(connection.speed.peer().address.ip().to_string(), "10.0.0.3");
    }
}

#[tokio::test(start_paused = true)]
async fn good_connections_are_kept() {
    let pool = pool("good.test", &EIGHT);
    let mut opened = std::collections::HashSet::new();
    goodput(&pool, 16.into()).await;
    for connection in &mut pool.state().idle {
        opened.insert(connection.speed.peer().connection);
    }
    assert_eq!(opened.len(), 16);
    goodput(&pool, 16.into()).await;
    for connection in &mut pool.state().idle {
        assert!(opened.contains(&connection.speed.peer().connection));
    }
}
