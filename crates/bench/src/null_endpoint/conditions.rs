//! The behaviour of a distant or busy store: a delay before each response, and a refusal of every
//! Nth request, or of those that come faster than a rate.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What clients meet at a null endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// The time between the end of a request and its response.
    pub(crate) delay: Duration,
    /// Of this many requests, one is answered with 503 `SlowDown`; `None` refuses nothing.
    pub(crate) refuse_every: Option<NonZeroU64>,
    /// The requests per second that are accepted; others are answered with 503 `SlowDown`. `None`
    /// accepts all.
    pub(crate) requests_per_second: Option<NonZeroU32>,
}

/// The conditions of an endpoint, with the number of requests so far.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    conditions: Conditions,
    requests: AtomicU64,
    bucket: Mutex<Option<Bucket>>,
}

/// The requests that may still be accepted now.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    requests: f64,
    filled: Instant,
}

impl Bucket {
    /// Takes one request out, if there is one; the bucket holds those of a tenth of a second.
    fn take(&mut self, per_second: f64, now: Instant) -> bool {
        let filled = now.duration_since(self.filled).as_secs_f64() * per_second;
        self.requests = (self.requests + filled).min((per_second / 10.0).max(1.0));
        self.filled = now;
        let accepted = self.requests >= 1.0;
        if accepted {
            self.requests -= 1.0;
        }
        accepted
    }
}

impl Traffic {
    pub(super) fn under(conditions: Conditions) -> Self {
        Self { conditions, ..Self::default() }
    }

    /// Delays the response to one request; returns whether it is refused.
    pub(super) fn delay_and_refuse(&self) -> bool {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.conditions.delay.is_zero() {
            thread::sleep(self.conditions.delay);
        }
        self.conditions.refuse_every.is_some_and(|every| number.is_multiple_of(every.get()))
    }

    /// Takes the beginning of a request into account; returns whether it comes too fast.
    pub(super) fn is_too_fast(&self, now: Instant) -> bool {
        let Some(per_second) = self.conditions.requests_per_second else { return false };
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = bucket.get_or_insert(Bucket { requests: 1.0, filled: now });
        !bucket.take(per_second.get().into(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_above_the_rate_are_too_fast() {
        let requests_per_second = NonZeroU32::new(20);
        let traffic = Traffic::under(Conditions { requests_per_second, ..Conditions::default() });
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let accepted = (0..1000).filter(|ms| !traffic.is_too_fast(at(*ms))).count();
        assert!((20..=21).contains(&accepted), "{accepted} in a second");
        assert!(!traffic.is_too_fast(at(60_000)) && !traffic.is_too_fast(at(60_000)));
        assert!(traffic.is_too_fast(at(60_000)), "a pause saves a tenth of a second");
        let unlimited = Traffic::under(Conditions::default());
        assert!((0..1000).all(|_| !unlimited.is_too_fast(begin)));
    }
}
