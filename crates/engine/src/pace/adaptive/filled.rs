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
/// would count as goodput. It then has to gain a quarter, which is seen soon.
pub(super) const CLIMB: Span =
    Span { settle: Duration::from_secs(4), measure: Duration::from_secs(3) };

/// For any other limit. Parts that end in a wave leave the link idle for a round trip, and a lower
/// limit is kept if it loses less than 3 %.
pub(super) const HOLD: Span = Span { settle: Duration::ZERO, measure: Duration::from_secs(6) };

/// The maximum time between two readings of one measurement: a longer pause may have had gaps.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The goodput, relative to that of the second half of the time to settle, below which it counts as
/// falling.
const FALLING: f64 = 0.8;

/// A goodput by the clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) bytes_per_s: f64,
    /// Whether it was clearly higher just before: then it is higher than it will be.
    pub(super) falls: bool,
}

/// A measurement that is under way, if there is one.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// The time since which every slot is taken.
    full_since: Option<Duration>,
    /// The middle of the time to settle.
    half_settled: Option<Reading>,
    /// The beginning of what is counted.
    since: Option<Reading>,
    last: Duration,
}

impl Filled {
    /// Takes a reading into account, while transfers wait for a slot; `is_full`: the requests in
    /// flight are as many as the limit. Returns the goodput when `span` has passed.
    pub(super) fn reading(&mut self, now: Reading, is_full: bool, span: Span) -> Option<Measured> {
        if !is_full || now.at.saturating_sub(self.last) > PAUSE_MAX {
            self.restart();
        }
        self.last = now.at;
        if !is_full {
            return None;
        }
        let full_since = *self.full_since.get_or_insert(now.at);
        let full = now.at.saturating_sub(full_since);
        if full >= span.settle / 2 {
            self.half_settled.get_or_insert(now);
        }
        if full < span.settle {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let passed = now.at.saturating_sub(since.at);
        if passed < span.measure {
            return None;
        }
        let bytes_per_s = rate(since, now).unwrap_or(0.0);
        let settling = self.half_settled.and_then(|half| rate(half, since));
        let falls = settling.is_some_and(|settling| bytes_per_s < settling * FALLING);
        self.restart();
        Some(Measured { bytes_per_s, falls })
    }

    /// Starts over: the limit has changed, or was measured.
    pub(super) fn restart(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }
}

/// Returns the bytes per second between two readings, if any time is between them.
fn rate(since: Reading, until: Reading) -> Option<f64> {
    let time = until.at.saturating_sub(since.at);
    #[allow(clippy::cast_precision_loss, reason = "a rate, compared with 3 % of tolerance")]
    let bytes = until.moved_bytes.saturating_sub(since.moved_bytes) as f64;
    (!time.is_zero()).then(|| bytes / time.as_secs_f64())
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
            let measured = filled.reading(now, *is_full, span)?;
            assert!((measured.bytes_per_s - 1e6).abs() < 1.0 && !measured.falls, "{measured:?}");
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
    #[test]
    fn a_goodput_that_was_higher_before_falls() {
        for (early, expected) in [(1, false), (2, true)] {
            let mut filled = Filled::default();
            let mut moved_bytes = 0;
            let mut last = None;
            for step in 0..=28_u64 {
                let now = Reading { at: Duration::from_millis(step * 250), moved_bytes };
                last = filled.reading(now, true, CLIMB).or(last);
                // The first two seconds fill buffers, whatever they move.
                moved_bytes += [9, early, 1, 1][usize::try_from(step / 8).unwrap()] * 1_000_000;
            }
            assert_eq!(last.unwrap().falls, expected);
        }
    }
}
