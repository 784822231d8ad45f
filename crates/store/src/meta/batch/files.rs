//! Changes data files and their reference counts: each extent counts as one reference.

use std::collections::BTreeMap;

use redb::ReadableTable;

use super::Batch;
use crate::disk::FileId;
use crate::meta::{Extent, FileRecord};
use crate::{Error, Result};

impl Batch<'_> {
    /// Adds a new file with its first reference.
    pub(crate) fn add_file(&mut self, file: FileId, size_bytes: u64, md5: [u8; 16]) -> Result<()> {
        self.writes += 1;
        let record = FileRecord { references: 1, size_bytes, md5 };
        let old = self.files.insert(file.0, record.encode().as_slice())?;
        match old {
            None => Ok(()),
            Some(_) => Err(Error::Damaged { what: format!("file {file} is added twice") }),
        }
    }

    /// Returns whether the file still exists and can be shared.
    pub(crate) fn has_file(&self, file: FileId) -> Result<bool> {
        Ok(self.files.get(file.0)?.is_some())
    }

    /// Adds a reference for each extent.
    pub(crate) fn share<'e>(
        &mut self,
        extents: impl IntoIterator<Item = &'e Extent>,
    ) -> Result<()> {
        for (file, count) in count(extents) {
            let mut record = self.file(file)?;
            record.references += count;
            self.writes += 1;
            self.files.insert(file.0, record.encode().as_slice())?;
        }
        Ok(())
    }

    /// Drops a reference for each extent, and releases files without any.
    pub(crate) fn release<'e>(
        &mut self,
        extents: impl IntoIterator<Item = &'e Extent>,
    ) -> Result<()> {
        for (file, count) in count(extents) {
            let mut record = self.file(file)?;
            record.references = record.references.checked_sub(count).ok_or_else(|| {
                Error::Damaged { what: format!("file {file} has fewer references than extents") }
            })?;
            self.writes += 1;
            if record.references == 0 {
                self.files.remove(file.0)?;
                // Keep the record until the file is gone from the disk: opening the store finishes
                // removals that a crash interrupted.
                self.removals.insert(file.0, ())?;
                self.released.push(file);
            } else {
                self.files.insert(file.0, record.encode().as_slice())?;
            }
        }
        Ok(())
    }

    /// Deletes the records of files that are durably gone from the disk.
    pub(crate) fn removed(&mut self, files: &[FileId]) -> Result<()> {
        self.writes += 1;
        for file in files {
            self.removals.remove(file.0)?;
        }
        Ok(())
    }

    fn file(&self, file: FileId) -> Result<FileRecord> {
        match self.files.get(file.0)? {
            Some(record) => FileRecord::decode(record.value()),
            None => {
                Err(Error::Damaged { what: format!("file {file} is referred to but not known") })
            }
        }
    }
}

/// Counts the extents per file, in file order.
fn count<'e>(extents: impl IntoIterator<Item = &'e Extent>) -> BTreeMap<FileId, u64> {
    let mut counts = BTreeMap::new();
    for extent in extents {
        *counts.entry(extent.file).or_default() += 1;
    }
    counts
}
