//! The retry budget: limits repetitions; successes earn some back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::RetryPolicy;

/// The retry budget of an engine; clones share it, so that an unavailable store does not get ten
/// attempts for each part of each transfer.
#[derive(Clone, Debug)]
pub struct RetryBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    tenths: AtomicU32,
    most_tenths: u32,
}

/// The cost of a failure in tenths; a success earns one tenth.
const COST_TENTHS: u32 = 10;

impl RetryBudget {
    /// Creates a full budget. It covers all attempts of every request in flight: a wide engine must
    /// not give up sooner than a narrow one.
    pub fn new(policy: &RetryPolicy, concurrency: u32) -> Self {
        let budget = policy.budget.max(concurrency.saturating_mul(policy.attempts_max));
        let most_tenths = budget.saturating_mul(COST_TENTHS);
        Self(Arc::new(Budget { tenths: AtomicU32::new(most_tenths), most_tenths }))
    }

    /// Pays for one more attempt; returns false if the budget is used up.
    #[must_use]
    pub fn pay(&self) -> bool {
        self.change(|tenths| tenths.checked_sub(COST_TENTHS))
    }

    /// Earns a little back for a success.
    pub fn earn(&self) {
        self.change(|tenths| Some((tenths + 1).min(self.0.most_tenths)));
    }

    fn change(&self, change: impl Fn(u32) -> Option<u32>) -> bool {
        self.0.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_ends_and_successes_earn_it_back() {
        let budget = RetryBudget::new(&RetryPolicy { budget: 2, ..RetryPolicy::default() }, 0);
        let same = budget.clone();
        assert!(budget.pay() && same.pay() && !budget.pay());
        (0..COST_TENTHS).for_each(|_| same.earn());
        assert!(budget.pay() && !same.pay());
    }
}
