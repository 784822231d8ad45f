//! Decides which connections to an origin, and which of its addresses, are too slow to be used
//! again. Pure: samples and times in, verdicts out.
//!
//! A connection is slow if it would move less than a third of what its peers move (their median),
//! although it is judged by the time for which it kept this side waiting, and they by the time for
//! which their requests lasted. The first is at most the second, so the speed of the accused is
//! overestimated, and that of the others underestimated: a source that delivers slowly, a bandwidth
//! limit or a busy CPU make nothing look slow. Requests are compared with requests of about the
//! same length, because the latency weighs more in short ones.
//!
//! If all are slow, none is: the median is slow too. When all become slow at once, the first one
//! to end is compared with values of a better time; so after each verdict the next one waits until
//! half of the peers have ended a request.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::speed::{Peer, Sample};
use crate::s3::transport::AVOIDED_FOR;

/// A connection or an address is slow if it moves less than the others' median by this factor.
const SLOWER_BY: f64 = 3.0;

/// The least time that a slow connection has kept this side waiting. Below, a wrong verdict would
/// cost more (a handshake, the slow start of TCP) than a right one saves.
const WAITED_MIN_S: f64 = 0.5;

/// The time of requests that a record covers in full; older ones count half, a quarter, and so on.
const RECORDED_S: f64 = 2.0;

/// The least time between two looks at the same connection: short requests end often.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(250);

/// The time for which a record counts after the last request, or twice the duration of that request
/// if that is longer.
const RECORD_VALID: Duration = Duration::from_secs(60);

/// The least number of other connections, or of other addresses, with records.
const OTHER_CONNECTIONS_MIN: usize = 2;
const OTHER_ADDRESSES_MIN: usize = 1;

/// The least number of requests to an address before it is avoided.
const REQUESTS_TO_ADDRESS_MIN: u32 = 2;

/// Requests below this length are compared by their number, all others by their bytes.
const SHORT_BYTES: u64 = 64 << 10;

/// What is to be done with a connection whose request has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is used again.
    Keep,
    /// It is closed.
    Retire(Reason),
    /// It is closed, and so are idle ones to its address, which is tried last for a while.
    Avoid(Reason),
}

/// The speeds behind a verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reason {
    /// The speed of the slow one, at most.
    pub(super) own: f64,
    /// The median of the others, at least.
    pub(super) others: f64,
    /// Whether the speeds are in bytes per second; else in requests per second.
    pub(super) in_bytes: bool,
}

/// The judge of all connections to one origin in one direction.
#[derive(Debug, Default)]
pub(super) struct Judge {
    connections: Records<u64>,
    addresses: Records<SocketAddr>,
    /// Addresses that were found slow, when, and why.
    slow: HashMap<SocketAddr, (Instant, Reason)>,
    /// The requests that ended since the last verdict against a connection, and against an address.
    since_verdict: (usize, usize),
    /// The time at which outdated records were removed.
    cleaned: Option<Instant>,
}

impl Judge {
    /// Takes the sample of a request, and decides about its connection.
    pub(super) fn judge(&mut self, peer: Peer, sample: Sample, now: Instant) -> Verdict {
        self.forget_outdated(now);
        self.since_verdict.0 += 1;
        self.since_verdict.1 += 1;
        let class = Class::of(sample.bytes);
        let looked = self.connections.add(peer.connection, class, sample, now);
        self.addresses.add(peer.address, class, sample, now);
        if let Some((found, reason)) = self.slow.get(&peer.address).copied()
            && found >= peer.opened
        {
            return self.retired(peer, reason);
        }
        if !looked {
            return Verdict::Keep;
        }
        if let Some(reason) = self.slow_address(peer.address, class) {
            self.since_verdict.1 = 0;
            self.slow.insert(peer.address, (now, reason));
            self.connections.remove(&peer.connection);
            return Verdict::Avoid(reason);
        }
        match self.connections.slow(&peer.connection, class, 1, OTHER_CONNECTIONS_MIN) {
            Some((reason, others)) if self.since_verdict.0 > others / 2 => {
                self.retired(peer, reason)
            }
            _ => Verdict::Keep,
        }
    }

    fn retired(&mut self, peer: Peer, reason: Reason) -> Verdict {
        self.since_verdict.0 = 0;
        self.connections.remove(&peer.connection);
        Verdict::Retire(reason)
    }

    /// Returns why an address is to be avoided; never for more than half of all addresses.
    fn slow_address(&self, address: SocketAddr, class: Class) -> Option<Reason> {
        let mut known: Vec<_> = self.addresses.keys().chain(self.slow.keys()).collect();
        known.sort();
        known.dedup();
        if (self.slow.len() + 1) * 2 > known.len() {
            return None;
        }
        let (reason, others) =
            self.addresses.slow(&address, class, REQUESTS_TO_ADDRESS_MIN, OTHER_ADDRESSES_MIN)?;
        (self.since_verdict.1 > others / 2).then_some(reason)
    }

    fn forget_outdated(&mut self, now: Instant) {
        if self.cleaned.is_some_and(|cleaned| now < cleaned + RECORD_VALID / 10) {
            return;
        }
        self.cleaned = Some(now);
        self.connections.0.retain(|_, record| record.valid_until > now);
        self.addresses.0.retain(|_, record| record.valid_until > now);
        self.slow.retain(|_, (found, _)| *found + AVOIDED_FOR > now);
    }
}

/// Requests of about the same length: within a factor of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Class(u32);

impl Class {
    const SHORT: Self = Self(SHORT_BYTES.ilog2() - 1);

    fn of(bytes: u64) -> Self {
        if bytes < SHORT_BYTES { Self::SHORT } else { Self(bytes.ilog2()) }
    }
}

/// The recent requests of one connection or address.
#[derive(Debug)]
struct Record {
    requests: u32,
    /// Bytes, or short requests.
    amount: f64,
    waited_s: f64,
    lasted_s: f64,
    looked_at: Option<Instant>,
    valid_until: Instant,
}

#[derive(Debug)]
struct Records<K>(HashMap<(K, Class), Record>);

impl<K> Default for Records<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Copy + Eq + Hash> Records<K> {
    /// Adds a sample; returns whether it is time to look at the record.
    fn add(&mut self, key: K, class: Class, sample: Sample, now: Instant) -> bool {
        let record = self.0.entry((key, class)).or_insert_with(|| Record {
            requests: 0,
            amount: 0.0,
            waited_s: 0.0,
            lasted_s: 0.0,
            looked_at: None,
            valid_until: now,
        });
        if record.lasted_s >= RECORDED_S {
            record.amount /= 2.0;
            record.waited_s /= 2.0;
            record.lasted_s /= 2.0;
        }
        record.requests = record.requests.saturating_add(1);
        #[allow(clippy::cast_precision_loss, reason = "a rate")]
        let amount = if class == Class::SHORT { 1.0 } else { sample.bytes as f64 };
        record.amount += amount;
        record.waited_s += sample.waited.as_secs_f64();
        record.lasted_s += sample.lasted.as_secs_f64();
        record.valid_until = now + RECORD_VALID.max(2 * sample.lasted);
        let due = record.looked_at.is_none_or(|looked| looked + LOOKED_AT_EVERY <= now);
        if due {
            record.looked_at = Some(now);
        }
        due
    }

    fn remove(&mut self, key: &K) {
        self.0.retain(|(other, _), _| other != key);
    }

    fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys().map(|(key, _)| key)
    }

    /// Returns why a record is slow, and the number of others that it was compared with.
    fn slow(
        &self,
        key: &K,
        class: Class,
        requests_min: u32,
        others_min: usize,
    ) -> Option<(Reason, usize)> {
        let record = self.0.get(&(*key, class))?;
        if record.requests < requests_min || record.waited_s < WAITED_MIN_S {
            return None;
        }
        let of_others = self.0.iter().filter(|((other, its), _)| other != key && *its == class);
        let mut speeds: Vec<_> =
            of_others.map(|(_, other)| other.amount / other.lasted_s.max(f64::EPSILON)).collect();
        if speeds.len() < others_min {
            return None;
        }
        let middle = (speeds.len() - 1) / 2;
        let (_, median, _) = speeds.select_nth_unstable_by(middle, f64::total_cmp);
        let own = record.amount / record.waited_s;
        let reason = Reason { own, others: *median, in_bytes: class != Class::SHORT };
        (own * SLOWER_BY < *median).then_some((reason, speeds.len()))
    }
}

#[cfg(test)]
mod tests;
