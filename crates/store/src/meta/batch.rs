//! A batch of changes to the metadata: several operations in one transaction, published and made
//! durable together.
//!
//! An operation reads first and writes last: an operation that fails must not have written, because
//! the transaction continues with the others. [`Batch::writes`] detects a failed operation that
//! broke this rule; the whole batch is then discarded. The submodules have the operations for each
//! kind of record.

mod buckets;
mod files;
mod objects;
mod uploads;

use redb::{ReadableTable, Table, WriteTransaction};

use super::tables::{self, Bytes, ObjectKey, UploadKey};
use crate::Result;
use crate::commit_mark::CommitId;
use crate::disk::FileId;
use crate::store_id::StoreId;

const SEQUENCE: &str = "sequence";

/// The tables of a write transaction.
pub(crate) struct Batch<'t> {
    pub(crate) now_ms: u64,
    meta: Table<'t, &'static str, Bytes>,
    buckets: Table<'t, &'static str, Bytes>,
    settings: Table<'t, ObjectKey, Bytes>,
    objects: Table<'t, ObjectKey, Bytes>,
    layouts: Table<'t, u64, Bytes>,
    uploads: Table<'t, UploadKey, Bytes>,
    upload_ids: Table<'t, u128, u64>,
    parts: Table<'t, (u64, u16), Bytes>,
    files: Table<'t, u64, Bytes>,
    removals: Table<'t, u64, ()>,
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
            removals: transaction.open_table(tables::REMOVALS)?,
            released: Vec::new(),
            writes: 0,
        })
    }

    /// Returns the number of writes so far; two equal values mean that nothing was written between
    /// them.
    pub(crate) fn writes(&self) -> u64 {
        self.writes
    }

    /// Returns the files that nothing refers to once the batch is published.
    pub(crate) fn into_released(self) -> Vec<FileId> {
        self.released
    }

    /// Writes the format and the id of a new store.
    pub(crate) fn mark_format(&mut self, id: StoreId) -> Result<()> {
        self.writes += 1;
        self.meta.insert(tables::FORMAT_NAME, [tables::FORMAT].as_slice())?;
        self.meta.insert(tables::STORE_ID_NAME, id.bytes().as_slice())?;
        Ok(())
    }

    /// Names the commit that publishes this batch.
    pub(crate) fn name_commit(&mut self, commit: CommitId) -> Result<()> {
        self.meta.insert(tables::NEWEST_COMMIT_NAME, commit.bytes().as_slice())?;
        Ok(())
    }

    /// Returns a new number for an object version or upload: later calls return higher ones.
    pub(crate) fn next_sequence(&mut self) -> Result<u64> {
        let next = self.counter(SEQUENCE)? + 1;
        self.set_counter(SEQUENCE, next)?;
        Ok(next)
    }

    /// Reserves `count` unused file ids and returns the first.
    pub(crate) fn reserve_files(&mut self, count: u64) -> Result<FileId> {
        let first = self.counter(tables::NEXT_FILE_NAME)?;
        self.set_counter(tables::NEXT_FILE_NAME, first + count)?;
        Ok(FileId(first))
    }

    /// Never assigns file numbers up to this one again: a file with this number exists that the
    /// metadata does not list.
    pub(crate) fn skip_files(&mut self, last: FileId) -> Result<()> {
        let next = self.counter(tables::NEXT_FILE_NAME)?.max(last.0.saturating_add(1));
        self.set_counter(tables::NEXT_FILE_NAME, next)
    }

    fn counter(&self, name: &str) -> Result<u64> {
        tables::counter(self.meta.get(name)?.as_ref().map(|value| value.value()))
    }

    fn set_counter(&mut self, name: &str, value: u64) -> Result<()> {
        self.writes += 1;
        self.meta.insert(name, value.to_le_bytes().as_slice())?;
        Ok(())
    }
}
