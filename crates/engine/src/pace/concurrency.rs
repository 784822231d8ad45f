//! The choice between a fixed and an adaptive number of requests in flight.

/// The number of requests in flight at which an adaptive engine starts: with parts of 8 MiB they
/// fill the memory budget.
pub const DEFAULT_CONCURRENCY: u32 = 16;

/// The highest limit of an adaptive engine. 35 connections of 90 MB/s fill 25 Gbit/s.
pub const ADAPTIVE_MAX: u32 = 64;

/// The maximum number of requests in flight that move bytes, of all transfers of an engine.
///
/// Either kind begins with two requests, and each of the first successes allows two more. Both
/// kinds lower the limit when the store answers `SlowDown` again and again
/// ([`throttle`](super::throttle)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// This number, at least one.
    Fixed(u32),
    /// The number that the link is worth. The engine measures how many bytes per second different
    /// numbers of parts in flight move ([`adaptive`](super::adaptive)), and keeps the smallest that
    /// moves about as many as a larger one.
    Adaptive {
        /// The limit before the first measurement, at least one. Runs of short requests return to
        /// it.
        start: u32,
        /// The maximum. Above `start`, the limit also never exceeds the number of requests that
        /// the memory budget holds.
        max: u32,
    },
}

impl Default for Concurrency {
    fn default() -> Self {
        Self::Adaptive { start: DEFAULT_CONCURRENCY, max: ADAPTIVE_MAX }
    }
}

impl From<u32> for Concurrency {
    fn from(count: u32) -> Self {
        Self::Fixed(count)
    }
}

impl Concurrency {
    /// Returns the limit before the first measurement.
    pub fn start(self) -> u32 {
        match self {
            Self::Fixed(count) => count.max(1),
            Self::Adaptive { start, max } => start.min(max).max(1),
        }
    }

    /// Returns the maximum number of requests that may ever be in flight at once.
    pub fn most(self) -> u32 {
        match self {
            Self::Fixed(count) => count.max(1),
            Self::Adaptive { max, .. } => max.max(1),
        }
    }
}
