//! The speed of one connection, measured request by request.
//!
//! Two times are measured: how long the request lasted, and how long this side waited for the peer
//! in it. The second one leaves out the time for which the source or the bandwidth limit held bytes
//! back, or the reader did other work: only the peer and the way to it can make it long.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The number of the next connection of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// One end of a connection, as far as its speed is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// The number of the connection, unique in this process.
    pub(super) connection: u64,
    /// The address of the store, or of the proxy in front of it.
    pub(super) address: SocketAddr,
    pub(super) opened: Instant,
}

/// One request that succeeded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// The bytes of the body, sent or received.
    pub(super) bytes: u64,
    /// The part of `lasted` for which this side waited for the peer.
    pub(super) waited: Duration,
    /// The time from the beginning of the request to the end of its answer.
    pub(super) lasted: Duration,
}

/// What a connection keeps of its speed: its peer, and the request that is running.
#[derive(Debug)]
pub(super) struct Speed {
    peer: Peer,
    began: Instant,
    sample: Option<Sample>,
}

impl Speed {
    /// Creates the record of a new connection.
    pub(super) fn of(address: SocketAddr) -> Self {
        let opened = Instant::now();
        let connection = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { peer: Peer { connection, address, opened }, began: opened, sample: None }
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    /// Starts to measure a request.
    pub(super) fn begin(&mut self) {
        (self.began, self.sample) = (Instant::now(), None);
    }

    /// Returns the time since the request began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends a request that succeeded. `own`: the time for which this side kept the peer waiting.
    pub(super) fn sent(&mut self, bytes: u64, own: Duration) {
        let lasted = self.elapsed();
        self.sample = Some(Sample { bytes, waited: lasted.saturating_sub(own), lasted });
    }

    /// Ends a request whose answer has been read. `waited`: the time for which this side waited for
    /// the peer.
    pub(super) fn received(&mut self, bytes: u64, waited: Duration) {
        self.sample = Some(Sample { bytes, waited, lasted: self.elapsed() });
    }

    /// Takes the sample of the last request; `None` if it did not succeed.
    pub(super) fn take(&mut self) -> Option<Sample> {
        self.sample.take()
    }
}
