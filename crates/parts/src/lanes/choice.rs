//! Decides from two measured times whether a machine advances streams side by side. Pure: the
//! caller measures.

use std::time::Duration;

use super::LANES;

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
