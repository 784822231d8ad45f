//! Manages the addresses of all hosts: their order, and the failed ones to avoid.
//!
//! A name is looked up at most every ten seconds, or at once if none of its addresses answered.
//! Connections are spread over all addresses of the preferred family (trap 31). An address that
//! refused, timed out, lost the race although it started first, or is much slower than the others
//! is tried last for a minute.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::race;
use super::resolve::Resolver;

/// The time after which a name is looked up again, because a store may move.
const LOOKUP_VALID: Duration = Duration::from_secs(10);

/// The time for which a failed or slow address is tried last.
pub(in crate::s3) const AVOIDED_FOR: Duration = Duration::from_secs(60);

/// A cache of names and addresses; shared by all connections.
#[derive(Debug)]
pub(super) struct AddressBook {
    resolver: Resolver,
    lookups: Mutex<HashMap<(String, u16), Lookup>>,
    avoided: Mutex<HashMap<SocketAddr, Instant>>,
    /// Counts connections, to rotate the addresses.
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Lookup {
    addresses: Vec<SocketAddr>,
    valid_until: Instant,
}

impl AddressBook {
    pub(super) fn new(resolver: Resolver) -> Self {
        Self {
            resolver,
            lookups: Mutex::default(),
            avoided: Mutex::default(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Returns all addresses of a host; the first of them is to be tried first.
    ///
    /// # Errors
    /// The resolver's error.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let known = match self.known(host, port) {
            Some(known) => known,
            None => {
                let found = self.resolver.lookup(host, port).await?;
                self.learn(host, port, &found);
                found
            }
        };
        Ok(self.in_order(&known))
    }

    /// Connects to the first of these addresses that answers.
    ///
    /// # Errors
    /// The error of the last address, if all of them failed; the name is then looked up again next
    /// time.
    pub(super) async fn dial(
        &self,
        host: &str,
        port: u16,
        addresses: Vec<SocketAddr>,
        attempt_timeout: Duration,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        let finished = race::connect(addresses, attempt_timeout).await;
        finished.beaten.into_iter().for_each(|address| self.avoid(address));
        match finished.winner {
            Ok((stream, address)) => {
                self.avoided().remove(&address);
                Ok((stream, address))
            }
            Err(error) => {
                self.lookups().remove(&(host.to_owned(), port));
                Err(error)
            }
        }
    }

    /// Tries this address last for a while.
    pub(super) fn avoid(&self, address: SocketAddr) {
        let now = Instant::now();
        let mut avoided = self.avoided();
        avoided.retain(|_, until| *until > now);
        avoided.insert(address, now + AVOIDED_FOR);
    }

    fn known(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let lookups = self.lookups();
        let lookup = lookups.get(&(host.to_owned(), port))?;
        (lookup.valid_until > Instant::now()).then(|| lookup.addresses.clone())
    }

    fn learn(&self, host: &str, port: u16, addresses: &[SocketAddr]) {
        let now = Instant::now();
        let mut lookups = self.lookups();
        lookups.retain(|_, lookup| lookup.valid_until > now);
        let lookup = Lookup { addresses: addresses.to_vec(), valid_until: now + LOOKUP_VALID };
        lookups.insert((host.to_owned(), port), lookup);
    }

    /// Rotates the addresses, alternates the families (RFC 8305, section 4), and puts avoided
    /// addresses last.
    fn in_order(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let preferred = addresses.first().is_some_and(SocketAddr::is_ipv6);
        let (mut first, mut second): (Vec<_>, Vec<_>) =
            addresses.iter().copied().partition(|address| address.is_ipv6() == preferred);
        for family in [&mut first, &mut second] {
            let count = family.len().max(1);
            family.rotate_left(turn % count);
        }
        let mut ordered = by_turns(first, second);
        let now = Instant::now();
        let avoided = self.avoided();
        // A stable sort keeps the order within the two groups.
        ordered.sort_by_key(|address| avoided.get(address).is_some_and(|until| *until > now));
        ordered
    }

    fn lookups(&self) -> std::sync::MutexGuard<'_, HashMap<(String, u16), Lookup>> {
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn avoided(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        self.avoided.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_turns(first: Vec<SocketAddr>, second: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = vec![];
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(addresses: &[&str]) -> AddressBook {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        AddressBook::new(Resolver::Fixed(HashMap::from([("store.test".to_owned(), addresses)])))
    }

    async fn order(book: &AddressBook) -> Vec<String> {
        let found = book.addresses("store.test", 80).await.unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn connections_are_spread_over_the_preferred_family() {
        let book = book(&["[::1]:80", "[::2]:80", "10.0.0.1:80"]);
        assert_eq!(order(&book).await, ["[::1]:80", "10.0.0.1:80", "[::2]:80"]);
        assert_eq!(order(&book).await, ["[::2]:80", "10.0.0.1:80", "[::1]:80"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_avoided_address_is_tried_last_for_a_minute() {
        let book = book(&["10.0.0.1:80", "10.0.0.2:80"]);
        book.avoid("10.0.0.1:80".parse().unwrap());
        for _ in 0..3 {
            assert_eq!(order(&book).await, ["10.0.0.2:80", "10.0.0.1:80"]);
        }
        tokio::time::advance(AVOIDED_FOR).await;
        let firsts = [order(&book).await.remove(0), order(&book).await.remove(0)];
        assert!(firsts.contains(&"10.0.0.1:80".to_owned()), "{firsts:?}");
    }

    #[tokio::test]
    async fn a_name_without_address_is_an_error() {
        let error = book(&[]).addresses("store.test", 80).await.unwrap_err();
        assert_eq!(error.to_string(), "the name has no address");
    }
}
