//! Measures once per process, in about a millisecond, which way of computing MD5 is faster on this
//! machine.
//!
//! A vector kernel that is several times faster on one processor can be slower than the plain code
//! on another, or inside some virtual machine, and no list of processors is ever complete.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use haul_parts::lanes::{self, Choice, LaneInput, Md5Lanes, Md5Stream};

/// The bytes of each stream to hash: long enough for the clock, short enough for the first cache
/// levels.
const SAMPLE_BYTES: usize = 16 << 10;
/// The best of this many rounds counts, so that an interrupted measurement does not.
const ROUNDS: usize = 6;

/// The lanes with the faster code path of this machine.
pub(super) static LANES: LazyLock<Md5Lanes> = LazyLock::new(|| {
    let choice = measure();
    tracing::debug!(?choice, "measured how to compute the MD5 of several parts");
    Md5Lanes::new(choice)
});

fn measure() -> Choice {
    let bytes = vec![0x5a; SAMPLE_BYTES];
    let side_by_side = Md5Lanes::new(Choice::SideBySide { streams_min: lanes::LANES });
    // Alternate, so that any slowdown of the machine affects both.
    let times = (0..ROUNDS).map(|_| {
        let one_stream = time(|| {
            let mut stream = Md5Stream::new();
            stream.update(&bytes);
            black_box(stream);
        });
        let all_lanes = time(|| {
            let mut streams = [const { Md5Stream::new() }; lanes::LANES];
            let mut jobs = streams.each_mut().map(|stream| LaneInput { stream, bytes: &bytes });
            side_by_side.update(&mut jobs);
            black_box(streams);
        });
        (one_stream, all_lanes)
    });
    let best = times.reduce(|best, round| (best.0.min(round.0), best.1.min(round.1)));
    best.map_or(Choice::OneByOne, |(one_stream, all_lanes)| {
        Choice::from_times(one_stream, all_lanes)
    })
}

fn time(run: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    run();
    begin.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A measurement that always chose one path would pass every test of the choice. This test
    /// measures both, and the chosen one must not lose by a wide margin.
    #[test]
    fn the_chosen_way_does_not_lose_on_this_machine() {
        let choice = measure();
        let other = match choice {
            Choice::OneByOne => Choice::SideBySide { streams_min: 2 },
            Choice::SideBySide { .. } => Choice::OneByOne,
        };
        let bytes = vec![0x5a; 256 << 10];
        let run = |choice| {
            let mut streams = [const { Md5Stream::new() }; lanes::LANES];
            let mut jobs = streams.each_mut().map(|stream| LaneInput { stream, bytes: &bytes });
            time(|| Md5Lanes::new(choice).update(&mut jobs))
        };
        let rounds = (0..30).map(|_| (run(choice), run(other)));
        let (chosen, other) = rounds.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1))).unwrap();
        assert!(chosen < other * 3 / 2, "{choice:?} takes {chosen:?}, the other way {other:?}");
    }
}
