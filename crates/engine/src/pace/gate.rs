//! The gate in front of one store: every attempt to move bytes passes it, for all transfers of an
//! engine.
//!
//! The limit is a [`Throttle`]; waiting requests are served in order. A transfer requests one pass
//! at a time, so several transfers take turns and none starves.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::throttle::{Slot, Throttle};
use crate::body::Bandwidth;

/// A limit on requests in flight; clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Mutex<GateState>>);

#[derive(Debug)]
struct GateState {
    throttle: Throttle,
    bandwidth: Bandwidth,
    waiting: VecDeque<oneshot::Sender<Pass>>,
}

/// The right to have one request in flight; released on drop.
#[derive(Debug)]
pub struct Pass {
    /// `None` if dropping the pass must not change the gate.
    gate: Option<Gate>,
    slot: Slot,
}

impl GateState {
    fn enter(&mut self) -> Option<Slot> {
        self.throttle.set_ceiling(self.bandwidth.requests_max());
        self.throttle.enter()
    }
}

impl Gate {
    /// Creates a gate for at most `max` requests at once, at least one.
    pub fn new(max: u32) -> Self {
        Self::limited(max, Bandwidth::default())
    }

    /// Creates a gate like [`Gate::new`], with fewer requests while `bandwidth` is too small for
    /// `max`.
    pub fn limited(max: u32, bandwidth: Bandwidth) -> Self {
        let throttle = Throttle::new(max);
        Self(Arc::new(Mutex::new(GateState { throttle, bandwidth, waiting: VecDeque::new() })))
    }

    /// Waits for a pass. Dropping the future gives up the slot in the queue.
    pub async fn enter(&self) -> Pass {
        let receiver = {
            let mut state = self.state();
            if state.waiting.is_empty()
                && let Some(slot) = state.enter()
            {
                return Pass { gate: Some(self.clone()), slot };
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.push_back(sender);
            receiver
        };
        receiver.await.expect("a gate that is waited at exists")
    }

    /// Returns the maximum number of requests that may ever be in flight at once.
    pub fn most(&self) -> u32 {
        self.state().throttle.most()
    }

    /// Returns the number of requests that may be in flight now.
    pub fn allowed(&self) -> u32 {
        self.state().throttle.allowed()
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the limit, then admits as many as it allows.
    fn change(&self, change: impl FnOnce(&mut Throttle)) {
        let mut state = self.state();
        change(&mut state.throttle);
        while let Some(slot) = if state.waiting.is_empty() { None } else { state.enter() } {
            let next = state.waiting.pop_front().expect("the queue was just looked at");
            if let Err(mut unwanted) = next.send(Pass { gate: Some(self.clone()), slot }) {
                // Its drop would take the lock that is held here.
                unwanted.gate = None;
                state.throttle.leave();
            }
        }
    }
}

/// A transfer's place in the queue at the gate, while it wants a pass.
#[derive(Default)]
pub(crate) struct Turn(Option<Pin<Box<dyn Future<Output = Pass> + Send>>>);

impl Turn {
    /// Joins the queue with `enter`, unless the transfer is in it already.
    pub(crate) fn join<F>(&mut self, enter: impl FnOnce() -> F)
    where
        F: Future<Output = Pass> + Send + 'static,
    {
        self.0.get_or_insert_with(|| Box::pin(enter()));
    }

    /// Leaves the queue.
    pub(crate) fn leave(&mut self) {
        self.0 = None;
    }

    /// Returns the pass when it is this transfer's turn; never ready while the transfer is not in
    /// the queue. Dropping the future keeps its position.
    pub(crate) async fn pass(&mut self) -> Pass {
        let pass = match &mut self.0 {
            Some(waiting) => waiting.await,
            None => std::future::pending().await,
        };
        self.0 = None;
        pass
    }
}

impl Pass {
    /// Reports a success: the gate may admit more.
    pub fn succeeded(&self) {
        if let Some(gate) = &self.gate {
            gate.change(Throttle::succeeded);
        }
    }

    /// Reports throttling: the gate admits fewer.
    pub fn throttled(&self) {
        if let Some(gate) = &self.gate {
            gate.change(|throttle| {
                throttle.throttled(self.slot);
            });
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.change(Throttle::leave);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    async fn open(max: u32) -> Gate {
        let gate = Gate::new(max);
        while gate.allowed() < max {
            gate.enter().await.succeeded();
        }
        gate
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn those_who_wait_are_served_in_order() {
        let gate = open(1).await;
        let first = gate.enter().await;
        let mut second = Box::pin(gate.enter());
        let mut third = Box::pin(gate.enter());
        assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
        drop(first);
        // A late caller does not overtake waiting ones.
        let mut late = Box::pin(gate.enter());
        assert!(poll(late.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
        let Poll::Ready(second) = poll(second.as_mut()) else {
            panic!("the first in the queue was passed over")
        };
        drop(second);
        assert!(poll(third.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn a_place_in_the_queue_that_is_given_up_is_not_lost() {
        let gate = open(1).await;
        let first = gate.enter().await;
        let mut given_up = Box::pin(gate.enter());
        let mut granted = Box::pin(gate.enter());
        assert!(poll(given_up.as_mut()).is_pending() && poll(granted.as_mut()).is_pending());
        drop(given_up);
        drop(first);
        // Granted and never used.
        drop(granted);
        gate.enter().await;
    }

    #[tokio::test]
    async fn a_throttled_pass_closes_half_of_the_gate() {
        let gate = open(16).await;
        let passes = futures_util::future::join_all((0..16).map(|_| gate.enter())).await;
        passes.iter().for_each(Pass::throttled);
        assert_eq!(gate.allowed(), 8, "once for all that were under way together");
        drop(passes);
        gate.enter().await.throttled();
        assert_eq!(gate.allowed(), 4);
    }

    /// A limit on the bandwidth held four of sixteen slots open. A refusal halved the sixteen, and
    /// the store got as many requests as before.
    #[tokio::test]
    async fn throttling_halves_what_a_bandwidth_lets_through() {
        let bandwidth = Bandwidth::default();
        let gate = Gate::limited(16, bandwidth.clone());
        while gate.allowed() < 16 {
            gate.enter().await.succeeded();
        }
        bandwidth.set(Some(1 << 20));
        gate.enter().await.throttled();
        assert_eq!(gate.allowed(), 2);
    }

    #[tokio::test]
    async fn a_bandwidth_limits_the_requests_in_flight() {
        let bandwidth = Bandwidth::default();
        bandwidth.set(Some(1 << 20));
        let gate = Gate::limited(16, bandwidth.clone());
        let mut passes = Vec::new();
        for _ in 0..4 {
            let pass = gate.enter().await;
            pass.succeeded();
            passes.push(pass);
        }
        let mut fifth = Box::pin(gate.enter());
        assert!(poll(fifth.as_mut()).is_pending());
        bandwidth.set(None);
        passes.pop();
        assert!(
            poll(fifth.as_mut()).is_ready() && poll(Box::pin(gate.enter()).as_mut()).is_ready()
        );
    }
}
