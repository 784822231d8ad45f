//! Limits the requests in flight at one store. No I/O, clock or tasks.
//!
//! The limit is low at the start and raised by each success; it is halved when the store throttles
//! (`503 SlowDown`, trap 32), and then raised again one by one. A request that waits for its next
//! attempt keeps its slot: otherwise, at an unavailable store, untried requests would fail one
//! after the other within moments.

/// The requests in flight at the start. If sixteen share a link, all of them arrive late and
/// together: a run that was killed within its first second kept nothing. Two arrive in an eighth of
/// that time.
const AT_START: u32 = 2;

/// The slots that each success adds at the start: two, then six, then all of the default sixteen.
const EARNED_AT_START: u32 = 2;

/// The successes in a row that add one slot after throttling.
const RECOVERY_STREAK: u32 = 8;

/// A counter of requests in flight, with a limit that moves.
#[derive(Debug)]
pub struct Throttle {
    max: u32,
    /// The maximum number of slots that the bandwidth and the goodput are worth.
    ceiling: u32,
    /// The current number of slots: few at the start, halved by throttling, raised by successes.
    allowed: u32,
    taken: u32,
    /// The slots that each success adds at the start; halved by throttling too. 0: the start is
    /// over.
    earned_at_start: u32,
    streak: u32,
    /// The number of attempts so far.
    begun: u64,
    /// The value of `begun` when `allowed` was last halved.
    halved_at: u64,
}

/// The slot of one attempt: its number, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u64);

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
            begun: 0,
            halved_at: 0,
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
        } else if self.streak >= RECOVERY_STREAK {
            self.allowed += 1;
            self.streak = 0;
        }
    }

    /// Doubles the limit at the start, before the first success. At the ceiling the start is over.
    pub fn doubled(&mut self) {
        if self.earned_at_start == 0 {
            return;
        }
        self.allowed = self.allowed.saturating_mul(2).min(self.max);
        if self.allowed >= self.ceiling.min(self.max) {
            self.allowed = self.max;
            self.earned_at_start = 0;
        }
    }

    /// Reports throttling. Halves the limit once for all attempts that were in flight together:
    /// they meet the same overloaded store, and sixteen simultaneous refusals are no reason to
    /// continue with one request. Returns whether it did.
    pub fn throttled(&mut self, place: Slot) -> bool {
        self.streak = 0;
        let is_news = place.0 > self.halved_at;
        if is_news {
            // What the ceiling holds back was not refused, and is no limit to halve.
            self.allowed = (self.allowed() / 2).max(1);
            self.earned_at_start /= 2;
            self.halved_at = self.begun;
        }
        is_news
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
