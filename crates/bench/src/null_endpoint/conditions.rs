//! The behaviour of a distant or busy store: a delay before each response, and a refusal of every
//! Nth request.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// What clients meet at a null endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// The time between the end of a request and its response.
    pub(crate) delay: Duration,
    /// Of this many requests, one is answered with 503 `SlowDown`; `None` refuses nothing.
    pub(crate) refuse_every: Option<NonZeroU64>,
}

/// The conditions of an endpoint, with the number of requests so far.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    conditions: Conditions,
    requests: AtomicU64,
}

impl Traffic {
    pub(super) fn under(conditions: Conditions) -> Self {
        Self { conditions, requests: AtomicU64::new(0) }
    }

    /// Delays the response to one request; returns whether it is refused.
    pub(super) fn delay_and_refuse(&self) -> bool {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.conditions.delay.is_zero() {
            thread::sleep(self.conditions.delay);
        }
        self.conditions.refuse_every.is_some_and(|every| number.is_multiple_of(every.get()))
    }
}
