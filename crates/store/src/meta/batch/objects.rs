//! Changes objects: checks conditions, publishes, removes.

use haul_parts::{Bucket, Key};
use redb::ReadableTable;

use super::Batch;
use crate::meta::upload::KeyHistory;
use crate::meta::{Layout, ObjectRecord, UploadRecord, tables};
use crate::{Error, Result, WriteCondition};

/// A layout of up to this many extents is stored in the object record.
const INLINE_EXTENTS_MAX: usize = 4;

impl Batch<'_> {
    pub(crate) fn object(&self, bucket: &Bucket, key: &Key) -> Result<Option<ObjectRecord>> {
        tables::find_object(&self.objects, bucket, key)
    }

    pub(crate) fn layout(&self, object: &ObjectRecord) -> Result<Layout> {
        tables::find_layout(&self.layouts, object)
    }

    /// Checks the condition against the current object.
    pub(crate) fn check_condition(
        condition: &WriteCondition,
        current: Option<&ObjectRecord>,
        bucket: &Bucket,
        key: &Key,
    ) -> Result<()> {
        match (condition, current) {
            (WriteCondition::Always, _) | (WriteCondition::IfNoneMatch, None) => Ok(()),
            (WriteCondition::IfNoneMatch, Some(_)) => {
                Err(Error::PreconditionFailed { condition: "If-None-Match" })
            }
            (WriteCondition::IfMatch(_) | WriteCondition::IfMatchAny, None) => {
                Err(Error::NoSuchKey { bucket: bucket.clone(), key: key.clone() })
            }
            (WriteCondition::IfMatchAny, Some(_)) => Ok(()),
            (WriteCondition::IfMatch(etag), Some(current)) if *etag == current.etag => Ok(()),
            (WriteCondition::IfMatch(_), Some(_)) => {
                Err(Error::PreconditionFailed { condition: "If-Match" })
            }
        }
    }

    /// Publishes an object and removes the previous one. The references of its extents must already
    /// be counted.
    pub(crate) fn publish(
        &mut self,
        bucket: &Bucket,
        key: &Key,
        mut record: ObjectRecord,
        layout: Layout,
    ) -> Result<ObjectRecord> {
        if let Some(old) = self.object(bucket, key)? {
            self.let_go(&old)?;
        }
        self.writes += 1;
        let inline = layout.parts.len() <= 1 && layout.extents().count() <= INLINE_EXTENTS_MAX;
        if inline {
            record.layout = Some(layout);
        } else {
            record.layout = None;
            self.layouts.insert(record.version, layout.encode().as_slice())?;
        }
        self.objects.insert((bucket.as_str(), key.as_str()), record.encode().as_slice())?;
        Ok(record)
    }

    /// Rewrites the record of an object to change its tags: bytes and version stay.
    pub(crate) fn rewrite(
        &mut self,
        bucket: &Bucket,
        key: &Key,
        record: &ObjectRecord,
    ) -> Result<()> {
        self.writes += 1;
        self.objects.insert((bucket.as_str(), key.as_str()), record.encode().as_slice())?;
        Ok(())
    }

    /// Removes an object and records that in the uploads of its key.
    pub(crate) fn remove_object(
        &mut self,
        bucket: &Bucket,
        key: &Key,
        record: &ObjectRecord,
    ) -> Result<()> {
        self.writes += 1;
        self.let_go(record)?;
        self.objects.remove((bucket.as_str(), key.as_str()))?;
        for (sequence, mut upload) in self.uploads_of(bucket, key)? {
            upload.history = KeyHistory::Deleted;
            let at = (bucket.as_str(), key.as_str(), sequence);
            self.uploads.insert(at, upload.encode().as_slice())?;
        }
        Ok(())
    }

    fn let_go(&mut self, record: &ObjectRecord) -> Result<()> {
        let layout = self.layout(record)?;
        if record.layout.is_none() {
            self.layouts.remove(record.version)?;
        }
        self.release(layout.extents())
    }

    fn uploads_of(&self, bucket: &Bucket, key: &Key) -> Result<Vec<(u64, UploadRecord)>> {
        let (bucket, key) = (bucket.as_str(), key.as_str());
        let mut uploads = Vec::new();
        for row in self.uploads.range((bucket, key, 0)..=(bucket, key, u64::MAX))? {
            let (at, record) = row?;
            uploads.push((at.value().2, UploadRecord::decode(record.value())?));
        }
        Ok(uploads)
    }
}
