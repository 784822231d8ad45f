//! Several MD5 streams advanced at once.
//!
//! MD5 is proof where a store ignores checksums, and the ETag of every part that `haul serve` takes; one stream of it costs
//! more than everything else done to the bytes. A single stream cannot be made parallel, but parts in flight are many.
//! [`Md5Lanes`] takes the next bytes of several streams together: any lengths are right, long runs of equal length are
//! fast. [`Md5Stream`] is the state of one of them between calls, so a stream may travel in company now and alone later.
//!
//! A single stream is compressed by `md5-simd`, whose scalar kernel is a quarter faster than that of `md-5`. Its batch kernels take
//! whole messages from the first byte to the last and cannot continue a stream (its `update_many` is a scalar loop), so
//! the lanes are our own, in `kernel.rs`. `examples/hash_speed.rs` measures both.
//!
//! Which streams meet, and when, is for the caller to decide; nothing here waits or holds bytes back beyond one block.

mod kernel;

use fearless_simd::Level;

const BLOCK_BYTES: usize = 64;
const INITIAL: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

type State = [u32; 4];

/// The MD5 of one stream of bytes so far.
#[derive(Clone)]
pub struct Md5Stream {
    state: State,
    length_bytes: u64,
    /// The begun block: its first `length_bytes % 64` bytes count.
    begun: [u8; BLOCK_BYTES],
}

/// The next bytes of one stream.
#[derive(Debug)]
pub struct Md5Job<'a> {
    /// The stream they belong to.
    pub stream: &'a mut Md5Stream,
    /// The bytes, as many as there are.
    pub bytes: &'a [u8],
}

/// A way to advance several streams.
pub trait Md5Lanes {
    /// How many streams advance for about the price of one: the number of jobs worth waiting for.
    fn lanes(&self) -> usize;

    /// Advances every stream by its bytes. Right for any number of jobs and any lengths; fast where up to
    /// [`lanes`](Self::lanes) jobs are equally long.
    fn update(&self, jobs: &mut [Md5Job<'_>]);
}

/// One stream after the other: the plain way, and the measure for the other one.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneByOne;

/// Eight streams in the lanes of vector registers.
#[derive(Clone, Copy, Debug)]
pub struct SideBySide {
    level: Level,
}

impl Md5Stream {
    /// A stream with no bytes yet.
    pub const fn new() -> Self {
        Self { state: INITIAL, length_bytes: 0, begun: [0; BLOCK_BYTES] }
    }

    /// How many bytes it has taken.
    pub const fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Takes the next bytes, alone.
    pub fn update(&mut self, bytes: &[u8]) {
        let rest = self.fill_begun_block(bytes);
        let (blocks, end) = rest.as_chunks::<BLOCK_BYTES>();
        self.compress(blocks);
        self.begin_block(end);
    }

    /// The MD5 of all bytes taken.
    pub fn finish(mut self) -> [u8; 16] {
        let length_bits = self.length_bytes.wrapping_mul(8);
        let mut padding = [0; BLOCK_BYTES];
        padding[0] = 0x80;
        // Up to the last eight bytes of a block: of this one or, when they are begun, of the next.
        let begun_bytes = self.begun_bytes();
        let count = if begun_bytes < 56 { 56 - begun_bytes } else { 120 - begun_bytes };
        self.update(&padding[..count]);
        self.update(&length_bits.to_le_bytes());
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

    /// Completes the begun block, if there is one, and returns what is left of `bytes`.
    fn fill_begun_block<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let begun_bytes = self.begun_bytes();
        if begun_bytes == 0 {
            return bytes;
        }
        let (now, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - begun_bytes));
        self.begun[begun_bytes..begun_bytes + now.len()].copy_from_slice(now);
        self.length_bytes += now.len() as u64;
        if self.begun_bytes() == 0 && !now.is_empty() {
            md5_simd::hazmat::compress_block(&mut self.state, &self.begun);
        }
        rest
    }

    fn compress(&mut self, blocks: &[[u8; BLOCK_BYTES]]) {
        if blocks.is_empty() {
            return;
        }
        debug_assert_eq!(self.begun_bytes(), 0, "whole blocks follow whole blocks");
        md5_simd::hazmat::compress_blocks(&mut self.state, blocks.as_flattened());
        self.length_bytes += blocks.as_flattened().len() as u64;
    }

    /// Keeps the end of some bytes that is less than a block.
    fn begin_block(&mut self, end: &[u8]) {
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
        f.debug_struct("Md5Stream").field("length_bytes", &self.length_bytes).finish_non_exhaustive()
    }
}

impl Md5Lanes for OneByOne {
    fn lanes(&self) -> usize {
        1
    }

    fn update(&self, jobs: &mut [Md5Job<'_>]) {
        for job in jobs {
            job.stream.update(job.bytes);
        }
    }
}

impl SideBySide {
    /// With the best instruction set of this processor.
    pub fn new() -> Self {
        Self { level: Level::new() }
    }
}

impl Default for SideBySide {
    fn default() -> Self {
        Self::new()
    }
}

impl Md5Lanes for SideBySide {
    fn lanes(&self) -> usize {
        kernel::LANES
    }

    fn update(&self, jobs: &mut [Md5Job<'_>]) {
        let mut runs: Vec<Run<'_>> = Vec::with_capacity(jobs.len());
        for job in jobs {
            let rest = job.stream.fill_begun_block(job.bytes);
            let (blocks, end) = rest.as_chunks::<BLOCK_BYTES>();
            runs.push(Run { stream: job.stream, blocks, end });
        }
        // The longest together, as far as the shortest of them goes; then again with what is left. Idle lanes cost as much as
        // busy ones, yet two streams side by side still beat one after the other.
        loop {
            runs.sort_by_key(|run| std::cmp::Reverse(run.blocks.len()));
            let busy = runs.iter().take(kernel::LANES).take_while(|run| !run.blocks.is_empty()).count();
            if busy < 2 {
                break;
            }
            self.advance(&mut runs[..busy]);
        }
        for run in runs {
            run.stream.compress(run.blocks);
            run.stream.begin_block(run.end);
        }
    }
}

/// What is left to do for one stream: whole blocks, and an end that is less than one.
struct Run<'a> {
    stream: &'a mut Md5Stream,
    blocks: &'a [[u8; BLOCK_BYTES]],
    end: &'a [u8],
}

impl SideBySide {
    /// Advances 2 to 8 runs, longest first, by as many blocks as the shortest has. Lanes without a run repeat the first one.
    fn advance(&self, runs: &mut [Run<'_>]) {
        let count = runs.last().map_or(0, |shortest| shortest.blocks.len());
        let lane = |index: usize| &runs[if index < runs.len() { index } else { 0 }];
        let mut states: [State; kernel::LANES] = std::array::from_fn(|index| lane(index).stream.state);
        let blocks: [_; kernel::LANES] = std::array::from_fn(|index| &lane(index).blocks[..count]);
        kernel::compress(self.level, &mut states, blocks);
        for (run, state) in runs.iter_mut().zip(states) {
            run.stream.state = state;
            run.stream.length_bytes += (count * BLOCK_BYTES) as u64;
            run.blocks = &run.blocks[count..];
        }
    }
}
