//! Removes given keys of a bucket, in batches.
//!
//! A key is removed by DeleteObjects only if XML can represent it unchanged. XML 1.0 cannot contain
//! most control characters, and parsers change line breaks or trim whitespace: a store that reads
//! another key would remove another object. Such keys are removed by DeleteObject, which has the
//! key in the URL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use haul_parts::{Bucket, Key};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::pace::{FailedAttempt, RetryPolicy};
use crate::remote::{
    DELETE_KEYS_MAX, DeleteEntry, DeletedObject, ObjectRef, Store, StoreError, StoreErrorKind,
};

/// The number of DeleteObject requests in flight, if keys are removed one by one.
const SINGLES_AT_ONCE: usize = 16;

/// The result for one key.
#[derive(Debug)]
pub struct Removed {
    /// The key, as given or listed.
    pub key: String,
    /// The store's answer to the removal, or the reason why the object may still exist.
    pub result: Result<DeletedObject, StoreError>,
}

/// A client that removes objects of one store, and records whether the store supports
/// DeleteObjects.
pub struct Remover {
    store: Arc<dyn Store>,
    retry: RetryPolicy,
    lacks_delete_objects: AtomicBool,
}

impl std::fmt::Debug for Remover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remover").field("store", &self.store.endpoint()).finish_non_exhaustive()
    }
}

impl Remover {
    /// Creates a remover for `store`; `retry` applies to every request.
    pub fn new(store: Arc<dyn Store>, retry: RetryPolicy) -> Self {
        Self { store, retry, lacks_delete_objects: AtomicBool::new(false) }
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Returns the retry policy of the requests.
    pub fn retry(&self) -> &RetryPolicy {
        &self.retry
    }

    /// Removes these keys of `bucket`, in requests of at most 1,000 keys. Returns one result for
    /// each key, in no particular order.
    ///
    /// # Errors
    /// If a whole request fails: the bucket is missing, or the store refuses the caller. Keys of
    /// earlier requests may have been removed by then.
    pub async fn remove(
        &self,
        bucket: &Bucket,
        keys: Vec<Key>,
    ) -> Result<Vec<Removed>, StoreError> {
        let mut done = Vec::with_capacity(keys.len());
        let (mut together, mut singly): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| survives_xml(key.as_str()));
        if together.len() == 1 || self.lacks_delete_objects.load(Ordering::Relaxed) {
            singly.append(&mut together);
        }
        for batch in together.chunks(DELETE_KEYS_MAX) {
            match self.batch(bucket, batch).await {
                Ok(results) => done.extend(results),
                Err(error) if is_unknown_operation(&error) => {
                    self.lacks_delete_objects.store(true, Ordering::Relaxed);
                    singly.extend_from_slice(batch);
                }
                Err(error) => return Err(error),
            }
        }
        let singles = stream::iter(singly)
            .map(|key| self.single(bucket, key))
            .buffer_unordered(SINGLES_AT_ONCE);
        done.extend(singles.collect::<Vec<_>>().await);
        Ok(done)
    }

    /// Sends one request, and further requests for those keys that the store asks the client to
    /// repeat.
    async fn batch(&self, bucket: &Bucket, keys: &[Key]) -> Result<Vec<Removed>, StoreError> {
        let mut done = Vec::with_capacity(keys.len());
        let mut left: Vec<DeleteEntry> = keys.iter().cloned().map(DeleteEntry::current).collect();
        let mut random = StdRng::from_os_rng();
        for attempt in 1.. {
            let results = self.retry.run(|| self.store.delete_objects(bucket, &left)).await?;
            let mut again = Vec::new();
            let mut wait = Duration::ZERO;
            for (entry, result) in left.into_iter().zip(results) {
                let pause = match &result {
                    Ok(_) => None,
                    Err(error) => {
                        self.retry.wait(attempt, &FailedAttempt::from(error), &mut random)
                    }
                };
                match pause {
                    Some(pause) => {
                        wait = wait.max(pause);
                        again.push(entry);
                    }
                    None => done.push(Removed { key: entry.key.into(), result }),
                }
            }
            if again.is_empty() {
                break;
            }
            tokio::time::sleep(wait).await;
            left = again;
        }
        Ok(done)
    }

    async fn single(&self, bucket: &Bucket, key: Key) -> Removed {
        let object = ObjectRef { bucket: bucket.clone(), key };
        let result = self.retry.run(|| self.store.delete_object(&object)).await;
        Removed { key: object.key.into(), result: result.map(|()| DeletedObject::default()) }
    }
}

/// Returns whether the store does not support DeleteObjects: 501, or the 405 of a gateway that does
/// not know the request.
fn is_unknown_operation(error: &StoreError) -> bool {
    error.kind == StoreErrorKind::NotImplemented || error.status == Some(405)
}

/// Returns whether every XML writer and parser keeps this text unchanged.
fn survives_xml(key: &str) -> bool {
    let is_harmed = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    key.trim() == key && !key.contains(is_harmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_xml_may_change_do_not_survive_it() {
        for key in ["a", "a b", "ü/日本語", "<&>'\"", "a//b", "\u{10ffff}"] {
            assert!(survives_xml(key), "{key:?}");
        }
        for key in
            [" a", "a ", "a\nb", "a\rb", "\u{1}", "a\u{85}b", "a\u{fffe}", "a\u{2028}b", "\u{a0}a"]
        {
            assert!(!survives_xml(key), "{key:?}");
        }
    }
}
