//! The settings of buckets.
//!
//! Each is a record of its own, made when it is first set. Some of them a new bucket has by default
//! and can lose: of these a record without a value is kept.

use std::collections::BTreeMap;

use haul_parts::Bucket;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::meta::Batch;
use crate::meta::record::{Reader, Writer};
use crate::{
    BucketOptions, CorsConfiguration, Error, LifecycleConfiguration, ObjectOwnership,
    PublicAccessBlock, Result, Store,
};

const LIFECYCLE: &str = "lifecycle";
const CORS: &str = "CORS";
const TAGS: &str = "tags";
const OWNERSHIP: &str = "ownership controls";
const PUBLIC_ACCESS_BLOCK: &str = "public access block";

const VERSION: u8 = 1;
/// The setting in JSON; `null` for one that every new bucket has and that was taken away.
const JSON: u8 = 1;

impl Store {
    /// The lifecycle of a bucket.
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

    /// What browsers may do with a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchSetting`].
    pub fn bucket_cors(&self, bucket: &Bucket) -> Result<CorsConfiguration> {
        self.made(bucket, CORS)
    }

    /// Sets what browsers may do with a bucket; `None` removes it.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn set_bucket_cors(&self, bucket: &Bucket, cors: Option<CorsConfiguration>) -> Result<()> {
        self.set_setting(bucket, CORS, cors)
    }

    /// The tags of a bucket; never empty.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchSetting`].
    pub fn bucket_tags(&self, bucket: &Bucket) -> Result<BTreeMap<String, String>> {
        self.made(bucket, TAGS)
    }

    /// Sets the tags of a bucket; none removes them.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn set_bucket_tags(&self, bucket: &Bucket, tags: BTreeMap<String, String>) -> Result<()> {
        self.set_setting(bucket, TAGS, Some(tags).filter(|tags| !tags.is_empty()))
    }

    /// The object ownership of a bucket: the one of new buckets until it is set.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::NoSuchSetting`] once it was taken away.
    pub fn bucket_ownership(&self, bucket: &Bucket) -> Result<ObjectOwnership> {
        self.made_or_default(bucket, OWNERSHIP)
    }

    /// Sets the object ownership of a bucket; `None` takes it away.
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

    /// What a bucket refuses of public access: everything, until it is set.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::NoSuchSetting`] once it was taken away.
    pub fn bucket_public_access_block(&self, bucket: &Bucket) -> Result<PublicAccessBlock> {
        self.made_or_default(bucket, PUBLIC_ACCESS_BLOCK)
    }

    /// Sets what a bucket refuses of public access; `None` takes the setting away.
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

    /// A setting that no bucket has by itself.
    fn made<T: DeserializeOwned>(&self, bucket: &Bucket, setting: &'static str) -> Result<T> {
        let none = || Error::NoSuchSetting { bucket: bucket.clone(), setting };
        self.setting(bucket, setting)?.ok_or_else(none)
    }

    /// A setting that every new bucket has.
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

/// Keeps what a bucket was created with, as far as it is not what every bucket has.
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
