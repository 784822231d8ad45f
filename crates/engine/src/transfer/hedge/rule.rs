//! Decides whether a piece is worth a second request. Pure.
//!
//! A piece that has run for longer than pieces usually take is compared with a fresh request: if
//! that would be done in less than half of the time, and half a second earlier, it is worth it. The
//! speed of the piece is the lower of its mean and that of its last second, so that a stall counts
//! at once; that of the fresh request is the median of the transfer's pieces, which shared the link
//! with more of them. Slow links are measured for longer: bytes are counted in slices.

use std::collections::VecDeque;
use std::time::Duration;

/// The number of finished pieces that are remembered, and the least number to compare with.
const REMEMBERED: usize = 32;
const COMPARED_MIN: usize = 4;

/// The time that a fresh request needs before its first byte, on a connection that is open.
const START_S: f64 = 0.1;

/// A fresh request has to be faster by this factor, and earlier by this time.
const FASTER_BY: f64 = 2.0;
const EARLIER_BY_S: f64 = 0.5;

/// The least time, and the least bytes at the usual speed, over which a piece's speed is measured.
const RECENT_S: f64 = 1.0;
const RECENT_BYTES: u64 = 1 << 20;

/// The factor by which a piece exceeds the usual time if only its answer is missing.
const ANSWER_LATER_BY: f64 = 3.0;

/// The speeds of the pieces that have been moved, in bytes per second.
#[derive(Debug, Default)]
pub(super) struct Finished(VecDeque<f64>);

impl Finished {
    /// Adds a piece that was moved in one attempt.
    pub(super) fn add(&mut self, bytes: u64, lasted: Duration) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(rate(bytes, lasted.as_secs_f64().max(1e-6)));
    }

    /// Returns the median speed; `None` if there are too few pieces.
    pub(super) fn usual(&self) -> Option<f64> {
        if self.0.len() < COMPARED_MIN {
            return None;
        }
        let mut rates: Vec<_> = self.0.iter().copied().collect();
        let middle = rates.len() / 2;
        let (_, median, _) = rates.select_nth_unstable_by(middle, f64::total_cmp);
        Some(*median)
    }
}

/// A piece in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    /// The time since its attempt began.
    pub(super) elapsed: Duration,
    /// The bytes that the attempt moves, and those that it has moved.
    pub(super) size_bytes: u64,
    pub(super) moved_bytes: u64,
    /// The speed over [`recent_s`], in bytes per second.
    pub(super) recent: Option<f64>,
    /// The bytes that a fresh request would have to move.
    pub(super) fresh_bytes: u64,
}

impl InFlight {
    /// Returns whether a second request is worth it; `usual` is the speed of a piece.
    pub(super) fn is_worth_another(&self, usual: f64) -> bool {
        let elapsed_s = self.elapsed.as_secs_f64();
        let usual_s = rate(self.size_bytes, usual);
        let left_bytes = self.size_bytes.saturating_sub(self.moved_bytes);
        if left_bytes == 0 {
            return elapsed_s > ANSWER_LATER_BY * usual_s + EARLIER_BY_S;
        }
        if elapsed_s < usual_s.max(EARLIER_BY_S) {
            return false;
        }
        let mean = rate(self.moved_bytes, elapsed_s);
        let speed = self.recent.map_or(mean, |recent| mean.min(recent));
        let fresh_s = START_S + rate(self.fresh_bytes, usual);
        // A piece that stalls may move again: its rest is not expected to last longer than it has
        // lasted so far.
        let rest_s = rate(left_bytes, speed).min(elapsed_s);
        rest_s > (FASTER_BY * fresh_s).max(fresh_s + EARLIER_BY_S)
    }
}

/// Returns the seconds over which the recent speed of a piece is measured.
pub(super) fn recent_s(usual: f64) -> f64 {
    rate(RECENT_BYTES, usual).max(RECENT_S)
}

/// Divides bytes by a time, or by a speed.
#[allow(clippy::cast_precision_loss, reason = "a rate")]
pub(super) fn rate(bytes: u64, by: f64) -> f64 {
    bytes as f64 / by
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;
    /// Ten megabytes take a second.
    const USUAL: f64 = 10e6;

    fn worth(elapsed_s: f64, moved_mb: u64, recent: Option<f64>) -> bool {
        InFlight {
            elapsed: Duration::from_secs_f64(elapsed_s),
            size_bytes: 10 * MB,
            moved_bytes: moved_mb * MB,
            recent,
            fresh_bytes: (10 - moved_mb) * MB,
        }
        .is_worth_another(USUAL)
    }

    #[test]
    fn a_piece_is_hedged_if_a_fresh_request_ends_much_earlier() {
        // 5 MB are left: 0.6 s for a fresh request.
        assert!(worth(5.0, 5, None), "5 s for the rest");
        assert!(!worth(1.1, 5, None), "1.1 s for the rest");
        assert!(!worth(0.9, 1, None), "it runs no longer than others");
        assert!(worth(1.1, 9, Some(0.0)), "it has stalled");
        assert!(!worth(2.0, 9, Some(9e6)), "the rest comes in a moment");
        assert!(!worth(2.1, 0, None), "nothing has come, but it may");
        assert!(worth(2.3, 0, None), "nothing has come");
    }

    #[test]
    fn the_speed_of_slow_links_is_measured_for_longer() {
        assert!((recent_s(100e6) - 1.0).abs() < 0.01);
        assert!((recent_s(0.1e6) - 10.5).abs() < 0.1);
    }

    #[test]
    fn an_answer_is_waited_for_three_times_as_long_as_usual() {
        assert!(!worth(3.4, 10, None));
        assert!(worth(3.6, 10, None));
    }

    #[test]
    fn the_usual_speed_is_the_median_of_at_least_four() {
        let mut finished = Finished::default();
        for seconds in [1, 1, 9] {
            finished.add(10 * MB, Duration::from_secs(seconds));
            assert_eq!(finished.usual(), None);
        }
        finished.add(10 * MB, Duration::from_secs(1));
        assert_eq!(finished.usual(), Some(10e6));
        for _ in 0..100 {
            finished.add(10 * MB, Duration::from_secs(2));
        }
        assert_eq!(finished.usual(), Some(5e6), "old ones are forgotten");
    }
}
