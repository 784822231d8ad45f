//! Pooled slices under a memory permit.
//!
//! A part is read into slices of [`SLICE_BYTES`], hashed there while they are hot in cache, and
//! sent from there. The permit is taken *before* the read (in other tools, readers outrun the
//! network and exhaust memory), so held bytes never exceed the budget, whatever the size of the
//! object (P5). Buffers return to the pool when the last view of them is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use haul_parts::limits::MIB;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::buffer::{Buffers, PooledBuffer};

/// The size of a slice in bytes: small enough to be hashed out of the second-level cache.
pub const SLICE_BYTES: usize = 256 * 1024;

/// The size in bytes of the slices that each of many readers reads.
pub(crate) const SMALL_SLICE_BYTES: usize = 64 * 1024;

/// The slices that a reader of a range needs: one being sent, one behind it, one read ahead.
const READER_SLICES: u64 = 3;

/// The number of readers up to which each reads whole slices.
const WHOLE_SLICE_READERS_MAX: u32 = 16;

/// The default budget in bytes: sixteen parts of the default size.
pub const DEFAULT_BUDGET_BYTES: u64 = 128 * MIB;

/// A memory budget and its free buffers. Clones share both.
#[derive(Clone, Debug)]
pub struct BufferPool {
    whole: Arc<Buffers>,
    small: Arc<Buffers>,
    permits: Arc<Semaphore>,
    budget_slices: u32,
    readers: Readers,
    /// The slices of recent permits, on average, in sixteenths; 0: there was none.
    mean_sixteenths: Arc<AtomicU32>,
}

/// The number of permits of readers.
#[derive(Clone, Debug, Default)]
struct Readers(Arc<AtomicU32>);

impl Readers {
    fn are_many(&self) -> bool {
        self.0.load(Ordering::Relaxed) > WHOLE_SLICE_READERS_MAX
    }
}

/// One of the readers, until it is dropped.
#[derive(Debug)]
struct Reader(Readers);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The right to hold a number of slices, released on drop.
#[derive(Debug)]
#[allow(dead_code, reason = "held for its drop")]
pub struct Permit {
    // Dropped first: who waits for the slices must not count a reader that is gone.
    reader: Option<Reader>,
    slices: OwnedSemaphorePermit,
}

impl BufferPool {
    /// Creates a pool that holds at most `budget_bytes`, rounded down to whole slices, at least
    /// one.
    pub fn new(budget_bytes: u64) -> Self {
        let slices = budget_bytes / SLICE_BYTES as u64;
        let budget_slices = u32::try_from(slices).unwrap_or(u32::MAX).clamp(1, MAX_SLICES);
        let buffers = |slice_bytes| {
            let most = budget_slices as usize * (SLICE_BYTES / slice_bytes);
            Buffers::new(slice_bytes, most)
        };
        Self {
            whole: buffers(SLICE_BYTES),
            small: buffers(SMALL_SLICE_BYTES),
            permits: Arc::new(Semaphore::new(budget_slices as usize)),
            budget_slices,
            readers: Readers::default(),
            mean_sixteenths: Arc::default(),
        }
    }

    /// Returns the budget in bytes.
    pub fn budget_bytes(&self) -> u64 {
        u64::from(self.budget_slices) * SLICE_BYTES as u64
    }

    /// Waits for the right to hold `size_bytes`. A request above the budget gets the whole budget:
    /// the caller must not hold more than that (see [`crate::body`]).
    pub async fn permit(&self, size_bytes: u64) -> Permit {
        let slices = slices_of(size_bytes).min(self.budget_slices);
        self.take_into_mean(slices);
        let permit = Arc::clone(&self.permits).acquire_many_owned(slices).await;
        Permit { reader: None, slices: permit.expect("the pool never closes its semaphore") }
    }

    /// Waits for the right to read a range slice by slice into [`BufferPool::reader_buffer`]s.
    pub(super) async fn reader_permit(&self) -> Permit {
        let permit = self.permit(READER_SLICES * SLICE_BYTES as u64).await;
        self.readers.0.fetch_add(1, Ordering::Relaxed);
        Permit { reader: Some(Reader(self.readers.clone())), ..permit }
    }

    /// Returns the number of requests that the budget holds at once, judged by recent permits.
    pub(crate) fn requests_max(&self) -> u32 {
        let budget = u64::from(self.budget_slices) * 16;
        let requests = budget.checked_div(self.mean_sixteenths.load(Ordering::Relaxed).into());
        requests.map_or(u32::MAX, |count| u32::try_from(count).unwrap_or(u32::MAX))
    }

    #[cfg(test)]
    pub(super) fn unused(&self) -> usize {
        self.whole.unused()
    }

    fn take_into_mean(&self, slices: u32) {
        let newest = slices.saturating_mul(16);
        let mean = self.mean_sixteenths.load(Ordering::Relaxed);
        let mean = if mean == 0 { newest } else { mean - mean / 8 + newest / 8 };
        // A lost update between two threads changes an average by an eighth.
        self.mean_sixteenths.store(mean, Ordering::Relaxed);
    }

    /// Returns an empty buffer of [`SLICE_BYTES`] without waiting: hold a [`Permit`] for it.
    pub fn buffer(&self) -> PooledBuffer {
        self.whole.take()
    }

    /// Returns an empty buffer for the next slice of a reader, a smaller one if there are many
    /// readers: so 64 of them hold no more than sixteen.
    pub(super) fn reader_buffer(&self) -> PooledBuffer {
        let (wanted, other) = if self.readers.are_many() {
            (&self.small, &self.whole)
        } else {
            (&self.whole, &self.small)
        };
        other.keep_few();
        wanted.take()
    }
}

/// A semaphore's limit is far above this; 2^20 slices are 256 GiB.
const MAX_SLICES: u32 = 1 << 20;

fn slices_of(size_bytes: u64) -> u32 {
    u32::try_from(size_bytes.div_ceil(SLICE_BYTES as u64)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::buffer::FEW_BUFFERS;
    use super::*;

    #[tokio::test]
    async fn the_budget_is_never_exceeded_and_comes_back() {
        let pool = BufferPool::new(4 * SLICE_BYTES as u64);
        let three = pool.permit(3 * SLICE_BYTES as u64).await;
        assert_eq!(pool.permits.available_permits(), 1);
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.permit(2 * SLICE_BYTES as u64).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "two more slices do not fit beside three of four");
        drop(three);
        drop(waiting.await.unwrap());
        assert_eq!(pool.permits.available_permits(), 4);
    }

    #[tokio::test]
    async fn a_request_above_the_budget_gets_the_whole_budget() {
        let pool = BufferPool::new(2 * SLICE_BYTES as u64);
        let _all = pool.permit(1 << 40).await;
        assert_eq!(pool.permits.available_permits(), 0);
    }

    #[tokio::test]
    async fn permits_tell_how_many_requests_the_budget_holds() {
        let pool = BufferPool::new(64 * SLICE_BYTES as u64);
        assert_eq!(pool.requests_max(), u32::MAX);
        for _ in 0..100 {
            drop(pool.permit(4 * SLICE_BYTES as u64).await);
        }
        assert_eq!(pool.requests_max(), 16);
        for _ in 0..100 {
            drop(pool.permit(32 * SLICE_BYTES as u64).await);
        }
        assert_eq!(pool.requests_max(), 2);
    }

    /// 64 readers held 192 slices of 256 KiB, so that an upload over a long link took 66 MiB; then
    /// they held buffers of that size that each of them used for 64 KiB at a time.
    #[tokio::test]
    async fn many_readers_hold_small_buffers() {
        let pool = BufferPool::new(DEFAULT_BUDGET_BYTES);
        let (mut permits, mut buffers) = (vec![], vec![]);
        for _ in 0..64 {
            permits.push(pool.reader_permit().await);
            buffers.extend((0..3).map(|_| pool.reader_buffer()));
        }
        let held = |buffers: &[PooledBuffer]| -> usize {
            buffers.iter().map(PooledBuffer::slice_bytes).sum()
        };
        assert_eq!(buffers.last().unwrap().slice_bytes(), SMALL_SLICE_BYTES);
        assert!(held(&buffers) < 24 << 20, "{}", held(&buffers));
        buffers.clear();
        assert_eq!((pool.whole.unused(), pool.small.unused()), (48, 48 * 3));
        // The small buffers are used again, and few of the others are kept.
        buffers.extend((0..64 * 3).map(|_| pool.reader_buffer()));
        assert!(held(&buffers) < 13 << 20, "{}", held(&buffers));
        assert_eq!((pool.whole.unused(), pool.small.unused()), (FEW_BUFFERS, 0));
        buffers.clear();
        permits.truncate(16);
        assert_eq!(pool.reader_buffer().slice_bytes(), SLICE_BYTES);
        assert_eq!((pool.whole.unused(), pool.small.unused()), (FEW_BUFFERS, FEW_BUFFERS));
    }
}
