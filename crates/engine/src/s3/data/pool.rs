//! Connections to one origin: reused while they are fresh, spread over all its addresses.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;

use super::address::Origin;
use super::connection::Connection;
use super::{Timeouts, broken};
use crate::store::{Operation, StoreError};

/// AWS closes idle connections after about five seconds; older ones are not trusted (trap 28).
pub(in crate::s3) const IDLE_MAX: Duration = Duration::from_secs(4);

pub(super) struct ConnectionPool {
    origin: Origin,
    tls: Arc<ClientConfig>,
    timeouts: Timeouts,
    idle: Mutex<Vec<Connection>>,
    /// Counts connections, to go around the addresses (trap 31).
    made: AtomicUsize,
}

impl ConnectionPool {
    pub(super) fn new(origin: Origin, tls: Arc<ClientConfig>, timeouts: Timeouts) -> Self {
        Self { origin, tls, timeouts, idle: Mutex::default(), made: AtomicUsize::new(0) }
    }

    /// An idle connection, or a new one. `fresh`: a new one in any case.
    pub(super) async fn checkout(&self, operation: Operation, fresh: bool) -> Result<Connection, StoreError> {
        while !fresh && let Some(mut idle) = self.take_idle() {
            // LocalStack closes connections without saying so: that is seen before anything is sent.
            if idle.is_ready().await {
                return Ok(idle);
            }
        }
        match tokio::time::timeout(self.timeouts.connect, self.connect(operation)).await {
            Ok(connected) => connected,
            Err(_) => Err(broken(
                operation,
                format!("no connection to {} within {:?}", self.origin.authority, self.timeouts.connect),
            )),
        }
    }

    /// Takes a connection back for the next request, if it is still good.
    pub(super) fn check_in(&self, connection: Connection) {
        if connection.is_reusable() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }

    /// The one that was used last: the others may grow old and be dropped.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| connection.is_reusable() && connection.idle_for() < IDLE_MAX);
        idle.pop()
    }

    async fn connect(&self, operation: Operation) -> Result<Connection, StoreError> {
        let unreachable = |error: std::io::Error| {
            broken(operation, format!("cannot connect to {}: {error}", self.origin.authority))
                .with_source(error)
        };
        let host = (self.origin.host.as_str(), self.origin.port);
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host(host).await.map_err(unreachable)?.collect();
        let first = self.made.fetch_add(1, Ordering::Relaxed);
        let mut last_error = std::io::Error::other("the name has no address");
        for turn in 0..addresses.len() {
            let address = addresses[(first + turn) % addresses.len()];
            match Connection::open(&self.origin, address, &self.tls, self.timeouts).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last_error = error,
            }
        }
        Err(unreachable(last_error))
    }
}
