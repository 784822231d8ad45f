//! The gate in front of one store: every attempt to move bytes passes it, for all transfers of an
//! engine.
//!
//! The limit is a [`Throttle`]; waiting requests are served in order. A transfer requests one pass
//! at a time, so several transfers take turns and none starves. An adaptive engine has a
//! [`Controller`] too, which lowers the ceiling of the throttle to the number of requests that the
//! link is worth. The gate measures for it: a pass knows when its request started, how many were in
//! flight, and how many bytes had crossed the network by then.

#[cfg(test)]
mod refusals;
#[cfg(test)]
mod reno;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::Concurrency;
use super::adaptive::{Controller, Reading, Sample};
use super::ramp::Ramp;
use super::throttle::{Refusal, Slot, Throttle};
use crate::body::{BufferPool, Meter};

/// The time between two readings while a transfer waits for a pass.
const MEASURES_EVERY: Duration = Duration::from_millis(250);

/// A limit on requests in flight; clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Mutex<GateState>>);

#[derive(Debug)]
struct GateState {
    throttle: Throttle,
    ramp: Ramp,
    /// Whether a part has arrived.
    has_succeeded: bool,
    meter: Meter,
    /// The instant from which readings count the time.
    created: Instant,
    adaptive: Option<Adaptive>,
    waiting: VecDeque<oneshot::Sender<Pass>>,
}

/// The state of a gate whose limit follows the goodput.
#[derive(Debug)]
struct Adaptive {
    controller: Controller,
    /// The memory that parts in flight hold.
    pool: BufferPool,
}

/// The right to have one request in flight; released on drop.
#[derive(Debug)]
pub struct Pass {
    /// `None` if dropping the pass must not change the gate.
    gate: Option<Gate>,
    slot: Slot,
    start: Start,
}

/// The beginning of a request.
#[derive(Clone, Copy, Debug)]
struct Start {
    at: Instant,
    /// The bytes that had crossed the network, of all requests.
    moved_bytes: u64,
    /// The number of requests in flight, itself included.
    in_flight: u32,
}

/// The kind of a request that succeeded: only parts measure the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Success {
    /// A part, or a range of a download.
    Part {
        /// The attempt that succeeded, from 1. Later attempts do not count: they follow a wait, and
        /// may have moved only the rest.
        attempt: u32,
    },
    /// A request whose duration does not depend on the bandwidth.
    Short,
    /// One long stream, which lasts as long as its bytes do and not as long as a part.
    Stream,
}

impl GateState {
    fn time_of(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.created)
    }

    fn reading(&self) -> Reading {
        let at = self.time_of(Instant::now());
        Reading { at, moved_bytes: self.meter.all_bytes() }
    }

    fn enter(&mut self) -> Option<(Slot, Start)> {
        let now = self.time_of(Instant::now());
        let ceiling = match &mut self.adaptive {
            Some(adaptive) => {
                adaptive.controller.bound(adaptive.pool.requests_max(), now);
                adaptive.controller.limit()
            }
            None => u32::MAX,
        };
        self.throttle.set_ceiling(self.meter.bandwidth().requests_max().min(ceiling));
        let slot = self.throttle.enter()?;
        Some((slot, self.start()))
    }

    /// Returns the start of a request whose slot is taken.
    fn start(&self) -> Start {
        Start {
            at: Instant::now(),
            moved_bytes: self.meter.all_bytes(),
            in_flight: self.throttle.taken(),
        }
    }

    fn succeeded(&mut self, start: Start, success: Success) {
        self.throttle.succeeded();
        self.has_succeeded |= success != Success::Short;
        let started = Reading { at: self.time_of(start.at), moved_bytes: start.moved_bytes };
        let ended = self.reading();
        let Some(adaptive) = &mut self.adaptive else { return };
        match success {
            Success::Part { attempt: 1 } => {
                let in_flight = start.in_flight;
                adaptive.controller.succeeded(Sample { started, ended, in_flight });
            }
            Success::Short => adaptive.controller.short_succeeded(ended.at),
            Success::Part { .. } | Success::Stream => {}
        }
    }

    fn throttled(&mut self, slot: Slot) -> Refusal {
        let refusal = self.throttle.throttled(slot);
        self.ramp.end();
        let now = self.time_of(Instant::now());
        if let (Some(adaptive), Refusal::Overload) = (&mut self.adaptive, refusal) {
            adaptive.controller.throttled(now);
        }
        refusal
    }

    /// Measures while a transfer waits: requests may be under way for minutes before one ends.
    fn wait(&mut self) {
        let (now, in_flight) = (self.reading(), self.throttle.taken());
        let is_to_double =
            self.ramp.reading(now, self.throttle.allowed()) && !self.throttle.doubled();
        if let Some(Adaptive { controller, .. }) = &mut self.adaptive {
            let before = controller.limit();
            controller.waiting(now, in_flight);
            if controller.limit() != before {
                self.ramp.end();
            } else if is_to_double && !self.has_succeeded {
                controller.doubled(now.at);
            }
        }
    }

    /// Returns the limit of the controller, if there is one.
    fn adapted(&self) -> Option<u32> {
        self.adaptive.as_ref().map(|adaptive| adaptive.controller.limit())
    }
}

impl Gate {
    /// Creates a gate for at most `max` requests at once, at least one.
    pub fn new(max: u32) -> Self {
        Self::limited(max.into(), Meter::default(), BufferPool::new(u64::MAX))
    }

    /// Creates a gate with fewer requests than `concurrency` allows while the bandwidth of `meter`
    /// is too small for them. An adaptive limit follows the bytes that `meter` counts, and never
    /// exceeds the requests that `pool` holds.
    pub fn limited(concurrency: Concurrency, meter: Meter, pool: BufferPool) -> Self {
        let adaptive = match concurrency {
            Concurrency::Fixed(_) => None,
            Concurrency::Adaptive { max, .. } => {
                Some(Adaptive { controller: Controller::new(concurrency.start(), max), pool })
            }
        };
        Self(Arc::new(Mutex::new(GateState {
            throttle: Throttle::new(concurrency.most()),
            ramp: Ramp::default(),
            has_succeeded: false,
            meter,
            created: Instant::now(),
            adaptive,
            waiting: VecDeque::new(),
        })))
    }

    /// Waits for a pass. Dropping the future gives up the slot in the queue.
    pub async fn enter(&self) -> Pass {
        let mut receiver = {
            let mut state = self.state();
            if state.waiting.is_empty()
                && let Some((slot, start)) = state.enter()
            {
                return Pass { gate: Some(self.clone()), slot, start };
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.push_back(sender);
            receiver
        };
        loop {
            match timeout(MEASURES_EVERY, &mut receiver).await {
                Ok(pass) => return pass.expect("a gate that is waited at exists"),
                Err(_) => self.change(GateState::wait),
            }
        }
    }

    /// Returns the maximum number of requests that may ever be in flight at once.
    pub fn most(&self) -> u32 {
        self.state().throttle.most()
    }

    /// Returns whether the limit follows the goodput.
    pub(crate) fn is_adaptive(&self) -> bool {
        self.state().adaptive.is_some()
    }

    /// Returns the number of requests that may be in flight now.
    pub fn allowed(&self) -> u32 {
        self.state().throttle.allowed()
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the limit, then admits as many as it allows.
    fn change<T>(&self, change: impl FnOnce(&mut GateState) -> T) -> T {
        let mut state = self.state();
        let before = state.adapted();
        let changed = change(&mut state);
        while let Some((slot, start)) = if state.waiting.is_empty() { None } else { state.enter() }
        {
            let next = state.waiting.pop_front().expect("the queue was just looked at");
            if let Err(mut unwanted) = next.send(Pass { gate: Some(self.clone()), slot, start }) {
                // Its drop would take the lock that is held here.
                unwanted.gate = None;
                state.throttle.leave();
            }
        }
        let after = state.adapted();
        drop(state);
        if let Some(limit) = after.filter(|_| after != before) {
            tracing::debug!(target: "haul::decision", "concurrency: {limit} requests in flight");
        }
        changed
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
    /// Starts a request now, with a pass that waited for its bytes or served another request, or an
    /// attempt of the same one: a refusal of it is news.
    pub(crate) fn restart(&mut self) {
        if let Some(gate) = &self.gate {
            let mut state = gate.state();
            self.slot = state.throttle.renewed();
            self.start = state.start();
        }
    }

    /// Reports a success: the gate may admit more.
    pub fn succeeded(&self, success: Success) {
        if let Some(gate) = &self.gate {
            gate.change(|state| state.succeeded(self.start, success));
        }
    }

    /// Reports throttling: the gate admits fewer, unless the refusal is isolated.
    pub fn throttled(&self) -> Refusal {
        match &self.gate {
            Some(gate) => gate.change(|state| state.throttled(self.slot)),
            None => Refusal::Isolated,
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.change(|state| state.throttle.leave());
        }
    }
}
