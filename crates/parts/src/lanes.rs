//! MD5 of several streams advanced at once.
//!
//! MD5 is proof where a store ignores checksums, and the ETag of every part that `haul serve`
//! takes. One stream of it costs more than everything else done to the bytes and cannot be made
//! parallel, but parts in flight are many. [`Md5Lanes`] takes the next bytes of several streams
//! together: any lengths are right, long runs of equal length are fast. [`Md5Stream`] is the state
//! of one of them between calls, so a stream may travel in company now and alone later.
//!
//! Alone, MD5 is made by `md5-simd`, whose scalar kernel is a fifth faster than that of `md-5`. It
//! cannot continue several streams at once (its batch kernels take whole messages, from the first
//! byte to the last), so the lanes are our own, in `md5_kernel.rs`. A vector kernel that is fast on
//! one processor may be slow on another, so the caller measures both ways and passes the
//! [`Choice`]; `examples/hash_speed.rs` prints it for the machine at hand.
//!
//! Which streams meet, and when, is for the caller to decide; nothing here waits or holds bytes
//! back beyond one block.

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
/// The four words that MD5 changes block by block.
type Md5State = [u32; 4];

/// How many streams advance side by side at most.
pub const LANES: usize = md5_kernel::LANES;

/// The next bytes of one stream.
#[derive(Debug)]
pub struct LaneInput<'a> {
    /// The stream they belong to.
    pub stream: &'a mut Md5Stream,
    /// The bytes, as many as there are.
    pub bytes: &'a [u8],
}

/// Advances several streams, in the way that was chosen for this machine.
#[derive(Clone, Copy, Debug)]
pub struct Md5Lanes {
    level: Level,
    choice: Choice,
}

/// What is left to do for one stream: whole blocks, and an end that is less than one.
struct Run<'a> {
    stream: &'a mut Md5Stream,
    blocks: &'a [Block],
    end: &'a [u8],
}

impl Md5Lanes {
    /// Lanes of the best instruction set that this processor has.
    pub fn new(choice: Choice) -> Self {
        Self { level: Level::new(), choice }
    }

    /// How many streams advance for about the price of one: the number of jobs worth waiting for.
    pub fn streams(&self) -> usize {
        match self.choice {
            Choice::OneByOne => 1,
            Choice::SideBySide { .. } => LANES,
        }
    }

    /// Advances every stream by its bytes. Right for any number of jobs and any lengths; fast where
    /// up to [`streams`](Self::streams) jobs are equally long.
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

    /// Advances the longest runs together, as far as the shortest of them reaches; then the same
    /// with what is left, until there are fewer than gain from it.
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

/// Advances several runs, longest first, by as many blocks as the shortest has. Lanes without a run
/// repeat the first one.
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
