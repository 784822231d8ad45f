//! Tags of an object that is there already: the one thing of an object that changes after it was
//! published.

use std::collections::BTreeMap;

use haul_parts::{Bucket, Key};

use crate::{Error, Result, Store};

impl Store {
    /// Replaces the tags of an object. Its bytes, ETag, version and time stay as they are.
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
