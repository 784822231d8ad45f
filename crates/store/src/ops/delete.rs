//! Deleting objects.

use haul_parts::{Bucket, Key};

use crate::meta::Batch;
use crate::{Deleted, Result, Store, WriteCondition};

impl Store {
    /// Deletes an object.
    ///
    /// # Errors
    /// [`NoSuchBucket`](crate::Error::NoSuchBucket), [`PreconditionFailed`](crate::Error::PreconditionFailed); with
    /// `If-Match` [`NoSuchKey`](crate::Error::NoSuchKey).
    pub fn delete_object(&self, bucket: &Bucket, key: &Key, condition: WriteCondition) -> Result<Deleted> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.inner.commit_removal(move |batch| {
            batch.bucket(&bucket)?;
            let current = batch.object(&bucket, &key)?;
            Batch::check_condition(&condition, current.as_ref(), &bucket, &key)?;
            delete(batch, &bucket, &key)
        })
    }

    /// Deletes several objects in one step, all or none; answers in the order of the keys. S3 allows 1,000 at a time.
    ///
    /// # Errors
    /// [`NoSuchBucket`](crate::Error::NoSuchBucket).
    pub fn delete_objects(&self, bucket: &Bucket, keys: Vec<Key>) -> Result<Vec<Deleted>> {
        let bucket = bucket.clone();
        self.inner.commit_removal(move |batch| {
            batch.bucket(&bucket)?;
            keys.iter().map(|key| delete(batch, &bucket, key)).collect()
        })
    }
}

fn delete(batch: &mut Batch<'_>, bucket: &Bucket, key: &Key) -> Result<Deleted> {
    match batch.object(bucket, key)? {
        None => Ok(Deleted::WasAbsent),
        Some(record) => {
            batch.remove_object(bucket, key, &record)?;
            Ok(Deleted::Removed)
        }
    }
}
