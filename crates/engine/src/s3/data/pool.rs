//! Connections to one origin, reused while they are fresh.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Timeouts;
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
}

/// The pools of all origins.
pub(super) struct Pools<C>(Mutex<HashMap<Origin, Arc<ConnectionPool<C>>>>);

/// The idle connections to one origin.
pub(super) struct ConnectionPool<C> {
    origin: Origin,
    transport: Arc<Transport>,
    timeouts: Timeouts,
    idle: Mutex<Vec<C>>,
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
            Arc::new(ConnectionPool { origin, transport, timeouts, idle: Mutex::default() })
        });
        Arc::clone(pool)
    }
}

impl<C: Pooled> ConnectionPool<C> {
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

    /// Takes a connection back for the next request, if it can still be used.
    pub(super) fn check_in(&self, mut connection: C) {
        if connection.is_reusable() {
            *connection.idle_since() = Instant::now();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }

    /// Returns the most recently used idle connection, so that the others can age and be dropped.
    fn take_idle(&self) -> Option<C> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain_mut(|connection| {
            connection.is_reusable() && connection.idle_since().elapsed() < IDLE_MAX
        });
        idle.pop()
    }
}
