//! The progress of a transfer: counters that the transfer updates and the caller reads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::body::Meter;

/// The progress of a transfer, which may be read at any time. Clones show the same transfer.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    meter: Meter,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    arrived_bytes: AtomicU64,
    /// The length of the whole; 0 if it is not known yet.
    size_bytes: AtomicU64,
    in_flight: AtomicU32,
    tree: Tree,
}

/// Counters that only a tree has.
#[derive(Debug, Default)]
struct Tree {
    files_found: AtomicU64,
    files_done: AtomicU64,
    files_failed: AtomicU64,
    walked: AtomicBool,
    /// The large files that are being transferred.
    active: Mutex<BTreeMap<u64, (String, Progress)>>,
    next_active: AtomicU64,
}

/// The progress of a tree.
#[derive(Clone, Debug, Default)]
pub struct TreeProgress {
    /// Files that were found so far and have to be copied, including those that are done.
    pub files_found: u64,
    /// Files that have arrived or failed.
    pub files_done: u64,
    /// Files that failed.
    pub files_failed: u64,
    /// Whether every file has been found.
    pub walked: bool,
    /// Large files that are being transferred: name, bytes that have arrived, total bytes.
    pub active: Vec<(String, u64, u64)>,
}

/// A guard that shows a large file in the progress of its tree until it is dropped.
#[derive(Debug)]
pub(crate) struct Shown {
    of: Progress,
    id: u64,
}

impl Drop for Shown {
    fn drop(&mut self) {
        lock(&self.of.counts.tree.active).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    pub(crate) fn new(meter: Meter) -> Self {
        Self { meter, counts: Arc::default() }
    }

    /// Returns the bytes that crossed the network, including repeated attempts.
    pub fn moved_bytes(&self) -> u64 {
        self.meter.sent_bytes()
    }

    /// Returns the bytes that have arrived permanently: for an upload, those of acknowledged parts.
    pub fn arrived_bytes(&self) -> u64 {
        self.counts.arrived_bytes.load(Ordering::Relaxed)
    }

    /// Returns the total number of bytes, once it is known.
    pub fn size_bytes(&self) -> Option<u64> {
        Some(self.counts.size_bytes.load(Ordering::Relaxed)).filter(|size_bytes| *size_bytes > 0)
    }

    /// Returns the number of pieces being moved.
    pub fn in_flight(&self) -> u32 {
        self.counts.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the progress of a tree.
    pub fn tree(&self) -> TreeProgress {
        let tree = &self.counts.tree;
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let active = lock(&tree.active);
        TreeProgress {
            files_found: load(&tree.files_found),
            files_done: load(&tree.files_done),
            files_failed: load(&tree.files_failed),
            walked: tree.walked.load(Ordering::Relaxed),
            active: active
                .values()
                .map(|(name, progress)| {
                    let size_bytes = progress.size_bytes().unwrap_or_default();
                    (name.clone(), progress.arrived_bytes(), size_bytes)
                })
                .collect(),
        }
    }

    /// Creates the progress of one file of a tree: its bytes are counted by the meter of the tree.
    pub(crate) fn of_file(&self) -> Self {
        Self { meter: self.meter.clone(), counts: Arc::default() }
    }

    /// Shows a large file in the progress of its tree, until the returned guard is dropped.
    pub(crate) fn show(&self, name: &str, progress: &Self) -> Shown {
        let id = self.counts.tree.next_active.fetch_add(1, Ordering::Relaxed);
        lock(&self.counts.tree.active).insert(id, (name.to_owned(), progress.clone()));
        Shown { of: self.clone(), id }
    }

    /// Counts one more file of a tree that has to be copied.
    pub(crate) fn file_found(&self, size_bytes: u64) {
        self.counts.tree.files_found.fetch_add(1, Ordering::Relaxed);
        self.counts.size_bytes.fetch_add(size_bytes, Ordering::Relaxed);
    }

    /// Counts one file of a tree that has arrived or failed.
    pub(crate) fn file_ended(&self, failed: bool) {
        self.counts.tree.files_done.fetch_add(1, Ordering::Relaxed);
        self.counts.tree.files_failed.fetch_add(u64::from(failed), Ordering::Relaxed);
    }

    /// Records that every file of a tree has been found.
    pub(crate) fn all_found(&self) {
        self.counts.tree.walked.store(true, Ordering::Relaxed);
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    pub(crate) fn arrived(&self, bytes: u64) {
        self.counts.arrived_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Sets the arrived bytes at the start of a run: bytes of another run do not count.
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
