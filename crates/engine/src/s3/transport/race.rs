//! Connects to all addresses of a name by RFC 8305: the first one that answers is used.
//!
//! An attempt starts when the previous one fails, or 250 ms after the previous one started.
//! hyper-util's `HttpConnector` races the list of one family against that of the other, and tries
//! each list in sequence: a single address that drops packets then costs the whole time-out.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The "Connection Attempt Delay" that RFC 8305 recommends.
const STAGGER: Duration = Duration::from_millis(250);

/// The outcome of one race.
#[derive(Debug)]
pub(super) struct Finished {
    /// The connection, or the error of the last address.
    pub(super) winner: io::Result<(TcpStream, SocketAddr)>,
    /// Addresses that failed, or that had not answered although they started before the winner.
    pub(super) beaten: Vec<SocketAddr>,
}

/// Connects to the first address that answers. Each attempt ends after `attempt_timeout`.
pub(super) async fn connect(addresses: Vec<SocketAddr>, attempt_timeout: Duration) -> Finished {
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut began: Vec<SocketAddr> = vec![];
    let mut beaten = vec![];
    let mut last_error = io::Error::other("the name has no address");
    let mut next_start = Instant::now();
    loop {
        if next_start <= Instant::now()
            && let Some(address) = waiting.next()
        {
            began.push(address);
            running.push(attempt(address, attempt_timeout));
            next_start = Instant::now() + STAGGER;
        }
        if running.is_empty() {
            return Finished { winner: Err(last_error), beaten };
        }
        tokio::select! {
            Some((address, connected)) = running.next() => match connected {
                Ok(stream) => {
                    let earlier = began.into_iter().take_while(|other| *other != address);
                    let silent: Vec<_> = earlier.filter(|other| !beaten.contains(other)).collect();
                    beaten.extend(silent);
                    return Finished { winner: Ok((stream, address)), beaten };
                }
                Err(error) => {
                    beaten.push(address);
                    last_error = error;
                    // The next attempt starts at once.
                    next_start = Instant::now();
                }
            },
            () = tokio::time::sleep_until(next_start), if waiting.len() > 0 => {}
        }
    }
}

async fn attempt(address: SocketAddr, timeout: Duration) -> (SocketAddr, io::Result<TcpStream>) {
    let connected = match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Ok(connected) => connected,
        Err(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {timeout:?}")))
        }
    };
    (address, connected)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use haul_testkit::network::BlackHole;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn black_hole(ip: &str) -> BlackHole {
        BlackHole::dig(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap()
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Regression: a name had two A records, and one of the addresses dropped SYNs. Every
    /// connection waited for the whole time-out, and `haul cp` failed after 101 s where the AWS CLI
    /// succeeded.
    #[tokio::test]
    async fn an_address_that_drops_packets_costs_a_quarter_of_a_second() {
        let hole = black_hole("127.0.0.2");
        let (_listener, good) = listener();
        let began = Instant::now();
        let finished = connect(vec![hole.address(), good], PATIENCE).await;
        assert_eq!(finished.winner.unwrap().1, good);
        assert_eq!(finished.beaten, [hole.address()]);
        assert!(began.elapsed() >= STAGGER, "{:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn an_address_that_refuses_costs_nothing() {
        let (closed, refusing) = listener();
        drop(closed);
        let (_listener, good) = listener();
        let finished = connect(vec![refusing, good], PATIENCE).await;
        assert_eq!(finished.winner.unwrap().1, good);
        assert_eq!(finished.beaten, [refusing]);
    }

    #[tokio::test]
    async fn every_attempt_has_a_time_out_of_its_own() {
        let holes = [black_hole("127.0.0.2"), black_hole("127.0.0.3")];
        let addresses: Vec<_> = holes.iter().map(BlackHole::address).collect();
        let finished = connect(addresses.clone(), Duration::from_millis(400)).await;
        assert_eq!(finished.winner.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(finished.beaten, addresses);
    }
}
