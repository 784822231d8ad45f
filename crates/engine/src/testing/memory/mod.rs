//! A store in memory that fails on demand: for tests of the engine and of programs that embed it.
//!
//! It is a small real store, not a mock: it keeps buckets, uploads and objects, answers as AWS
//! documents (or as another store is known to, see [`Quirks`]), computes every checksum from the
//! bytes that arrived, and passes the suite in [`crate::testing::conformance`]. [`Faults`] occur
//! between the client and the store, by script or from a seed. The clock is tokio's, so that a
//! paused clock works.
//!
//! ```text
//! quirks.rs    the differences between this store and AWS
//! faults.rs    the faults, and when they occur
//! world.rs     the buckets, and the code that all operations share
//! uploads.rs   the multipart operations; complete.rs has the largest of them
//! objects.rs   the object operations; listing.rs has the listings, copies.rs the copies
//! ledger.rs    the record of requests and arrived bytes, for tests
//! link.rs      the connection between client and store, where faults occur
//! store.rs     the trait
//! ```

mod complete;
mod copies;
mod description;
mod faults;
mod ledger;
mod link;
mod listing;
mod objects;
mod quirks;
mod store;
#[cfg(test)]
mod tests;
mod uploads;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use haul_parts::{Bucket, Checksum, Key, UploadId};

use crate::remote::{ObjectRef, Operation, UploadRef};

pub use faults::{Fault, Faults, Refusal, Weather};
pub use ledger::{Call, Fate};
pub use quirks::{EtagKind, GoneUpload, Quirks, RepeatedComplete};

use ledger::Ledger;
use world::World;

/// A store in memory. Clones are handles to the same store.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    ledger: Mutex<Ledger>,
    faults: Mutex<Faults>,
    /// The answer to [`crate::remote::Store::round_trip`].
    round_trip: Mutex<Option<Duration>>,
}

impl MemoryStore {
    /// Creates an empty store with these quirks, on a perfect link.
    pub fn new(quirks: Quirks) -> Self {
        Self {
            shared: Arc::new(Shared {
                world: Mutex::new(World::new(quirks)),
                ledger: Mutex::default(),
                faults: Mutex::new(Faults::none()),
                round_trip: Mutex::default(),
            }),
        }
    }

    /// Adds a bucket to the store.
    ///
    /// # Panics
    /// Never: a store takes any bucket name that a [`Bucket`] holds.
    #[must_use]
    pub fn with_bucket(self, bucket: &Bucket) -> Self {
        self.world().add_bucket(bucket);
        self
    }

    /// Adds these faults to the link.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        self.set_faults(faults);
        self
    }

    /// Sets the round trip that clients measure.
    pub fn set_round_trip(&self, round_trip: Duration) {
        *lock(&self.shared.round_trip) = Some(round_trip);
    }

    /// Replaces the faults from the next request on. Calls are counted from here.
    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.shared.faults) = faults;
    }

    /// Returns the bytes of an object, if it exists.
    pub fn object(&self, object: &ObjectRef) -> Option<Bytes> {
        self.world().object_bytes(object)
    }

    /// Returns the CRC64NVME of every version that a key ever had, oldest first, up to a limit.
    /// Versions that were visible only briefly count (P1).
    pub fn published(&self, object: &ObjectRef) -> Vec<Checksum> {
        let world = self.world();
        world
            .published
            .iter()
            .filter(|(at, _)| at == object)
            .map(|(_, checksum)| *checksum)
            .collect()
    }

    /// Returns every unfinished upload, sorted by bucket, key and time of initiation.
    pub fn open_uploads(&self) -> Vec<UploadRef> {
        self.world().open_uploads()
    }

    /// Refuses every deletion of this key with AccessDenied, as a policy may.
    pub fn forbid_deletion(&self, key: Key) {
        self.world().undeletable.insert(key);
    }

    /// Removes an unfinished upload as a lifecycle rule does. Returns false if there is none with
    /// this id.
    pub fn expire_upload(&self, upload_id: &UploadId) -> bool {
        self.world().expire_upload(upload_id)
    }

    /// Returns the number of requests of an operation, whatever their outcome.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.ledger().calls_of(operation)
    }

    /// Returns the body bytes that arrived, including those of failed attempts.
    pub fn bytes_received(&self) -> u64 {
        self.ledger().bytes_received
    }

    /// Returns the body bytes of parts that had been stored intact and acknowledged before: P2
    /// forbids them.
    pub fn bytes_received_again(&self) -> u64 {
        self.ledger().bytes_received_again
    }

    /// Returns the maximum number of concurrent requests with a part.
    pub fn parts_in_flight_most(&self) -> u32 {
        self.ledger().parts_in_flight_most
    }

    /// Returns the requests and their outcomes, in the order of their ends, up to a limit.
    pub fn history(&self) -> Vec<Call> {
        self.ledger().history.iter().cloned().collect()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.shared.world)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.shared.ledger)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Quirks::AWS)
    }
}

/// A panic of another holder leaves no inconsistent state: every change is a single assignment or
/// insert.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
