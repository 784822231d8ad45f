//! Changes uploads and their parts.

use haul_parts::{Bucket, Key, PartNumber};
use redb::ReadableTable;

use super::Batch;
use crate::meta::upload::upload_id_bytes;
use crate::meta::{PartRecord, UploadRecord, damaged, tables};
use crate::{Result, UploadRef};

impl Batch<'_> {
    pub(crate) fn upload(&self, upload: &UploadRef) -> Result<(u64, UploadRecord)> {
        self.bucket(&upload.object.bucket)?;
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
        self.uploads
            .insert((bucket.as_str(), key.as_str(), sequence), record.encode().as_slice())?;
        Ok(())
    }

    /// Removes the upload and its parts but not their bytes, which the caller has moved into an
    /// object.
    pub(crate) fn retire_upload(&mut self, upload: &UploadRef, sequence: u64) -> Result<()> {
        self.writes += 1;
        if let Some(id) = upload_id_bytes(&upload.upload_id) {
            self.upload_ids.remove(u128::from_be_bytes(id))?;
        }
        self.uploads.remove((
            upload.object.bucket.as_str(),
            upload.object.key.as_str(),
            sequence,
        ))?;
        self.parts.retain_in((sequence, 0)..=(sequence, u16::MAX), |_, _| false)?;
        Ok(())
    }

    /// Removes the upload, its parts and their bytes.
    pub(crate) fn abort_upload(&mut self, upload: &UploadRef, sequence: u64) -> Result<()> {
        let parts = self.parts_of(sequence)?;
        self.retire_upload(upload, sequence)?;
        self.release(parts.iter().flat_map(|(_, part)| &part.extents))
    }

    /// Returns all parts of an upload by number; at most 10,000.
    pub(crate) fn parts_of(&self, sequence: u64) -> Result<Vec<(PartNumber, PartRecord)>> {
        let mut parts = Vec::new();
        for row in self.parts.range((sequence, 0)..=(sequence, u16::MAX))? {
            let (at, record) = row?;
            let number = PartNumber::new(u32::from(at.value().1)).map_err(|_| damaged("part"))?;
            parts.push((number, PartRecord::decode(record.value())?));
        }
        Ok(parts)
    }

    /// Sets a part and removes the previous one with the same number. The references of its extents
    /// must already be counted.
    pub(crate) fn put_part(
        &mut self,
        sequence: u64,
        number: PartNumber,
        record: &PartRecord,
    ) -> Result<()> {
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
