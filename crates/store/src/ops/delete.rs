//! Deletes objects.

use haul_parts::{Bucket, Key};

use crate::meta::Batch;
use crate::{Deleted, DiskStore, Result, WriteCondition};

impl DiskStore {
    /// Deletes an object.
    ///
    /// # Errors
    /// [`NoSuchBucket`](crate::Error::NoSuchBucket),
    /// [`PreconditionFailed`](crate::Error::PreconditionFailed); with `If-Match`
    /// [`NoSuchKey`](crate::Error::NoSuchKey).
    pub fn delete_object(
        &self,
        bucket: &Bucket,
        key: &Key,
        condition: WriteCondition,
    ) -> Result<Deleted> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.inner.commit_removal(move |batch| {
            batch.bucket(&bucket)?;
            let current = batch.object(&bucket, &key)?;
            Batch::check_condition(&condition, current.as_ref(), &bucket, &key)?;
            delete(batch, &bucket, &key)
        })
    }

    /// Deletes several objects in one step, each under its condition; the results are in the order
    /// of the keys. An object whose condition does not hold is kept, with the error that
    /// [`DiskStore::delete_object`] would return, and the others are deleted. S3 allows 1,000 at a
    /// time.
    ///
    /// # Errors
    /// [`NoSuchBucket`](crate::Error::NoSuchBucket); then no object is deleted.
    pub fn delete_objects(
        &self,
        bucket: &Bucket,
        keys: Vec<(Key, WriteCondition)>,
    ) -> Result<Vec<Result<Deleted>>> {
        let bucket = bucket.clone();
        self.inner.commit_removal(move |batch| {
            batch.bucket(&bucket)?;
            let mut deleted = Vec::with_capacity(keys.len());
            for (key, condition) in &keys {
                let current = batch.object(&bucket, key)?;
                deleted.push(
                    match Batch::check_condition(condition, current.as_ref(), &bucket, key) {
                        Ok(()) => Ok(delete(batch, &bucket, key)?),
                        Err(refused) => Err(refused),
                    },
                );
            }
            Ok(deleted)
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
