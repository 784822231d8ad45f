//! Connections to one origin, reused while they are fresh and not much slower than others
//! ([`super::judge`]).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Timeouts;
use super::judge::{Judge, Reason, Verdict};
use super::speed::Speed;
use crate::remote::{Operation, StoreError};
use crate::s3::transport::{ConnectError, IDLE_MAX, Origin, Transport};

/// A connection that a pool keeps.
pub(super) trait Pooled: Sized + Send {
    /// Opens a new connection.
    fn open(
        transport: &Transport,
        origin: &Origin,
        limit: Duration,
    ) -> impl Future<Output = Result<Self, ConnectError>> + Send;

    /// Returns whether the connection can carry another request, without looking at the network.
    fn is_reusable(&self) -> bool;

    /// Returns whether the peer still keeps the connection open, as far as this side knows.
    fn is_ready(&mut self) -> impl Future<Output = bool> + Send;

    /// The time since when the connection is idle.
    fn idle_since(&mut self) -> &mut Instant;

    /// The speed of its requests.
    fn speed(&mut self) -> &mut Speed;
}

/// The pools of all origins.
pub(super) struct Pools<C>(Mutex<HashMap<Origin, Arc<ConnectionPool<C>>>>);

/// The idle connections to one origin.
pub(super) struct ConnectionPool<C> {
    origin: Origin,
    transport: Arc<Transport>,
    timeouts: Timeouts,
    state: Mutex<PoolState<C>>,
}

struct PoolState<C> {
    idle: Vec<C>,
    judge: Judge,
}

impl<C: Pooled> Pools<C> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Returns the pool of an origin.
    pub(super) fn of(
        &self,
        origin: &Origin,
        transport: &Arc<Transport>,
        timeouts: Timeouts,
    ) -> Arc<ConnectionPool<C>> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pools.entry(origin.clone()).or_insert_with(|| {
            let (origin, transport) = (origin.clone(), Arc::clone(transport));
            Arc::new(ConnectionPool::new(origin, transport, timeouts))
        });
        Arc::clone(pool)
    }
}

impl<C: Pooled> ConnectionPool<C> {
    pub(super) fn new(origin: Origin, transport: Arc<Transport>, timeouts: Timeouts) -> Self {
        let state = PoolState { idle: vec![], judge: Judge::default() };
        Self { origin, transport, timeouts, state: Mutex::new(state) }
    }

    /// Returns an idle connection, or a new one; always a new one if `fresh` is true.
    pub(super) async fn checkout(
        &self,
        operation: Operation,
        fresh: bool,
    ) -> Result<C, StoreError> {
        while !fresh && let Some(mut idle) = self.take_idle() {
            // LocalStack closes connections without notice; this check detects that before anything
            // is sent.
            if idle.is_ready().await {
                return Ok(idle);
            }
        }
        let opened = C::open(&self.transport, &self.origin, self.timeouts.connect).await;
        opened.map_err(|error| error.to_store_error(operation))
    }

    /// Takes a connection back for the next request, if it can still be used and is not much slower
    /// than others.
    pub(super) fn check_in(&self, mut connection: C) {
        let now = Instant::now();
        let peer = connection.speed().peer();
        let sample = connection.speed().take();
        let mut state = self.state();
        let verdict = sample.map_or(Verdict::Keep, |sample| state.judge.judge(peer, sample, now));
        let closed = match verdict {
            Verdict::Keep => {
                if connection.is_reusable() {
                    *connection.idle_since() = now;
                    state.idle.push(connection);
                }
                return;
            }
            Verdict::Retire(_) => vec![connection],
            Verdict::Avoid(_) => {
                let mut others = std::mem::take(&mut state.idle);
                let of_address = |other: &mut C| other.speed().peer().address == peer.address;
                let mut closed: Vec<_> = others.extract_if(.., of_address).collect();
                state.idle = others;
                closed.push(connection);
                closed
            }
        };
        drop(state);
        drop(closed);
        match verdict {
            Verdict::Keep => {}
            Verdict::Retire(reason) => tracing::debug!(
                target: "haul::decision",
                "a slow connection to {} is not used again: {reason}", peer.address
            ),
            Verdict::Avoid(reason) => {
                self.transport.avoid(peer.address);
                tracing::debug!(
                    target: "haul::decision",
                    "the slow address {} is tried last for a while: {reason}", peer.address
                );
            }
        }
    }

    /// Returns the most recently used idle connection, so that the others can age and be dropped.
    fn take_idle(&self) -> Option<C> {
        let mut state = self.state();
        state.idle.retain_mut(|connection| {
            connection.is_reusable() && connection.idle_since().elapsed() < IDLE_MAX
        });
        state.idle.pop()
    }

    fn state(&self) -> MutexGuard<'_, PoolState<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { own, others, in_bytes } = self;
        if *in_bytes {
            write!(f, "{:.1} MB/s, others {:.1} MB/s", own / 1e6, others / 1e6)
        } else {
            write!(f, "{own:.1} requests/s, others {others:.1}")
        }
    }
}

#[cfg(test)]
mod tests;
