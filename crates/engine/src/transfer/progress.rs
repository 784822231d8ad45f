//! How far a transfer is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::body::Meter;

/// How far a transfer is; read it whenever you like. Clones show the same transfer.
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

    /// Bytes that crossed the network, repeated attempts included: what the link carries.
    pub fn moved_bytes(&self) -> u64 {
        self.meter.sent_bytes()
    }

    /// Bytes that have arrived for good: of an upload, those of parts that the store has
    /// acknowledged.
    pub fn arrived_bytes(&self) -> u64 {
        self.counts.arrived_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the whole, once they are known.
    pub fn size_bytes(&self) -> Option<u64> {
        Some(self.counts.size_bytes.load(Ordering::Relaxed)).filter(|size_bytes| *size_bytes > 0)
    }

    /// Pieces being moved now.
    pub fn in_flight(&self) -> u32 {
        self.counts.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    pub(crate) fn arrived(&self, bytes: u64) {
        self.counts.arrived_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What has arrived when a run begins: nothing of another one counts.
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
