//! Shares request slots among key pairs.
//!
//! When all connections are in use, further ones wait in the listen queue, and their key pairs are
//! unknown. A key pair that already has [`SHARE_PERCENT`] of the slots then gets no further slot:
//! its request is answered `503 SlowDown` and the connection is closed, so that the next one is
//! accepted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::auth::requester::AccessKeyId;

/// The percentage of all slots that one key pair may hold while others wait.
const SHARE_PERCENT: usize = 75;

/// Connections and the key pairs whose requests they serve; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct RequestSlots {
    connections: Arc<Semaphore>,
    share: usize,
    taken: Arc<Mutex<HashMap<AccessKeyId, usize>>>,
}

/// The slot of one request, released on drop.
#[derive(Debug)]
pub(crate) struct RequestSlot {
    slots: RequestSlots,
    access_key_id: AccessKeyId,
}

impl RequestSlots {
    /// Creates slots for `connections` connections.
    pub(crate) fn new(connections: usize) -> Self {
        let share = (connections * SHARE_PERCENT / 100).max(1);
        Self { connections: Arc::new(Semaphore::new(connections)), share, taken: Arc::default() }
    }

    /// Returns the semaphore with a permit for each connection.
    pub(crate) fn connections(&self) -> &Arc<Semaphore> {
        &self.connections
    }

    /// Returns whether the next connection must wait for another one to end.
    pub(crate) fn are_all_taken(&self) -> bool {
        self.connections.available_permits() == 0
    }

    /// Takes a slot, unless all connections are in use and the key pair already has its share.
    pub(crate) fn take(&self, access_key_id: &AccessKeyId) -> Option<RequestSlot> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(Arc::clone(access_key_id)).or_default();
        if *count >= self.share && self.are_all_taken() {
            return None;
        }
        *count += 1;
        Some(RequestSlot { slots: self.clone(), access_key_id: Arc::clone(access_key_id) })
    }
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.access_key_id) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.access_key_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_pair_gets_its_share_of_places_while_others_wait() {
        let slots = RequestSlots::new(8);
        let (one, other) = ("one".into(), "other".into());
        let all: Vec<RequestSlot> = (0..8).map_while(|_| slots.take(&one)).collect();
        assert_eq!(all.len(), 8, "no request waits");
        let _connections = Arc::clone(slots.connections()).try_acquire_many_owned(8).unwrap();
        assert!(slots.take(&one).is_none());
        assert!(slots.take(&other).is_some());
        drop(all);
        let some: Vec<RequestSlot> = (0..8).map_while(|_| slots.take(&one)).collect();
        assert_eq!(some.len(), 6);
        drop(some);
        assert!(slots.taken.lock().unwrap().is_empty());
    }
}
