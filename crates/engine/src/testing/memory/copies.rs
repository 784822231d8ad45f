//! Implements CopyObject, UploadPartCopy, and the tags that a copy keeps.

use std::collections::BTreeMap;

use bytes::Bytes;
use haul_parts::{ChecksumType, ETag, Hasher};

use super::objects::precondition_failed;
use super::uploads::Landing;
use super::world::{Object, World, md5};
use crate::remote::{
    CopyRequest, ObjectAttributes, ObjectRef, Operation, PartCopyRequest, StoreError, UploadRef,
    UploadedPart,
};

impl World {
    pub(super) fn copy_object(
        &mut self,
        object: &ObjectRef,
        request: &CopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        let operation = Operation::CopyObject;
        if !self.quirks.copies_objects {
            return Err(not_implemented(operation));
        }
        let CopyRequest {
            source,
            source_if_match,
            attributes,
            storage_class,
            protection,
            if_none_match,
            if_match,
        } = request;
        let (bytes, kept) = self.source(operation, source, source_if_match.as_ref())?;
        let changes = attributes.is_some() || storage_class.is_some() || !protection.is_empty();
        if source == object && !changes {
            let message =
                "This copy request is illegal because it is trying to copy an object to itself.";
            return Err(StoreError::answered(operation, 400, Some("InvalidRequest"), message));
        }
        self.check_target(operation, object, *if_none_match, if_match.as_ref())?;
        let mut carried = attributes.clone().unwrap_or_else(|| kept.attributes.clone());
        if carried.tags.is_empty() {
            carried.tags = kept.attributes.tags;
        }
        carried.storage_class = storage_class.clone();
        carried.protection = protection.clone();
        let (etag, etag_is_opaque) = self.etag(ETag::from_md5(md5(&bytes)));
        let algorithm =
            kept.algorithm.or(self.quirks.default_checksum).filter(|_| self.quirks.echo_checksums);
        let checksum = algorithm.map(|algorithm| Hasher::checksum(algorithm, &bytes));
        let published = Object {
            bytes,
            parts: vec![],
            etag: etag.clone(),
            checksum: checksum.map(|checksum| (checksum, ChecksumType::FullObject)),
            attributes: carried,
            last_modified: self.now(),
            sequence: self.next_sequence(),
        };
        self.publish(operation, object, published)?;
        Ok(UploadedPart { etag, checksum, etag_is_opaque })
    }

    pub(super) fn upload_part_copy(
        &mut self,
        upload: &UploadRef,
        request: &PartCopyRequest,
        landing: Landing,
    ) -> Result<UploadedPart, StoreError> {
        let operation = Operation::UploadPartCopy;
        if !self.quirks.copies_parts {
            return Err(not_implemented(operation));
        }
        let declared = self.open_upload(operation, upload)?.declared;
        let (bytes, _) =
            self.source(operation, &request.source, request.source_if_match.as_ref())?;
        let bytes = match &request.range {
            None => bytes,
            Some(range) if range.start < range.end && range.end <= bytes.len() as u64 => {
                let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                bytes.slice(index(range.start)..index(range.end))
            }
            Some(_) => {
                let message = format!(
                    "Range specified is not valid for source object of size: {}",
                    bytes.len()
                );
                return Err(StoreError::answered(
                    operation,
                    400,
                    Some("InvalidArgument"),
                    &message,
                ));
            }
        };
        let algorithm = declared.map(|(algorithm, _)| algorithm);
        self.keep_part(operation, (upload, request.number), &bytes, algorithm, landing)
    }

    pub(super) fn get_object_tagging(
        &mut self,
        object: &ObjectRef,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        Ok(self.stored(Operation::GetObjectTagging, object)?.attributes.tags.clone())
    }

    /// Changes the attributes of an object that exists.
    pub(super) fn change_attributes(
        &mut self,
        operation: Operation,
        object: &ObjectRef,
        change: impl FnOnce(&mut ObjectAttributes),
    ) -> Result<(), StoreError> {
        self.stored(operation, object)?;
        if let Some(found) = self.bucket(operation, &object.bucket)?.objects.get_mut(&object.key) {
            change(&mut found.attributes);
        }
        Ok(())
    }

    /// Returns the bytes of a source, and the attributes that a copy keeps.
    fn source(
        &mut self,
        operation: Operation,
        source: &ObjectRef,
        if_match: Option<&ETag>,
    ) -> Result<(Bytes, Kept), StoreError> {
        let if_match = if_match.filter(|_| self.quirks.conditional_copies);
        let source = self.stored(operation, source)?;
        if if_match.is_some_and(|wanted| *wanted != source.etag) {
            return Err(precondition_failed(operation));
        }
        let algorithm = source.checksum.map(|(checksum, _)| checksum.algorithm());
        Ok((source.bytes.clone(), Kept { attributes: source.attributes.clone(), algorithm }))
    }
}

struct Kept {
    attributes: ObjectAttributes,
    algorithm: Option<haul_parts::ChecksumAlgorithm>,
}

fn not_implemented(operation: Operation) -> StoreError {
    StoreError::answered(operation, 501, Some("NotImplemented"), "this store does not copy")
}
