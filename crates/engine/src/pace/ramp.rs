//! Raises the number of requests at the start of an engine while its first parts are under way. No
//! I/O, clock or tasks.
//!
//! The limit starts low and each success raises it ([`throttle`](super::throttle)): the first parts
//! of a short transfer arrive early. Where loss limits each connection, the first part takes a
//! minute, and so did each step. The ramp doubles the limit every four seconds instead, as long as
//! that moves more bytes; above the ceiling of an adaptive limit it doubles that. The first success
//! ends it, and so does a step of the controller.

use std::time::Duration;

use super::adaptive::Reading;

/// The time that does not count after each step: new connections fill the buffers of their sockets.
const SETTLE: Duration = Duration::from_secs(2);
/// The time that is measured after it. Together they are longer than the first parts take on most
/// links.
const MEASURE: Duration = Duration::from_secs(2);

/// The growth of the goodput by a doubled limit from which it is doubled again.
const GROWTH_MIN: f64 = 1.25;

/// The measurements of one limit that end the ramp if none shows growth. The rates of a few
/// connections that lose packets vary by a third and more, so that one proves nothing. Doubling
/// only to measure again would leave the additional parts in flight.
const MEASUREMENTS_MAX: u32 = 3;

/// The ramp of one engine.
#[derive(Debug, Default)]
pub(super) struct Ramp {
    stepped: Option<Duration>,
    since: Option<Reading>,
    /// The bytes per second of the limit before this one.
    known: Option<f64>,
    /// The measurements of this limit that showed no growth.
    without_growth: u32,
    has_ended: bool,
}

impl Ramp {
    /// Takes a reading into account, while every slot is taken and transfers wait for one. Returns
    /// whether the limit is to be doubled.
    pub(super) fn reading(&mut self, now: Reading) -> bool {
        if self.has_ended {
            return false;
        }
        let stepped = *self.stepped.get_or_insert(now.at);
        if now.at.saturating_sub(stepped) < SETTLE {
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let time = now.at.saturating_sub(since.at);
        if time < MEASURE {
            return false;
        }
        #[allow(clippy::cast_precision_loss, reason = "a rate, compared with a wide tolerance")]
        let bytes = now.moved_bytes.saturating_sub(since.moved_bytes) as f64;
        let goodput = bytes / time.as_secs_f64();
        self.since = None;
        if bytes > 0.0 && self.known.is_none_or(|known| goodput >= known * GROWTH_MIN) {
            (self.stepped, self.known, self.without_growth) = (Some(now.at), Some(goodput), 0);
            return true;
        }
        self.without_growth += 1;
        self.has_ended = bytes == 0.0 || self.without_growth == MEASUREMENTS_MAX;
        false
    }

    /// Ends the ramp: a request succeeded, or was refused.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ramp and its last reading.
    struct Measured {
        ramp: Ramp,
        now: Reading,
    }

    impl Measured {
        fn new() -> Self {
            let now = Reading { at: Duration::ZERO, moved_bytes: 0 };
            let mut ramp = Ramp::default();
            assert!(!ramp.reading(now));
            Self { ramp, now }
        }

        /// Returns whether the limit is to be doubled after a second that moved this many bytes.
        fn second(&mut self, moved_bytes: u64) -> bool {
            self.now.at += Duration::from_secs(1);
            self.now.moved_bytes += moved_bytes;
            self.ramp.reading(self.now)
        }

        /// Returns whether each step of these bytes per second doubles the limit; megabytes fill
        /// the buffers before each.
        fn doubles(&mut self, bytes_per_s: &[u64]) -> Vec<bool> {
            let step = |bytes: &u64| {
                let doubled = [9_000_000, 0, *bytes, *bytes].map(|moved| self.second(moved));
                assert_eq!(doubled[..3], [false; 3], "four seconds are one step");
                doubled[3]
            };
            bytes_per_s.iter().map(step).collect()
        }
    }

    #[test]
    fn the_limit_is_doubled_while_that_moves_more() {
        assert_eq!(Measured::new().doubles(&[100, 190, 380]), [true; 3]);
    }

    /// Two of four connections had lost packets at once, and the limit stayed at four.
    #[test]
    fn an_unlucky_measurement_is_repeated() {
        let mut measured = Measured::new();
        assert_eq!(measured.doubles(&[100, 110]), [true, false]);
        assert_eq!([110, 110, 110, 190, 190].map(|moved| measured.second(moved)), [false; 5]);
        assert!(measured.second(190), "the third measurement shows the growth");
        assert_eq!(measured.doubles(&[380]), [true], "and the next limit is settled and measured");
    }

    #[test]
    fn three_measurements_without_growth_end_the_ramp() {
        let mut measured = Measured::new();
        assert_eq!(measured.doubles(&[100, 110]), [true, false]);
        assert_eq!([110; 6].map(|moved| measured.second(moved)), [false; 6]);
        assert_eq!(measured.doubles(&[900, 9000]), [false; 2]);
    }

    #[test]
    fn the_first_success_ends_the_ramp() {
        let mut measured = Measured::new();
        measured.ramp.end();
        assert_eq!(measured.doubles(&[100, 200]), [false; 2]);
    }

    /// A store that does not answer at all gets no more requests.
    #[test]
    fn silence_ends_the_ramp() {
        let mut measured = Measured::new();
        assert_eq!([0; 4].map(|moved| measured.second(moved)), [false; 4]);
        assert_eq!(measured.doubles(&[100, 200]), [false; 2]);
    }
}
