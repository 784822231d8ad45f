//! Decides from two measured times whether a machine advances streams side by side. Pure: the
//! caller brings the clock.
//!
//! A vector kernel that is several times faster on the processor it was written on can be slower
//! than the plain one on another, or inside some virtual machine, and no list of processors is ever
//! complete.

use std::hint::black_box;
use std::time::Duration;

use super::{LANES, LaneInput, Md5Lanes, Md5Stream};

/// How much of each stream is hashed to measure: long enough for a clock, short enough for the
/// first cache levels.
const SAMPLE_BYTES: usize = 16 << 10;
/// The best of so many, so that a measurement which the system interrupted does not count.
const ROUNDS: usize = 6;

/// The minimum speed of side by side, in percent of one by one. Below it, waiting for other streams
/// does not pay, and two measurements of the same code differ by as much.
const GAIN_MIN_PERCENT: u128 = 110;

/// The code path that advances several streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One stream after the other.
    OneByOne,
    /// In the lanes of vector registers, if at least `streams_min` streams have bytes.
    SideBySide {
        /// The minimum number of streams; fewer are faster one after the other.
        streams_min: usize,
    },
}

impl Choice {
    /// Measures both code paths, in about a millisecond, and decides. `now` is a clock that does
    /// not run backwards.
    pub fn measure(mut now: impl FnMut() -> Duration) -> Self {
        let bytes = vec![0x5a; SAMPLE_BYTES];
        let side_by_side = Md5Lanes::new(Self::SideBySide { streams_min: LANES });
        // By turns, so that whatever slows the machine down slows both.
        let times = (0..ROUNDS).map(|_| {
            let before = now();
            let mut stream = Md5Stream::new();
            stream.update(&bytes);
            black_box(stream);
            let between = now();
            let mut streams = [const { Md5Stream::new() }; LANES];
            let mut jobs = streams.each_mut().map(|stream| LaneInput { stream, bytes: &bytes });
            side_by_side.update(&mut jobs);
            black_box(streams);
            (between.saturating_sub(before), now().saturating_sub(between))
        });
        let best = times.reduce(|best, round| (best.0.min(round.0), best.1.min(round.1)));
        best.map_or(Self::OneByOne, |(one_stream, all_lanes)| {
            Self::from_times(one_stream, all_lanes)
        })
    }

    /// Decides from the time that one stream alone takes for some bytes, and the time that all
    /// [`LANES`] together take for as many bytes each.
    ///
    /// An empty lane costs as much as a full one: any number of streams takes the time of all
    /// lanes. So side by side pays from the number of streams on for which one after the other
    /// takes longer. There may be no such number.
    pub fn from_times(one_stream: Duration, all_lanes: Duration) -> Self {
        let gains = |streams: &usize| {
            one_stream.as_nanos() * *streams as u128 * 100 > all_lanes.as_nanos() * GAIN_MIN_PERCENT
        };
        match (2..=LANES).find(gains) {
            Some(streams_min) => Self::SideBySide { streams_min },
            None => Self::OneByOne,
        }
    }
}
