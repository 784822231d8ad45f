//! The tables of the metadata. Keys sort in listing order: by bucket, then by key in UTF-8 byte
//! order, uploads then by the order of their Create.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition};

use haul_parts::{Bucket, Key};

use super::{BucketRecord, Layout, ObjectRecord, UploadRecord, record::damaged, upload};
use crate::commit_mark::CommitId;
use crate::disk::FileId;
use crate::store_id::StoreId;
use crate::{Error, Result, UploadRef};

/// The format of the whole store, raised when an older Haul must not touch the folder. Format 1,
/// which no release wrote, had no checksums in its data files.
pub(crate) const FORMAT: u8 = 2;
pub(super) const FORMAT_NAME: &str = "format";
pub(super) const STORE_ID_NAME: &str = "store";
pub(super) const NEWEST_COMMIT_NAME: &str = "newest commit";
pub(super) const NEXT_FILE_NAME: &str = "next file";

pub(crate) type Bytes = &'static [u8];
pub(crate) type ObjectKey = (&'static str, &'static str);
pub(crate) type UploadKey = (&'static str, &'static str, u64);

/// Single values: `format`, `store`, `sequence`, `next file`, `newest commit`.
pub(crate) const META: TableDefinition<'static, &'static str, Bytes> = TableDefinition::new("meta");
/// Buckets by name.
pub(crate) const BUCKETS: TableDefinition<'static, &'static str, Bytes> =
    TableDefinition::new("buckets");
/// Settings by bucket and name.
pub(crate) const SETTINGS: TableDefinition<'static, ObjectKey, Bytes> =
    TableDefinition::new("settings");
/// Objects by bucket and key.
pub(crate) const OBJECTS: TableDefinition<'static, ObjectKey, Bytes> =
    TableDefinition::new("objects");
/// Layouts by object version, if too long for the object record.
pub(crate) const LAYOUTS: TableDefinition<'static, u64, Bytes> = TableDefinition::new("layouts");
/// Uploads by bucket, key and sequence.
pub(crate) const UPLOADS: TableDefinition<'static, UploadKey, Bytes> =
    TableDefinition::new("uploads");
/// Sequences by upload id (its bytes as a big-endian number).
pub(crate) const UPLOAD_IDS: TableDefinition<'static, u128, u64> =
    TableDefinition::new("upload ids");
/// Parts by the sequence of the upload and part number.
pub(crate) const PARTS: TableDefinition<'static, (u64, u16), Bytes> = TableDefinition::new("parts");
/// Data files by file id.
pub(crate) const FILES: TableDefinition<'static, u64, Bytes> = TableDefinition::new("files");
/// Files to be removed because nothing refers to them, by file id.
pub(crate) const REMOVALS: TableDefinition<'static, u64, ()> = TableDefinition::new("removals");

/// The metadata at one point in time.
pub(crate) struct Snapshot {
    transaction: ReadTransaction,
}

impl Snapshot {
    pub(crate) fn new(transaction: ReadTransaction) -> Self {
        Self { transaction }
    }

    /// Returns the format of the store.
    pub(crate) fn format(&self) -> Result<u8> {
        let meta = self.transaction.open_table(META)?;
        let format = meta.get(FORMAT_NAME)?.and_then(|value| value.value().first().copied());
        format.ok_or_else(|| damaged("format"))
    }

    /// Returns the id of the store.
    pub(crate) fn store_id(&self) -> Result<StoreId> {
        let meta = self.transaction.open_table(META)?;
        let id = meta.get(STORE_ID_NAME)?.and_then(|value| value.value().try_into().ok());
        id.map(StoreId::new).ok_or_else(|| damaged("store id"))
    }

    /// Returns the name of the newest commit.
    pub(crate) fn newest_commit(&self) -> Result<CommitId> {
        let meta = self.transaction.open_table(META)?;
        let Some(commit) = meta.get(NEWEST_COMMIT_NAME)? else { return Ok(CommitId::default()) };
        let bytes = commit.value().try_into().map_err(|_| damaged("newest commit"))?;
        Ok(CommitId::from_bytes(bytes))
    }

    pub(crate) fn buckets(&self) -> Result<ReadOnlyTable<&'static str, Bytes>> {
        Ok(self.transaction.open_table(BUCKETS)?)
    }

    pub(crate) fn settings(&self) -> Result<ReadOnlyTable<ObjectKey, Bytes>> {
        Ok(self.transaction.open_table(SETTINGS)?)
    }

    pub(crate) fn objects(&self) -> Result<ReadOnlyTable<ObjectKey, Bytes>> {
        Ok(self.transaction.open_table(OBJECTS)?)
    }

    pub(crate) fn layouts(&self) -> Result<ReadOnlyTable<u64, Bytes>> {
        Ok(self.transaction.open_table(LAYOUTS)?)
    }

    pub(crate) fn uploads(&self) -> Result<ReadOnlyTable<UploadKey, Bytes>> {
        Ok(self.transaction.open_table(UPLOADS)?)
    }

    pub(crate) fn parts(&self) -> Result<ReadOnlyTable<(u64, u16), Bytes>> {
        Ok(self.transaction.open_table(PARTS)?)
    }

    pub(crate) fn files(&self) -> Result<ReadOnlyTable<u64, Bytes>> {
        Ok(self.transaction.open_table(FILES)?)
    }

    pub(crate) fn removals(&self) -> Result<ReadOnlyTable<u64, ()>> {
        Ok(self.transaction.open_table(REMOVALS)?)
    }

    /// Returns the lowest number that no data file ever had.
    pub(crate) fn next_file(&self) -> Result<FileId> {
        let meta = self.transaction.open_table(META)?;
        counter(meta.get(NEXT_FILE_NAME)?.as_ref().map(|value| value.value())).map(FileId)
    }

    pub(crate) fn upload_ids(&self) -> Result<ReadOnlyTable<u128, u64>> {
        Ok(self.transaction.open_table(UPLOAD_IDS)?)
    }

    pub(crate) fn bucket(&self, bucket: &Bucket) -> Result<BucketRecord> {
        find_bucket(&self.buckets()?, bucket)
    }

    /// Returns the object, after checking that its bucket exists.
    pub(crate) fn object(&self, bucket: &Bucket, key: &Key) -> Result<ObjectRecord> {
        match find_object(&self.objects()?, bucket, key)? {
            Some(record) => Ok(record),
            None => {
                self.bucket(bucket)?;
                Err(Error::NoSuchKey { bucket: bucket.clone(), key: key.clone() })
            }
        }
    }

    pub(crate) fn layout(&self, object: &ObjectRecord) -> Result<Layout> {
        find_layout(&self.layouts()?, object)
    }

    pub(crate) fn upload(&self, upload: &UploadRef) -> Result<(u64, UploadRecord)> {
        self.bucket(&upload.object.bucket)?;
        find_upload(&self.upload_ids()?, &self.uploads()?, upload)
    }
}

/// Returns the value of a counter; 0 if it was never set.
pub(super) fn counter(value: Option<&[u8]>) -> Result<u64> {
    let Some(value) = value else { return Ok(0) };
    value.try_into().map(u64::from_le_bytes).map_err(|_| damaged("counter"))
}

pub(super) fn find_bucket(
    buckets: &impl ReadableTable<&'static str, Bytes>,
    bucket: &Bucket,
) -> Result<BucketRecord> {
    match buckets.get(bucket.as_str())? {
        Some(record) => BucketRecord::decode(record.value()),
        None => Err(Error::NoSuchBucket { bucket: bucket.clone() }),
    }
}

pub(super) fn find_object(
    objects: &impl ReadableTable<ObjectKey, Bytes>,
    bucket: &Bucket,
    key: &Key,
) -> Result<Option<ObjectRecord>> {
    objects
        .get((bucket.as_str(), key.as_str()))?
        .map(|record| ObjectRecord::decode(record.value()))
        .transpose()
}

pub(super) fn find_layout(
    layouts: &impl ReadableTable<u64, Bytes>,
    object: &ObjectRecord,
) -> Result<Layout> {
    if let Some(layout) = &object.layout {
        return Ok(layout.clone());
    }
    let record = layouts.get(object.version)?.ok_or_else(|| damaged("layout"))?;
    Layout::decode(record.value())
}

pub(super) fn find_upload(
    upload_ids: &impl ReadableTable<u128, u64>,
    uploads: &impl ReadableTable<UploadKey, Bytes>,
    upload: &UploadRef,
) -> Result<(u64, UploadRecord)> {
    let none = || Error::NoSuchUpload { upload_id: upload.upload_id.clone() };
    let id = upload::upload_id_bytes(&upload.upload_id).ok_or_else(none)?;
    let sequence = upload_ids.get(u128::from_be_bytes(id))?.ok_or_else(none)?.value();
    let record = uploads
        .get((upload.object.bucket.as_str(), upload.object.key.as_str(), sequence))?
        .ok_or_else(none)?;
    Ok((sequence, UploadRecord::decode(record.value())?))
}
