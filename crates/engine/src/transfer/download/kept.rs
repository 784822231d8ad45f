//! Holds received bytes that are not written yet, in buffers of the pool.
//!
//! The bytes are received into these buffers. A view into a socket's receive buffer would keep the
//! whole buffer in memory, even if the view is only a small part of it, and no budget would count
//! it. The buffers begin at memory pages, which can be written without the page cache.

use bytes::Bytes;

use crate::body::{BufferPool, PooledBuffer, SLICE_BYTES};

#[derive(Default)]
pub(super) struct Kept {
    full: Vec<Bytes>,
    /// The last buffer, and the number of bytes in it.
    filling: Option<(PooledBuffer, usize)>,
    bytes: usize,
    /// The capacity of the first buffer, if it is smaller than the others.
    first_room: Option<usize>,
}

impl Kept {
    /// Creates the collection for bytes that begin at `offset_bytes` of a file: buffers end where
    /// the slices of the file end.
    pub(super) fn at(offset_bytes: u64) -> Self {
        let past = usize::try_from(offset_bytes % SLICE_BYTES as u64).unwrap_or(0);
        Self { first_room: Some(SLICE_BYTES - past), ..Self::default() }
    }

    /// Returns the number of bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Returns room for more bytes, at least one. The caller has a permit for the buffers.
    pub(super) fn room(&mut self, pool: &BufferPool) -> &mut [u8] {
        let room = if self.full.is_empty() { self.first_room } else { None };
        let room = room.unwrap_or(SLICE_BYTES);
        let (buffer, filled) = self.filling.get_or_insert_with(|| (pool.buffer(), 0));
        &mut buffer.space()[*filled..room]
    }

    /// Keeps the first `count` bytes of the room.
    pub(super) fn took(&mut self, count: usize) {
        let Some((buffer, filled)) = self.filling.take() else { return };
        self.bytes += count;
        let room = if self.full.is_empty() { self.first_room } else { None };
        if filled + count == room.unwrap_or(SLICE_BYTES) {
            self.full.push(buffer.freeze(filled + count));
        } else {
            self.filling = Some((buffer, filled + count));
        }
    }

    /// Keeps a copy of bytes.
    #[cfg(test)]
    pub(super) fn push(&mut self, mut bytes: &[u8], pool: &BufferPool) {
        while !bytes.is_empty() {
            let room = self.room(pool);
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            self.took(count);
            bytes = &bytes[count..];
        }
    }

    /// Returns all bytes, in order.
    pub(super) fn finish(mut self) -> Vec<Bytes> {
        if let Some((buffer, filled)) = self.filling.take() {
            self.full.push(buffer.freeze(filled));
        }
        self.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_length_are_kept_in_order() {
        let pool = BufferPool::new(4 * SLICE_BYTES as u64);
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * SLICE_BYTES + 7).collect();
        for (offset_bytes, slices) in [(0, 3), (7, 3), (SLICE_BYTES as u64 - 1, 4)] {
            let mut kept = Kept::at(offset_bytes);
            for chunk in bytes.chunks(100_003) {
                kept.push(chunk, &pool);
            }
            assert_eq!(kept.len(), bytes.len());
            let kept = kept.finish();
            assert_eq!(kept.len(), slices, "from {offset_bytes} on");
            assert!(kept.concat() == bytes);
        }
    }
}
