//! Hedges the last pieces of a transfer: a piece that runs much longer than the others did is
//! requested once more on another connection (decision 0019).
//!
//! Only in the tail: while pieces wait for their turn, a pass of the gate is better used for one of
//! them. Each attempt watches itself, from the moment when the tail begins; until then the watch is
//! one atomic operation for each wake-up of its task, and none for a slice. A hedge takes a pass
//! like every request, and never starts while the store throttles or the bandwidth is limited.

mod budget;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use self::budget::HedgeBudget;
pub(crate) use self::budget::Reservation;
use self::rule::{Finished, InFlight, rate, recent_s};
use crate::body::Bandwidth;
use crate::pace::{Gate, Pass};

/// The time between two looks at a piece in flight, and the number of looks that are remembered.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOKS_MAX: usize = 64;

/// The time after a refusal (`SlowDown`) in which no hedge starts.
const CALM: Duration = Duration::from_secs(10);

/// The hedging of one transfer. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Hedging(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    gate: Gate,
    bandwidth: Bandwidth,
    /// The maximum number of hedges at once; 0 while pieces wait for their turn.
    most: AtomicU32,
    running: AtomicU32,
    budget: HedgeBudget,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    finished: Finished,
    throttled_at: Option<Instant>,
    /// The attempts in flight; they are woken when the tail begins.
    attempts: Vec<Arc<AtomicWaker>>,
}

impl Hedging {
    /// Creates the hedging of a transfer whose requests pass `gate`.
    pub(crate) fn new(gate: &Gate, bandwidth: &Bandwidth) -> Self {
        Self(Arc::new(Shared {
            gate: gate.clone(),
            bandwidth: bandwidth.clone(),
            most: AtomicU32::new(0),
            running: AtomicU32::new(0),
            budget: HedgeBudget::default(),
            state: Mutex::default(),
        }))
    }

    /// Sets the maximum number of hedges at once; 0 while pieces wait for their turn.
    pub(crate) fn set_most(&self, most: u32) {
        if self.0.most.swap(most, Ordering::AcqRel) == 0 && most > 0 {
            self.state().attempts.iter().for_each(|waker| waker.wake());
        }
    }

    /// Records that the store throttles.
    pub(crate) fn throttled(&self) {
        self.state().throttled_at = Some(Instant::now());
    }

    /// Begins an attempt that has to move `size_bytes`. `is_first`: the piece was not tried before.
    pub(crate) fn attempt(&self, size_bytes: u64, is_first: bool) -> Attempt {
        if is_first {
            self.0.budget.earn(size_bytes);
        }
        let waker = Arc::new(AtomicWaker::new());
        self.state().attempts.push(Arc::clone(&waker));
        Attempt { hedging: self.clone(), waker, size_bytes, began: Instant::now() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_tail(&self) -> bool {
        self.0.most.load(Ordering::Acquire) > 0
    }

    /// Returns the usual speed of a piece, if a hedge may start now.
    fn usual(&self) -> Option<f64> {
        if !self.is_tail() || self.0.bandwidth.bytes_per_s().is_some() {
            return None;
        }
        let state = self.state();
        let is_calm = state.throttled_at.is_none_or(|at| at.elapsed() >= CALM);
        state.finished.usual().filter(|_| is_calm)
    }
}

/// The right to have one hedge in flight.
#[derive(Debug)]
pub(crate) struct HedgePass {
    hedging: Hedging,
    pass: Pass,
}

impl HedgePass {
    /// Counts a hedge, unless the transfer has as many as it may.
    fn new(hedging: &Hedging, pass: Pass) -> Option<Self> {
        let Shared { running, most, .. } = &*hedging.0;
        let before = running.fetch_add(1, Ordering::AcqRel);
        let this = Self { hedging: hedging.clone(), pass };
        (before < most.load(Ordering::Acquire)).then_some(this)
    }

    /// Reports that the store has refused the hedge with `SlowDown`.
    pub(crate) fn throttled(&self) {
        self.pass.throttled();
        self.hedging.throttled();
    }
}

impl Drop for HedgePass {
    fn drop(&mut self) {
        self.hedging.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One attempt at one piece, which may be hedged.
#[derive(Debug)]
pub(crate) struct Attempt {
    hedging: Hedging,
    waker: Arc<AtomicWaker>,
    size_bytes: u64,
    began: Instant,
}

impl Attempt {
    /// Records that the piece has been moved, by this attempt alone.
    pub(crate) fn finished(&self) {
        self.hedging.state().finished.add(self.size_bytes, self.began.elapsed());
    }

    /// Waits until a second request is worth it, and returns a pass and a budget for it.
    /// `progress`: the bytes that the attempt has moved, and those that a second request would have
    /// to move. The budget is for the latter or, if fewer are left, for at least `least_bytes`.
    pub(crate) async fn due(
        &self,
        progress: impl Fn() -> (u64, u64) + Send,
        least_bytes: u64,
    ) -> (HedgePass, Reservation) {
        loop {
            self.tail().await;
            let mut looks = VecDeque::new();
            while self.hedging.is_tail() {
                looks.push_back((Instant::now(), progress().0));
                if looks.len() > LOOKS_MAX {
                    looks.pop_front();
                }
                // Without a budget, one is awaited: another hedge may return what it has reserved.
                if self.is_worth_another(&progress, &looks)
                    && let Some(budget) = self.reserve(progress().1, least_bytes)
                {
                    let pass = self.hedging.0.gate.enter().await;
                    if self.is_worth_another(&progress, &looks)
                        && let Some(pass) = HedgePass::new(&self.hedging, pass)
                    {
                        return (pass, budget);
                    }
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Reserves the budget of a second request that has to move `fresh_bytes`.
    fn reserve(&self, fresh_bytes: u64, least_bytes: u64) -> Option<Reservation> {
        self.hedging.0.budget.reserve(fresh_bytes, fresh_bytes.min(least_bytes))
    }

    fn is_worth_another(
        &self,
        progress: &impl Fn() -> (u64, u64),
        looks: &VecDeque<(Instant, u64)>,
    ) -> bool {
        let Some(usual) = self.hedging.usual() else { return false };
        let (moved_bytes, fresh_bytes) = progress();
        let ago = |(at, bytes): &(Instant, u64)| {
            (at.elapsed().as_secs_f64(), moved_bytes.saturating_sub(*bytes))
        };
        let last = looks.iter().rev().map(ago).find(|(ago_s, _)| *ago_s >= recent_s(usual));
        InFlight {
            elapsed: self.began.elapsed(),
            size_bytes: self.size_bytes,
            moved_bytes,
            recent: last.map(|(ago_s, bytes)| rate(bytes, ago_s)),
            fresh_bytes,
        }
        .is_worth_another(usual)
    }

    /// Waits for the tail.
    async fn tail(&self) {
        poll_fn(|context| {
            if self.hedging.is_tail() {
                return Poll::Ready(());
            }
            self.waker.register(context.waker());
            if self.hedging.is_tail() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.hedging.state().attempts.retain(|waker| !Arc::ptr_eq(waker, &self.waker));
    }
}
