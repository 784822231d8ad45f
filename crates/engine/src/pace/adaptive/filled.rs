//! Measures the goodput while every slot is taken, by the clock. No I/O, clock or tasks.
//!
//! An epoch that waits for the ends of parts lasts minutes where loss limits each connection: a
//! part of 8 MiB takes 20 seconds at 3 Mbit/s, and two rounds of them are one step. The bytes of
//! a few seconds tell the same.

use std::time::Duration;

use super::Reading;

/// The time that a measurement takes, after one that is not counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    settle: Duration,
    measure: Duration,
}

/// For a higher limit, and for the first one. New connections first fill the buffers of their
/// sockets, and send faster than they will until they lose the first packets: megabytes each, which
/// would count as goodput. A higher limit then has to gain half of its growth, which is seen soon.
pub(super) const CLIMB: Span =
    Span { settle: Duration::from_secs(4), measure: Duration::from_secs(3) };

/// For any other limit. Parts that end in a wave leave the link idle for a round trip, and a lower
/// limit is kept if it loses less than 3 %.
pub(super) const HOLD: Span = Span { settle: Duration::ZERO, measure: Duration::from_secs(6) };

/// The maximum time between two readings of one measurement: a longer pause may have had gaps.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A measurement that is under way, if there is one.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// The time since which every slot is taken.
    full_since: Option<Duration>,
    /// The beginning of what is counted.
    since: Option<Reading>,
    last: Duration,
}

impl Filled {
    /// Takes a reading into account, while transfers wait for a slot; `is_full`: the requests in
    /// flight are as many as the limit. Returns the bytes per second when `span` has passed.
    pub(super) fn reading(&mut self, now: Reading, is_full: bool, span: Span) -> Option<f64> {
        if !is_full || now.at.saturating_sub(self.last) > PAUSE_MAX {
            self.restart();
        }
        self.last = now.at;
        if !is_full {
            return None;
        }
        let full_since = *self.full_since.get_or_insert(now.at);
        if now.at.saturating_sub(full_since) < span.settle {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let passed = now.at.saturating_sub(since.at);
        if passed < span.measure {
            return None;
        }
        self.restart();
        #[allow(clippy::cast_precision_loss, reason = "a rate, compared with 3 % of tolerance")]
        let bytes = now.moved_bytes.saturating_sub(since.moved_bytes) as f64;
        Some(bytes / passed.as_secs_f64())
    }

    /// Starts over: the limit has changed, or was measured.
    pub(super) fn restart(&mut self) {
        (self.full_since, self.since) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a reading for each of these milliseconds, at a megabyte per second, and returns the
    /// times at which a measurement ended.
    fn measured_at(readings: &[(u64, bool)], span: Span) -> Vec<u64> {
        let mut filled = Filled::default();
        let goodput_at = |(at_ms, is_full): &(u64, bool)| {
            let now = Reading { at: Duration::from_millis(*at_ms), moved_bytes: at_ms * 1000 };
            let goodput = filled.reading(now, *is_full, span)?;
            assert!((goodput - 1e6).abs() < 1.0, "{goodput}");
            Some(*at_ms)
        };
        readings.iter().filter_map(goodput_at).collect()
    }

    #[test]
    fn a_higher_limit_settles_before_it_is_measured() {
        let readings: Vec<_> = (0..60).map(|step| (step * 250, true)).collect();
        assert_eq!(measured_at(&readings, CLIMB), [7_000, 14_250]);
        assert_eq!(measured_at(&readings, HOLD), [6_000, 12_250]);
    }

    #[test]
    fn a_gap_starts_the_measurement_over() {
        let not_full = |step: u64| (step * 250, step != 20);
        let readings: Vec<_> = (0..60).map(not_full).collect();
        assert_eq!(measured_at(&readings, HOLD), [11_250], "5,250 ms are the first that count");
        // No transfer waited for a pass, so there were no readings.
        let paused = |step: u64| (step * 250 + if step < 20 { 0 } else { 1_500 }, true);
        let readings: Vec<_> = (0..50).map(paused).collect();
        assert_eq!(measured_at(&readings, HOLD), [12_500], "6,500 ms are the first that count");
    }
}
