//! SHA-256 (FIPS 180-4): alone by `sha2`, two at once by our own kernel where the processor has its instructions.

use fearless_simd::Level;

use super::sealed::Compression;
use super::{Block, Hash};

/// SHA-256.
#[derive(Clone, Copy, Debug)]
pub struct Sha256;

pub(super) type State = [u32; 8];

impl Hash for Sha256 {}

impl Compression for Sha256 {
    type State = State;
    type Digest = [u8; 32];
    const INITIAL: State = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];

    fn compress(state: &mut State, blocks: &[Block]) {
        sha2::block_api::compress256(state, blocks);
    }

    #[cfg(target_arch = "x86_64")]
    fn lanes(level: Level) -> usize {
        if level.as_avx512().is_some() { super::sha256_kernel::LANES } else { 1 }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn lanes(_: Level) -> usize {
        1
    }

    fn compress_lanes(level: Level, states: &mut [State], blocks: &[&[Block]]) {
        #[cfg(target_arch = "x86_64")]
        if let (Some(avx512), Ok(states), Ok(blocks)) =
            (level.as_avx512(), <&mut [State; 2]>::try_from(&mut *states), <&[&[Block]; 2]>::try_from(blocks))
        {
            return super::sha256_kernel::compress(avx512, states, *blocks);
        }
        let _ = level;
        for (state, blocks) in states.iter_mut().zip(blocks) {
            Self::compress(state, blocks);
        }
    }

    fn length(bits: u64) -> [u8; 8] {
        bits.to_be_bytes()
    }

    fn digest(state: State) -> [u8; 32] {
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}
