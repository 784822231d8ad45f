//! How far a check is, for whoever waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a check is. Clones see the same one.
#[derive(Clone, Debug, Default)]
pub struct CheckProgress {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    read_bytes: AtomicU64,
    total_bytes: AtomicU64,
}

impl CheckProgress {
    /// How many bytes were read. In the end more than there are in all, if objects share bytes:
    /// each proves its own.
    pub fn read_bytes(&self) -> u64 {
        self.counts.read_bytes.load(Ordering::Relaxed)
    }

    /// How many bytes all data files have; 0 until that is known.
    pub fn total_bytes(&self) -> u64 {
        self.counts.total_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self, bytes: u64) {
        self.counts.read_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn expect(&self, total_bytes: u64) {
        self.counts.total_bytes.store(total_bytes, Ordering::Relaxed);
    }
}
