//! Limits the requests in flight at one store. No I/O, clock or tasks.
//!
//! The limit is low at the start and raised by each success. It falls when the store throttles
//! (`503 SlowDown`, trap 32), but not for a single refusal: S3 answers a few of a thousand requests
//! with `SlowDown` while it has room for all others, and fewer requests in flight do not change
//! that. Only when refusals come again within a window of attempts is the store overloaded. Then
//! the limit falls by the share that was refused of the requests in flight, by an eighth at least
//! and by half at most, and successes earn it back one by one; more slowly each time the store
//! refuses again soon, because the limit is then close to what the store accepts.
//!
//! At an overloaded store, a request that waits for its next attempt keeps its slot: otherwise,
//! untried requests would fail one after the other within moments. After an isolated refusal it
//! need not. `throttle/tests.rs` tests the rule against a store that accepts N requests per second.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

/// The requests in flight at the start. If sixteen share a link, all of them arrive late and
/// together: a run that was killed within its first second kept nothing. Two arrive in an eighth of
/// that time.
const AT_START: u32 = 2;

/// The slots that each success adds at the start: two, then six, then all of the default sixteen.
const EARNED_AT_START: u32 = 2;

/// The attempts among which refusals are counted; more if more are in flight.
const WINDOW_MIN: u64 = 128;

/// The refusals in a window that do not count as overload: about 2 % of the attempts.
const ISOLATED_MAX: usize = 3;

/// The least cut is the limit divided by this, and at least one.
const LEAST_CUT: u32 = 8;

/// The successes in a row that add one slot after throttling: at first, and at most.
const STREAK_MIN: u32 = 8;
const STREAK_MAX: u32 = 64;

/// A counter of requests in flight, with a limit that moves.
#[derive(Debug)]
pub struct Throttle {
    max: u32,
    /// The maximum number of slots that the bandwidth and the goodput are worth.
    ceiling: u32,
    /// The current number of slots: few at the start, cut by throttling, raised by successes.
    allowed: u32,
    taken: u32,
    /// The slots that each success adds at the start; halved by throttling. 0: the start is over.
    earned_at_start: u32,
    streak: u32,
    /// The successes in a row that add one slot.
    streak_needed: u32,
    /// The number of attempts so far.
    begun: u64,
    /// The refused attempts of the last window, in the order of their refusals.
    refused: VecDeque<u64>,
    cut: Cut,
}

/// The last cut of the limit.
#[derive(Debug, Default)]
struct Cut {
    /// The last attempt that had begun at the first of its refusals.
    until: u64,
    /// The limit before it, and the number of attempts up to `until` that it is judged by: those
    /// that were in flight together, or had just ended.
    before: u32,
}

/// The slot of one attempt: its number, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u64);

/// The meaning of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The store accepts nearly all other requests.
    Isolated,
    /// The store is overloaded by the requests in flight together; the limit is cut for the first
    /// time for them.
    Overload,
    /// One more refusal for which the limit was cut already; the cut may become deeper.
    SameOverload,
}

impl Throttle {
    /// Creates a limit of at most `max` requests in flight, at least one.
    pub fn new(max: u32) -> Self {
        let max = max.max(1);
        Self {
            max,
            ceiling: max,
            allowed: max.min(AT_START),
            taken: 0,
            earned_at_start: EARNED_AT_START,
            streak: 0,
            streak_needed: STREAK_MIN,
            begun: 0,
            refused: VecDeque::new(),
            cut: Cut::default(),
        }
    }

    /// Takes a slot for one attempt, if there is one.
    pub fn enter(&mut self) -> Option<Slot> {
        if self.taken >= self.allowed() {
            return None;
        }
        self.taken += 1;
        self.begun += 1;
        Some(Slot(self.begun))
    }

    /// Returns a new number for a taken slot whose next attempt starts: a refusal of it is news.
    pub fn renewed(&mut self) -> Slot {
        self.begun += 1;
        Slot(self.begun)
    }

    /// Releases a slot.
    pub fn leave(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// Reports a success and raises the limit: quickly at the start, later only where throttling
    /// lowered it.
    pub fn succeeded(&mut self) {
        self.streak += 1;
        self.allowed = self.allowed.saturating_add(self.earned_at_start).min(self.max);
        if self.allowed == self.max {
            self.earned_at_start = 0;
        } else if self.streak >= self.streak_needed {
            self.allowed += 1;
            self.streak = 0;
            self.forget_old_refusals();
            if self.refused.is_empty() {
                self.streak_needed = (self.streak_needed / 2).max(STREAK_MIN);
            }
        }
    }

    /// Doubles the limit at the start, until the ceiling is reached. Returns whether it was
    /// doubled.
    pub fn doubled(&mut self) -> bool {
        if self.earned_at_start == 0 {
            return false;
        }
        self.allowed = self.allowed.saturating_mul(2).min(self.max);
        if self.allowed >= self.ceiling.min(self.max) {
            self.allowed = self.max;
            self.earned_at_start = 0;
        }
        true
    }

    /// Reports throttling. Cuts the limit if the store refuses more than isolated requests.
    ///
    /// The attempts that are in flight together are cut for once: they meet the same overloaded
    /// store, and sixteen simultaneous refusals are no reason to continue with one request.
    pub fn throttled(&mut self, slot: Slot) -> Refusal {
        self.refused.push_back(slot.0);
        self.forget_old_refusals();
        if self.refused.len() <= ISOLATED_MAX {
            return Refusal::Isolated;
        }
        self.streak = 0;
        let is_news = slot.0 > self.cut.until;
        if is_news {
            let soon = self.cut.until > 0 && slot.0 - self.cut.until <= 2 * WINDOW_MIN;
            let needed = if soon { self.streak_needed * 2 } else { STREAK_MIN };
            self.streak_needed = needed.min(STREAK_MAX);
            // A limit that has reached the ceiling needs no start any more.
            let at_ceiling = self.allowed >= self.ceiling;
            self.earned_at_start = if at_ceiling { 0 } else { self.earned_at_start / 2 };
            // What the ceiling holds back was not refused, and is no limit to cut.
            self.cut = Cut { until: self.begun, before: self.allowed() };
        }
        self.allowed = self.allowed.min(self.after_cut());
        if is_news { Refusal::Overload } else { Refusal::SameOverload }
    }

    /// Returns the limit that the refusals of the last cut leave.
    fn after_cut(&self) -> u32 {
        let Cut { until, before } = self.cut;
        // Isolated refusals may have let others in since.
        let width = u64::from(before) + ISOLATED_MAX as u64;
        let together = until.saturating_sub(width)..until;
        let refused = self.refused.iter().filter(|slot| together.contains(&(*slot - 1)));
        let refused = u32::try_from(refused.count()).unwrap_or(u32::MAX);
        let cut = refused.max(before.div_ceil(LEAST_CUT)).min(before.div_ceil(2));
        (before - cut).max(1)
    }

    fn forget_old_refusals(&mut self) {
        let window = WINDOW_MIN.max(2 * u64::from(self.taken));
        let begun = self.begun;
        self.refused.retain(|slot| slot + window > begun);
    }

    /// Returns the maximum number of requests that may ever be in flight at once.
    pub fn most(&self) -> u32 {
        self.max
    }

    /// Lets at most `ceiling` requests through, at least one, whatever successes earn. Those in
    /// flight stay.
    pub fn set_ceiling(&mut self, ceiling: u32) {
        self.ceiling = ceiling.max(1);
    }

    /// Returns the number of requests that may be in flight now.
    pub fn allowed(&self) -> u32 {
        self.allowed.min(self.ceiling)
    }

    /// Returns the number of slots taken.
    pub fn taken(&self) -> u32 {
        self.taken
    }
}
