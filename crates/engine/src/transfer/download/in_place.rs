//! Decides which thread writes a block: the one that has received it, or a blocking thread.
//!
//! To hand a block to another thread and come back costs two thread switches, as much as the rest
//! of the work on its bytes. A thread that writes itself waits for the disk meanwhile, and with it
//! the other tasks of the runtime. So it writes itself only if the caller allows that, and as long
//! as the disk is fast. That no thread is left for small reads meanwhile is a gain, too: more bytes
//! wait in the sockets, and fewer reads fetch them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use haul_parts::limits::MIB;

use crate::body::SLICE_BYTES;

/// The time that a MiB may take on a disk that counts as fast, on average. Of several writes at
/// once, each has its share of the disk, so that each may take that many times as long.
const FAST_MAX: Duration = Duration::from_millis(3);

/// The writes that are measured: shorter ones tell little of the bytes per second.
const MEASURED_BYTES_MIN: u64 = SLICE_BYTES as u64;

/// The weight of the newest write in the average: its denominator. One write may have waited for
/// the processor, and not for the disk.
const NEWEST_WEIGHT: u32 = 8;

/// The writes at the start of a file that blocking threads make: nothing is known of its disk.
const FIRST_WRITES: u32 = 4;

/// The pace of the disk that a file is on.
#[derive(Debug)]
pub(super) struct InPlace {
    /// Whether worker threads may write at all.
    is_allowed: bool,
    /// The writes under way, of all threads.
    writing: AtomicU32,
    /// The writes so far, up to [`FIRST_WRITES`].
    known: AtomicU32,
    /// The average time of the disk for one MiB in microseconds. A lost update between two threads
    /// changes an average by an eighth.
    mib_us: AtomicU32,
}

impl InPlace {
    /// Creates the pace of a file; `is_allowed`: worker threads may write to it.
    pub(super) fn new(is_allowed: bool) -> Self {
        Self {
            is_allowed,
            writing: AtomicU32::new(0),
            known: AtomicU32::new(0),
            mib_us: AtomicU32::new(0),
        }
    }

    /// Returns whether the thread that has received a block is to write it.
    pub(super) fn is_worth_it(&self) -> bool {
        self.is_allowed
            && self.known.load(Ordering::Relaxed) >= FIRST_WRITES
            && u128::from(self.mib_us.load(Ordering::Relaxed)) <= FAST_MAX.as_micros()
    }

    /// Makes a write of this many bytes, on whichever thread, and measures the disk by it.
    pub(super) fn measured<T>(&self, bytes: u64, write: impl FnOnce() -> T) -> T {
        if !self.is_allowed || bytes < MEASURED_BYTES_MIN {
            return write();
        }
        let before = self.writing.fetch_add(1, Ordering::Relaxed) + 1;
        let began = Instant::now();
        let written = write();
        let time = began.elapsed();
        let after = self.writing.fetch_sub(1, Ordering::Relaxed);
        self.took(bytes, time, before.max(after));
        written
    }

    /// Takes a write into account that shared the disk with others.
    fn took(&self, bytes: u64, time: Duration, at_once: u32) {
        let share_us = time.as_micros() / u128::from(at_once.max(1));
        let mib_us = share_us * u128::from(MIB) / u128::from(bytes.max(1));
        let newest = u32::try_from(mib_us).unwrap_or(u32::MAX);
        let relaxed = Ordering::Relaxed;
        let average = match self.known.load(relaxed) {
            0 => newest,
            _ => {
                let average = self.mib_us.load(relaxed);
                average - average / NEWEST_WEIGHT + newest / NEWEST_WEIGHT
            }
        };
        self.mib_us.store(average, relaxed);
        let one_more = |count: u32| (count < FIRST_WRITES).then_some(count + 1);
        let _ = self.known.fetch_update(relaxed, relaxed, one_more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_micros(500);
    const SLOW: Duration = Duration::from_millis(10);

    /// Returns whether the next block is written in place, after so many writes of a MiB.
    fn after(pace: &InPlace, writes: u32, time: Duration, at_once: u32) -> bool {
        (0..writes).for_each(|_| pace.took(MIB, time, at_once));
        pace.is_worth_it()
    }

    #[test]
    fn the_first_blocks_are_left_to_blocking_threads() {
        let pace = InPlace::new(true);
        assert!(!after(&pace, FIRST_WRITES - 1, FAST, 1));
        assert!(after(&pace, 1, FAST, 1));
    }

    #[test]
    fn a_slow_disk_is_left_to_blocking_threads_until_it_is_fast() {
        let pace = InPlace::new(true);
        assert!(after(&pace, 100, FAST, 1));
        assert!(after(&pace, 1, SLOW, 1), "one late write may have waited for the processor");
        assert!(!after(&pace, 9, SLOW, 1));
        assert!(!after(&pace, 1, FAST, 1));
        assert!(after(&pace, 20, FAST, 1));
        (0..100).for_each(|_| pace.took(MIB / 4, FAST_MAX / 2, 1));
        assert!(!pace.is_worth_it(), "a quarter of a MiB has a quarter of the time");
    }

    #[test]
    fn a_disk_that_hangs_is_slow_at_once() {
        let pace = InPlace::new(true);
        assert!(after(&pace, 100, FAST, 1));
        assert!(!after(&pace, 1, 8 * FAST_MAX, 1));
    }

    /// The few bytes after the last whole page of a range take as long as a page.
    #[test]
    fn short_writes_say_nothing_about_the_disk() {
        let pace = InPlace::new(true);
        assert!(after(&pace, 100, FAST, 1));
        (0..10).for_each(|_| pace.measured(100, || std::thread::sleep(FAST)));
        assert!(pace.is_worth_it());
    }

    /// Sixteen blocking threads that write at once wait sixteen times as long for a fast disk.
    #[test]
    fn writes_that_share_the_disk_are_not_slow() {
        assert!(after(&InPlace::new(true), 100, 16 * FAST, 16));
    }

    #[test]
    fn no_thread_waits_for_the_disk_unless_that_is_allowed() {
        assert!(!after(&InPlace::new(false), 100, FAST, 1));
    }
}
