//! The progress of a running check, for display.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The progress of a check. Clones share it.
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
    /// Returns the number of bytes read. It may exceed the total if objects share bytes, because
    /// each object is verified separately.
    pub fn read_bytes(&self) -> u64 {
        self.counts.read_bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes in all data files; 0 until it is known.
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
