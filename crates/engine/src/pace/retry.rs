//! The retry policy: the only place that decides when to retry.
//!
//! A random wait between half a bound and the bound, which doubles; `Retry-After` is honoured.
//! Half, because a transfer must survive a restart of its store: with waits from zero, one of
//! sixteen parts had used up its attempts when a server returned after four seconds. Now eight
//! attempts last twelve seconds at least.
//!
//! If the store throttles, the first wait is shorter, because a store that refuses one of a hundred
//! requests accepts the next one at once; and the bound quadruples, because a store that refuses
//! twice is busy: eight attempts last half a minute.
//!
//! One budget for a whole upload limits the requests to an unavailable store, instead of ten for
//! each of ten thousand parts; successes earn it back.

use std::future::Future;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::RetryBudget;
use crate::advice::Advice;
#[cfg(test)]
use crate::remote::Operation;
use crate::remote::{StoreError, StoreErrorKind};

/// The limits of retries.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// The maximum attempts of one request, including the first.
    pub attempts_max: u32,
    /// The bound of the first wait.
    pub base: Duration,
    /// The bound of the first wait after `SlowDown` and similar errors; it quadruples.
    pub throttled_base: Duration,
    /// The maximum wait, unless the store asks for a longer one.
    pub cap: Duration,
    /// The number of failures that an upload may have beyond those paid for by successes.
    pub budget: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 8,
            base: Duration::from_millis(200),
            throttled_base: Duration::from_millis(100),
            cap: Duration::from_secs(20),
            budget: 64,
        }
    }
}

/// The maximum `Retry-After` that is honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// The policy, the shared budget and the random waits of one transfer.
#[derive(Debug)]
pub struct Retries {
    policy: RetryPolicy,
    budget: RetryBudget,
    random: StdRng,
}

impl Retries {
    /// Creates the retries of a transfer; `seed` determines the waits.
    pub fn new(policy: RetryPolicy, budget: RetryBudget, seed: u64) -> Self {
        Self { policy, budget, random: StdRng::seed_from_u64(seed) }
    }

    /// Returns the wait before the next attempt, or `None` to give up; as [`RetryPolicy::wait`].
    pub fn wait(&mut self, attempt: u32, failure: &FailedAttempt) -> Option<Duration> {
        self.policy.wait(attempt, failure, &mut self.random)
    }

    /// Returns the wait and pays for the attempt from the budget.
    pub fn pay_for_wait(&mut self, attempt: u32, failure: &FailedAttempt) -> Option<Duration> {
        self.wait(attempt, failure).filter(|_| self.budget.pay())
    }

    /// Pays for one more attempt whose wait is known; returns false if the budget is used up.
    #[must_use]
    pub fn pay(&self) -> bool {
        self.budget.pay()
    }

    /// Returns a small share to the budget for a success.
    pub fn earn(&self) {
        self.budget.earn();
    }
}

/// The properties of an error that the policy needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// The advice of the error.
    pub advice: Advice,
    /// Whether the store throttled.
    pub throttled: bool,
    /// Whether an idle connection broke: then the next attempt need not wait.
    pub reused_connection: bool,
    /// Whether the request may have taken effect.
    pub outcome_unknown: bool,
    /// The kind of the error.
    pub kind: StoreErrorKind,
}

impl From<&StoreError> for FailedAttempt {
    fn from(error: &StoreError) -> Self {
        Self {
            advice: error.advice(),
            throttled: error.kind == StoreErrorKind::Throttled,
            reused_connection: error.reused_connection,
            outcome_unknown: error.outcome_unknown,
            kind: error.kind,
        }
    }
}

impl RetryPolicy {
    /// Returns the wait before the next attempt, or `None` to give up. `attempt` is the failed one,
    /// counted from 1.
    pub fn wait(
        &self,
        attempt: u32,
        failure: &FailedAttempt,
        random: &mut impl Rng,
    ) -> Option<Duration> {
        let after = match failure.advice {
            Advice::Retry { after } => after,
            Advice::Refresh => None,
            Advice::Resume | Advice::GiveUp => return None,
        };
        if attempt >= self.attempts_max {
            return None;
        }
        if failure.reused_connection && attempt == 1 {
            return Some(Duration::ZERO);
        }
        // The exponents of two in the growth of the bound.
        let (base, growth) =
            if failure.throttled { (self.throttled_base, 2) } else { (self.base, 1) };
        let bound = base.saturating_mul(1 << (growth * (attempt - 1)).min(16)).min(self.cap);
        let jittered = bound.mul_f64(random.random_range(0.5..=1.0));
        Some(after.map_or(jittered, |after| after.min(RETRY_AFTER_MAX) + jittered))
    }

    /// Runs a request until it succeeds or the policy gives up; for requests outside of an upload's
    /// schedule.
    ///
    /// # Errors
    /// The last error.
    pub async fn run<T, F, Answer>(&self, mut request: F) -> Result<T, StoreError>
    where
        F: FnMut() -> Answer,
        Answer: Future<Output = Result<T, StoreError>>,
    {
        for attempt in 1.. {
            match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let wait = self.wait(attempt, &FailedAttempt::from(&error), &mut rand::rng());
                    let Some(wait) = wait else { return Err(error) };
                    tokio::time::sleep(wait).await;
                }
            }
        }
        unreachable!("the loop ends only by returning")
    }
}

#[cfg(test)]
impl RetryPolicy {
    /// Returns the wait after `SlowDown`, for simulations; a request never gives up.
    pub(crate) fn wait_after_refusal(&self, attempt: u32, random: &mut impl Rng) -> Duration {
        let error = StoreError::answered(Operation::UploadPart, 503, Some("SlowDown"), "");
        let attempt = attempt.min(self.attempts_max - 1);
        self.wait(attempt, &FailedAttempt::from(&error), random).expect("an attempt is left")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, code: Option<&str>) -> FailedAttempt {
        FailedAttempt::from(&StoreError::answered(Operation::UploadPart, status, code, ""))
    }

    #[test]
    fn waits_stay_within_bounds_that_double_up_to_the_cap() {
        let policy = RetryPolicy::default();
        let mut random = StdRng::seed_from_u64(1);
        for attempt in 1..policy.attempts_max {
            let bound = (policy.base * (1 << (attempt - 1))).min(policy.cap);
            for _ in 0..100 {
                let wait = policy.wait(attempt, &failure(500, None), &mut random).unwrap();
                assert!(
                    (bound / 2..=bound).contains(&wait),
                    "attempt {attempt}: {wait:?}, {bound:?}"
                );
            }
        }
        assert_eq!(policy.wait(policy.attempts_max, &failure(500, None), &mut random), None);
    }

    /// A server that restarts is unavailable for a few seconds.
    #[test]
    fn the_tries_of_one_request_last_for_twelve_seconds_at_least() {
        let policy = RetryPolicy::default();
        let mut random = StdRng::seed_from_u64(2);
        for _ in 0..100 {
            let waits = (1..policy.attempts_max)
                .map(|attempt| policy.wait(attempt, &failure(500, None), &mut random).unwrap());
            let total: Duration = waits.sum();
            assert!((12..=26).contains(&total.as_secs()), "{total:?}");
        }
    }

    /// A store that refuses one of a hundred requests accepts the next one; a store that is busy
    /// may be so for half a minute. The first wait was half a second, so that 10,000 files at a
    /// store that refused 1 % of the requests took nine times as long as without refusals.
    #[test]
    fn waits_after_a_refusal_start_short_and_outlast_half_a_minute() {
        let policy = RetryPolicy::default();
        let mut random = StdRng::seed_from_u64(3);
        let busy = failure(503, Some("SlowDown"));
        for _ in 0..100 {
            let waits: Vec<_> = (1..policy.attempts_max)
                .map(|attempt| policy.wait(attempt, &busy, &mut random).unwrap())
                .collect();
            assert!((50..=100).contains(&waits[0].as_millis()), "{waits:?}");
            assert!((200..=400).contains(&waits[1].as_millis()), "{waits:?}");
            let total: Duration = waits.iter().sum();
            assert!((34..=69).contains(&total.as_secs()), "{total:?}");
        }
    }

    #[test]
    fn what_cannot_succeed_is_not_tried_again() {
        let mut random = StdRng::seed_from_u64(1);
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait(1, &failure(403, Some("AccessDenied")), &mut random), None);
        assert!(policy.wait(1, &failure(503, Some("SlowDown")), &mut random).is_some());
    }

    #[test]
    fn retry_after_is_the_least_wait_but_not_without_end() {
        let mut random = StdRng::seed_from_u64(1);
        let mut asked = failure(503, None);
        asked.advice = Advice::Retry { after: Some(Duration::from_secs(7)) };
        assert!(
            RetryPolicy::default().wait(1, &asked, &mut random).unwrap() >= Duration::from_secs(7)
        );
        asked.advice = Advice::Retry { after: Some(Duration::from_secs(86_400)) };
        assert!(
            RetryPolicy::default().wait(1, &asked, &mut random).unwrap() < Duration::from_secs(180)
        );
    }
}
