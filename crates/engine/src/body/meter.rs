//! Counts the bytes of bodies as they leave, for progress, and to decide whether a stopped request
//! may have taken effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bandwidth::Bandwidth;

/// A counter of the bytes of one transfer as the socket takes them, for progress and rates. Shared
/// by all its requests.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    total: Arc<AtomicU64>,
    /// The count of all transfers of the engine.
    all: Arc<AtomicU64>,
    bandwidth: Bandwidth,
    tap: Tap,
}

impl Meter {
    /// Creates a meter whose bytes move no faster than `bandwidth` allows.
    pub fn limited(bandwidth: Bandwidth) -> Self {
        Self { bandwidth, ..Self::default() }
    }

    /// Records that a request has a connection: from now on the store may know of it, even without
    /// a body. Returns false if the request was stopped and must not be sent.
    pub fn begin(&self) -> bool {
        self.tap.0.fetch_or(BEGUN, Ordering::AcqRel) & STOPPED == 0
    }

    /// Adds bytes that leave for the store. Returns false if the request was stopped, so that they
    /// must not leave.
    pub fn add(&self, bytes: u64) -> bool {
        if self.tap.0.fetch_add(bytes, Ordering::AcqRel) & STOPPED != 0 {
            return false;
        }
        self.total.fetch_add(bytes, Ordering::Relaxed);
        self.all.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    /// Counts bytes of a transfer that is part of this one. The engine has counted them already.
    pub fn include(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns the limit on bytes per second of all transfers of the engine.
    pub fn bandwidth(&self) -> &Bandwidth {
        &self.bandwidth
    }

    /// Returns all bytes that left so far, including repeated attempts.
    pub fn sent_bytes(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Returns all bytes that the transfers of the engine moved so far.
    pub fn all_bytes(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// Creates a meter for another transfer of the same engine.
    #[must_use]
    pub fn of_transfer(&self) -> Self {
        Self { all: Arc::clone(&self.all), bandwidth: self.bandwidth.clone(), ..Self::default() }
    }

    /// Returns the same counter with a tap for one request.
    pub(crate) fn tapped(&self) -> (Self, Tap) {
        let tap = Tap::default();
        (Self { tap: tap.clone(), ..self.clone() }, tap)
    }
}

/// The flag that no more bytes of the request may leave.
const STOPPED: u64 = 1 << 63;
/// The flag that the request has a connection.
const BEGUN: u64 = 1 << 62;

/// A valve that stops one request between two of its bytes. The rest of the number counts the bytes
/// that left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap(Arc<AtomicU64>);

impl Tap {
    /// Stops further bytes. Returns true if all `size_bytes` of the body had left, so that the
    /// store may execute the request; otherwise the store never can.
    pub(crate) fn stop(&self, size_bytes: u64) -> bool {
        has_left(self.0.fetch_or(STOPPED, Ordering::AcqRel), size_bytes)
    }

    /// Returns the number of bytes that have left.
    pub(crate) fn left_bytes(&self) -> u64 {
        self.0.load(Ordering::Acquire) & !(BEGUN | STOPPED)
    }

    /// Returns whether the whole body has left.
    pub(crate) fn has_left(&self, size_bytes: u64) -> bool {
        has_left(self.0.load(Ordering::Acquire), size_bytes)
    }
}

fn has_left(count: u64, size_bytes: u64) -> bool {
    count & BEGUN != 0 && count & !(BEGUN | STOPPED) >= size_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_stopped_sends_nothing_more() {
        let all = Meter::default();
        let (wire, tap) = all.tapped();
        assert!(!tap.has_left(0), "not even an empty body, before there is a connection");
        assert!(wire.begin() && wire.add(7) && tap.has_left(7) && !tap.has_left(8));
        assert!(!tap.stop(8));
        assert!(!wire.add(1) && !wire.begin());
        assert_eq!(all.sent_bytes(), 7);
    }

    #[test]
    fn a_body_that_has_left_cannot_be_stopped() {
        let (wire, tap) = Meter::default().tapped();
        assert!(wire.begin() && wire.add(5) && tap.stop(5));
        let (empty, tap) = Meter::default().tapped();
        assert!(empty.begin() && tap.stop(0));
    }
}
