//! One step of change to the metadata: several operations in one transaction, published and made safe together.
//!
//! An operation looks first and writes last: one that refuses must not have written, because the transaction goes on with
//! the others. [`Batch::is_dirty`] tells whether one that failed broke that rule; then the whole batch is given up.

use std::collections::BTreeMap;

use haul_parts::{Bucket, Key, PartNumber};
use redb::{ReadableTable, Table, WriteTransaction};

use super::tables::{self, Bytes, ObjectKey, UploadKey};
use super::upload::{KeyHistory, upload_id_bytes};
use super::{BucketRecord, Extent, FileRecord, Layout, ObjectRecord, PartRecord, UploadRecord};
use crate::disk::FileId;
use crate::{Error, Result, UploadRef, WriteCondition};

const SEQUENCE: &str = "sequence";
const NEXT_FILE: &str = "next file";

/// A layout of so few extents stands in the object record.
const INLINE_EXTENTS_MAX: usize = 4;

/// The tables of a write transaction.
pub(crate) struct Batch<'t> {
    pub(crate) now_ms: u64,
    meta: Table<'t, &'static str, Bytes>,
    pub(crate) buckets: Table<'t, &'static str, Bytes>,
    settings: Table<'t, ObjectKey, Bytes>,
    pub(crate) objects: Table<'t, ObjectKey, Bytes>,
    layouts: Table<'t, u64, Bytes>,
    pub(crate) uploads: Table<'t, UploadKey, Bytes>,
    upload_ids: Table<'t, u128, u64>,
    pub(crate) parts: Table<'t, (u64, u16), Bytes>,
    files: Table<'t, u64, Bytes>,
    released: Vec<FileId>,
    writes: u64,
}

impl<'t> Batch<'t> {
    pub(crate) fn open(transaction: &'t WriteTransaction, now_ms: u64) -> Result<Self> {
        Ok(Self {
            now_ms,
            meta: transaction.open_table(tables::META)?,
            buckets: transaction.open_table(tables::BUCKETS)?,
            settings: transaction.open_table(tables::SETTINGS)?,
            objects: transaction.open_table(tables::OBJECTS)?,
            layouts: transaction.open_table(tables::LAYOUTS)?,
            uploads: transaction.open_table(tables::UPLOADS)?,
            upload_ids: transaction.open_table(tables::UPLOAD_IDS)?,
            parts: transaction.open_table(tables::PARTS)?,
            files: transaction.open_table(tables::FILES)?,
            released: Vec::new(),
            writes: 0,
        })
    }

    /// How much was written so far; compare two answers to learn whether something was in between.
    pub(crate) fn writes(&self) -> u64 {
        self.writes
    }

    /// The files that nothing refers to once this batch is published.
    pub(crate) fn into_released(self) -> Vec<FileId> {
        self.released
    }

    /// Marks a new store.
    pub(crate) fn mark_format(&mut self) -> Result<()> {
        self.writes += 1;
        self.meta.insert(tables::FORMAT_NAME, [tables::FORMAT].as_slice())?;
        Ok(())
    }

    /// A number never given before, for object versions and uploads: who comes later has the higher one.
    pub(crate) fn next_sequence(&mut self) -> Result<u64> {
        let next = self.counter(SEQUENCE)? + 1;
        self.set_counter(SEQUENCE, next)?;
        Ok(next)
    }

    /// Takes so many file ids that were never used; the first of them is returned.
    pub(crate) fn reserve_files(&mut self, count: u64) -> Result<FileId> {
        let first = self.counter(NEXT_FILE)?;
        self.set_counter(NEXT_FILE, first + count)?;
        Ok(FileId(first))
    }

    fn counter(&self, name: &str) -> Result<u64> {
        let Some(value) = self.meta.get(name)? else { return Ok(0) };
        let bytes = value.value().try_into().map_err(|_| super::record::damaged("counter"))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn set_counter(&mut self, name: &str, value: u64) -> Result<()> {
        self.writes += 1;
        self.meta.insert(name, value.to_le_bytes().as_slice())?;
        Ok(())
    }
}

/// Buckets.
impl Batch<'_> {
    pub(crate) fn bucket(&self, bucket: &Bucket) -> Result<BucketRecord> {
        tables::find_bucket(&self.buckets, bucket)
    }

    pub(crate) fn put_bucket(&mut self, bucket: &Bucket, record: &BucketRecord) -> Result<()> {
        self.writes += 1;
        self.buckets.insert(bucket.as_str(), record.encode().as_slice())?;
        Ok(())
    }

    /// Removes the bucket and its settings; objects and uploads are the caller's to remove before.
    pub(crate) fn remove_bucket(&mut self, bucket: &Bucket) -> Result<()> {
        self.writes += 1;
        self.buckets.remove(bucket.as_str())?;
        let from = (bucket.as_str(), "");
        let names: Vec<String> = self
            .settings
            .range(from..)?
            .map_while(|row| match row {
                Ok((key, _)) if key.value().0 == bucket.as_str() => Some(Ok(key.value().1.to_owned())),
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
    pub(crate) fn set_setting(&mut self, bucket: &Bucket, name: &str, value: Option<&[u8]>) -> Result<()> {
        self.writes += 1;
        let key = (bucket.as_str(), name);
        match value {
            Some(value) => drop(self.settings.insert(key, value)?),
            None => drop(self.settings.remove(key)?),
        }
        Ok(())
    }
}

/// Objects.
impl Batch<'_> {
    pub(crate) fn object(&self, bucket: &Bucket, key: &Key) -> Result<Option<ObjectRecord>> {
        tables::find_object(&self.objects, bucket, key)
    }

    pub(crate) fn layout(&self, object: &ObjectRecord) -> Result<Layout> {
        tables::find_layout(&self.layouts, object)
    }

    /// Whether the condition holds for the object that is there now.
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
            (WriteCondition::IfMatch(_), None) => {
                Err(Error::NoSuchKey { bucket: bucket.clone(), key: key.clone() })
            }
            (WriteCondition::IfMatch(etag), Some(current)) if *etag == current.etag => Ok(()),
            (WriteCondition::IfMatch(_), Some(_)) => Err(Error::PreconditionFailed { condition: "If-Match" }),
        }
    }

    /// Publishes an object; one that was there goes. Its extents must be counted already.
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

    /// Removes an object; uploads of its key remember that.
    pub(crate) fn remove_object(&mut self, bucket: &Bucket, key: &Key, record: &ObjectRecord) -> Result<()> {
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

/// Uploads and their parts.
impl Batch<'_> {
    pub(crate) fn upload(&self, upload: &UploadRef) -> Result<(u64, UploadRecord)> {
        self.bucket(&upload.bucket)?;
        tables::find_upload(&self.upload_ids, &self.uploads, upload)
    }

    pub(crate) fn put_upload(
        &mut self,
        bucket: &Bucket,
        key: &Key,
        sequence: u64,
        record: &UploadRecord,
    ) -> Result<()> {
        self.writes += 1;
        self.upload_ids.insert(u128::from_be_bytes(record.upload_id), sequence)?;
        self.uploads.insert((bucket.as_str(), key.as_str(), sequence), record.encode().as_slice())?;
        Ok(())
    }

    /// Removes the upload and its parts but not their bytes: those the caller has moved into an object.
    pub(crate) fn retire_upload(&mut self, upload: &UploadRef, sequence: u64) -> Result<()> {
        self.writes += 1;
        if let Some(id) = upload_id_bytes(&upload.upload_id) {
            self.upload_ids.remove(u128::from_be_bytes(id))?;
        }
        self.uploads.remove((upload.bucket.as_str(), upload.key.as_str(), sequence))?;
        self.parts.retain_in((sequence, 0)..=(sequence, u16::MAX), |_, _| false)?;
        Ok(())
    }

    /// Removes the upload with its parts and their bytes.
    pub(crate) fn abort_upload(&mut self, upload: &UploadRef, sequence: u64) -> Result<()> {
        let parts = self.parts_of(sequence)?;
        self.retire_upload(upload, sequence)?;
        self.release(parts.iter().flat_map(|(_, part)| &part.extents))
    }

    /// All parts of an upload by number; at most 10,000.
    pub(crate) fn parts_of(&self, sequence: u64) -> Result<Vec<(PartNumber, PartRecord)>> {
        let mut parts = Vec::new();
        for row in self.parts.range((sequence, 0)..=(sequence, u16::MAX))? {
            let (at, record) = row?;
            let number =
                PartNumber::new(u32::from(at.value().1)).map_err(|_| super::record::damaged("part"))?;
            parts.push((number, PartRecord::decode(record.value())?));
        }
        Ok(parts)
    }

    /// Sets a part; one that had the number goes. Its extents must be counted already.
    pub(crate) fn put_part(&mut self, sequence: u64, number: PartNumber, record: &PartRecord) -> Result<()> {
        self.writes += 1;
        let at = (sequence, number.get());
        let old = self.parts.insert(at, record.encode().as_slice())?;
        let old = old.map(|old| PartRecord::decode(old.value())).transpose()?;
        match old {
            Some(old) => self.release(&old.extents),
            None => Ok(()),
        }
    }
}

/// Data files and who refers to them: each extent counts once.
impl Batch<'_> {
    /// A new file with its first reference.
    pub(crate) fn add_file(&mut self, file: FileId, size_bytes: u64, md5: [u8; 16]) -> Result<()> {
        self.writes += 1;
        let record = FileRecord { references: 1, size_bytes, md5 };
        let old = self.files.insert(file.0, record.encode().as_slice())?;
        match old {
            None => Ok(()),
            Some(_) => Err(Error::Damaged { what: format!("file {file} is added twice") }),
        }
    }

    /// Whether the file is still there to be shared.
    pub(crate) fn has_file(&self, file: FileId) -> Result<bool> {
        Ok(self.files.get(file.0)?.is_some())
    }

    /// One more reference for each extent.
    pub(crate) fn share<'e>(&mut self, extents: impl IntoIterator<Item = &'e Extent>) -> Result<()> {
        for (file, count) in count(extents) {
            let mut record = self.file(file)?;
            record.references += count;
            self.writes += 1;
            self.files.insert(file.0, record.encode().as_slice())?;
        }
        Ok(())
    }

    /// One reference less for each extent; files without any are let go.
    pub(crate) fn release<'e>(&mut self, extents: impl IntoIterator<Item = &'e Extent>) -> Result<()> {
        for (file, count) in count(extents) {
            let mut record = self.file(file)?;
            record.references = record.references.checked_sub(count).ok_or_else(|| Error::Damaged {
                what: format!("file {file} has fewer references than extents"),
            })?;
            self.writes += 1;
            if record.references == 0 {
                self.files.remove(file.0)?;
                self.released.push(file);
            } else {
                self.files.insert(file.0, record.encode().as_slice())?;
            }
        }
        Ok(())
    }

    fn file(&self, file: FileId) -> Result<FileRecord> {
        match self.files.get(file.0)? {
            Some(record) => FileRecord::decode(record.value()),
            None => Err(Error::Damaged { what: format!("file {file} is referred to but not known") }),
        }
    }
}

/// How often each file is meant, in file order.
fn count<'e>(extents: impl IntoIterator<Item = &'e Extent>) -> BTreeMap<FileId, u64> {
    let mut counts = BTreeMap::new();
    for extent in extents {
        *counts.entry(extent.file).or_default() += 1;
    }
    counts
}

/// What is in a bucket.
impl Batch<'_> {
    pub(crate) fn has_objects(&self, bucket: &Bucket) -> Result<bool> {
        match self.objects.range((bucket.as_str(), "")..)?.next() {
            None => Ok(false),
            Some(row) => Ok(row?.0.value().0 == bucket.as_str()),
        }
    }

    /// The first uploads of a bucket: key, sequence and record.
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
