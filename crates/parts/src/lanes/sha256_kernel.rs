//! One SHA-256 compression for two streams at once, with the instructions that x86 has for it.
//!
//! Each of those instructions waits for the one before, twice as long as the processor needs until it could begin another: one
//! stream leaves half of it idle, two fill it. More than two gain nothing and no longer fit the registers. Used where there is
//! AVX-512, because that is the level under which `fearless_simd` makes these instructions callable without `unsafe`.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
    _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
    _mm_shuffle_epi32,
};
use std::hint::black_box;

use fearless_simd::Avx512;

use super::Block;
use super::sha256::State;

/// How many streams go side by side.
pub(super) const LANES: usize = 2;

/// Advances two states over as many blocks as the first lane has; both must have the same number.
pub(super) fn compress(avx512: Avx512, states: &mut [State; LANES], blocks: [&[Block]; LANES]) {
    debug_assert_eq!(blocks[0].len(), blocks[1].len(), "lanes of different length");
    // A table that the compiler cannot see is loaded where it is needed, and takes no registers.
    compress_with(avx512, states, blocks, black_box(&CONSTANTS));
}

fearless_simd::kernel!(
    fn compress_with(
        avx512: Avx512,
        states: &mut [State; LANES],
        blocks: [&[Block]; LANES],
        constants: &[[u32; 4]; 16],
    ) {
        let _ = avx512;
        let mut lanes = [Lane::new(&states[0]), Lane::new(&states[1])];
        for (first, second) in blocks[0].iter().zip(blocks[1]) {
            let before = lanes;
            lanes[0].load(first);
            lanes[1].load(second);
            four_rounds::<0>(&mut lanes, constants);
            four_rounds::<1>(&mut lanes, constants);
            four_rounds::<2>(&mut lanes, constants);
            four_rounds::<3>(&mut lanes, constants);
            four_rounds::<4>(&mut lanes, constants);
            four_rounds::<5>(&mut lanes, constants);
            four_rounds::<6>(&mut lanes, constants);
            four_rounds::<7>(&mut lanes, constants);
            four_rounds::<8>(&mut lanes, constants);
            four_rounds::<9>(&mut lanes, constants);
            four_rounds::<10>(&mut lanes, constants);
            four_rounds::<11>(&mut lanes, constants);
            four_rounds::<12>(&mut lanes, constants);
            four_rounds::<13>(&mut lanes, constants);
            four_rounds::<14>(&mut lanes, constants);
            four_rounds::<15>(&mut lanes, constants);
            lanes[0].add(&before[0]);
            lanes[1].add(&before[1]);
        }
        *states = [lanes[0].state(), lanes[1].state()];
    }
);

/// One stream: its state in the order that the instructions want (`a b e f`, `c d g h`, highest word first), and the last
/// sixteen words of the message schedule.
#[derive(Clone, Copy)]
struct Lane {
    abef: __m128i,
    cdgh: __m128i,
    words: [__m128i; 4],
}

impl Lane {
    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn new(state: &State) -> Self {
        let [a, b, c, d, e, f, g, h] = state.map(u32::cast_signed);
        Self {
            abef: _mm_set_epi32(a, b, e, f),
            cdgh: _mm_set_epi32(c, d, g, h),
            words: [_mm_setzero_si128(); 4],
        }
    }

    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn state(&self) -> State {
        let Self { abef, cdgh, .. } = *self;
        [
            _mm_extract_epi32::<3>(abef),
            _mm_extract_epi32::<2>(abef),
            _mm_extract_epi32::<3>(cdgh),
            _mm_extract_epi32::<2>(cdgh),
            _mm_extract_epi32::<1>(abef),
            _mm_extract_epi32::<0>(abef),
            _mm_extract_epi32::<1>(cdgh),
            _mm_extract_epi32::<0>(cdgh),
        ]
        .map(i32::cast_unsigned)
    }

    /// The sixteen big-endian words of a block.
    #[inline]
    #[target_feature(enable = "ssse3")]
    fn load(&mut self, block: &Block) {
        let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        let (halves, _) = block.as_chunks::<8>();
        for (words, halves) in self.words.iter_mut().zip(halves.as_chunks::<2>().0) {
            let [low, high] = halves.map(i64::from_le_bytes);
            *words = _mm_shuffle_epi8(_mm_set_epi64x(high, low), swap);
        }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn add(&mut self, before: &Self) {
        self.abef = _mm_add_epi32(self.abef, before.abef);
        self.cdgh = _mm_add_epi32(self.cdgh, before.cdgh);
    }
}

/// Rounds `4 * NUMBER` to `4 * NUMBER + 3` of both streams. The number is a constant, so that the words stay in registers.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn four_rounds<const NUMBER: usize>(lanes: &mut [Lane; LANES], constants: &[[u32; 4]; 16]) {
    let [k0, k1, k2, k3] = constants[NUMBER].map(u32::cast_signed);
    let constants = _mm_set_epi32(k3, k2, k1, k0);
    for Lane { abef, cdgh, words } in lanes {
        if NUMBER >= 4 {
            let [oldest, second, third, newest] = [0, 1, 2, 3].map(|age| words[(NUMBER + age) % 4]);
            let sum =
                _mm_add_epi32(_mm_sha256msg1_epu32(oldest, second), _mm_alignr_epi8::<4>(newest, third));
            words[NUMBER % 4] = _mm_sha256msg2_epu32(sum, newest);
        }
        let sum = _mm_add_epi32(words[NUMBER % 4], constants);
        *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
        *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0e>(sum));
    }
}

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
#[rustfmt::skip]
const CONSTANTS: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5], [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3], [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc], [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7], [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13], [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3], [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5], [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208], [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];
