//! Blocks: aligned buffers that collect bytes on their way from a socket to the disk.
//!
//! A disk can bypass the page cache only for memory that is aligned to the disk's own units, so
//! blocks are aligned. Blocks are reused, because fresh memory costs the system about as much as
//! filling it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};

/// The size of a block in bytes.
pub const BLOCK_BYTES: usize = 1 << 20;
/// The size of a small block in bytes.
pub const SMALL_BLOCK_BYTES: usize = 32 << 10;
/// The alignment of a block: a page of memory, which is a multiple of every disk's own unit.
pub(crate) const BLOCK_ALIGNMENT: usize = 4096;
/// The number of unused blocks to keep.
const KEPT_BLOCKS_MAX: usize = 64;

/// A pool of reusable blocks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct BlockPool {
    unused: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl BlockPool {
    /// Takes an empty block.
    pub fn take(&self) -> Block {
        let memory = self.unused.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = memory.unwrap_or_else(|| vec![0; BLOCK_BYTES + BLOCK_ALIGNMENT]);
        Block::new(memory, BLOCK_BYTES, self)
    }

    /// Takes an empty block of [`SMALL_BLOCK_BYTES`], for senders that would take long to fill a
    /// large one.
    pub fn take_small(&self) -> Block {
        Block::new(vec![0; SMALL_BLOCK_BYTES + BLOCK_ALIGNMENT], SMALL_BLOCK_BYTES, self)
    }
}

/// A buffer of [`BLOCK_BYTES`] or [`SMALL_BLOCK_BYTES`] that is being filled.
#[derive(Debug)]
pub struct Block {
    memory: Vec<u8>,
    start: usize,
    capacity: usize,
    filled: usize,
    pool: BlockPool,
}

impl Block {
    fn new(memory: Vec<u8>, capacity: usize, pool: &BlockPool) -> Self {
        // The offset is unknown only in Miri, an interpreter of Rust; it is then capped at the
        // length.
        let start = memory.as_ptr().align_offset(BLOCK_ALIGNMENT).min(BLOCK_ALIGNMENT);
        Self { memory, start, capacity, filled: 0, pool: pool.clone() }
    }

    /// Moves as many bytes as fit from the front of `bytes` into the block.
    pub fn fill(&mut self, bytes: &mut Bytes) {
        let count = bytes.len().min(self.capacity - self.filled);
        let from = self.start + self.filled;
        self.memory[from..from + count].copy_from_slice(&bytes[..count]);
        bytes.advance(count);
        self.filled += count;
    }

    /// Returns whether the block is full.
    pub fn is_full(&self) -> bool {
        self.filled == self.capacity
    }

    /// Returns whether the block is empty.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Splits the content into the part that can be written to disk directly, without a copy, and
    /// the few bytes after it.
    pub fn freeze_aligned(self) -> (Bytes, Bytes) {
        let mut whole = self.freeze();
        let rest = whole.split_off(whole.len() / BLOCK_ALIGNMENT * BLOCK_ALIGNMENT);
        (whole, rest)
    }

    /// Returns the content without a copy. Dropping the last clone returns the memory to its pool.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.filled]
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.capacity < BLOCK_BYTES {
            return;
        }
        let mut unused = self.pool.unused.lock().unwrap_or_else(PoisonError::into_inner);
        if unused.len() < KEPT_BLOCKS_MAX {
            unused.push(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_takes_what_fits_and_is_aligned() {
        let pool = BlockPool::default();
        let mut block = pool.take();
        assert!(block.is_empty());
        let mut first = Bytes::from(vec![1; BLOCK_BYTES - 5]);
        let mut second = Bytes::from_static(b"0123456789");
        block.fill(&mut first);
        assert!(first.is_empty() && !block.is_full());
        block.fill(&mut second);
        assert!(block.is_full());
        assert_eq!(&second[..], b"56789");
        let bytes = block.freeze();
        assert_eq!(
            (bytes.len(), bytes[0], &bytes[BLOCK_BYTES - 5..]),
            (BLOCK_BYTES, 1, &b"01234"[..])
        );
        assert_eq!(bytes.as_ptr().align_offset(BLOCK_ALIGNMENT), 0);
    }

    #[test]
    fn memory_returns_with_the_last_clone_and_is_used_again() {
        let pool = BlockPool::default();
        let mut block = pool.take();
        block.fill(&mut Bytes::from_static(b"secret of another request"));
        let bytes = block.freeze();
        let (clone, place) = (bytes.slice(1..3), bytes.as_ptr());
        drop(bytes);
        assert_eq!(pool.unused.lock().unwrap().len(), 0);
        drop(clone);
        assert_eq!(pool.unused.lock().unwrap().len(), 1);
        // A reused block must not show its previous content.
        let block = pool.take();
        assert_eq!(block.as_ref().as_ptr(), place);
        assert!(block.as_ref().is_empty());
    }

    #[test]
    fn a_small_block_is_aligned_and_not_kept() {
        let pool = BlockPool::default();
        let mut block = pool.take_small();
        block.fill(&mut Bytes::from(vec![1; 5000]));
        let (whole, rest) = block.freeze_aligned();
        assert_eq!((whole.len(), rest.len()), (BLOCK_ALIGNMENT, 5000 - BLOCK_ALIGNMENT));
        assert_eq!(whole.as_ptr().align_offset(BLOCK_ALIGNMENT), 0);
        drop((whole, rest));
        let mut block = pool.take_small();
        block.fill(&mut Bytes::from(vec![1; BLOCK_BYTES]));
        assert!(block.is_full());
        assert_eq!(block.freeze().len(), SMALL_BLOCK_BYTES);
        assert_eq!(pool.unused.lock().unwrap().len(), 0);
    }

    #[test]
    fn only_so_many_are_kept() {
        let pool = BlockPool::default();
        let blocks: Vec<Block> = (0..KEPT_BLOCKS_MAX + 3).map(|_| pool.take()).collect();
        drop(blocks);
        assert_eq!(pool.unused.lock().unwrap().len(), KEPT_BLOCKS_MAX);
    }
}
