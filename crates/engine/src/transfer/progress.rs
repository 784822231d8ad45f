//! The progress of a transfer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::body::Meter;

/// The progress of a transfer; may be read at any time. Clones show the same transfer.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    meter: Meter,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    arrived_bytes: AtomicU64,
    /// 0: not known yet.
    size_bytes: AtomicU64,
    in_flight: AtomicU32,
}

impl Progress {
    pub(crate) fn new(meter: Meter) -> Self {
        Self { meter, counts: Arc::default() }
    }

    /// Returns the bytes that crossed the network, including repeated attempts.
    pub fn moved_bytes(&self) -> u64 {
        self.meter.sent_bytes()
    }

    /// Returns the bytes that have arrived for good: of an upload, those of acknowledged parts.
    pub fn arrived_bytes(&self) -> u64 {
        self.counts.arrived_bytes.load(Ordering::Relaxed)
    }

    /// Returns the bytes of the whole, once they are known.
    pub fn size_bytes(&self) -> Option<u64> {
        Some(self.counts.size_bytes.load(Ordering::Relaxed)).filter(|size_bytes| *size_bytes > 0)
    }

    /// Returns the number of pieces being moved.
    pub fn in_flight(&self) -> u32 {
        self.counts.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    pub(crate) fn arrived(&self, bytes: u64) {
        self.counts.arrived_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Sets the arrived bytes when a run begins: bytes of another run do not count.
    pub(crate) fn set_arrived(&self, bytes: u64) {
        self.counts.arrived_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_size(&self, bytes: u64) {
        self.counts.size_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_in_flight(&self, pieces: u32) {
        self.counts.in_flight.store(pieces, Ordering::Relaxed);
    }
}
