//! Slow senders do not delay others: 80 senders of each kind run beside one that does not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use haul_server::{AccessLevel, Credentials, Grant, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{Auth, Client, Request, Response, UNSIGNED};
use crate::fixture::{Fixture, bytes};
use crate::integrity::signed_chunks;

const SENDERS: usize = 80;
const PUT_BYTES: usize = 8 << 20;
/// A generous limit for "at once" on a machine that is busy.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Starts a server with an address for its metrics.
async fn fixture() -> Fixture {
    Fixture::with(|options| options.admin_listen = Some("127.0.0.1:0".parse().unwrap())).await
}

/// Reads a counter of `/metrics`.
async fn metric(f: &Fixture, name: &str) -> usize {
    let admin = Client { address: f.server.admin_address().unwrap(), ..f.client.clone() };
    let metrics = admin.request("GET", "/metrics").auth(Auth::None).expect(200).await.text();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    line.trim().parse().unwrap()
}

/// Senders whose bodies never end.
struct Senders {
    tasks: JoinSet<()>,
    /// The number of connections that the server ended.
    ended: Arc<AtomicUsize>,
}

/// The bytes that a sender sends after the head of its request.
#[derive(Clone)]
struct Rhythm {
    at_once: Arc<Vec<u8>>,
    every_100_ms: usize,
}

impl Senders {
    /// Starts the senders, and waits until the server has received the given bytes of their bodies.
    async fn start(
        f: &Fixture,
        request: impl Fn(usize) -> Request,
        rhythm: Rhythm,
        received: usize,
    ) -> Self {
        let mut senders = Self { tasks: JoinSet::new(), ended: Arc::default() };
        let before = metric(f, "haul_received_bytes_total").await;
        for number in 0..SENDERS {
            let (head, address) = (request(number).sign().head, f.client.address);
            let (rhythm, ended) = (rhythm.clone(), Arc::clone(&senders.ended));
            senders.tasks.spawn(async move {
                let stream = TcpStream::connect(address).await.unwrap();
                let (mut from, mut to) = stream.into_split();
                let send = async {
                    to.write_all(head.as_bytes()).await?;
                    to.write_all(&rhythm.at_once).await?;
                    let mut ticks = tokio::time::interval(Duration::from_millis(100));
                    loop {
                        ticks.tick().await;
                        to.write_all(&vec![b'x'; rhythm.every_100_ms]).await?;
                    }
                };
                let mut answer = Vec::new();
                let _: std::io::Result<()> = tokio::select! {
                    sent = send => sent,
                    read = from.read_to_end(&mut answer) => read.map(drop),
                };
                ended.fetch_add(1, Relaxed);
                std::future::pending::<()>().await;
            });
        }
        let started = Instant::now();
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        while metric(f, "haul_received_bytes_total").await < before + received
            || metric(f, "haul_connections").await + senders.ended() < SENDERS
        {
            assert!(started.elapsed() < Duration::from_secs(60), "the senders did not come in");
            looks.tick().await;
        }
        senders
    }

    fn ended(&self) -> usize {
        self.ended.load(Relaxed)
    }
}

/// Runs a fast request twice: alone, and beside slow senders.
async fn assert_not_delayed<F: Future<Output = ()>>(
    fast: impl Fn() -> F,
    senders: impl Future<Output = Senders>,
) -> Senders {
    let started = Instant::now();
    fast().await;
    let alone = started.elapsed();
    let senders = senders.await;
    let started = Instant::now();
    tokio::time::timeout(Duration::from_secs(60), fast()).await.expect("not for ever");
    let beside = started.elapsed();
    assert!(
        beside < 5 * alone + AT_ONCE,
        "alone {alone:?}, beside {SENDERS} slow senders {beside:?}"
    );
    senders
}

fn put(f: &Fixture, number: usize) -> Request {
    f.client.request("PUT", &format!("/bkt/{number}")).payload(UNSIGNED).content_length(PUT_BYTES)
}

async fn fast_put(f: &Fixture) {
    f.client.request("PUT", "/bkt/fast").body(bytes(PUT_BYTES)).expect(200).await;
}

/// Regression: the permit for a block was taken before its bytes came. 64 PUTs of 40 B/s delayed
/// all others for as long as their senders liked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_not_held_up_by_80_of_40_bytes_per_second() {
    let f = fixture().await;
    let rhythm = Rhythm { at_once: Arc::default(), every_100_ms: 4 };
    let senders = Senders::start(&f, |number| put(&f, number), rhythm, 10 * SENDERS);
    assert_not_delayed(|| fast_put(&f), senders).await;
}

/// Regression: 64 honest uploads of 100 kB/s took all permits too, and an 8 MiB PUT beside them
/// took 51 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_not_held_up_by_80_of_100_kilobytes_per_second() {
    let f = fixture().await;
    let rhythm = Rhythm { at_once: Arc::default(), every_100_ms: 10_000 };
    let senders = Senders::start(&f, |number| put(&f, number), rhythm, 50_000 * SENDERS);
    let senders = assert_not_delayed(|| fast_put(&f), senders).await;
    assert_eq!(senders.ended(), 0, "honest uploads were cut off");
}

/// Senders that are fast at first and then stop hold no more memory than the bytes they have sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_not_held_up_by_80_that_stopped_in_a_block() {
    let f = fixture().await;
    let rhythm = Rhythm { at_once: Arc::new(bytes(1_500_000)), every_100_ms: 0 };
    let senders = Senders::start(&f, |number| put(&f, number), rhythm, 1_500_000 * SENDERS);
    assert_not_delayed(|| fast_put(&f), senders).await;
}

/// Regression: the holder of a presigned URL could open it 64 times without a body, and blocked
/// every other upload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_not_held_up_by_a_presigned_url_opened_80_times() {
    let f = fixture().await;
    let presigned = |number: usize| {
        let opened = put(&f, 0).auth(Auth::Presigned { expires: 600 });
        // Half of the senders wait for `100 Continue`, receive it, and still send nothing.
        if number.is_multiple_of(2) {
            opened.unsigned_header("expect", "100-continue")
        } else {
            opened
        }
    };
    let senders =
        Senders::start(&f, presigned, Rhythm { at_once: Arc::default(), every_100_ms: 0 }, 0);
    assert_not_delayed(|| fast_put(&f), senders).await;
}

/// Regression: room for a signed chunk was taken before its bytes came, so 48 senders took all of
/// it. Later they were displaced, but one at a time, which took up to 13 s. Then each chunk of the
/// upload waited for others to be displaced, up to 12.6 s together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_chunks_are_not_held_up_by_80_that_hold_theirs_back() {
    let f = fixture().await;
    let fast = || async {
        let answer = signed_chunks(&f, &bytes(2_000_000), None, |_| {}).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let request = |number: usize| {
        put(&f, number)
            .payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
            .header("x-amz-decoded-content-length", &PUT_BYTES.to_string())
    };
    // All but the end of a chunk: 40 MB in total, more than the server holds.
    let mut at_once = format!("7d000;chunk-signature={}\r\n", "0".repeat(64)).into_bytes();
    at_once.resize(at_once.len() + 500_000, b'x');
    let rhythm = Rhythm { at_once: Arc::new(at_once), every_100_ms: 0 };
    let senders = Senders::start(&f, request, rhythm, 20_000_000);
    assert_not_delayed(fast, senders).await;
}

/// Regression: two documents of 6 MiB took all room for documents.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_not_held_up_by_80_that_hold_theirs_back() {
    let f = fixture().await;
    let object = format!("<Object><Key>{}</Key></Object>", "x".repeat(900));
    let document = format!("<Delete>{}</Delete>", object.repeat(1000));
    let fast = || async {
        f.client.request("POST", "/bkt?delete").body(document.clone()).expect(200).await;
    };
    let request =
        |_| f.client.request("POST", "/bkt?delete").payload(UNSIGNED).content_length(6_200_000);
    let rhythm = Rhythm { at_once: Arc::new(vec![b' '; 6_199_999]), every_100_ms: 0 };
    let senders = Senders::start(&f, request, rhythm, 20_000_000);
    let senders = assert_not_delayed(fast, senders).await;
    assert!(senders.ended() > 0, "none made way");
    // A small document takes no room from the limit.
    let small = format!("<Delete>{object}</Delete>");
    f.client.request("POST", "/bkt?delete").body(small).expect(200).await;
}

/// Regression: uploads without a body took all connections, and the next connection waited in the
/// listen queue for as long as their senders liked.
#[tokio::test]
async fn one_key_pair_cannot_take_all_places_while_another_waits() {
    let credentials = Credentials {
        access_key_id: "GREEDY".to_owned(),
        secret_access_key: Secret::new("secret"),
    };
    let grant = Grant {
        credentials: credentials.clone(),
        access: AccessLevel::ReadWrite,
        scopes: Vec::new(),
    };
    let f = Fixture::with(|options| {
        options.limits.connections = 8;
        options.grants = vec![grant];
    })
    .await;
    let greedy = Client { credentials, ..f.client.clone() };
    let mut streams = Vec::new();
    for number in 0..8 {
        let put = greedy
            .request("PUT", &format!("/bkt/{number}"))
            .payload(UNSIGNED)
            .content_length(PUT_BYTES);
        let mut stream = TcpStream::connect(f.client.address).await.unwrap();
        stream.write_all(put.sign().head.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let waiting = tokio::time::timeout(AT_ONCE, f.client.request("HEAD", "/bkt").send());
    assert_eq!(waiting.await.expect("a place comes free").status, 200);
    let mut turned_away = 0;
    for stream in &mut streams {
        let mut byte = [0];
        let look = tokio::time::timeout(Duration::from_millis(100), stream.peek(&mut byte)).await;
        if look.is_ok() {
            let answer = Response::read(stream, false).await.expect("an answer");
            assert_eq!((answer.status, answer.element("Code").as_deref()), (503, Some("SlowDown")));
            assert_eq!(answer.header("connection"), Some("close"));
            turned_away += 1;
        }
    }
    assert_eq!(turned_away, 2, "three quarters of the places are its own");
}

#[tokio::test]
async fn what_is_displaced_is_answered_503_with_retry_after() {
    let f = Fixture::with(|options| {
        options.limits.in_flight_bytes = 1 << 20;
        options.limits.xml_bytes = 500_000;
        options.limits.signed_chunk_bytes = 10_000;
    })
    .await;
    let post = |length: usize| {
        f.client.request("POST", "/bkt?delete").payload(UNSIGNED).content_length(length)
    };
    let mut idle = TcpStream::connect(f.client.address).await.unwrap();
    idle.write_all(post(480_000).sign().head.as_bytes()).await.unwrap();
    idle.write_all(&vec![b' '; 470_000]).await.unwrap();
    let object = format!("<Object><Key>{}</Key></Object>", "x".repeat(900));
    let document = format!("<Delete>{}</Delete>", object.repeat(300));
    let displaced = Response::read(&mut idle, false);
    let fast = f.client.request("POST", "/bkt?delete").body(document).expect(200);
    let (displaced, _) = tokio::join!(displaced, fast);
    let displaced = displaced.expect("an answer");
    assert_eq!((displaced.status, displaced.element("Code").as_deref()), (503, Some("SlowDown")));
    assert_eq!(displaced.header("retry-after"), Some("1"));
    assert_eq!(displaced.header("connection"), Some("close"));
}
