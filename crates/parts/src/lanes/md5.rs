//! MD5 (RFC 1321): alone by `md5-simd`, eight at once by our own kernel.

use fearless_simd::Level;

use super::sealed::Compression;
use super::{Block, Hash, md5_kernel};

/// MD5.
#[derive(Clone, Copy, Debug)]
pub struct Md5;

pub(super) type State = [u32; 4];

impl Hash for Md5 {}

impl Compression for Md5 {
    type State = State;
    type Digest = [u8; 16];
    const INITIAL: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

    fn compress(state: &mut State, blocks: &[Block]) {
        md5_simd::hazmat::compress_blocks(state, blocks.as_flattened());
    }

    fn lanes(_: Level) -> usize {
        md5_kernel::LANES
    }

    fn compress_lanes(level: Level, states: &mut [State], blocks: &[&[Block]]) {
        let states = states.try_into().expect("as many states as lanes");
        md5_kernel::compress(level, states, blocks.try_into().expect("as many runs as lanes"));
    }

    fn length(bits: u64) -> [u8; 8] {
        bits.to_le_bytes()
    }

    fn digest(state: State) -> [u8; 16] {
        let mut digest = [0; 16];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
            *bytes = word.to_le_bytes();
        }
        digest
    }
}
