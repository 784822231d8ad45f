//! Pooled slices under a memory permit.
//!
//! A part is read into slices of [`SLICE_BYTES`], hashed there while they are hot in cache, and
//! sent from there. The permit is taken *before* the read (in other tools, readers outrun the
//! network and exhaust memory), so held bytes never exceed the budget, whatever the size of the
//! object (P5). Buffers return to the pool when the last view of them is dropped.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use haul_parts::limits::MIB;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The size of a slice in bytes: small enough to be hashed out of the second-level cache.
pub const SLICE_BYTES: usize = 256 * 1024;

/// Slices begin at a multiple of this, so that they can be written past the page cache.
pub(crate) const SLICE_ALIGNMENT: usize = 4096;

/// The slices under permits up to which a request reads whole slices: those of sixteen requests.
const WHOLE_SLICES_MAX: usize = 48;

/// The slices under permits up to which a request reads half slices: those of 32 requests.
const HALF_SLICES_MAX: usize = 96;

/// The default budget in bytes: sixteen parts of the default size.
pub const DEFAULT_BUDGET_BYTES: u64 = 128 * MIB;

/// A memory budget and its free buffers. Clones share both.
#[derive(Clone, Debug)]
pub struct BufferPool {
    free: Arc<Free>,
    permits: Arc<Semaphore>,
    budget_slices: u32,
    /// The slices of recent permits, on average, in sixteenths; 0: there was none.
    mean_sixteenths: Arc<AtomicU32>,
}

/// Unused buffers; never more than the budget allows.
#[derive(Debug)]
struct Free {
    buffers: Mutex<Vec<Box<[u8]>>>,
    most: usize,
}

/// The right to hold a number of slices, released on drop.
#[derive(Debug)]
pub struct Permit(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// A buffer to read into; becomes an immutable view with [`PooledBuffer::freeze`].
#[derive(Debug)]
pub struct PooledBuffer {
    buffer: Option<Box<[u8]>>,
    filled: usize,
    free: Arc<Free>,
}

impl BufferPool {
    /// Creates a pool that holds at most `budget_bytes`, rounded down to whole slices, at least
    /// one.
    pub fn new(budget_bytes: u64) -> Self {
        let slices = budget_bytes / SLICE_BYTES as u64;
        let budget_slices = u32::try_from(slices).unwrap_or(u32::MAX).clamp(1, MAX_SLICES);
        Self {
            free: Arc::new(Free { buffers: Mutex::default(), most: budget_slices as usize }),
            permits: Arc::new(Semaphore::new(budget_slices as usize)),
            budget_slices,
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
        Permit(permit.expect("the pool never closes its semaphore"))
    }

    /// Returns the number of requests that the budget holds at once, judged by recent permits.
    pub(crate) fn requests_max(&self) -> u32 {
        let budget = u64::from(self.budget_slices) * 16;
        let requests = budget.checked_div(self.mean_sixteenths.load(Ordering::Relaxed).into());
        requests.map_or(u32::MAX, |count| u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Returns the size in bytes of the slices that a request reads now: smaller ones the more
    /// memory is held, so that three slices for each of 64 requests stay below 30 MiB.
    pub(crate) fn slice_bytes(&self) -> usize {
        let held = self.budget_slices as usize - self.permits.available_permits();
        if held <= WHOLE_SLICES_MAX {
            SLICE_BYTES
        } else if held <= HALF_SLICES_MAX {
            SLICE_BYTES / 2
        } else {
            SLICE_BYTES / 4
        }
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
        let reused = self.free.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffer =
            reused.unwrap_or_else(|| vec![0; SLICE_BYTES + SLICE_ALIGNMENT].into_boxed_slice());
        PooledBuffer { buffer: Some(buffer), filled: 0, free: Arc::clone(&self.free) }
    }
}

/// Returns the position of the first aligned byte of a buffer.
fn first_aligned(buffer: &[u8]) -> usize {
    buffer.as_ptr().align_offset(SLICE_ALIGNMENT).min(SLICE_ALIGNMENT)
}

/// A semaphore's limit is far above this; 2^20 slices are 256 GiB.
const MAX_SLICES: u32 = 1 << 20;

fn slices_of(size_bytes: u64) -> u32 {
    u32::try_from(size_bytes.div_ceil(SLICE_BYTES as u64)).unwrap_or(u32::MAX)
}

impl PooledBuffer {
    /// Returns the whole buffer, to read into.
    pub fn space(&mut self) -> &mut [u8] {
        let Some(buffer) = self.buffer.as_deref_mut() else { return &mut [] };
        let begin = first_aligned(buffer);
        &mut buffer[begin..begin + SLICE_BYTES]
    }

    /// Returns the first `filled` bytes as a slice that can still be read into.
    pub(super) fn filled(mut self, filled: usize) -> PooledSlice {
        assert!(filled <= SLICE_BYTES, "a slice cannot hold {filled} bytes");
        self.filled = filled;
        PooledSlice { buffer: self, sent: 0 }
    }

    /// Turns the first `filled` bytes into a view; the buffer returns to the pool with its last
    /// clone.
    pub fn freeze(mut self, filled: usize) -> Bytes {
        assert!(filled <= SLICE_BYTES, "a slice cannot hold {filled} bytes");
        self.filled = filled;
        Bytes::from_owner(self)
    }
}

/// Bytes that are sent once: unlike the views of [`PooledBuffer::freeze`], it needs no allocation.
#[derive(Debug)]
pub struct PooledSlice {
    buffer: PooledBuffer,
    sent: usize,
}

impl PooledSlice {
    /// Returns all its bytes, to read into.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let filled = self.buffer.filled;
        &mut self.buffer.space()[..filled]
    }

    /// Returns the number of bytes, sent or not.
    pub(super) fn len(&self) -> usize {
        self.buffer.filled
    }

    /// Returns a view that can be shared.
    pub(super) fn freeze(self) -> Bytes {
        let filled = self.buffer.filled;
        self.buffer.freeze(filled)
    }
}

impl AsRef<[u8]> for PooledSlice {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref()
    }
}

impl Buf for PooledSlice {
    fn remaining(&self) -> usize {
        self.buffer.filled - self.sent
    }

    fn chunk(&self) -> &[u8] {
        &self.buffer.as_ref()[self.sent..]
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining(), "{count} bytes of {}", self.remaining());
        self.sent += count;
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        let Some(buffer) = self.buffer.as_deref() else { return &[] };
        let begin = first_aligned(buffer);
        &buffer[begin..begin + self.filled]
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let Some(buffer) = self.buffer.take() else { return };
        let mut free = self.free.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.free.most {
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
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

    /// 64 requests held 192 slices of 256 KiB, so that an upload over a long link took 66 MiB.
    #[tokio::test]
    async fn many_requests_read_smaller_slices() {
        let pool = BufferPool::new(DEFAULT_BUDGET_BYTES);
        let (mut permits, mut held_bytes) = (vec![], 0);
        for _ in 0..64 {
            permits.push(pool.permit(3 * SLICE_BYTES as u64).await);
            held_bytes += 3 * pool.slice_bytes();
        }
        assert_eq!(pool.slice_bytes(), SLICE_BYTES / 4);
        assert!(held_bytes < 26 << 20, "{held_bytes}");
        permits.truncate(16);
        assert_eq!(pool.slice_bytes(), SLICE_BYTES);
    }

    #[test]
    fn slices_begin_at_a_page() {
        let pool = BufferPool::new(SLICE_BYTES as u64);
        let mut buffer = pool.buffer();
        assert_eq!(buffer.space().len(), SLICE_BYTES);
        assert_eq!(buffer.space().as_ptr().align_offset(SLICE_ALIGNMENT), 0);
        let address = buffer.space().as_ptr();
        assert_eq!(buffer.freeze(7).as_ptr(), address);
    }

    #[test]
    fn buffers_are_used_again_after_their_last_view() {
        let pool = BufferPool::new(SLICE_BYTES as u64);
        let mut buffer = pool.buffer();
        buffer.space()[..3].copy_from_slice(b"abc");
        let address = buffer.space().as_ptr();
        let view = buffer.freeze(3);
        let clone = view.clone();
        drop(view);
        assert_eq!(&clone[..], b"abc");
        assert!(pool.free.buffers.lock().unwrap().is_empty());
        drop(clone);
        assert_eq!(pool.buffer().space().as_ptr(), address);
    }
}
