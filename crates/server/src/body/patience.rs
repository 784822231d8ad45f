//! Limits how long a slow sender may make the server wait.
//!
//! A sender has credit, initially the grace time. Waiting for the sender uses the credit up, and
//! each byte earns some back, up to the grace time. So a sender that stops is given up after the
//! grace time, a sender below the minimum rate somewhat later, and a faster sender never: the rate
//! is an average over the request, not over each interval. Time in which the server does not ask
//! for bytes does not count.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The credit of one sender.
pub(super) struct Patience {
    grace: Duration,
    least_bytes_per_second: u64,
    credit: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Creates a sender's credit, with the full grace time.
    pub(super) fn new(grace: Duration, least_bytes_per_second: u64) -> Self {
        let least_bytes_per_second = least_bytes_per_second.max(1);
        Self { grace, least_bytes_per_second, credit: grace, waiting_since: None, timer: None }
    }

    /// Records bytes that have arrived.
    pub(super) fn progress(&mut self, bytes: usize) {
        if let Some(since) = self.waiting_since.take() {
            self.credit = self.credit.saturating_sub(since.elapsed());
        }
        let earned_micros = (bytes as u64).saturating_mul(1_000_000) / self.least_bytes_per_second;
        self.credit =
            self.credit.saturating_add(Duration::from_micros(earned_micros)).min(self.grace);
    }

    /// Is ready once the credit is used up, and wakes the task then. The timer is not reset for
    /// every piece of the body: it fires at the deadline of an earlier wait, which is never later
    /// than the current one, and is moved then.
    pub(super) fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = *self.waiting_since.get_or_insert_with(Instant::now) + self.credit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const GRACE: Duration = Duration::from_secs(30);
    const RATE: u64 = 1024;

    /// Returns the seconds after which a sender of this rate is given up; `None` if not within an
    /// hour.
    async fn given_up_after(patience: &mut Patience, bytes_per_second: usize) -> Option<u64> {
        for second in 0..3600 {
            let waited =
                tokio::time::timeout(Duration::from_secs(1), poll_fn(|cx| patience.poll_out(cx)));
            if waited.await.is_ok() {
                return Some(second);
            }
            patience.progress(bytes_per_second);
        }
        None
    }

    /// Regression: 40 B/s sufficed for an unlimited time, because only each interval of 30 seconds
    /// had to bring a kibibyte.
    #[tokio::test(start_paused = true)]
    async fn the_average_over_the_request_decides() {
        for (bytes_per_second, seconds) in
            [(0, Some(30)), (40, Some(31)), (1000, Some(1251)), (1024, None)]
        {
            let mut patience = Patience::new(GRACE, RATE);
            let given_up = given_up_after(&mut patience, bytes_per_second).await;
            let near = match (given_up, seconds) {
                (Some(given_up), Some(expected)) => given_up.abs_diff(expected) <= 30,
                (given_up, expected) => given_up == expected,
            };
            assert!(near, "{bytes_per_second} B/s: {given_up:?}, not {seconds:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_start_earns_no_more_than_the_grace_time() {
        let mut patience = Patience::new(GRACE, RATE);
        patience.progress(1 << 30);
        let given_up = given_up_after(&mut patience, 40).await;
        assert!(given_up.is_some_and(|seconds| (30..=32).contains(&seconds)), "{given_up:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nothing_is_asked_for_does_not_count() {
        let mut patience = Patience::new(GRACE, RATE);
        patience.progress(1);
        tokio::time::advance(Duration::from_secs(3600)).await;
        let waited =
            tokio::time::timeout(Duration::from_secs(29), poll_fn(|cx| patience.poll_out(cx)))
                .await;
        assert!(waited.is_err());
    }
}
