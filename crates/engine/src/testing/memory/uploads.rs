//! Implements the multipart operations except Complete: create, send a part, list, abort.

use bytes::Bytes;
use haul_parts::{
    Checksum, ChecksumAlgorithm, ChecksumType, ETag, Hasher, Key, PartNumber, UploadId,
};

use super::world::{BucketWorld, OpenUpload, Part, World, md5};
use crate::remote::{
    CreateRequest, CreatedUpload, ObjectRef, Operation, PartsPage, StoreError, StoreErrorKind,
    StoredPart, UploadRef, UploadedPart,
};

/// The way in which the store keeps the part of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Landing {
    /// Visible at once.
    Plain,
    /// Kept at once, but missing from this number of listings.
    Lagging(u32),
    /// Kept with a flipped bit.
    Damaged,
    /// Kept only after the first Abort, which it survives.
    AfterAbort,
}

impl World {
    pub(super) fn create_upload(
        &mut self,
        object: &ObjectRef,
        request: &CreateRequest,
    ) -> Result<CreatedUpload, StoreError> {
        let operation = Operation::CreateMultipartUpload;
        if let Some((algorithm, kind)) = request.checksum
            && (algorithm == ChecksumAlgorithm::Md5 || !algorithm.supports(kind))
        {
            let message = format!("The {kind} checksum type cannot be used with {algorithm}.");
            return Err(StoreError::answered(operation, 400, Some("InvalidRequest"), &message));
        }
        let sequence = self.next_sequence();
        let initiated = self.now();
        let echo = self.quirks.echo_checksums;
        let upload_id =
            UploadId::new(format!("upload-{sequence}")).expect("a short text that is not empty");
        let upload = OpenUpload {
            upload_id: upload_id.clone(),
            sequence,
            initiated,
            attributes: request.attributes.clone(),
            declared: request.checksum,
            parts: std::collections::BTreeMap::new(),
            landing_after_abort: vec![],
        };
        self.bucket(operation, &object.bucket)?
            .uploads
            .insert((object.key.clone(), sequence), upload);
        let checksum = request.checksum.map(|(algorithm, _)| algorithm).filter(|_| echo);
        let abort_date = self.quirks.aborts_after.map(|after| jiff::Timestamp::now() + after);
        Ok(CreatedUpload { upload_id, checksum, abort_date })
    }

    pub(super) fn upload_part(
        &mut self,
        upload: &UploadRef,
        number: PartNumber,
        bytes: &Bytes,
        given: Option<&Checksum>,
        landing: Landing,
    ) -> Result<UploadedPart, StoreError> {
        let operation = Operation::UploadPart;
        let declared = self.open_upload(operation, upload)?.declared;
        if self.quirks.verify_checksums {
            check_declaration(declared, given)?;
        }
        self.check_body(operation, bytes, given)?;
        let sent =
            given.map(Checksum::algorithm).filter(|algorithm| *algorithm != ChecksumAlgorithm::Md5);
        let algorithm = declared.map(|(algorithm, _)| algorithm).or(sent);
        self.keep_part(operation, (upload, number), bytes, algorithm, landing)
    }

    /// Keeps a part whose bytes have been checked, with a checksum of this algorithm.
    pub(super) fn keep_part(
        &mut self,
        operation: Operation,
        (upload, number): (&UploadRef, PartNumber),
        bytes: &Bytes,
        algorithm: Option<ChecksumAlgorithm>,
        landing: Landing,
    ) -> Result<UploadedPart, StoreError> {
        let bytes = if landing == Landing::Damaged { damaged(bytes) } else { bytes.clone() };
        let digest = md5(&bytes);
        let arrived = self.now();
        self.next_sequence();
        let (etag, etag_is_opaque) = self.etag(ETag::from_md5(digest));
        let kept = algorithm.filter(|_| self.quirks.echo_checksums);
        let checksum = kept.map(|algorithm| Hasher::checksum(algorithm, &bytes));
        let hidden_listings = if let Landing::Lagging(listings) = landing { listings } else { 0 };
        let part =
            Part { bytes, md5: digest, etag: etag.clone(), checksum, hidden_listings, arrived };

        let open = self.open_upload(operation, upload)?;
        if landing == Landing::AfterAbort {
            open.landing_after_abort.push((number, part));
        } else {
            open.parts.insert(number, part);
        }
        Ok(UploadedPart { etag, checksum, etag_is_opaque })
    }

    pub(super) fn list_parts(
        &mut self,
        upload: &UploadRef,
        after: Option<PartNumber>,
    ) -> Result<PartsPage, StoreError> {
        let operation = Operation::ListParts;
        let (page_max, gone) = (self.quirks.page_max, self.quirks.list_of_gone_upload_code);
        let echo = self.quirks.echo_checksums;
        let open = self.open_upload(operation, upload).map_err(|error| match error.kind {
            StoreErrorKind::NoSuchUpload => StoreError::answered(operation, 404, Some(gone), ""),
            _ => error,
        })?;
        let behind = |number: &PartNumber| after.is_none_or(|after| *number > after);
        let mut visible = open
            .parts
            .iter()
            .filter(|(number, part)| behind(number) && part.hidden_listings == 0)
            .map(|(number, part)| stored(*number, part));
        let parts: Vec<_> = visible.by_ref().take(page_max).collect();
        let next =
            if visible.next().is_some() { parts.last().map(|part| part.number) } else { None };
        if next.is_none() {
            // A listing has been read to its end: hidden parts have one listing less to wait.
            open.parts.values_mut().for_each(|part| {
                part.hidden_listings = part.hidden_listings.saturating_sub(1);
            });
        }
        let checksum_type = open.declared.map(|(_, kind)| kind).filter(|_| echo);
        let newest = open.parts.values().map(|part| part.arrived).max();
        Ok(PartsPage { parts, next, checksum_type, newest })
    }

    pub(super) fn abort_upload(&mut self, upload: &UploadRef) -> Result<(), StoreError> {
        let operation = Operation::AbortMultipartUpload;
        let open = self.open_upload(operation, upload)?;
        if open.landing_after_abort.is_empty() {
            let place = (upload.object.key.clone(), open.sequence);
            self.bucket(operation, &upload.object.bucket)?.uploads.remove(&place);
        } else {
            // The abort took effect before the parts in flight arrived (trap 23).
            open.parts = std::mem::take(&mut open.landing_after_abort).into_iter().collect();
        }
        Ok(())
    }

    pub(super) fn open_upload(
        &mut self,
        operation: Operation,
        upload: &UploadRef,
    ) -> Result<&mut OpenUpload, StoreError> {
        let bucket = self.bucket(operation, &upload.object.bucket)?;
        find(bucket, &upload.object.key, &upload.upload_id).ok_or_else(|| no_such_upload(operation))
    }
}

/// Finds an upload of that key; an id of another key does not count.
fn find<'a>(
    bucket: &'a mut BucketWorld,
    key: &Key,
    upload_id: &UploadId,
) -> Option<&'a mut OpenUpload> {
    let of_key = (key.clone(), 0)..=(key.clone(), u64::MAX);
    bucket
        .uploads
        .range_mut(of_key)
        .map(|(_, upload)| upload)
        .find(|upload| upload.upload_id == *upload_id)
}

pub(super) fn no_such_upload(operation: Operation) -> StoreError {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the \
        upload may have been aborted or completed.";
    StoreError::answered(operation, 404, Some("NoSuchUpload"), message)
}

/// Checks the algorithm chosen at Create (trap 14).
fn check_declaration(
    declared: Option<(ChecksumAlgorithm, ChecksumType)>,
    given: Option<&Checksum>,
) -> Result<(), StoreError> {
    let Some((expected, kind)) = declared else { return Ok(()) };
    let found =
        given.map(Checksum::algorithm).filter(|algorithm| *algorithm != ChecksumAlgorithm::Md5);
    let actual = match found {
        Some(found) if found == expected => return Ok(()),
        Some(found) => found.s3_name(),
        None if kind == ChecksumType::FullObject => return Ok(()),
        None => "null",
    };
    let message = format!(
        "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum \
         Type: {actual}"
    );
    Err(StoreError::answered(Operation::UploadPart, 400, Some("InvalidRequest"), &message))
}

fn damaged(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    super::link::flip_a_bit(&mut bytes);
    bytes.into()
}

fn stored(number: PartNumber, part: &Part) -> StoredPart {
    StoredPart {
        number,
        size_bytes: part.bytes.len() as u64,
        etag: part.etag.clone(),
        checksum: part.checksum,
        part_count: None,
    }
}
