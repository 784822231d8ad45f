//! Reads and changes the settings of buckets.
//!
//! Each setting is a separate record, created when the setting is first set. A new bucket has
//! defaults for some settings; removing one of these stores a record without a value.

use std::collections::BTreeMap;

use haul_parts::Bucket;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::meta::Batch;
use crate::meta::record::{Reader, Writer};
use crate::{
    BucketOptions, CorsConfiguration, DiskStore, Error, LifecycleConfiguration, ObjectOwnership,
    PublicAccessBlock, Result,
};

const LIFECYCLE: &str = "lifecycle";
const CORS: &str = "CORS";
const TAGS: &str = "tags";
const OWNERSHIP: &str = "ownership controls";
const PUBLIC_ACCESS_BLOCK: &str = "public access block";

const VERSION: u8 = 1;
/// The setting in JSON; `null` for a default setting that was removed.
const JSON: u8 = 1;

impl DiskStore {
    /// Returns the lifecycle of a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchSetting`].
    pub fn bucket_lifecycle(&self, bucket: &Bucket) -> Result<LifecycleConfiguration> {
        self.made(bucket, LIFECYCLE)
    }

    /// Sets the lifecycle of a bucket; `None` removes it.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn set_bucket_lifecycle(
        &self,
        bucket: &Bucket,
        lifecycle: Option<LifecycleConfiguration>,
    ) -> Result<()> {
        self.set_setting(bucket, LIFECYCLE, lifecycle)
    }

    /// Returns the CORS rules of a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchSetting`].
    pub fn bucket_cors(&self, bucket: &Bucket) -> Result<CorsConfiguration> {
        self.made(bucket, CORS)
    }

    /// Sets the CORS rules of a bucket; `None` removes them.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn set_bucket_cors(&self, bucket: &Bucket, cors: Option<CorsConfiguration>) -> Result<()> {
        self.set_setting(bucket, CORS, cors)
    }

    /// Returns the tags of a bucket; never empty.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchSetting`].
    pub fn bucket_tags(&self, bucket: &Bucket) -> Result<BTreeMap<String, String>> {
        self.made(bucket, TAGS)
    }

    /// Sets the tags of a bucket; an empty map removes them.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn set_bucket_tags(&self, bucket: &Bucket, tags: BTreeMap<String, String>) -> Result<()> {
        self.set_setting(bucket, TAGS, Some(tags).filter(|tags| !tags.is_empty()))
    }

    /// Returns the object ownership of a bucket: the default until it is set.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::NoSuchSetting`] after it was removed.
    pub fn bucket_ownership(&self, bucket: &Bucket) -> Result<ObjectOwnership> {
        self.made_or_default(bucket, OWNERSHIP)
    }

    /// Sets the object ownership of a bucket; `None` removes it.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn set_bucket_ownership(
        &self,
        bucket: &Bucket,
        ownership: Option<ObjectOwnership>,
    ) -> Result<()> {
        self.set_setting(bucket, OWNERSHIP, Some(ownership))
    }

    /// Returns the public access block of a bucket: everything is blocked until it is set.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::NoSuchSetting`] after it was removed.
    pub fn bucket_public_access_block(&self, bucket: &Bucket) -> Result<PublicAccessBlock> {
        self.made_or_default(bucket, PUBLIC_ACCESS_BLOCK)
    }

    /// Sets the public access block of a bucket; `None` removes it.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn set_bucket_public_access_block(
        &self,
        bucket: &Bucket,
        block: Option<PublicAccessBlock>,
    ) -> Result<()> {
        self.set_setting(bucket, PUBLIC_ACCESS_BLOCK, Some(block))
    }

    /// Reads a setting without a default.
    fn made<T: DeserializeOwned>(&self, bucket: &Bucket, setting: &'static str) -> Result<T> {
        let none = || Error::NoSuchSetting { bucket: bucket.clone(), setting };
        self.setting(bucket, setting)?.ok_or_else(none)
    }

    /// Reads a setting that every new bucket has.
    fn made_or_default<T: Default + DeserializeOwned>(
        &self,
        bucket: &Bucket,
        setting: &'static str,
    ) -> Result<T> {
        let taken_away = || Error::NoSuchSetting { bucket: bucket.clone(), setting };
        match self.setting::<Option<T>>(bucket, setting)? {
            None => Ok(T::default()),
            Some(kept) => kept.ok_or_else(taken_away),
        }
    }

    fn setting<T: DeserializeOwned>(
        &self,
        bucket: &Bucket,
        setting: &'static str,
    ) -> Result<Option<T>> {
        let snapshot = self.inner.core.snapshot()?;
        snapshot.bucket(bucket)?;
        let Some(record) = snapshot.settings()?.get((bucket.as_str(), setting))? else {
            return Ok(None);
        };
        let mut reader = Reader::new("setting", VERSION, record.value())?;
        while let Some(field) = reader.next()? {
            if field.tag == JSON {
                return field.json().map(Some);
            }
        }
        Ok(None)
    }

    fn set_setting<T: Serialize>(
        &self,
        bucket: &Bucket,
        setting: &'static str,
        value: Option<T>,
    ) -> Result<()> {
        let record = value.map(|value| encode(&value));
        let bucket = bucket.clone();
        self.inner.commit(None, move |batch| {
            batch.bucket(&bucket)?;
            batch.set_setting(&bucket, setting, record.as_deref())
        })
    }
}

/// Stores the options of a new bucket that differ from the defaults.
pub(super) fn set_at_creation(
    batch: &mut Batch<'_>,
    bucket: &Bucket,
    options: &BucketOptions,
) -> Result<()> {
    if options.ownership != ObjectOwnership::default() {
        batch.set_setting(bucket, OWNERSHIP, Some(&encode(&Some(options.ownership))))?;
    }
    if !options.tags.is_empty() {
        batch.set_setting(bucket, TAGS, Some(&encode(&options.tags)))?;
    }
    Ok(())
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut writer = Writer::new(VERSION);
    writer.json(JSON, value);
    writer.finish()
}
