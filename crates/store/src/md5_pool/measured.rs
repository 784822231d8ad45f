//! Measures once per process, in about a millisecond, which MD5 implementation is faster on this
//! machine.

use std::sync::LazyLock;
use std::time::Instant;

use haul_parts::lanes::{Choice, Md5Lanes};

/// The lanes with the faster implementation on this machine.
pub(super) static LANES: LazyLock<Md5Lanes> = LazyLock::new(|| {
    let choice = measure();
    tracing::debug!(?choice, "measured how to compute the MD5 of several parts");
    Md5Lanes::new(choice)
});

fn measure() -> Choice {
    let begin = Instant::now();
    Choice::measure(|| begin.elapsed())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use haul_parts::lanes::{self, LaneInput, Md5Stream};

    use super::*;

    fn time(run: impl FnOnce()) -> Duration {
        let begin = Instant::now();
        run();
        begin.elapsed()
    }

    /// A measurement that always chose one path would pass every other test. This test measures
    /// both, and the chosen one must not lose by a wide margin.
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
