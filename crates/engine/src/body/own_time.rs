//! Measures the time for which a body keeps its connection waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The time for which one body waited for its source or for the bandwidth. It is not the time of
/// the peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnTime(Arc<AtomicU64>);

impl OwnTime {
    /// Returns the time so far.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn add(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// The clock of one body: it reads the time only around a wait, never for a slice that is ready.
#[derive(Debug)]
pub(super) struct WaitClock {
    time: OwnTime,
    since: Option<Instant>,
}

impl WaitClock {
    pub(super) fn new(time: OwnTime) -> Self {
        Self { time, since: None }
    }

    /// Records that the body has nothing to send yet.
    pub(super) fn waits(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Records that the body has something to send.
    pub(super) fn is_ready(&mut self) {
        if let Some(since) = self.since.take() {
            self.time.add(since.elapsed());
        }
    }
}
