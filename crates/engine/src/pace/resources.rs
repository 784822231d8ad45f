//! The shared state of an engine's transfers.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Concurrency, Gate, RetryBudget, RetryPolicy};
use crate::body::{Bandwidth, BufferPool, DEFAULT_BUDGET_BYTES, Meter};
use crate::remote::Store;

/// The limits of an engine. Construct with `..Default::default()`.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The maximum number of requests in flight that move bytes, of all transfers together: as many
    /// as the link is worth, unless it is fixed (`8.into()`).
    pub concurrency: Concurrency,
    /// The maximum bytes held in memory, of all transfers together.
    pub memory_budget_bytes: u64,
    /// The retry policy of requests. All transfers share its budget.
    pub retry: RetryPolicy,
    /// The limit on bytes per second of all transfers together, in both directions. Keep a clone to
    /// change it while they run; give one to several engines to share it among them.
    pub bandwidth: Bandwidth,
    /// Whether the worker threads of the tokio runtime may write to the disk what they have
    /// received, as long as the disk takes a MiB in three milliseconds at most, on average, from
    /// all threads together. A download in ranges that is verified by a CRC then takes a sixth less
    /// CPU, but other tasks of the runtime wait meanwhile, and until the end of a write if the disk
    /// hangs. Default: false, blocking threads write.
    pub writes_in_place: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            concurrency: Concurrency::default(),
            memory_budget_bytes: DEFAULT_BUDGET_BYTES,
            retry: RetryPolicy::default(),
            bandwidth: Bandwidth::default(),
            writes_in_place: false,
        }
    }
}

/// A store, with the memory budget, the gate, the retry budget and the meter in front of it.
#[derive(Clone)]
pub struct Resources {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) pool: BufferPool,
    pub(crate) gate: Gate,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: RetryBudget,
    pub(crate) meter: Meter,
    pub(crate) writes_in_place: bool,
    /// The number of running transfers.
    running: watch::Sender<usize>,
}

/// Counts a transfer as running until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(watch::Sender<usize>);

impl Resources {
    pub(crate) fn new(store: Arc<dyn Store>, options: EngineOptions) -> Self {
        let pool = BufferPool::new(options.memory_budget_bytes);
        let meter = Meter::limited(options.bandwidth);
        Self {
            store,
            gate: Gate::limited(options.concurrency, meter.clone(), pool.clone()),
            pool,
            budget: RetryBudget::new(&options.retry, options.concurrency.most()),
            retry: options.retry,
            meter,
            writes_in_place: options.writes_in_place,
            running: watch::Sender::new(0),
        }
    }

    pub(crate) fn running(&self) -> Running {
        self.running.send_modify(|count| *count += 1);
        Running(self.running.clone())
    }

    /// Waits until no transfer runs.
    pub(crate) async fn idle(&self) {
        // The sender is held here, so the channel cannot close.
        let _ = self.running.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl std::fmt::Debug for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resources").field("store", &self.store.endpoint()).finish_non_exhaustive()
    }
}
