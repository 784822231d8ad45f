//! Whether streams are advanced side by side on a machine: decided from two measured times. Pure:
//! who measures, and when, is for the caller.

use std::time::Duration;

use super::LANES;

/// How much faster side by side must be, in percent of one by one. Below that the waiting for
/// company is not worth it, and two measurements of the same thing differ by as much.
const GAIN_MIN_PERCENT: u128 = 110;

/// The way in which several streams are advanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One stream after the other.
    OneByOne,
    /// In the lanes of vector registers, when at least so many streams have bytes.
    SideBySide {
        /// With fewer streams, one after the other is faster.
        streams_min: usize,
    },
}

impl Choice {
    /// Decides from the time that one stream takes alone for some bytes, and the time that all
    /// [`LANES`] take together for as many bytes each.
    ///
    /// A lane without a stream costs as much as one with: any number of streams takes the time of
    /// all lanes. So side by side gains from the number on where one after the other takes longer,
    /// which may be none.
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
