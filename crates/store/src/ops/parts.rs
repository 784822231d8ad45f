//! Puts and lists the parts of an upload.

use haul_parts::{Checksum, PartNumber};

use super::page_size;
use crate::meta::{PartRecord, damaged};
use crate::{DiskStore, Error, PartInfo, PartPage, Result, StagedPart, UploadRef};

impl DiskStore {
    /// Makes staged bytes a part of an upload; replaces a part of the same number. Durable on
    /// return. `checksum` is the client's checksum of the part (not Content-MD5, which the caller
    /// compares with [`StagedPart::md5`] itself).
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::BadDigest`], [`Error::ChecksumAlgorithmMismatch`].
    pub fn put_part(
        &self,
        upload: &UploadRef,
        part_number: PartNumber,
        part: StagedPart,
        checksum: Option<Checksum>,
    ) -> Result<PartInfo> {
        part.check(checksum.as_ref())?;
        // The checksum of an upload never changes, so it is safe to read it before the commit that
        // decides.
        let info = self.head_multipart_upload(upload)?;
        info.part_checksums(checksum.map(|checksum| checksum.algorithm()))?;
        let algorithm = info.checksum.algorithm;
        let own = part.checksum(algorithm).ok_or(Error::ChecksumNotComputed { algorithm })?;
        let other_checksum = checksum.filter(|checksum| checksum.algorithm() != algorithm);

        let mut record = PartRecord {
            size_bytes: part.size_bytes(),
            md5: part.md5(),
            modified_ms: 0,
            checksum: own,
            other_checksum,
            extents: part.extents(),
        };
        let upload = upload.clone();
        let result = self.inner.commit(part.folder(), move |batch| {
            let (sequence, _) = batch.upload(&upload)?;
            record.modified_ms = batch.now_ms;
            for extent in &record.extents {
                batch.add_file(extent.file, extent.size_bytes, record.md5)?;
            }
            batch.put_part(sequence, part_number, &record)?;
            Ok(record.info(part_number))
        });
        part.settle(result)
    }

    /// Returns a page of the parts of an upload.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`].
    pub fn list_parts(
        &self,
        upload: &UploadRef,
        after: Option<PartNumber>,
        max_parts: Option<u16>,
    ) -> Result<PartPage> {
        let snapshot = self.inner.core.snapshot()?;
        let (sequence, record) = snapshot.upload(upload)?;
        let mut page =
            PartPage { upload: record.info(upload.clone()), parts: Vec::new(), next: None };
        let parts = snapshot.parts()?;
        let first = after.map_or(0, |after| after.get() + 1);
        for row in parts.range((sequence, first)..=(sequence, u16::MAX))? {
            if page.parts.len() == page_size(max_parts) {
                page.next = page.parts.last().map(|part| part.part_number);
                break;
            }
            let (at, part) = row?;
            let number = PartNumber::new(u32::from(at.value().1)).map_err(|_| damaged("part"))?;
            page.parts.push(PartRecord::decode(part.value())?.info(number));
        }
        Ok(page)
    }
}
