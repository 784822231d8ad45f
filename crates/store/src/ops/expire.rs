//! Aborts unfinished uploads that are too old, by one age for all or by the lifecycle of their
//! bucket.

use std::collections::HashMap;
use std::time::Duration;

use haul_parts::{Bucket, Key};
use redb::ReadableTable;

use crate::clock::time;
use crate::meta::{UploadRecord, damaged, upload_id_text};
use crate::{DiskStore, Error, LifecycleConfiguration, Result, UploadRef};

/// The maximum number of uploads per transaction.
const UPLOADS_PER_STEP: usize = 100;

impl DiskStore {
    /// Aborts all uploads older than this, counted from Create, and returns their number.
    ///
    /// # Errors
    /// The disk's error.
    pub fn expire_uploads(&self, older_than: Duration) -> Result<u64> {
        let older_than_ms = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
        let cutoff_ms = self.inner.core.options.clock.now_ms().saturating_sub(older_than_ms);
        self.expire(|_, _, record| Ok(record.initiated_ms < cutoff_ms))
    }

    /// Aborts the uploads that are due by the lifecycle of their bucket, and returns their number.
    ///
    /// # Errors
    /// The disk's error.
    pub fn apply_lifecycles(&self) -> Result<u64> {
        let now = time(self.inner.core.options.clock.now_ms());
        let mut lifecycles: HashMap<Bucket, Option<LifecycleConfiguration>> = HashMap::new();
        self.expire(|bucket, key, record| {
            if !lifecycles.contains_key(bucket) {
                let lifecycle = match self.bucket_lifecycle(bucket) {
                    Ok(lifecycle) => Some(lifecycle),
                    Err(Error::NoSuchSetting { .. } | Error::NoSuchBucket { .. }) => None,
                    Err(error) => return Err(error),
                };
                lifecycles.insert(bucket.clone(), lifecycle);
            }
            let due = lifecycles[bucket]
                .as_ref()
                .and_then(|lifecycle| lifecycle.abort_due(key.as_str(), time(record.initiated_ms)));
            Ok(due.is_some_and(|(due, _)| due <= now))
        })
    }

    /// Aborts every upload for which `due` returns true.
    fn expire(
        &self,
        mut due: impl FnMut(&Bucket, &Key, &UploadRecord) -> Result<bool>,
    ) -> Result<u64> {
        let mut expired = 0;
        let mut step = Vec::new();
        for row in self.inner.core.snapshot()?.uploads()?.iter()? {
            let (at, record) = row?;
            let (bucket, key, _) = at.value();
            let bucket = Bucket::new(bucket).map_err(|_| damaged("upload"))?;
            let key = Key::new(key).map_err(|_| damaged("upload"))?;
            let record = UploadRecord::decode(record.value())?;
            if due(&bucket, &key, &record)? {
                step.push(UploadRef::new(bucket, key, upload_id_text(record.upload_id)));
            }
            if step.len() == UPLOADS_PER_STEP {
                expired += self.abort_all(std::mem::take(&mut step))?;
            }
        }
        if !step.is_empty() {
            expired += self.abort_all(step)?;
        }
        Ok(expired)
    }

    /// Aborts those of these uploads that are still open.
    fn abort_all(&self, uploads: Vec<UploadRef>) -> Result<u64> {
        self.inner.commit_removal(move |batch| {
            let mut aborted = 0;
            for upload in &uploads {
                match batch.upload(upload) {
                    Ok((sequence, _)) => batch.abort_upload(upload, sequence)?,
                    // The upload was completed or aborted since the snapshot, or removed with its
                    // bucket.
                    Err(Error::NoSuchUpload { .. } | Error::NoSuchBucket { .. }) => continue,
                    Err(error) => return Err(error),
                }
                aborted += 1;
            }
            Ok(aborted)
        })
    }
}
