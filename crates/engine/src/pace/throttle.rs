//! How many requests may be in flight at one store. Pure: no clock, no tasks.
//!
//! Few at the start, more with each success; halved when the store asks for less (`503 SlowDown`,
//! trap 32), earned back one by one. A request that waits for its next attempt keeps its place: at
//! a store that is away, requests that were never tried would otherwise fail one after the other in
//! no time.

/// Requests in flight at the start. Sixteen that share a link all arrive late and together: a run
/// that was killed within its first second kept nothing. Two arrive in an eighth of that time.
const AT_START: u32 = 2;

/// Places that each success earns at the start: two, then six, then all of the default sixteen.
const EARNED_AT_START: u32 = 2;

/// Successes in a row that earn one place again after throttling.
const RECOVERY_STREAK: u32 = 8;

/// Counts the requests in flight against a limit that moves.
#[derive(Debug)]
pub struct Throttle {
    max: u32,
    /// Most places while the bytes per second are limited.
    ceiling: u32,
    /// Places there are now: few at the start, halved when the store throttles, earned by
    /// successes.
    allowed: u32,
    taken: u32,
    /// Places that each success earns at the start; halved by throttling too. 0: the start is over.
    earned_at_start: u32,
    streak: u32,
    /// Attempts begun so far.
    begun: u64,
    /// `begun` when `allowed` was last halved.
    halved_at: u64,
}

/// One attempt's place: which attempt it was, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u64);

impl Throttle {
    /// At most `max` requests in flight, at least one.
    pub fn new(max: u32) -> Self {
        let max = max.max(1);
        Self {
            max,
            ceiling: max,
            allowed: max.min(AT_START),
            taken: 0,
            earned_at_start: EARNED_AT_START,
            streak: 0,
            begun: 0,
            halved_at: 0,
        }
    }

    /// A place for one attempt, if there is one.
    pub fn enter(&mut self) -> Option<Slot> {
        if self.taken >= self.allowed() {
            return None;
        }
        self.taken += 1;
        self.begun += 1;
        Some(Slot(self.begun))
    }

    /// Gives a place back.
    pub fn leave(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// A request has succeeded: more may be in flight, quickly at the start, then only where
    /// throttling took places away.
    pub fn succeeded(&mut self) {
        self.streak += 1;
        self.allowed = self.allowed.saturating_add(self.earned_at_start).min(self.max);
        if self.allowed == self.max {
            self.earned_at_start = 0;
        } else if self.streak >= RECOVERY_STREAK {
            self.allowed += 1;
            self.streak = 0;
        }
    }

    /// The store asked for less. Halves the limit once for all attempts that were under way
    /// together: they meet the same full store, and sixteen refusals at the same moment are no
    /// reason to continue with one request.
    pub fn throttled(&mut self, place: Slot) {
        self.streak = 0;
        if place.0 > self.halved_at {
            self.allowed = (self.allowed / 2).max(1);
            self.earned_at_start /= 2;
            self.halved_at = self.begun;
        }
    }

    /// Lets at most `ceiling` requests through, at least one, whatever successes earn. Those in
    /// flight stay.
    pub fn set_ceiling(&mut self, ceiling: u32) {
        self.ceiling = ceiling.max(1);
    }

    /// Requests that may be in flight now.
    pub fn allowed(&self) -> u32 {
        self.allowed.min(self.ceiling)
    }

    /// Places taken now.
    pub fn taken(&self) -> u32 {
        self.taken
    }
}
