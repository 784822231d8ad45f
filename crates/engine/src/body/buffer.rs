//! Buffers for slices, which return to the pool with the last view of them.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};

/// Slices begin at a multiple of this, so that they can be written past the page cache.
pub(crate) const SLICE_ALIGNMENT: usize = 4096;

/// Unused buffers of one size; never more than the budget allows.
#[derive(Debug)]
pub(super) struct Buffers {
    unused: Mutex<Vec<Box<[u8]>>>,
    slice_bytes: usize,
    most: usize,
}

/// The number of unused buffers that are kept of the size that readers do not use at present.
pub(super) const FEW_BUFFERS: usize = 16;

/// A buffer to read into; becomes an immutable view with [`PooledBuffer::freeze`].
#[derive(Debug)]
pub struct PooledBuffer {
    buffer: Option<Box<[u8]>>,
    filled: usize,
    home: Arc<Buffers>,
}

impl Buffers {
    /// Creates the collection of buffers for slices of this size, which keeps at most `most`.
    pub(super) fn new(slice_bytes: usize, most: usize) -> Arc<Self> {
        Arc::new(Self { unused: Mutex::default(), slice_bytes, most })
    }

    pub(super) fn take(self: &Arc<Self>) -> PooledBuffer {
        let reused = self.unused.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffer = reused
            .unwrap_or_else(|| vec![0; self.slice_bytes + SLICE_ALIGNMENT].into_boxed_slice());
        PooledBuffer { buffer: Some(buffer), filled: 0, home: Arc::clone(self) }
    }

    #[cfg(test)]
    pub(super) fn unused(&self) -> usize {
        self.unused.lock().unwrap().len()
    }

    /// Frees all unused buffers but a few: readers use buffers of the other size now.
    pub(super) fn keep_few(&self) {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner).truncate(FEW_BUFFERS);
    }

    /// Keeps a buffer for the next one that needs it.
    fn give_back(&self, buffer: Box<[u8]>) {
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        if unused.len() < self.most {
            unused.push(buffer);
        }
    }
}

/// Returns the position of the first aligned byte of a buffer.
fn first_aligned(buffer: &[u8]) -> usize {
    buffer.as_ptr().align_offset(SLICE_ALIGNMENT).min(SLICE_ALIGNMENT)
}

impl PooledBuffer {
    /// Returns the whole buffer, to read into.
    pub fn space(&mut self) -> &mut [u8] {
        let Some(buffer) = self.buffer.as_deref_mut() else { return &mut [] };
        let begin = first_aligned(buffer);
        &mut buffer[begin..begin + self.home.slice_bytes]
    }

    /// Returns the number of bytes that it can hold.
    pub(super) fn slice_bytes(&self) -> usize {
        self.home.slice_bytes
    }

    /// Returns the first `filled` bytes as a slice that can still be read into.
    pub(super) fn filled(mut self, filled: usize) -> PooledSlice {
        assert!(filled <= self.home.slice_bytes, "a slice cannot hold {filled} bytes");
        self.filled = filled;
        PooledSlice { buffer: self, sent: 0 }
    }

    /// Turns the first `filled` bytes into a view; the buffer returns to the pool with its last
    /// clone.
    pub fn freeze(mut self, filled: usize) -> Bytes {
        assert!(filled <= self.home.slice_bytes, "a slice cannot hold {filled} bytes");
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
        if let Some(buffer) = self.buffer.take() {
            self.home.give_back(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::body::{BufferPool, SLICE_ALIGNMENT, SLICE_BYTES};

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
        assert_eq!(pool.unused(), 0);
        drop(clone);
        assert_eq!(pool.buffer().space().as_ptr(), address);
    }
}
