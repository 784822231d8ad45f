//! The settings of buckets.

use haul_parts::Bucket;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::meta::record::{Reader, Writer};
use crate::{CorsConfiguration, Error, LifecycleConfiguration, Result, Store};

const LIFECYCLE: &str = "lifecycle";
const CORS: &str = "CORS";

const VERSION: u8 = 1;
/// The setting in JSON.
const JSON: u8 = 1;

impl Store {
    /// The lifecycle of a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchSetting`].
    pub fn bucket_lifecycle(&self, bucket: &Bucket) -> Result<LifecycleConfiguration> {
        self.setting(bucket, LIFECYCLE)
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
        self.setting(bucket, CORS)
    }

    /// Sets what browsers may do with a bucket; `None` removes it.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub fn set_bucket_cors(&self, bucket: &Bucket, cors: Option<CorsConfiguration>) -> Result<()> {
        self.set_setting(bucket, CORS, cors)
    }

    fn setting<T: DeserializeOwned>(&self, bucket: &Bucket, setting: &'static str) -> Result<T> {
        let snapshot = self.inner.core.snapshot()?;
        snapshot.bucket(bucket)?;
        let none = || Error::NoSuchSetting { bucket: bucket.clone(), setting };
        let record = snapshot.settings()?.get((bucket.as_str(), setting))?.ok_or_else(none)?;
        let mut reader = Reader::new("setting", VERSION, record.value())?;
        while let Some(field) = reader.next()? {
            if field.tag == JSON {
                return field.json();
            }
        }
        Err(none())
    }

    fn set_setting<T: Serialize>(
        &self,
        bucket: &Bucket,
        setting: &'static str,
        value: Option<T>,
    ) -> Result<()> {
        let record = value.map(|value| {
            let mut writer = Writer::new(VERSION);
            writer.json(JSON, &value);
            writer.finish()
        });
        let bucket = bucket.clone();
        self.inner.commit(None, move |batch| {
            batch.bucket(&bucket)?;
            batch.set_setting(&bucket, setting, record.as_deref())
        })
    }
}
