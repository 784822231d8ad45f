//! Raises the number of requests at the start of an engine while parts are slow. No I/O, clock or
//! tasks.
//!
//! The limit starts low and each success raises it ([`throttle`](super::throttle)): the first parts
//! of a short transfer arrive early. Where loss limits each connection, the first part takes a
//! minute, and so did each step. The ramp doubles the limit every four seconds besides, as long as
//! that moves more bytes; above the ceiling of an adaptive limit it doubles that, until a part has
//! arrived. A refusal ends it, and so does a step of the controller.

use std::time::Duration;

use super::adaptive::Reading;

/// The time that does not count after each step: new connections fill the buffers of their sockets.
const SETTLE: Duration = Duration::from_secs(2);
/// The time that is measured after it. Together they are longer than the first parts take on most
/// links.
const MEASURE: Duration = Duration::from_secs(2);

/// The maximum time between two readings of one measurement: a longer pause may have had gaps.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The growth of the goodput, relative to that of the limit, from which the limit is doubled again.
const GROWTH_MIN: f64 = 0.25;

/// The goodput, relative to that of fewer requests, below which the link cannot be full: new
/// connections send faster than they will until they lose the first packets.
const FALLEN: f64 = 0.75;
/// The measurements of one limit that show this: the rates of a few connections that lose packets
/// vary by a third and more.
const FALLEN_MEASUREMENTS_MIN: u32 = 3;

/// The ramp of one engine.
#[derive(Debug, Default)]
pub(super) struct Ramp {
    /// The limit that is measured, and the time since which it is the limit.
    limit: u32,
    stepped: Duration,
    /// The beginning of what is measured.
    since: Option<Reading>,
    last: Duration,
    measurements: u32,
    /// The bytes per second of this limit.
    measured: Option<f64>,
    /// The limit that was measured before this one, and its bytes per second.
    known: Option<(u32, f64)>,
    /// Whether the limit was doubled because its goodput had fallen: a store that is slower the
    /// more it is asked would be asked for more and more.
    was_fallen: bool,
    has_ended: bool,
}

impl Ramp {
    /// Takes a reading into account, while every slot of `limit` is taken and transfers wait for
    /// one. Returns whether the limit is to be doubled.
    pub(super) fn reading(&mut self, now: Reading, limit: u32) -> bool {
        if self.has_ended {
            return false;
        }
        if self.limit != limit || now.at.saturating_sub(self.last) > PAUSE_MAX {
            self.step(now.at, limit);
        }
        self.last = now.at;
        if now.at.saturating_sub(self.stepped) < SETTLE {
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let time = now.at.saturating_sub(since.at);
        // All bytes since the beginning count each time: a single measurement proves little.
        if time < MEASURE * (self.measurements + 1) {
            return false;
        }
        self.measurements += 1;
        #[allow(clippy::cast_precision_loss, reason = "a rate, compared with a wide tolerance")]
        let bytes = now.moved_bytes.saturating_sub(since.moved_bytes) as f64;
        self.has_ended = bytes == 0.0;
        let goodput = bytes / time.as_secs_f64();
        self.measured = Some(goodput);
        !self.has_ended && self.is_worth_more(goodput)
    }

    /// Returns whether the link has room for more requests than now, which move `goodput`.
    fn is_worth_more(&mut self, goodput: f64) -> bool {
        let Some((limit, known)) = self.known else { return true };
        let growth = f64::from(self.limit) / f64::from(limit) - 1.0;
        let has_grown = goodput >= known * (1.0 + GROWTH_MIN * growth);
        let has_fallen = self.measurements >= FALLEN_MEASUREMENTS_MIN
            && goodput < known * FALLEN
            && !self.was_fallen;
        if has_grown || has_fallen {
            self.was_fallen = has_fallen;
        }
        has_grown || has_fallen
    }

    /// Begins to measure `limit`: another one, or the same after a pause.
    fn step(&mut self, now: Duration, limit: u32) {
        let measured = self.measured.filter(|_| self.limit != limit);
        let known = measured.map(|goodput| (self.limit, goodput)).or(self.known);
        let was_fallen = self.was_fallen;
        *self = Self { limit, stepped: now, known, was_fallen, ..Self::default() };
    }

    /// Ends the ramp: a request was refused, or measurements of the controller took over.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ramp, its last reading, and the limit.
    struct Measured {
        ramp: Ramp,
        now: Reading,
        limit: u32,
    }

    impl Measured {
        fn new() -> Self {
            let now = Reading { at: Duration::ZERO, moved_bytes: 0 };
            let mut ramp = Ramp::default();
            assert!(!ramp.reading(now, 2));
            Self { ramp, now, limit: 2 }
        }

        /// Returns whether the limit is doubled after a second that moved this many bytes.
        fn second(&mut self, moved_bytes: u64) -> bool {
            self.now.at += Duration::from_secs(1);
            self.now.moved_bytes += moved_bytes;
            let doubled = self.ramp.reading(self.now, self.limit);
            if doubled {
                self.raise(2 * self.limit);
            }
            doubled
        }

        fn raise(&mut self, limit: u32) {
            self.limit = limit;
            assert!(!self.ramp.reading(self.now, limit));
        }

        /// Returns the limits after steps of these bytes per second; megabytes fill the buffers
        /// before each.
        fn limits(&mut self, bytes_per_s: &[u64]) -> Vec<u32> {
            let step = |bytes: &u64| {
                let doubled = [9_000_000, 0, *bytes, *bytes].map(|moved| self.second(moved));
                assert_eq!(doubled[..3], [false; 3], "four seconds are one step");
                self.limit
            };
            bytes_per_s.iter().map(step).collect()
        }

        /// Returns the limit after seconds that moved these bytes.
        fn after(&mut self, moved_bytes: &[u64]) -> u32 {
            moved_bytes.iter().for_each(|bytes| _ = self.second(*bytes));
            self.limit
        }
    }

    #[test]
    fn the_limit_is_doubled_while_that_moves_more() {
        assert_eq!(Measured::new().limits(&[100, 190, 380]), [4, 8, 16]);
    }

    /// Two of four connections had lost packets at once, and the limit stayed at four.
    #[test]
    fn an_unlucky_measurement_is_continued() {
        let mut measured = Measured::new();
        assert_eq!(measured.limits(&[100, 110]), [4, 4]);
        assert_eq!(measured.after(&[110, 110, 110]), 4);
        assert_eq!(measured.after(&[220]), 8, "all six seconds moved a quarter more");
        assert_eq!(measured.limits(&[380]), [16], "and the next limit is settled and measured");
    }

    #[test]
    fn a_full_link_is_not_given_more_for_a_lucky_moment() {
        let mut measured = Measured::new();
        assert_eq!(measured.limits(&[100, 110]), [4, 4]);
        assert_eq!(measured.after(&[100; 60]), 4);
        assert_eq!(measured.after(&[300, 300, 100, 100]), 4);
    }

    /// Over 100 Mbit/s with 0.1 % of loss, two new connections moved 50 Mbit/s and soon 6; four
    /// seemed to be too many, and the limit stayed there until their parts arrived.
    #[test]
    fn a_link_that_moved_more_with_fewer_requests_is_not_full() {
        let mut measured = Measured::new();
        assert_eq!(measured.limits(&[100, 90]), [4, 4]);
        assert_eq!(measured.after(&[60, 60, 40]), 4);
        assert_eq!(measured.after(&[40]), 8);
    }

    #[test]
    fn a_store_that_is_slower_the_more_it_is_asked_is_asked_for_more_once() {
        let mut measured = Measured::new();
        assert_eq!(measured.limits(&[100, 60]), [4, 4]);
        assert_eq!(measured.after(&[60; 4]), 8);
        assert_eq!(measured.after(&[40; 60]), 8);
    }

    /// A success raises the limit by two. What was measured before is compared with it.
    #[test]
    fn a_limit_that_others_raise_is_measured_as_a_new_one() {
        let mut measured = Measured::new();
        assert_eq!(measured.limits(&[100, 110]), [4, 4]);
        measured.raise(6);
        assert_eq!(measured.limits(&[120]), [6], "110 and an eighth would be enough");
        measured.raise(8);
        assert_eq!(measured.limits(&[131]), [16]);
    }

    /// Between two transfers nothing moves, which says nothing about the link.
    #[test]
    fn a_pause_does_not_count() {
        let mut measured = Measured::new();
        assert_eq!(measured.limits(&[100, 110]), [4, 4]);
        measured.now.at += Duration::from_secs(3600);
        assert_eq!(measured.after(&[110; 20]), 4);
        assert_eq!(measured.after(&[0; 10]), 8, "the same without a pause");
    }

    /// A store that does not answer at all gets no more requests.
    #[test]
    fn silence_ends_the_ramp() {
        let mut measured = Measured::new();
        assert_eq!(measured.after(&[0; 4]), 2);
        assert_eq!(measured.limits(&[100, 200]), [2, 2]);
    }
}
