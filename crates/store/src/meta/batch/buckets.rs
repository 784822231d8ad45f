//! Changes buckets and their settings, and queries their content.

use haul_parts::Bucket;
use redb::ReadableTable;

use super::Batch;
use crate::Result;
use crate::meta::{BucketRecord, UploadRecord, tables};

impl Batch<'_> {
    pub(crate) fn bucket(&self, bucket: &Bucket) -> Result<BucketRecord> {
        tables::find_bucket(&self.buckets, bucket)
    }

    pub(crate) fn put_bucket(&mut self, bucket: &Bucket, record: &BucketRecord) -> Result<()> {
        self.writes += 1;
        self.buckets.insert(bucket.as_str(), record.encode().as_slice())?;
        Ok(())
    }

    /// Removes the bucket and its settings; the caller must have removed objects and uploads.
    pub(crate) fn remove_bucket(&mut self, bucket: &Bucket) -> Result<()> {
        self.writes += 1;
        self.buckets.remove(bucket.as_str())?;
        let from = (bucket.as_str(), "");
        let names: Vec<String> = self
            .settings
            .range(from..)?
            .map_while(|row| match row {
                Ok((key, _)) if key.value().0 == bucket.as_str() => {
                    Some(Ok(key.value().1.to_owned()))
                }
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            })
            .collect::<Result<_, _>>()?;
        for name in names {
            self.settings.remove((bucket.as_str(), name.as_str()))?;
        }
        Ok(())
    }

    /// Sets or removes a setting.
    pub(crate) fn set_setting(
        &mut self,
        bucket: &Bucket,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<()> {
        self.writes += 1;
        let key = (bucket.as_str(), name);
        match value {
            Some(value) => drop(self.settings.insert(key, value)?),
            None => drop(self.settings.remove(key)?),
        }
        Ok(())
    }

    pub(crate) fn has_objects(&self, bucket: &Bucket) -> Result<bool> {
        match self.objects.range((bucket.as_str(), "")..)?.next() {
            None => Ok(false),
            Some(row) => Ok(row?.0.value().0 == bucket.as_str()),
        }
    }

    /// Returns the first uploads of a bucket: key, sequence and record.
    pub(crate) fn some_uploads(
        &self,
        bucket: &Bucket,
        count_max: usize,
    ) -> Result<Vec<(String, u64, UploadRecord)>> {
        let mut uploads = Vec::new();
        for row in self.uploads.range((bucket.as_str(), "", 0)..)?.take(count_max) {
            let (at, record) = row?;
            let (of, key, sequence) = at.value();
            if of != bucket.as_str() {
                break;
            }
            uploads.push((key.to_owned(), sequence, UploadRecord::decode(record.value())?));
        }
        Ok(uploads)
    }
}
