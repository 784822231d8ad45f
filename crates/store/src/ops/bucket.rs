//! Creating, finding, listing and deleting buckets.

use haul_parts::{Bucket, Key};
use redb::ReadableTable;

use super::settings::set_at_creation;
use crate::clock::time;
use crate::meta::{Batch, BucketRecord, upload_id_text};
use crate::{BucketInfo, BucketOptions, DiskStore, Error, Result, UploadRef};

/// The maximum number of uploads that one transaction removes with a bucket.
const UPLOADS_PER_STEP: usize = 100;

impl DiskStore {
    /// Creates a bucket with the default settings.
    ///
    /// # Errors
    /// [`Error::BucketAlreadyExists`].
    pub fn create_bucket(&self, bucket: &Bucket) -> Result<BucketInfo> {
        self.create_bucket_with(bucket, BucketOptions::default())
    }

    /// Creates a bucket with these options.
    ///
    /// # Errors
    /// [`Error::BucketAlreadyExists`]; the settings of the existing bucket stay.
    pub fn create_bucket_with(
        &self,
        bucket: &Bucket,
        options: BucketOptions,
    ) -> Result<BucketInfo> {
        let bucket = bucket.clone();
        self.inner.commit(None, move |batch| match batch.bucket(&bucket) {
            Ok(_) => Err(Error::BucketAlreadyExists { bucket }),
            Err(Error::NoSuchBucket { .. }) => {
                let record = BucketRecord { created_ms: batch.now_ms };
                batch.put_bucket(&bucket, &record)?;
                set_at_creation(batch, &bucket, &options)?;
                Ok(BucketInfo { name: bucket, created: time(record.created_ms) })
            }
            Err(error) => Err(error),
        })
    }

    /// Returns the description of a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn head_bucket(&self, bucket: &Bucket) -> Result<BucketInfo> {
        let record = self.inner.core.snapshot()?.bucket(bucket)?;
        Ok(BucketInfo { name: bucket.clone(), created: time(record.created_ms) })
    }

    /// Deletes a bucket without objects, together with its open uploads.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::BucketNotEmpty`].
    pub fn delete_bucket(&self, bucket: &Bucket) -> Result<()> {
        // Work in steps, so that a bucket with thousands of uploads does not block other
        // operations. Each step checks again: if an object appeared in between, the bucket is kept
        // (but earlier uploads are gone).
        loop {
            let bucket = bucket.clone();
            match self.inner.commit_removal(move |batch| delete_step(batch, &bucket))? {
                DeleteStep::Deleted => return Ok(()),
                DeleteStep::MoreUploads => {}
            }
        }
    }

    /// Lists all buckets by name.
    ///
    /// # Errors
    /// The disk's error.
    pub fn list_buckets(&self) -> Result<Vec<BucketInfo>> {
        let buckets = self.inner.core.snapshot()?.buckets()?;
        let mut list = Vec::new();
        for row in buckets.iter()? {
            let (name, record) = row?;
            let name = Bucket::new(name.value()).map_err(|error| Error::Damaged {
                what: format!("the name of a bucket: {error}"),
            })?;
            let record = BucketRecord::decode(record.value())?;
            list.push(BucketInfo { name, created: time(record.created_ms) });
        }
        Ok(list)
    }
}

enum DeleteStep {
    Deleted,
    MoreUploads,
}

fn delete_step(batch: &mut Batch<'_>, bucket: &Bucket) -> Result<DeleteStep> {
    batch.bucket(bucket)?;
    if batch.has_objects(bucket)? {
        return Err(Error::BucketNotEmpty { bucket: bucket.clone() });
    }
    let uploads = batch.some_uploads(bucket, UPLOADS_PER_STEP)?;
    if uploads.is_empty() {
        batch.remove_bucket(bucket)?;
        return Ok(DeleteStep::Deleted);
    }
    for (key, sequence, record) in uploads {
        let key =
            Key::new(key).map_err(|error| Error::Damaged { what: format!("a key: {error}") })?;
        let upload_id = upload_id_text(record.upload_id);
        batch.abort_upload(&UploadRef::new(bucket.clone(), key, upload_id), sequence)?;
    }
    Ok(DeleteStep::MoreUploads)
}
