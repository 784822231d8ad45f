//! Connections to one origin, reused while they are fresh.

use std::sync::{Arc, Mutex, PoisonError};

use super::Timeouts;
use super::connection::Connection;
use crate::remote::{Operation, StoreError};
use crate::s3::transport::{IDLE_MAX, Origin, Transport};

/// The pool that a connection came from.
pub(super) type ReturnTo = Arc<ConnectionPool>;

pub(super) struct ConnectionPool {
    origin: Origin,
    transport: Arc<Transport>,
    timeouts: Timeouts,
    idle: Mutex<Vec<Connection>>,
}

impl ConnectionPool {
    pub(super) fn new(origin: Origin, transport: Arc<Transport>, timeouts: Timeouts) -> Self {
        Self { origin, transport, timeouts, idle: Mutex::default() }
    }

    /// Returns an idle connection, or a new one; always a new one if `fresh` is true.
    pub(super) async fn checkout(
        &self,
        operation: Operation,
        fresh: bool,
    ) -> Result<Connection, StoreError> {
        while !fresh && let Some(mut idle) = self.take_idle() {
            // LocalStack closes connections without notice; this check detects that before anything
            // is sent.
            if idle.is_ready().await {
                return Ok(idle);
            }
        }
        let opened = Connection::open(&self.transport, &self.origin, self.timeouts.connect).await;
        opened.map_err(|error| error.to_store_error(operation))
    }

    /// Takes a connection back for the next request, if it can still be used.
    pub(super) fn check_in(&self, mut connection: Connection) {
        if connection.is_reusable() {
            connection.rest();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }

    /// Returns the most recently used idle connection, so that the others can age and be dropped.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| connection.is_reusable() && connection.idle_for() < IDLE_MAX);
        idle.pop()
    }
}
