//! Computes one MD5 compression for eight streams at once: word `i` of all eight lies in one
//! vector.
//!
//! MD5 of one stream is a chain in which every step waits for the previous one, so a core is mostly
//! idle; eight chains side by side fill it. Written with `fearless_simd`, which picks the
//! instruction set at run time (SSE2, AVX2, AVX-512, NEON) and needs no `unsafe` here. `md5-simd`
//! has such kernels too, but only for whole messages from their first byte, which an upload in
//! progress does not have.

use std::hint::black_box;

use fearless_simd::prelude::*;
use fearless_simd::{Level, Simd, dispatch, u32x8};

use super::{BLOCK_BYTES, Md5State};

/// The number of streams side by side.
pub(super) const LANES: usize = 8;

/// Advances eight states over as many blocks as the first lane has. All lanes must have the same
/// number of blocks.
pub(super) fn compress(
    level: Level,
    states: &mut [Md5State; LANES],
    blocks: &[&[[u8; BLOCK_BYTES]]; LANES],
) {
    debug_assert!(
        blocks.iter().all(|lane| lane.len() == blocks[0].len()),
        "lanes of different length"
    );
    // If the compiler saw these constants, it would turn each into a vector of eight equal words,
    // and the kernel would be a seventh slower.
    let sines = black_box(&SINES);
    dispatch!(level, simd => compress_with(simd, states, blocks, sines));
}

// Everything below must be inlined into `dispatch!`, which switches the instruction set on. So this
// code has loops and no closures: those of `array::map` were not inlined, which cost a fifth.

#[inline(always)]
fn compress_with<S: Simd>(
    simd: S,
    states: &mut [Md5State; LANES],
    blocks: &[&[[u8; BLOCK_BYTES]]; LANES],
    sines: &[u32; 64],
) {
    let mut v = [u32x8::splat(simd, 0); 4];
    for (word, vector) in v.iter_mut().enumerate() {
        for (lane, value) in vector.as_mut_slice().iter_mut().enumerate() {
            *value = states[lane][word];
        }
    }
    for index in 0..blocks[0].len() {
        let mut low = [u32x8::splat(simd, 0); LANES];
        let mut high = low;
        for (lane, blocks) in blocks.iter().enumerate() {
            let (first, second) = blocks[index].split_at(BLOCK_BYTES / 2);
            low[lane] = load(simd, first);
            high[lane] = load(simd, second);
        }
        let before = v;
        rounds(&mut v, &[transpose(low), transpose(high)], sines);
        for word in 0..4 {
            v[word] += before[word];
        }
    }
    for (word, vector) in v.iter().enumerate() {
        for (lane, &value) in vector.as_slice().iter().enumerate() {
            states[lane][word] = value;
        }
    }
}

/// Loads half a block of one stream as eight little-endian words.
#[inline(always)]
fn load<S: Simd>(simd: S, half: &[u8]) -> u32x8<S> {
    let (bytes, _) = half.as_chunks::<4>();
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(bytes) {
        *word = u32::from_le_bytes(*bytes);
    }
    u32x8::load_array(simd, words)
}

/// Transposes from a vector per stream to a vector per word: three perfect shuffles transpose eight
/// by eight.
#[inline(always)]
fn transpose<S: Simd>(mut rows: [u32x8<S>; 8]) -> [u32x8<S>; 8] {
    for _ in 0..3 {
        let (a, b) = rows[0].interleave(rows[4]);
        let (c, d) = rows[1].interleave(rows[5]);
        let (e, f) = rows[2].interleave(rows[6]);
        let (g, h) = rows[3].interleave(rows[7]);
        rows = [a, b, c, d, e, f, g, h];
    }
    rows
}

/// Performs the 64 steps of RFC 1321. Spelled out by number, because rotations and indices have to
/// be constants.
#[inline(always)]
fn rounds<S: Simd>(v: &mut [u32x8<S>; 4], m: &[[u32x8<S>; 8]; 2], sines: &[u32; 64]) {
    macro_rules! steps {
        ($($number:literal)*) => { $( step::<S, $number>(v, m, sines); )* };
    }
    steps!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    steps!(16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    steps!(32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47);
    steps!(48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
}

#[inline(always)]
fn step<S: Simd, const NUMBER: usize>(
    v: &mut [u32x8<S>; 4],
    m: &[[u32x8<S>; 8]; 2],
    sines: &[u32; 64],
) {
    // The registers a, b, c, d rotate at every step; here the names rotate and the values stay in
    // place.
    let a = (64 - NUMBER) % 4;
    let (b, c, d) = (v[(a + 1) % 4], v[(a + 2) % 4], v[(a + 3) % 4]);
    let (mix, word) = match NUMBER / 16 {
        0 => (d ^ (b & (c ^ d)), NUMBER % 16),
        1 => (c ^ (d & (b ^ c)), (5 * NUMBER + 1) % 16),
        2 => (b ^ c ^ d, (3 * NUMBER + 5) % 16),
        _ => (c ^ (b | !d), (7 * NUMBER) % 16),
    };
    let left = ROTATIONS[NUMBER / 16][NUMBER % 4];
    let sum = v[a] + mix + m[word / 8][word % 8] + sines[NUMBER];
    v[a] = b + ((sum << left) | (sum >> (32 - left)));
}

const ROTATIONS: [[u32; 4]; 4] =
    [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// `floor(2^32 · |sin(i + 1)|)`, as RFC 1321 defines them.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee,
    0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be,
    0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa,
    0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed,
    0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c,
    0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05,
    0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039,
    0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1,
    0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];
