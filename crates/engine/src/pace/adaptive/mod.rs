//! Finds the number of requests in flight that a link is worth. No I/O, clock or tasks.
//!
//! The controller climbs: it measures the goodput of one epoch, changes the limit by a step, and
//! measures again. A higher limit stays only if it moves clearly more bytes, a lower one only if
//! it loses next to none. Growing latency needs no rule of its own: by Little's law the goodput is
//! the number of requests in flight times their bytes, divided by their latency, so that latency
//! which grows with the limit is goodput that does not.
//!
//! This file deliberately does not know which refusals belong together, nor how the store's pace
//! is earned back: [`throttle`](super::throttle) does, and tells the controller once for each
//! group. Convergence is tested on simulated links in `simulation.rs`; the choice is explained in
//! `docs/decisions`.

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::time::Duration;

/// The limit at the start, which is the default of a fixed limit: a short transfer ends before the
/// first measurement.
const AT_START: u32 = super::DEFAULT_CONCURRENCY;

/// The lowest limit that a measurement may choose. Below it, one late answer looks like a knee.
const LEAST: u32 = 4;

/// The minimum number of requests in an epoch.
const EPOCH_REQUESTS_MIN: u32 = 16;

/// The goodput of a higher limit, relative to that of the limit before, from which it stays.
const GAIN_MIN: f64 = 1.05;

/// The goodput of a lower limit, relative to the best, from which it stays.
const LOSS_MAX: f64 = 0.97;

/// The weight of a new epoch in the goodput that a held limit is known for.
const NEWEST_WEIGHT: f64 = 0.25;

/// The epochs between two probes: few at first, doubled by each probe that finds nothing.
const HOLD_EPOCHS_MIN: u32 = 4;
const HOLD_EPOCHS_MAX: u32 = 64;

/// A request that moved all of its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The bytes moved.
    pub bytes: u64,
    /// The start, measured from any fixed instant.
    pub started: Duration,
    /// The end, measured from the same instant.
    pub ended: Duration,
    /// The number of requests in flight when it started, itself included.
    pub in_flight: u32,
}

/// A limit on the requests in flight that follows their goodput.
#[derive(Debug)]
pub struct Controller {
    max: u32,
    limit: u32,
    phase: Phase,
    epoch: Epoch,
    /// The goodput that a probe has to beat, in bytes per second.
    known: f64,
    /// The epochs until the next probe, when the limit is held again.
    hold_epochs: u32,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The current limit stays for this many epochs.
    Hold { epochs: u32 },
    /// A higher limit than `back_to` is measured.
    Up { back_to: u32, climbed: bool },
    /// A lower limit than `back_to` is measured.
    Down { back_to: u32 },
}

/// The requests that started and ended at one limit.
#[derive(Debug, Default)]
struct Epoch {
    /// Requests that started earlier do not count. `None`: the first to start at the limit sets it.
    since: Option<Duration>,
    /// No request may start before this and count: it was sent at another limit.
    not_before: Duration,
    requests: u32,
    bytes: f64,
    latency_s: f64,
}

impl Controller {
    /// Creates a controller of at most `max` requests in flight, at least one.
    pub fn new(max: u32) -> Self {
        let max = max.max(1);
        Self {
            max,
            limit: AT_START.min(max),
            phase: Phase::Hold { epochs: 1 },
            epoch: Epoch::default(),
            known: 0.0,
            hold_epochs: HOLD_EPOCHS_MIN,
        }
    }

    /// Returns the number of requests that may be in flight now.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Takes a request into account that moved all of its bytes.
    ///
    /// Requests that started below the limit count for nothing: the transfers had no more to send,
    /// and their pace says nothing about the link.
    pub fn succeeded(&mut self, sample: Sample) {
        if sample.in_flight < self.limit || sample.started < self.epoch.not_before {
            return;
        }
        if sample.started < *self.epoch.since.get_or_insert(sample.started) {
            return;
        }
        self.epoch.requests += 1;
        #[allow(clippy::cast_precision_loss, reason = "a rate, compared with 3 % of tolerance")]
        let bytes = sample.bytes as f64;
        self.epoch.bytes += bytes;
        self.epoch.latency_s += sample.ended.saturating_sub(sample.started).as_secs_f64();
        if self.epoch.requests >= self.limit.max(EPOCH_REQUESTS_MIN) {
            let goodput = f64::from(self.limit) * self.epoch.bytes / self.epoch.latency_s.max(1e-9);
            self.measured(goodput);
            self.epoch = Epoch { not_before: sample.ended, ..Epoch::default() };
        }
    }

    /// Takes a refusal by `SlowDown` at `now` into account; called once for all requests that were
    /// in flight together. The limit ends below the one that was refused, and is not probed soon.
    pub fn throttled(&mut self, now: Duration) {
        if let Phase::Up { back_to, .. } = self.phase {
            self.limit = back_to;
        } else {
            self.limit = (self.limit - self.limit / 8).max(1);
        }
        self.hold();
        self.epoch = Epoch { not_before: now, ..Epoch::default() };
    }

    /// Decides after an epoch.
    fn measured(&mut self, goodput: f64) {
        match self.phase {
            Phase::Hold { epochs } => {
                let is_first = self.known == 0.0;
                let weight = if is_first { 1.0 } else { NEWEST_WEIGHT };
                self.known += (goodput - self.known) * weight;
                match epochs.saturating_sub(1) {
                    0 => self.probe_up(false),
                    epochs => self.phase = Phase::Hold { epochs },
                }
            }
            Phase::Up { .. } if goodput >= self.known * GAIN_MIN => {
                self.known = goodput;
                self.hold_epochs = HOLD_EPOCHS_MIN;
                self.probe_up(true);
            }
            Phase::Up { back_to, climbed } => {
                self.limit = back_to;
                // The limit below was measured on the way here.
                if climbed { self.hold() } else { self.probe_down() }
            }
            Phase::Down { .. } if goodput >= self.known * LOSS_MAX => {
                self.known = self.known.max(goodput);
                self.probe_down();
            }
            Phase::Down { back_to } => {
                self.limit = back_to;
                self.hold();
            }
        }
    }

    fn probe_up(&mut self, climbed: bool) {
        let back_to = self.limit;
        self.limit = (back_to + (back_to / 2).max(1)).min(self.max);
        if self.limit > back_to {
            self.phase = Phase::Up { back_to, climbed };
        } else if climbed {
            self.hold();
        } else {
            self.probe_down();
        }
    }

    fn probe_down(&mut self) {
        let back_to = self.limit;
        let lower = (back_to - back_to / 4).max(LEAST);
        if lower < back_to {
            self.limit = lower;
            self.phase = Phase::Down { back_to };
        } else {
            self.hold();
        }
    }

    /// Holds the limit, and longer each time.
    fn hold(&mut self) {
        self.phase = Phase::Hold { epochs: self.hold_epochs };
        self.hold_epochs = (self.hold_epochs * 2).min(HOLD_EPOCHS_MAX);
    }
}
