//! Several streams of one hash advanced at once.
//!
//! MD5 is proof where a store ignores checksums, and the ETag of every part that `haul serve` takes; SHA-256 is what clients sign
//! their payload with when there is no TLS. One stream of either costs more than everything else done to the bytes. A single stream
//! cannot be made parallel, but parts in flight are many. [`Lanes`] takes the next bytes of several streams together: any lengths are
//! right, long runs of equal length are fast. [`Stream`] is the state of one of them between calls, so a stream may travel
//! in company now and alone later.
//!
//! Alone, MD5 is made by `md5-simd`, whose scalar kernel is a fifth faster than that of `md-5`, and SHA-256 by `sha2`. Neither
//! continues several streams at once (`md5-simd` has batch kernels, for whole messages from the first byte to the last), so
//! the lanes are our own, in `md5_kernel.rs` and `sha256_kernel.rs`. `examples/hash_speed.rs` measures them.
//!
//! Which streams meet, and when, is for the caller to decide; nothing here waits or holds bytes back beyond one block.

mod md5;
mod md5_kernel;
mod sha256;
#[cfg(target_arch = "x86_64")]
mod sha256_kernel;
mod stream;

use fearless_simd::Level;

pub use self::md5::Md5;
pub use self::sha256::Sha256;
pub use self::stream::Stream;

/// One stream of MD5.
pub type Md5Stream = Stream<Md5>;
/// One stream of SHA-256.
pub type Sha256Stream = Stream<Sha256>;

const BLOCK_BYTES: usize = 64;
/// A block of both hashes.
type Block = [u8; BLOCK_BYTES];
/// The most streams that any hash here takes side by side.
const LANES_MAX: usize = 8;

/// The next bytes of one stream.
#[derive(Debug)]
pub struct Job<'a, H: Hash> {
    /// The stream they belong to.
    pub stream: &'a mut Stream<H>,
    /// The bytes, as many as there are.
    pub bytes: &'a [u8],
}

/// A way to advance several streams.
pub trait Lanes<H: Hash> {
    /// How many streams advance for about the price of one: the number of jobs worth waiting for.
    fn lanes(&self) -> usize;

    /// Advances every stream by its bytes. Right for any number of jobs and any lengths; fast where up to
    /// [`lanes`](Self::lanes) jobs are equally long.
    fn update(&self, jobs: &mut [Job<'_, H>]);
}

/// A hash that changes a small state by one block of 64 bytes after the other, and ends with the length: MD5 or SHA-256.
pub trait Hash: sealed::Compression {}

mod sealed {
    use super::{Block, Level};

    /// What a hash is made of.
    pub trait Compression {
        type State: Copy;
        type Digest;
        /// The state before the first block.
        const INITIAL: Self::State;

        /// Advances one state.
        fn compress(state: &mut Self::State, blocks: &[Block]);

        /// How many states advance side by side on this processor, 1 to [`LANES_MAX`](super::LANES_MAX).
        fn lanes(level: Level) -> usize;

        /// Advances as many states as there are lanes, over as many blocks as the first has; all have the same number.
        fn compress_lanes(level: Level, states: &mut [Self::State], blocks: &[&[Block]]);

        /// The length of all bytes in bits, as it stands at the end of the last block.
        fn length(bits: u64) -> [u8; 8];

        fn digest(state: Self::State) -> Self::Digest;
    }
}

/// One stream after the other: the plain way, and the measure for the other one.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneByOne;

/// Several streams side by side: MD5 in the lanes of vector registers, SHA-256 two at a time where the processor has
/// instructions for it.
#[derive(Clone, Copy, Debug)]
pub struct SideBySide {
    level: Level,
}

impl<H: Hash> Lanes<H> for OneByOne {
    fn lanes(&self) -> usize {
        1
    }

    fn update(&self, jobs: &mut [Job<'_, H>]) {
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

    /// Advances several runs, longest first, by as many blocks as the shortest has. Lanes without a run repeat the first one.
    fn advance<H: Hash>(self, runs: &mut [Run<'_, H>]) {
        let count = runs.last().map_or(0, |shortest| shortest.blocks.len());
        let lanes = H::lanes(self.level);
        let lane = |index: usize| &runs[if index < runs.len() { index } else { 0 }];
        let mut states: [H::State; LANES_MAX] = std::array::from_fn(|index| lane(index).stream.state);
        let blocks: [_; LANES_MAX] = std::array::from_fn(|index| &lane(index).blocks[..count]);
        H::compress_lanes(self.level, &mut states[..lanes], &blocks[..lanes]);
        for (run, state) in runs.iter_mut().zip(states) {
            run.stream.state = state;
            run.stream.length_bytes += (count * BLOCK_BYTES) as u64;
            run.blocks = &run.blocks[count..];
        }
    }
}

impl Default for SideBySide {
    fn default() -> Self {
        Self::new()
    }
}

/// What is left to do for one stream: whole blocks, and an end that is less than one.
struct Run<'a, H: Hash> {
    stream: &'a mut Stream<H>,
    blocks: &'a [Block],
    end: &'a [u8],
}

impl<H: Hash> Lanes<H> for SideBySide {
    fn lanes(&self) -> usize {
        H::lanes(self.level)
    }

    fn update(&self, jobs: &mut [Job<'_, H>]) {
        let mut runs: Vec<Run<'_, H>> = Vec::with_capacity(jobs.len());
        for job in jobs {
            let rest = job.stream.fill_begun_block(job.bytes);
            let (blocks, end) = rest.as_chunks::<BLOCK_BYTES>();
            runs.push(Run { stream: job.stream, blocks, end });
        }
        // The longest together, as far as the shortest of them goes; then again with what is left. Idle lanes cost as much as
        // busy ones, yet two streams side by side still beat one after the other.
        loop {
            runs.sort_by_key(|run| std::cmp::Reverse(run.blocks.len()));
            let lanes = H::lanes(self.level);
            let busy = runs.iter().take(lanes).take_while(|run| !run.blocks.is_empty()).count();
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
