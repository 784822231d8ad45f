//! Aborts unfinished uploads that are due: at the start, at intervals, and when a bucket gets a
//! lifecycle.

use std::sync::Arc;
use std::time::Duration;

use haul_store::{DiskStore, Result};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

/// Aborts uploads until the server stops.
pub(crate) struct Expiry {
    pub(crate) store: DiskStore,
    /// The maximum age, regardless of the bucket's lifecycle.
    pub(crate) older_than: Option<Duration>,
    pub(crate) interval: Duration,
    /// Triggers a run before the interval is over.
    pub(crate) wanted: Arc<Notify>,
}

impl Expiry {
    pub(crate) async fn run(self, mut stop: watch::Receiver<()>) {
        let mut interval = tokio::time::interval(self.interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stop.changed() => return,
                _ = interval.tick() => {}
                () = self.wanted.notified() => {}
            }
            let (store, older_than) = (self.store.clone(), self.older_than);
            match tokio::task::spawn_blocking(move || look(&store, older_than)).await {
                Ok(Ok(0)) => {}
                Ok(Ok(count)) => {
                    tracing::info!(count, "aborted unfinished uploads whose time had come");
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "cannot look for uploads whose time has come");
                }
                Err(error) => {
                    tracing::error!(%error, "looking for uploads whose time has come did not \
                        finish");
                }
            }
        }
    }
}

fn look(store: &DiskStore, older_than: Option<Duration>) -> Result<u64> {
    let by_rule = store.apply_lifecycles()?;
    let by_age = older_than.map_or(Ok(0), |age| store.expire_uploads(age))?;
    Ok(by_rule + by_age)
}
