//! The clock for signatures: this machine's clock, corrected by the store's clock. The control
//! plane and the data plane share it.
//!
//! S3 refuses signatures that are more than fifteen minutes off. If this machine's clock is wrong
//! (a laptop after sleep, a container without a time service), requests are signed with the time of
//! the store's `Date` header, and the upload continues.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

/// The skew above which the store's clock is used. It is below AWS's limit of 900 seconds, because
/// `Date` has whole seconds and the answer takes some time to arrive.
const SKEW_SECONDS: i64 = 840;

/// The clock for signatures; clones share the correction.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    offset_seconds: Arc<AtomicI64>,
}

impl Clock {
    /// Corrects the clock by the `Date` of a refusal. Returns false if the clock was already right,
    /// so that it is not the cause of the refusal.
    pub(super) fn learn(&self, date: Timestamp) -> bool {
        if !self.is_skewed(date) {
            return false;
        }
        let offset = date.as_second() - Timestamp::now().as_second();
        self.offset_seconds.store(offset, Ordering::Relaxed);
        true
    }

    /// Returns the time for signatures: the store's time, if it is known.
    pub(super) fn timestamp(&self) -> Timestamp {
        let offset = self.offset_seconds.load(Ordering::Relaxed);
        Timestamp::now()
            .checked_add(SignedDuration::from_secs(offset))
            .unwrap_or_else(|_| Timestamp::now())
    }

    /// Returns whether the store's time differs so much from ours that the store refuses our
    /// signatures.
    fn is_skewed(&self, date: Timestamp) -> bool {
        let ours = Timestamp::now().as_second() + self.offset_seconds.load(Ordering::Relaxed);
        (date.as_second() - ours).abs() > SKEW_SECONDS
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        let offset = self.offset_seconds.load(Ordering::Relaxed);
        let distance = Duration::from_secs(offset.unsigned_abs());
        if offset < 0 { SystemTime::now() - distance } else { SystemTime::now() + distance }
    }
}

/// Parses the value of a `Date` header.
pub(super) fn date(value: &str) -> Option<Timestamp> {
    Some(DateTimeParser::new().parse_zoned(value).ok()?.timestamp())
}

/// Parses the value of a `Retry-After` header: seconds, or a time by the store's clock.
pub(super) fn retry_after(value: &str, store_time: Option<Timestamp>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = date(value)?.duration_since(store_time.unwrap_or_else(Timestamp::now));
    Some(Duration::try_from(wait).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_far_off_is_learnt_once() {
        let clock = Clock::default();
        let now = Timestamp::now();
        assert!(!clock.learn(now + jiff::SignedDuration::from_mins(10)), "within what S3 allows");
        let ahead = now + jiff::SignedDuration::from_mins(20);
        assert!(clock.learn(ahead));
        let told = Timestamp::try_from(clock.now()).unwrap();
        assert!((told.as_second() - ahead.as_second()).abs() < 60, "{told} for {ahead}");
        assert!(!clock.learn(ahead), "the second time it changes nothing");
        assert!(clock.learn(now), "and back");
    }

    #[test]
    fn a_date_header_is_read() {
        assert_eq!(date("Mon, 23 Nov 2026 04:30:14 GMT"), "2026-11-23T04:30:14Z".parse().ok());
        assert_eq!(date("yesterday"), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = date("Mon, 23 Nov 2026 04:30:14 GMT");
        let wait = |value| retry_after(value, now);
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Mon, 23 Nov 2026 04:31:14 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(wait("Mon, 23 Nov 2026 04:00:00 GMT"), Some(Duration::ZERO), "over already");
        assert_eq!(wait("soon"), None);
    }
}
