//! What failures may cost: a budget that successes earn back.

use super::RetryPolicy;

/// The budget of one upload: what its failures may cost.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    tenths: u32,
    most_tenths: u32,
}

/// A failure costs ten tenths, a success earns one.
const COST_TENTHS: u32 = 10;

impl RetryBudget {
    /// A full budget. It lets every part of those in flight use up its own tries: a wide upload shall not give up
    /// sooner than a narrow one.
    pub fn new(policy: &RetryPolicy, concurrency: u32) -> Self {
        let budget = policy.budget.max(concurrency.saturating_mul(policy.attempts_max));
        let most_tenths = budget.saturating_mul(COST_TENTHS);
        Self { tenths: most_tenths, most_tenths }
    }

    /// Pays for one more try; false when there is nothing left.
    #[must_use]
    pub fn pay(&mut self) -> bool {
        match self.tenths.checked_sub(COST_TENTHS) {
            Some(left) => {
                self.tenths = left;
                true
            }
            None => false,
        }
    }

    /// A success earns a little back.
    pub fn earn(&mut self) {
        self.tenths = (self.tenths + 1).min(self.most_tenths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_ends_and_successes_earn_it_back() {
        let mut budget = RetryBudget::new(&RetryPolicy { budget: 2, ..RetryPolicy::default() }, 0);
        assert!(budget.pay() && budget.pay() && !budget.pay());
        (0..COST_TENTHS).for_each(|_| budget.earn());
        assert!(budget.pay() && !budget.pay());
    }
}
