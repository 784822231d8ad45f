//! Decides, after each measurement, which limit comes next.

use std::time::Duration;

use super::{Controller, HOLD_EPOCHS_MIN, Phase};

/// The growth of the goodput, relative to the growth of the limit, from which a higher limit stays.
///
/// On a free link both grow alike, up to the limit that fills it. On a full link that others share,
/// more requests only take from the others: of `n` equal transfers, the growth is `1 - 1/n` at
/// most. Two of them hardly outbid each other, and one that has less than half of theirs gets more.
const GROWTH_MIN: f64 = 0.5;

/// The gain of a higher limit, below which nothing between it and the limit before is tried.
const GAIN_MIN: f64 = 1.05;

/// The gain of a doubled limit from which the link may be one that others share: two equal
/// transfers gain a third from each other.
const GAIN_OF_FULL: f64 = 1.2;

/// The goodput of a lower limit, relative to the best, from which it stays.
const LOSS_MAX: f64 = 0.97;

/// The change of a held limit's goodput, down or up, after which the link counts as another one.
const CHANGED: f64 = 0.75;

/// The goodput of a held limit, relative to what a failed probe was compared with, below which the
/// probe was compared with too much. New connections that lose packets now and then send faster
/// than they will for ten seconds and more, and the limit that they raised was measured meanwhile.
const OVERRATED: f64 = 0.9;

/// The weight of a new epoch in the goodput that a held limit is known for.
const NEWEST_WEIGHT: f64 = 0.25;

/// The epochs between two probes, at most.
const HOLD_EPOCHS_MAX: u32 = 64;

/// The lowest limit that a measurement may choose. Below it, one late answer looks like a knee.
const LEAST: u32 = 4;

impl Controller {
    /// Decides after an epoch.
    pub(super) fn measured(&mut self, goodput: f64) {
        let gain = goodput / self.known;
        match self.phase {
            Phase::Hold { epochs } => self.held(goodput, epochs),
            Phase::Up { back_to, .. } if gain >= self.gain_expected(back_to) => {
                self.keep(goodput);
                self.probe_up(true);
            }
            // The limit below had just been reached, and moved more than it will. From above,
            // limits are measured that nothing was added to.
            Phase::Up { climbed: true, .. }
                if self.is_slow && (LOSS_MAX..GAIN_OF_FULL).contains(&gain) =>
            {
                self.known = self.known.max(goodput);
                self.probe_down();
            }
            Phase::Up { back_to, climbed } => {
                let between = (f64::from(back_to) * gain).round();
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a limit"
                )]
                let between = between.min(f64::from(self.limit)) as u32;
                let between = Some(between).filter(|it| gain >= GAIN_MIN && *it > back_to);
                let trusts_known = !self.is_slow || self.was_repeated;
                if let Some(between) = between.filter(|_| trusts_known) {
                    self.limit = between;
                    self.phase = Phase::Between { back_to };
                } else if between.is_some() {
                    // Perhaps `back_to` was measured too high, which its next measurement shows.
                    self.limit = back_to;
                    self.hold();
                    self.between = between;
                } else {
                    self.limit = back_to;
                    // The limit below was measured on the way here.
                    if climbed { self.hold() } else { self.probe_down() }
                }
            }
            Phase::Between { back_to } if gain >= self.gain_expected(back_to) => {
                self.keep(goodput);
                self.probe_up(true);
            }
            Phase::Between { back_to } => {
                self.limit = back_to;
                self.hold();
            }
            Phase::Down { .. } if gain >= LOSS_MAX => {
                self.known = self.known.max(goodput);
                self.probe_down();
            }
            Phase::Down { back_to } => {
                self.limit = back_to;
                self.hold();
            }
        }
    }

    /// Decides after an epoch of a held limit, of which `epochs` are left.
    fn held(&mut self, goodput: f64, epochs: u32) {
        let gain = goodput / self.known;
        let is_known = self.known > 0.0;
        let has_changed = is_known && !(CHANGED..=1.0 / CHANGED).contains(&gain);
        let is_overrated =
            is_known && self.is_after_probe && gain < OVERRATED && !self.was_repeated;
        let between = self.between.take();
        if has_changed || is_overrated {
            if has_changed {
                self.hold_epochs = HOLD_EPOCHS_MIN;
            }
            self.was_repeated |= is_overrated;
            self.known = goodput;
            return self.probe_up(false);
        }
        let weight = if is_known { NEWEST_WEIGHT } else { 1.0 };
        self.known += (goodput - self.known) * weight;
        self.is_after_probe = false;
        if let Some(between) = between {
            let back_to = std::mem::replace(&mut self.limit, between);
            self.phase = Phase::Between { back_to };
            return;
        }
        match epochs.saturating_sub(1) {
            0 => {
                self.was_repeated = false;
                self.probe_up(false);
            }
            epochs => self.phase = Phase::Hold { epochs },
        }
    }

    /// Returns the gain from which the current limit is better than the lower `back_to`.
    fn gain_expected(&self, back_to: u32) -> f64 {
        1.0 + GROWTH_MIN * (f64::from(self.limit) / f64::from(back_to) - 1.0)
    }

    /// Keeps a higher limit, which may not be the last one.
    fn keep(&mut self, goodput: f64) {
        self.known = goodput;
        self.hold_epochs = HOLD_EPOCHS_MIN;
    }

    fn probe_up(&mut self, climbed: bool) {
        let back_to = self.limit;
        // A measurement of slow parts takes seconds, and the noise of connections that lose packets
        // hides the gain of half a step.
        let step = if self.is_slow { back_to } else { back_to / 2 };
        self.limit = (back_to + step.max(1)).min(self.bound);
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

    /// Measures the current limit as the first one.
    pub(super) fn restart(&mut self, now: Duration) {
        self.known = 0.0;
        self.between = None;
        self.hold_epochs = HOLD_EPOCHS_MIN;
        self.phase = Phase::Hold { epochs: 1 };
        self.begin_epoch(now);
    }

    /// Holds the limit, and longer each time.
    pub(super) fn hold(&mut self) {
        self.is_after_probe = true;
        self.between = None;
        self.phase = Phase::Hold { epochs: self.hold_epochs };
        self.hold_epochs = (self.hold_epochs * 2).min(HOLD_EPOCHS_MAX);
    }
}
