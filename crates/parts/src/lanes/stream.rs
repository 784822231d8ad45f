//! The MD5 (RFC 1321) of one stream: the state after the whole blocks so far, and the partial
//! block.

use super::{BLOCK_BYTES, Block, Md5State};

/// The state before the first block.
const INITIAL: Md5State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The running MD5 of one stream of bytes.
#[derive(Clone)]
pub struct Md5Stream {
    pub(super) state: Md5State,
    pub(super) length_bytes: u64,
    /// The partial block: its first `length_bytes % 64` bytes count.
    begun: Block,
}

impl Md5Stream {
    /// Creates the MD5 of no bytes.
    pub const fn new() -> Self {
        Self { state: INITIAL, length_bytes: 0, begun: [0; BLOCK_BYTES] }
    }

    /// Returns the number of bytes hashed so far.
    pub const fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Adds the next bytes of this stream alone.
    pub fn update(&mut self, bytes: &[u8]) {
        let rest = self.fill_begun_block(bytes);
        let (blocks, end) = rest.as_chunks::<BLOCK_BYTES>();
        self.compress(blocks);
        self.begin_block(end);
    }

    /// Returns the MD5 of all bytes added.
    pub fn finish(mut self) -> [u8; 16] {
        let length = self.length_bytes.wrapping_mul(8).to_le_bytes();
        let mut padding = [0; BLOCK_BYTES];
        padding[0] = 0x80;
        // Pad up to the last eight bytes of a block: of this one or, if they are in use, of the
        // next.
        let begun_bytes = self.begun_bytes();
        let count = if begun_bytes < 56 { 56 - begun_bytes } else { 120 - begun_bytes };
        self.update(&padding[..count]);
        self.update(&length);
        debug_assert_eq!(self.begun_bytes(), 0, "padding ends with a block");
        let mut digest = [0; 16];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_le_bytes();
        }
        digest
    }

    fn begun_bytes(&self) -> usize {
        usize::try_from(self.length_bytes % BLOCK_BYTES as u64).expect("less than 64")
    }

    /// Completes the partial block, if there is one, and returns the rest of `bytes`.
    pub(super) fn fill_begun_block<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let begun_bytes = self.begun_bytes();
        if begun_bytes == 0 {
            return bytes;
        }
        let (now, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - begun_bytes));
        self.begun[begun_bytes..begun_bytes + now.len()].copy_from_slice(now);
        self.length_bytes += now.len() as u64;
        if self.begun_bytes() == 0 && !now.is_empty() {
            md5_simd::hazmat::compress_blocks(&mut self.state, &self.begun);
        }
        rest
    }

    pub(super) fn compress(&mut self, blocks: &[Block]) {
        if blocks.is_empty() {
            return;
        }
        debug_assert_eq!(self.begun_bytes(), 0, "whole blocks follow whole blocks");
        md5_simd::hazmat::compress_blocks(&mut self.state, blocks.as_flattened());
        self.length_bytes += blocks.as_flattened().len() as u64;
    }

    /// Keeps a rest that is shorter than a block.
    pub(super) fn begin_block(&mut self, end: &[u8]) {
        if end.is_empty() {
            return;
        }
        debug_assert_eq!(self.begun_bytes(), 0, "a block begins where the last one ended");
        self.begun[..end.len()].copy_from_slice(end);
        self.length_bytes += end.len() as u64;
    }
}

impl Default for Md5Stream {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Md5Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Md5Stream")
            .field("length_bytes", &self.length_bytes)
            .finish_non_exhaustive()
    }
}
