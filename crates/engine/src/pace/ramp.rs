//! Raises the number of requests at the start of an engine while its first parts are under way. No
//! I/O, clock or tasks.
//!
//! The limit starts low and each success raises it ([`throttle`](super::throttle)): the first parts
//! of a short transfer arrive early. Where loss limits each connection, the first part takes a
//! minute, and so did each step. The ramp doubles the limit every four seconds instead, as long as
//! that moves more bytes. The first success ends it.

use std::time::Duration;

use super::adaptive::Reading;

/// The time that does not count after each step: new connections fill the buffers of their sockets.
const SETTLE: Duration = Duration::from_secs(2);
/// The time that is measured after it. Together they are longer than the first parts take on most
/// links.
const MEASURE: Duration = Duration::from_secs(2);

/// The growth of the goodput by a doubled limit from which it is doubled again. The rates of a few
/// connections that lose packets vary by a third.
const GROWTH_MIN: f64 = 1.25;

/// The ramp of one engine.
#[derive(Debug, Default)]
pub(super) struct Ramp {
    stepped: Option<Duration>,
    since: Option<Reading>,
    /// The bytes per second of the last step.
    known: Option<f64>,
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
        let grew = self.known.is_none_or(|known| goodput >= known * GROWTH_MIN);
        self.has_ended = bytes == 0.0 || !grew;
        self.known = Some(goodput);
        (self.stepped, self.since) = (Some(now.at), None);
        !self.has_ended
    }

    /// Ends the ramp: a request succeeded, or was refused.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether each step of these bytes per second doubles the limit; megabytes fill the
    /// buffers before each.
    fn doubles(ramp: &mut Ramp, bytes_per_s: &[u64]) -> Vec<bool> {
        let mut now = Reading { at: Duration::ZERO, moved_bytes: 0 };
        assert!(!ramp.reading(now));
        let step = |bytes: &u64| {
            let mut doubled = vec![];
            for moved in [9_000_000, 0, *bytes, *bytes] {
                now.at += Duration::from_secs(1);
                now.moved_bytes += moved;
                doubled.push(ramp.reading(now));
            }
            assert_eq!(doubled[..3], [false; 3], "four seconds are one step");
            doubled[3]
        };
        bytes_per_s.iter().map(step).collect()
    }

    #[test]
    fn the_limit_is_doubled_while_that_moves_more() {
        let mut ramp = Ramp::default();
        assert_eq!(doubles(&mut ramp, &[100, 190, 380]), [true; 3]);
        assert_eq!(doubles(&mut Ramp::default(), &[100, 110, 900]), [true, false, false]);
    }

    #[test]
    fn the_first_success_ends_the_ramp() {
        let mut ramp = Ramp::default();
        ramp.end();
        assert_eq!(doubles(&mut ramp, &[100, 200]), [false; 2]);
    }

    /// A store that does not answer at all gets no more requests.
    #[test]
    fn silence_ends_the_ramp() {
        let mut ramp = Ramp::default();
        assert_eq!(doubles(&mut ramp, &[0, 100, 200]), [false; 3]);
    }
}
