//! Computes MD5 of several streams at once.
//!
//! MD5 proves parts to stores that ignore checksums, and it is the ETag of every part that `haul
//! serve` stores. MD5 of one stream costs more than everything else done to the bytes and cannot be
//! made parallel, but many parts are in flight. [`Md5Lanes`] takes the next bytes of several
//! streams together: any lengths are correct, long runs of equal length are fast. [`Md5Stream`] is
//! the state of one stream between calls, so a stream may be hashed with others now and alone
//! later.
//!
//! A single stream is hashed by `md5-simd`, whose scalar kernel is a fifth faster than that of
//! `md-5`. It cannot continue several streams at once (its batch kernels take whole messages, from
//! the first byte to the last), so Haul has its own kernel for lanes in `md5_kernel.rs`. A vector
//! kernel that is fast on one processor may be slow on another, so the caller measures both ways
//! and passes the [`Choice`]; `examples/hash_speed.rs` prints it for the current machine.
//!
//! The caller decides which streams are hashed together and when; this module never waits and never
//! holds back more than one block.

mod choice;
mod md5_kernel;
mod stream;

use std::cmp::Reverse;

use fearless_simd::Level;

pub use self::choice::Choice;
pub use self::stream::Md5Stream;

const BLOCK_BYTES: usize = 64;
/// A block of MD5.
type Block = [u8; BLOCK_BYTES];
/// The four words of MD5 state that each block updates.
type Md5State = [u32; 4];

/// The most streams that advance side by side.
pub const LANES: usize = md5_kernel::LANES;

/// The next bytes of one stream.
#[derive(Debug)]
pub struct LaneInput<'a> {
    /// The stream that these bytes continue.
    pub stream: &'a mut Md5Stream,
    /// The bytes, of any length.
    pub bytes: &'a [u8],
}

/// Advances several streams, with the code path chosen for this machine.
#[derive(Clone, Copy, Debug)]
pub struct Md5Lanes {
    level: Level,
    choice: Choice,
}

/// The remaining work for one stream: whole blocks, and a rest shorter than one block.
struct Run<'a> {
    stream: &'a mut Md5Stream,
    blocks: &'a [Block],
    end: &'a [u8],
}

impl Md5Lanes {
    /// Creates lanes with the best instruction set of this processor.
    pub fn new(choice: Choice) -> Self {
        Self { level: Level::new(), choice }
    }

    /// Returns how many streams advance for about the price of one: the number of jobs worth
    /// waiting for.
    pub fn streams(&self) -> usize {
        match self.choice {
            Choice::OneByOne => 1,
            Choice::SideBySide { .. } => LANES,
        }
    }

    /// Advances every stream by its bytes. Correct for any number of jobs and any lengths; fast
    /// where up to [`streams`](Self::streams) jobs are equally long.
    pub fn update(&self, jobs: &mut [LaneInput<'_>]) {
        let mut runs: Vec<Run<'_>> = Vec::with_capacity(jobs.len());
        for job in jobs {
            let rest = job.stream.fill_begun_block(job.bytes);
            let (blocks, end) = rest.as_chunks::<BLOCK_BYTES>();
            runs.push(Run { stream: job.stream, blocks, end });
        }
        if let Choice::SideBySide { streams_min } = self.choice {
            self.advance_together(&mut runs, streams_min);
        }
        for run in runs {
            run.stream.compress(run.blocks);
            run.stream.begin_block(run.end);
        }
    }

    /// Advances the longest runs together as far as the shortest of them reaches, then repeats with
    /// the rest, until fewer runs are left than profit from it.
    fn advance_together(&self, runs: &mut [Run<'_>], streams_min: usize) {
        loop {
            runs.sort_by_key(|run| Reverse(run.blocks.len()));
            let busy = runs.iter().take(LANES).take_while(|run| !run.blocks.is_empty()).count();
            if busy < streams_min.max(1) {
                break;
            }
            advance(self.level, &mut runs[..busy]);
        }
    }
}

/// Advances several runs, longest first, by as many blocks as the shortest has. Unused lanes repeat
/// the first run.
fn advance(level: Level, runs: &mut [Run<'_>]) {
    let count = runs.last().map_or(0, |shortest| shortest.blocks.len());
    let lane = |index: usize| &runs[if index < runs.len() { index } else { 0 }];
    let mut states: [Md5State; LANES] = std::array::from_fn(|index| lane(index).stream.state);
    let blocks: [&[Block]; LANES] = std::array::from_fn(|index| &lane(index).blocks[..count]);
    md5_kernel::compress(level, &mut states, &blocks);
    for (run, state) in runs.iter_mut().zip(states) {
        run.stream.state = state;
        run.stream.length_bytes += (count * BLOCK_BYTES) as u64;
        run.blocks = &run.blocks[count..];
    }
}
