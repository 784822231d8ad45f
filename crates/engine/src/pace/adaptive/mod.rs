//! Finds the number of requests in flight that a link is worth. No I/O, clock or tasks.
//!
//! The controller climbs: it measures the goodput of one epoch, changes the limit by a step, and
//! measures again. A higher limit stays only if it moves clearly more bytes, a lower one only if
//! it loses next to none. Growing latency needs no rule of its own: by Little's law the goodput is
//! the number of requests in flight times their bytes, divided by their latency, so that latency
//! which grows with the limit is goodput that does not.
//!
//! The bytes are those that crossed the network, and not those of whole parts: parts end in waves,
//! and an epoch that ends before a slow part does would count that part as nothing. An epoch ends
//! after two rounds of parts, or by the clock where parts are slow (`filled`).
//!
//! This file deliberately does not know which refusals belong together, nor how the store's pace
//! is earned back: [`throttle`](super::throttle) does, and tells the controller once for each
//! group. Convergence is tested on simulated links in `simulation.rs`; the choice is explained in
//! `docs/decisions`.

mod decide;
mod filled;
#[cfg(test)]
mod plot;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::filled::{CLIMB, Filled, HOLD};

/// The minimum number of requests in an epoch.
const EPOCH_REQUESTS_MIN: u32 = 16;

/// The minimum number of requests in an epoch, relative to the limit: parts that started together
/// end together, and one round of them may contain two ends.
const EPOCH_ROUNDS: u32 = 2;

/// The minimum time of an epoch: in a shorter one, the bytes that wait in buffers count too much.
const EPOCH_MIN: Duration = Duration::from_millis(100);

/// The epochs between two probes: few at first, doubled by each probe that finds nothing.
const HOLD_EPOCHS_MIN: u32 = 4;

/// The time, and the bytes that had crossed the network by then.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The time since any fixed instant.
    pub at: Duration,
    /// The bytes of all transfers, whole parts or not, since the same instant.
    pub moved_bytes: u64,
}

/// A part that arrived at the first attempt.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The start of the request.
    pub started: Reading,
    /// Its end.
    pub ended: Reading,
    /// The number of requests in flight when it started, itself included.
    pub in_flight: u32,
}

/// A limit on the requests in flight that follows their goodput.
#[derive(Debug)]
pub struct Controller {
    /// The limit before the first measurement: a short transfer ends before that.
    start: u32,
    max: u32,
    /// The maximum that memory allows, never below `start`.
    bound: u32,
    limit: u32,
    phase: Phase,
    epoch: Epoch,
    /// The epoch by the clock: the one that ends first counts.
    filled: Filled,
    /// The goodput that a probe has to beat, in bytes per second.
    known: f64,
    /// The epochs until the next probe, when the limit is held again.
    hold_epochs: u32,
    /// Whether the next epoch of a held limit is the first one after a probe.
    is_after_probe: bool,
    /// The limit to measure next, if the held one moves again what it was known for.
    between: Option<u32>,
    /// Whether a probe was repeated since the limit was last held for long.
    was_repeated: bool,
    /// The short requests since the last part.
    short: u32,
    /// Whether the last measurement ended by the clock, because parts are slow.
    is_slow: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The current limit stays for this many epochs.
    Hold { epochs: u32 },
    /// A higher limit than `back_to` is measured.
    Up { back_to: u32, climbed: bool },
    /// The limit between `back_to` and a higher one that gained less than it should have: the one
    /// that fills the link, if the transfer is alone there.
    Between { back_to: u32 },
    /// A lower limit than `back_to` is measured.
    Down { back_to: u32 },
}

/// The requests that started and ended at one limit.
#[derive(Debug, Default)]
struct Epoch {
    /// The first start of a request at the limit. Requests that started earlier do not count.
    since: Option<Reading>,
    /// No request may start before this and count: it was sent at another limit.
    not_before: Duration,
    requests: u32,
}

impl Controller {
    /// Creates a controller that begins with `start` requests in flight, of at most `max`; both are
    /// at least one.
    pub fn new(start: u32, max: u32) -> Self {
        let max = max.max(1);
        let start = start.clamp(1, max);
        Self {
            start,
            max,
            bound: max,
            limit: start,
            phase: Phase::Hold { epochs: 1 },
            epoch: Epoch::default(),
            filled: Filled::default(),
            known: 0.0,
            hold_epochs: HOLD_EPOCHS_MIN,
            is_after_probe: false,
            between: None,
            was_repeated: false,
            short: 0,
            is_slow: false,
        }
    }

    /// Sets the number of requests that memory holds, at `now`: a limit above the start ends there.
    pub fn bound(&mut self, requests: u32, now: Duration) {
        self.bound = requests.clamp(self.start, self.max);
        if self.limit > self.bound {
            self.limit = self.bound;
            self.restart(now);
        }
    }

    /// Returns the number of requests that may be in flight now.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Takes a part into account.
    ///
    /// Parts that start below the limit count for nothing: the transfers had no more to send, and
    /// their pace says nothing about the link.
    pub fn succeeded(&mut self, sample: Sample) {
        self.short = 0;
        if sample.started.at < self.epoch.not_before {
            return;
        }
        if sample.in_flight < self.limit {
            // The epoch has a gap, unless these are the requests that filled it.
            let has_gap = self.epoch.since.is_some_and(|since| since.at < sample.started.at);
            if has_gap {
                self.epoch = Epoch { not_before: sample.started.at, ..Epoch::default() };
            }
            return;
        }
        let since = *self.epoch.since.get_or_insert(sample.started);
        if sample.started.at < since.at {
            return;
        }
        self.epoch.requests += 1;
        let enough = (EPOCH_ROUNDS * self.limit).max(EPOCH_REQUESTS_MIN);
        let time = sample.ended.at.saturating_sub(since.at);
        if self.epoch.requests >= enough && time >= EPOCH_MIN {
            #[allow(clippy::cast_precision_loss, reason = "a rate, compared with 3 % of tolerance")]
            let bytes = sample.ended.moved_bytes.saturating_sub(since.moved_bytes) as f64;
            // A store may copy parts itself: then no byte crosses the network.
            if bytes > 0.0 {
                self.is_slow = false;
                self.measured(bytes / time.as_secs_f64());
            }
            self.begin_epoch(sample.ended.at);
        }
    }

    /// Takes a reading into account while transfers wait for a slot, with the number of requests in
    /// flight. Called several times per second.
    pub fn waiting(&mut self, now: Reading, in_flight: u32) {
        let span = match self.phase {
            Phase::Up { .. } | Phase::Between { .. } => CLIMB,
            Phase::Hold { .. } if self.known == 0.0 => CLIMB,
            Phase::Hold { .. } | Phase::Down { .. } => HOLD,
        };
        if let Some(goodput) = self.filled.reading(now, in_flight == self.limit, span) {
            if goodput > 0.0 {
                self.is_slow = true;
                self.measured(goodput);
            }
            self.begin_epoch(now.at);
        }
    }

    /// Doubles the limit at `now`, because each doubling at the start has moved more bytes and no
    /// part has arrived yet. A limit that is too high is lowered again by its measurements.
    pub fn doubled(&mut self, now: Duration) {
        if self.limit < self.bound {
            self.limit = self.limit.saturating_mul(2).min(self.bound);
            self.restart(now);
        }
    }

    /// Begins another epoch, for requests that start after `now`.
    fn begin_epoch(&mut self, now: Duration) {
        self.epoch = Epoch { not_before: now, ..Epoch::default() };
        self.filled.restart();
    }

    /// Takes a success at `now` into account whose duration the bandwidth does not determine. After
    /// a run of them the limit is no longer below the start: parts may have lowered it, and short
    /// requests say nothing that could raise it.
    pub fn short_succeeded(&mut self, now: Duration) {
        self.short = self.short.saturating_add(1);
        if self.short >= EPOCH_REQUESTS_MIN && self.limit < self.start {
            self.limit = self.start;
            self.restart(now);
        }
    }

    /// Takes a refusal by `SlowDown` at `now` into account; called once for all requests that were
    /// in flight together. The limit ends below the one that was refused, and is not probed soon.
    pub fn throttled(&mut self, now: Duration) {
        match self.phase {
            Phase::Up { back_to, .. } | Phase::Between { back_to } => self.limit = back_to,
            _ => self.limit = (self.limit - self.limit / 8).max(1),
        }
        // The store's pace may have changed with it.
        self.known = 0.0;
        self.hold();
        self.begin_epoch(now);
    }
}
