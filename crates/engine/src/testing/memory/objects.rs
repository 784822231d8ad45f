//! Implements PutObject, HeadObject, GetObject, DeleteObject and DeleteObjects of the in-memory
//! store.

use std::collections::BTreeMap;

use bytes::Bytes;
use haul_parts::{
    Bucket, Checksum, ChecksumAlgorithm, ChecksumType, CompositeChecksum, ETag, Hasher, PartNumber,
    Protection,
};

use super::world::{Object, World, md5};
use crate::remote::{
    DELETE_KEYS_MAX, DeleteEntry, DeleteResults, DeletedObject, GetRequest, ObjectAttributes,
    ObjectHead, ObjectLock, ObjectRef, Operation, StoreError, StoredPart, UploadedPart,
};

/// The parameters of PutObject, independent of how the bytes arrived.
#[derive(Clone, Debug)]
pub(super) struct Put {
    pub(super) bytes: Bytes,
    pub(super) attributes: ObjectAttributes,
    pub(super) checksum: Option<Checksum>,
    pub(super) md5: Option<Checksum>,
    pub(super) if_none_match: bool,
    pub(super) if_match: Option<ETag>,
}

impl World {
    pub(super) fn put_object(
        &mut self,
        object: &ObjectRef,
        put: &Put,
    ) -> Result<UploadedPart, StoreError> {
        let operation = Operation::PutObject;
        self.check_body(operation, &put.bytes, put.checksum.as_ref())?;
        self.check_body(operation, &put.bytes, put.md5.as_ref())?;
        self.check_target(operation, object, put.if_none_match, put.if_match.as_ref())?;
        let (etag, etag_is_opaque) = self.etag(ETag::from_md5(md5(&put.bytes)));
        let sent = put.checksum.as_ref().map(Checksum::algorithm);
        let algorithm =
            sent.filter(|sent| *sent != ChecksumAlgorithm::Md5).or(self.quirks.default_checksum);
        let checksum = algorithm
            .filter(|_| self.quirks.echo_checksums)
            .map(|algorithm| Hasher::checksum(algorithm, &put.bytes));
        let published = Object {
            bytes: put.bytes.clone(),
            parts: vec![],
            etag: etag.clone(),
            checksum: checksum.map(|checksum| (checksum, ChecksumType::FullObject)),
            attributes: put.attributes.clone(),
            last_modified: self.now(),
            sequence: self.next_sequence(),
        };
        self.publish(operation, object, published)?;
        Ok(UploadedPart { etag, checksum, etag_is_opaque })
    }

    /// Checks the conditions of PutObject and CopyObject on the object that they would overwrite.
    pub(super) fn check_target(
        &mut self,
        operation: Operation,
        object: &ObjectRef,
        if_none_match: bool,
        if_match: Option<&ETag>,
    ) -> Result<(), StoreError> {
        let present = self.bucket(operation, &object.bucket)?.objects.get(&object.key);
        let holds = match (if_match, present) {
            (None, _) => true,
            (Some(wanted), Some(object)) => *wanted == object.etag,
            (Some(_), None) => return Err(no_such_key(operation)),
        };
        if holds && !(if_none_match && present.is_some()) {
            return Ok(());
        }
        Err(precondition_failed(operation))
    }

    pub(super) fn head_object(&mut self, object: &ObjectRef) -> Result<ObjectHead, StoreError> {
        Ok(head(self.stored(Operation::HeadObject, object)?))
    }

    pub(super) fn head_part(
        &mut self,
        object: &ObjectRef,
        number: PartNumber,
    ) -> Result<Option<StoredPart>, StoreError> {
        let operation = Operation::HeadObject;
        let tells = self.quirks.tells_parts;
        let object = self.stored(operation, object)?;
        if object.parts.is_empty() || !tells {
            return Ok(None);
        }
        let Some((size_bytes, checksum)) = object.parts.get(number.index()) else {
            return Err(StoreError::answered(operation, 416, Some("InvalidPartNumber"), ""));
        };
        Ok(Some(StoredPart {
            number,
            size_bytes: *size_bytes,
            etag: object.etag.clone(),
            checksum: *checksum,
            part_count: u16::try_from(object.parts.len()).ok(),
        }))
    }

    pub(super) fn get_object(
        &mut self,
        object: &ObjectRef,
        request: &GetRequest,
    ) -> Result<(ObjectHead, Bytes), StoreError> {
        let operation = Operation::GetObject;
        let object = self.stored(operation, object)?;
        if request.if_match.as_ref().is_some_and(|wanted| *wanted != object.etag) {
            return Err(precondition_failed(operation));
        }
        // The first requested byte must exist; a request for the whole of an empty object has no
        // range, so it cannot be out of range.
        let outside = request.offset_bytes > 0 && request.offset_bytes >= object.bytes.len() as u64;
        match usize::try_from(request.offset_bytes) {
            Ok(offset) if !outside => {
                let rest = object.bytes.slice(offset..);
                let wanted = request.size_bytes.and_then(|size| usize::try_from(size).ok());
                Ok((head(object), rest.slice(..wanted.unwrap_or(rest.len()).min(rest.len()))))
            }
            _ => Err(StoreError::answered(
                operation,
                416,
                Some("InvalidRange"),
                "The requested range is not satisfiable",
            )),
        }
    }

    pub(super) fn delete_object(&mut self, object: &ObjectRef) -> Result<(), StoreError> {
        if self.undeletable.contains(&object.key) {
            let (operation, code) = (Operation::DeleteObject, Some("AccessDenied"));
            return Err(StoreError::answered(operation, 403, code, "Access Denied"));
        }
        let sequence = self.next_sequence();
        let bucket = self.bucket(Operation::DeleteObject, &object.bucket)?;
        if bucket.objects.remove(&object.key).is_some() {
            bucket.deleted.insert(object.key.clone(), sequence);
        }
        Ok(())
    }

    pub(super) fn delete_objects(
        &mut self,
        bucket: &Bucket,
        entries: &[DeleteEntry],
    ) -> Result<DeleteResults, StoreError> {
        let operation = Operation::DeleteObjects;
        self.bucket(operation, bucket)?;
        if !self.quirks.deletes_many {
            return Err(StoreError::answered(operation, 501, Some("NotImplemented"), ""));
        }
        if entries.is_empty() || entries.len() > DELETE_KEYS_MAX {
            return Err(StoreError::answered(operation, 400, Some("MalformedXML"), ""));
        }
        let mut delete = |entry: &DeleteEntry| match &entry.version_id {
            // The buckets here have no versions.
            Some(_) => Err(StoreError::of_entry(operation, "NoSuchVersion", "")),
            None if self.undeletable.contains(&entry.key) => {
                Err(StoreError::of_entry(operation, "AccessDenied", "Access Denied"))
            }
            None => {
                let object = ObjectRef { bucket: bucket.clone(), key: entry.key.clone() };
                self.delete_object(&object).map(|()| DeletedObject::default())
            }
        };
        Ok(entries.iter().map(&mut delete).collect())
    }

    pub(super) fn stored(
        &mut self,
        operation: Operation,
        object: &ObjectRef,
    ) -> Result<&Object, StoreError> {
        let bucket = self.bucket(operation, &object.bucket)?;
        bucket.objects.get(&object.key).ok_or_else(|| no_such_key(operation))
    }
}

fn head(object: &Object) -> ObjectHead {
    // Tags are not returned as headers, and of the protection only what `ObjectDescription` has.
    let attributes = ObjectAttributes {
        tags: BTreeMap::new(),
        protection: Protection::default(),
        ..object.attributes.clone()
    };
    ObjectHead {
        etag_is_opaque: false,
        tag_count: u32::try_from(object.attributes.tags.len()).ok().filter(|count| *count > 0),
        lock: lock(&object.attributes.protection),
        size_bytes: object.bytes.len() as u64,
        etag: object.etag.clone(),
        checksum: object.checksum.filter(|(_, kind)| *kind == ChecksumType::FullObject),
        composite: composite(object),
        last_modified: Some(object.last_modified),
        attributes,
    }
}

fn lock(protection: &Protection) -> ObjectLock {
    ObjectLock {
        mode: protection.lock_mode.clone(),
        retain_until: protection.lock_retain_until.as_ref().and_then(|until| until.parse().ok()),
        legal_hold: protection.legal_hold.clone(),
    }
}

/// Returns the composite checksum in S3's form, with the number of parts.
fn composite(object: &Object) -> Option<CompositeChecksum> {
    let (checksum, _) = object.checksum.filter(|(_, kind)| *kind == ChecksumType::Composite)?;
    let text = format!("{}-{}", checksum.to_base64(), object.etag.part_count()?);
    CompositeChecksum::parse(checksum.algorithm(), &text).ok()
}

fn no_such_key(operation: Operation) -> StoreError {
    StoreError::answered(operation, 404, Some("NoSuchKey"), "The specified key does not exist.")
}

pub(super) fn precondition_failed(operation: Operation) -> StoreError {
    StoreError::answered(operation, 412, Some("PreconditionFailed"), "A precondition did not hold.")
}
