//! Measures the current rate over the last seconds, so that neither a slow start nor the bytes of
//! an earlier run distort the estimate. Pure: the caller passes the time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The measured time: long enough for a steady rate with parts that arrive in bursts, short enough
/// to react to a change.
const WINDOW: Duration = Duration::from_secs(8);

/// The positions of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    seen: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// Adds a position.
    pub(crate) fn see(&mut self, now: Instant, position: u64) {
        // Bytes of a failed part are sent again: the rate must not become negative.
        while self.seen.back().is_some_and(|(_, last)| *last > position) {
            self.seen.pop_back();
        }
        self.seen.push_back((now, position));
        while self.seen.len() > 2
            && self.seen.front().is_some_and(|(first, _)| now - *first > WINDOW)
        {
            self.seen.pop_front();
        }
    }

    /// Clears the positions after a jump.
    pub(crate) fn forget(&mut self) {
        self.seen.clear();
    }

    /// Returns the bytes that arrived within the window, and the time they took.
    pub(crate) fn lately(&self) -> (u64, Duration) {
        match (self.seen.front(), self.seen.back()) {
            (Some((first, from)), Some((last, to))) => (to - from, *last - *first),
            _ => (0, Duration::ZERO),
        }
    }

    /// Returns the estimated time for the remaining bytes; `None` while the rate is unknown.
    pub(crate) fn left(&self, rest_bytes: u64) -> Option<Duration> {
        let (bytes, time) = self.lately();
        if bytes == 0 {
            return None;
        }
        let millis = u128::from(rest_bytes) * time.as_millis() / u128::from(bytes);
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn only_the_last_seconds_count() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.left(100), None);
        for second in 0..=20 {
            // The rate is ten bytes a second at first, then a hundred.
            let position = if second <= 10 { second * 10 } else { 100 + (second - 10) * 100 };
            pace.see(after(start, second), position);
        }
        assert_eq!(pace.lately(), (800, Duration::from_secs(8)));
        assert_eq!(pace.left(1000), Some(Duration::from_secs(10)));
    }

    #[test]
    fn what_goes_back_or_jumps_is_no_speed() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.see(start, 100);
        pace.see(after(start, 1), 300);
        pace.see(after(start, 2), 200);
        assert_eq!(pace.lately(), (100, Duration::from_secs(2)));
        pace.forget();
        pace.see(after(start, 3), 9000);
        assert_eq!(pace.lately(), (0, Duration::ZERO));
        assert_eq!(pace.left(1), None);
    }

    #[test]
    fn a_stall_has_no_end_in_sight() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for second in 0..60 {
            pace.see(after(start, second), 5);
        }
        assert_eq!(pace.left(1), None);
    }
}
