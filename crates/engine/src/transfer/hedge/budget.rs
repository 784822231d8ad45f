//! The bytes that a transfer may move twice: at most a twentieth of those that it moves once.

use std::sync::{Arc, Mutex, PoisonError};

/// The share of the bytes of a transfer that its hedges may move again: one in this many.
const SHARE: u64 = 20;

/// The budget of one transfer. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct HedgeBudget(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The bytes of the pieces that the run has begun to move.
    total_bytes: u64,
    /// The bytes that were moved twice, or are reserved.
    spent_bytes: u64,
}

impl HedgeBudget {
    /// Counts a piece that is moved for the first time.
    pub(super) fn earn(&self, bytes: u64) {
        self.with(|state| state.total_bytes += bytes);
    }

    /// Reserves at most `wanted_bytes`; `None` if fewer than `least_bytes` are left.
    pub(super) fn reserve(&self, wanted_bytes: u64, least_bytes: u64) -> Option<Reservation> {
        let bytes = self.with(|state| {
            let left_bytes = (state.total_bytes / SHARE).saturating_sub(state.spent_bytes);
            let bytes = wanted_bytes.min(left_bytes);
            if bytes < least_bytes.max(1) {
                return None;
            }
            state.spent_bytes += bytes;
            Some(bytes)
        })?;
        Some(Reservation { budget: self.clone(), bytes, moved_bytes: 0 })
    }

    #[cfg(test)]
    pub(super) fn spent_bytes(&self) -> u64 {
        self.with(|state| state.spent_bytes)
    }

    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Bytes that one hedge may move twice. Dropped, it returns those that were not moved.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: HedgeBudget,
    bytes: u64,
    moved_bytes: u64,
}

impl Reservation {
    /// Returns the number of bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sets the number of bytes that were moved twice.
    pub(crate) fn set_moved(&mut self, twice_bytes: u64) {
        self.moved_bytes = twice_bytes.min(self.bytes);
    }

    /// Returns what was not moved twice.
    pub(crate) fn settle(mut self, twice_bytes: u64) {
        self.set_moved(twice_bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let unused = self.bytes - self.moved_bytes;
        self.budget.with(|state| state.spent_bytes -= unused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_of_the_bytes_may_be_moved_twice() {
        let budget = HedgeBudget::default();
        assert!(budget.reserve(1, 1).is_none(), "nothing was moved");
        budget.earn(1000);
        assert!(budget.reserve(51, 51).is_none());
        let whole = budget.reserve(51, 1).unwrap();
        assert_eq!(whole.bytes(), 50);
        assert!(budget.reserve(1, 1).is_none());
        whole.settle(20);
        let mut interrupted = budget.reserve(30, 30).unwrap();
        interrupted.set_moved(10);
        drop(interrupted);
        assert_eq!(budget.spent_bytes(), 30, "20 bytes and 10");
        drop(budget.reserve(20, 20).unwrap());
        assert_eq!(budget.spent_bytes(), 30, "nothing was moved");
    }
}
