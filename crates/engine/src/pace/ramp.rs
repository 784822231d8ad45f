//! Raises the number of requests at the start of an engine while its first parts are under way. No
//! I/O, clock or tasks.
//!
//! The limit starts low and each success raises it ([`throttle`](super::throttle)): the first parts
//! of a short transfer arrive early. Where loss limits each connection, the first part takes a
//! minute, and so did each step. The ramp doubles the limit every two seconds instead, as long as
//! that moves more bytes. The first success ends it.

use std::time::Duration;

use super::adaptive::Reading;

/// The time of one step: longer than the first parts take on most links.
const STEP: Duration = Duration::from_secs(2);

/// The growth of the goodput by a doubled limit from which it is doubled again: half of what a free
/// link would give.
const GROWTH_MIN: f64 = 1.5;

/// The ramp of one engine.
#[derive(Debug, Default)]
pub(super) struct Ramp {
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
        let since = *self.since.get_or_insert(now);
        let time = now.at.saturating_sub(since.at);
        if time < STEP {
            return false;
        }
        #[allow(clippy::cast_precision_loss, reason = "a rate, compared with a wide tolerance")]
        let bytes = now.moved_bytes.saturating_sub(since.moved_bytes) as f64;
        let goodput = bytes / time.as_secs_f64();
        let grew = self.known.is_none_or(|known| goodput >= known * GROWTH_MIN);
        self.has_ended = bytes == 0.0 || !grew;
        (self.known, self.since) = (Some(goodput), Some(now));
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

    /// Returns whether each second of these bytes per second doubles the limit.
    fn doubles(ramp: &mut Ramp, bytes_per_s: &[u64]) -> Vec<bool> {
        let mut now = Reading { at: Duration::ZERO, moved_bytes: 0 };
        assert!(!ramp.reading(now));
        let second = |bytes: &u64| {
            now.at += Duration::from_secs(1);
            now.moved_bytes += bytes;
            ramp.reading(now)
        };
        bytes_per_s.iter().map(second).collect()
    }

    #[test]
    fn the_limit_is_doubled_while_that_moves_more() {
        let mut ramp = Ramp::default();
        let found = doubles(&mut ramp, &[100, 100, 190, 190, 380, 380, 400, 400, 900, 900]);
        assert_eq!(found, [0, 1, 0, 1, 0, 1, 0, 0, 0, 0].map(|doubled| doubled == 1));
    }

    #[test]
    fn the_first_success_ends_the_ramp() {
        let mut ramp = Ramp::default();
        ramp.end();
        assert_eq!(doubles(&mut ramp, &[100; 4]), [false; 4]);
    }

    /// A store that does not answer at all gets no more requests.
    #[test]
    fn silence_ends_the_ramp() {
        let found = doubles(&mut Ramp::default(), &[0; 6]);
        assert_eq!(found, [false; 6]);
    }
}
