//! Changes the tags of an existing object, the only attribute that can change after publishing.

use std::collections::BTreeMap;

use haul_parts::{Bucket, Key};

use crate::{DiskStore, Error, Result};

impl DiskStore {
    /// Replaces the tags of an object. Its bytes, ETag, version and time stay the same.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchKey`].
    pub fn set_object_tags(
        &self,
        bucket: &Bucket,
        key: &Key,
        tags: BTreeMap<String, String>,
    ) -> Result<()> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.inner.commit(None, move |batch| {
            batch.bucket(&bucket)?;
            let Some(mut record) = batch.object(&bucket, &key)? else {
                return Err(Error::NoSuchKey { bucket, key });
            };
            record.attributes.tags = tags;
            batch.rewrite(&bucket, &key, &record)
        })
    }
}
