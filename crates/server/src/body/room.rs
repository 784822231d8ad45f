//! Room in memory for what has to be held whole: signed chunks until their signature is checked, documents until they are
//! answered. Bodies that pass in blocks have permits of their own, for each block.
//!
//! Whoever takes room here holds no permit for a block: so those with a block never wait for room, and nobody waits for
//! somebody who waits for them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted at once.
const UNIT_BYTES: usize = 4096;

/// So many bytes; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    units: Arc<Semaphore>,
    total: u32,
}

/// Some of it, given back when dropped.
#[derive(Debug)]
pub(crate) struct Taken(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Room {
    /// Room for `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let total = units(bytes);
        Self { units: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits for room, in the order of coming. More than there is counts as all of it.
    pub(crate) async fn take(self, bytes: usize) -> Taken {
        let wanted = units(bytes).min(self.total);
        let permit = self.units.acquire_many_owned(wanted).await;
        Taken(permit.expect("the semaphore is never closed"))
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES).max(1)).unwrap_or(u32::MAX)
}
