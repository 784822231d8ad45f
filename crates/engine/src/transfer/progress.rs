//! The progress of a transfer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    tree: Tree,
}

/// What only a tree counts.
#[derive(Debug, Default)]
struct Tree {
    files_found: AtomicU64,
    files_done: AtomicU64,
    files_failed: AtomicU64,
    walked: AtomicBool,
    /// The large files on their way.
    active: Mutex<BTreeMap<u64, (String, Progress)>>,
    next_active: AtomicU64,
}

/// How far a tree is.
#[derive(Clone, Debug, Default)]
pub struct TreeProgress {
    /// Files that were found so far and are to be copied, those that are done included.
    pub files_found: u64,
    /// Files that have arrived or failed.
    pub files_done: u64,
    /// Files that failed.
    pub files_failed: u64,
    /// Every file has been found.
    pub walked: bool,
    /// Large files on their way: name, bytes that have arrived, bytes in all.
    pub active: Vec<(String, u64, u64)>,
}

/// A large file is shown as long as this lives.
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

    /// How far a tree is.
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

    /// The progress of one file of a tree: its bytes travel on the meter of the tree.
    pub(crate) fn of_file(&self) -> Self {
        Self { meter: self.meter.clone(), counts: Arc::default() }
    }

    /// Shows a large file of a tree.
    pub(crate) fn show(&self, name: &str, progress: &Self) -> Shown {
        let id = self.counts.tree.next_active.fetch_add(1, Ordering::Relaxed);
        lock(&self.counts.tree.active).insert(id, (name.to_owned(), progress.clone()));
        Shown { of: self.clone(), id }
    }

    /// One more file of a tree is to be copied.
    pub(crate) fn file_found(&self, size_bytes: u64) {
        self.counts.tree.files_found.fetch_add(1, Ordering::Relaxed);
        self.counts.size_bytes.fetch_add(size_bytes, Ordering::Relaxed);
    }

    /// One file of a tree has come to its end.
    pub(crate) fn file_ended(&self, failed: bool) {
        self.counts.tree.files_done.fetch_add(1, Ordering::Relaxed);
        self.counts.tree.files_failed.fetch_add(u64::from(failed), Ordering::Relaxed);
    }

    /// Every file of a tree has been found.
    pub(crate) fn all_found(&self) {
        self.counts.tree.walked.store(true, Ordering::Relaxed);
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
