//! CompleteMultipartUpload of the in-memory store: checks the request in the order of S3, then
//! makes the object from its parts.

use bytes::BytesMut;
use haul_parts::{
    Checksum, ChecksumAlgorithm, ChecksumType, CompositeChecksum, ETag, Hasher, Protection,
};

use super::quirks::{GoneUpload, Quirks, RepeatedComplete};
use super::uploads::no_such_upload;
use super::world::{Completed, Object, OpenUpload, Part, World};
use crate::remote::{
    CompleteRequest, CompletedObject, CompletedPart, Operation, StoreError, UploadRef,
};

const OPERATION: Operation = Operation::CompleteMultipartUpload;

impl World {
    pub(super) fn complete_upload(
        &mut self,
        upload: &UploadRef,
        request: &CompleteRequest,
    ) -> Result<CompletedObject, StoreError> {
        let quirks = self.quirks.clone();
        if let Some(answer) = self.completed_before(upload, request)? {
            return Ok(answer);
        }
        let open = match self.open_upload(OPERATION, upload) {
            Ok(open) => open,
            Err(_) if quirks.complete_of_gone_upload == GoneUpload::InternalError => {
                return Err(StoreError::answered(OPERATION, 500, Some("InternalError"), ""));
            }
            Err(error) => return Err(error),
        };
        let parts = chosen_parts(open, request, &quirks)?;
        let sequence = open.sequence;
        let mut attributes = open.attributes.clone();
        if quirks.drops_upload_attributes {
            let Protection { acl, grants, encryption, .. } = attributes.protection;
            attributes.tags.clear();
            attributes.protection = Protection { acl, grants, encryption, ..Default::default() };
        }
        let bytes = parts.iter().fold(BytesMut::new(), |mut bytes, part| {
            bytes.extend_from_slice(&part.bytes);
            bytes
        });
        let bytes = bytes.freeze();
        let checksum = object_checksum(open, &parts, &bytes, &quirks);
        check_whole(open, request, &bytes, &quirks)?;
        if quirks.conditional_complete {
            self.check_conditions(upload, request, sequence)?;
        }

        let (etag, _) = self.etag(ETag::composite(parts.iter().map(|part| part.md5)));
        let object = Object {
            parts: parts.iter().map(|part| (part.bytes.len() as u64, part.checksum)).collect(),
            bytes,
            etag: etag.clone(),
            checksum,
            attributes,
            last_modified: self.now(),
            sequence: self.next_sequence(),
        };
        let full_object = checksum.filter(|(_, kind)| *kind == ChecksumType::FullObject);
        let answer = CompletedObject {
            etag: Some(etag),
            checksum: full_object.map(|(checksum, _)| checksum),
            version_id: None,
        };
        let bucket = self.bucket(OPERATION, &upload.object.bucket)?;
        bucket.uploads.remove(&(upload.object.key.clone(), sequence));
        let completed = Completed { request: request.clone(), answer: answer.clone() };
        bucket.completed.insert(upload.upload_id.clone(), completed);
        self.publish(OPERATION, &upload.object, object)?;
        Ok(CompletedObject {
            etag: answer.etag.clone().filter(|_| !quirks.empty_etag_at_complete),
            ..answer
        })
    }

    /// Returns the answer to a repetition of a successful Complete; `None` if the request is the
    /// first one.
    fn completed_before(
        &mut self,
        upload: &UploadRef,
        request: &CompleteRequest,
    ) -> Result<Option<CompletedObject>, StoreError> {
        let repeated = self.quirks.repeated_complete;
        let bucket = self.bucket(OPERATION, &upload.object.bucket)?;
        match bucket.completed.get(&upload.upload_id) {
            Some(before) if before.request.parts == request.parts => match repeated {
                RepeatedComplete::SameAnswer => Ok(Some(before.answer.clone())),
                RepeatedComplete::NoSuchUpload => Err(no_such_upload(OPERATION)),
            },
            _ => Ok(None),
        }
    }

    fn check_conditions(
        &mut self,
        upload: &UploadRef,
        request: &CompleteRequest,
        created: u64,
    ) -> Result<(), StoreError> {
        let bucket = self.bucket(OPERATION, &upload.object.bucket)?;
        let present = bucket.objects.get(&upload.object.key);
        let deleted_since =
            bucket.deleted.get(&upload.object.key).is_some_and(|deleted| *deleted > created);
        let conflict =
            || refusal(409, "ConditionalRequestConflict", "The key changed since Create.");
        let failed = || refusal(412, "PreconditionFailed", "A precondition did not hold.");
        if request.if_none_match {
            match present {
                Some(_) => return Err(failed()),
                None if deleted_since => return Err(conflict()),
                None => {}
            }
        }
        match (&request.if_match, present) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(refusal(404, "NoSuchKey", "The specified key does not exist.")),
            (Some(wanted), Some(object)) if *wanted != object.etag => Err(failed()),
            (Some(_), Some(object)) if object.sequence > created => Err(conflict()),
            (Some(_), Some(_)) => Ok(()),
        }
    }
}

fn refusal(status: u16, code: &str, message: &str) -> StoreError {
    StoreError::answered(OPERATION, status, Some(code), message)
}

/// Checks the parts that the request lists, one by one, and returns them.
fn chosen_parts(
    open: &OpenUpload,
    request: &CompleteRequest,
    quirks: &Quirks,
) -> Result<Vec<Part>, StoreError> {
    if request.parts.is_empty() {
        return Err(refusal(400, "InvalidRequest", "You must specify at least one part"));
    }
    let mut chosen = vec![];
    let mut before = None;
    for (index, named) in request.parts.iter().enumerate() {
        if before.is_some_and(|before| named.number <= before) {
            return Err(refusal(
                400,
                "InvalidPartOrder",
                "The list of parts was not in ascending order.",
            ));
        }
        before = Some(named.number);
        let part = open.parts.get(&named.number).filter(|part| part.etag == named.etag);
        let part = part.ok_or_else(|| invalid_part(named))?;
        check_part_checksum(open, named, part, index, quirks)?;
        chosen.push(part.clone());
    }
    if let Some(small) = chosen
        .iter()
        .take(chosen.len() - 1)
        .position(|part| (part.bytes.len() as u64) < quirks.part_size_min_bytes)
    {
        let message = format!(
            "Your proposed upload is smaller than the minimum allowed size: part {} has {} bytes, \
             the least is {}",
            request.parts[small].number,
            chosen[small].bytes.len(),
            quirks.part_size_min_bytes
        );
        return Err(refusal(400, "EntityTooSmall", &message));
    }
    if quirks.complete_wants_all_parts && chosen.len() != open.parts.len() {
        return Err(refusal(400, "InvalidPart", "not every part that was uploaded is listed"));
    }
    Ok(chosen)
}

fn invalid_part(named: &CompletedPart) -> StoreError {
    let message = format!(
        "One or more of the specified parts could not be found: part {}, ETag {}",
        named.number, named.etag
    );
    refusal(400, "InvalidPart", &message)
}

fn check_part_checksum(
    open: &OpenUpload,
    named: &CompletedPart,
    part: &Part,
    index: usize,
    quirks: &Quirks,
) -> Result<(), StoreError> {
    if !quirks.verify_checksums {
        return Ok(());
    }
    let composite = matches!(open.declared, Some((_, ChecksumType::Composite)));
    match named.checksum {
        None if composite => {
            let message = format!(
                "The complete request must include the checksum for each part. It was missing for \
                 part {} in the request.",
                named.number
            );
            Err(refusal(400, "InvalidRequest", &message))
        }
        None => Ok(()),
        // If Create declared no algorithm, the list must not contain checksums.
        Some(_) if open.declared.is_none() => Err(invalid_part(named)),
        Some(_) if named.number.index() != index => Err(refusal(
            400,
            "InvalidPartOrder",
            "With checksums, part numbers must start at 1 and be consecutive.",
        )),
        Some(given) if part.checksum != Some(given) => Err(invalid_part(named)),
        Some(_) => Ok(()),
    }
}

/// Compares the size and the checksum of the whole object with those in the request.
fn check_whole(
    open: &OpenUpload,
    request: &CompleteRequest,
    bytes: &[u8],
    quirks: &Quirks,
) -> Result<(), StoreError> {
    if quirks.check_object_size
        && let Some(wanted) = request.object_size_bytes
        && wanted != bytes.len() as u64
    {
        let message = format!(
            "The provided 'x-amz-mp-object-size' header value {wanted} does not match what was \
             computed: {}",
            bytes.len()
        );
        return Err(refusal(400, "InvalidRequest", &message));
    }
    let Some(given) = request.full_object_checksum else { return Ok(()) };
    if !quirks.verify_checksums {
        return Ok(());
    }
    let wrong_mode = match open.declared {
        Some((algorithm, kind)) => {
            kind == ChecksumType::Composite || algorithm != given.algorithm()
        }
        None => false,
    };
    if wrong_mode {
        return Err(refusal(
            400,
            "InvalidRequest",
            "The complete request must use the same checksum mode.",
        ));
    }
    if Hasher::checksum(given.algorithm(), bytes) != given {
        return Err(refusal(
            400,
            quirks.wrong_checksum_code,
            "The checksum you specified did not match the object.",
        ));
    }
    Ok(())
}

fn object_checksum(
    open: &OpenUpload,
    parts: &[Part],
    bytes: &[u8],
    quirks: &Quirks,
) -> Option<(Checksum, ChecksumType)> {
    if !quirks.echo_checksums {
        return None;
    }
    let full = |algorithm: ChecksumAlgorithm| {
        (Hasher::checksum(algorithm, bytes), ChecksumType::FullObject)
    };
    match open.declared {
        Some((algorithm, ChecksumType::FullObject)) => Some(full(algorithm)),
        Some((_, ChecksumType::Composite)) => {
            let of_parts: Option<Vec<_>> = parts.iter().map(|part| part.checksum).collect();
            let composite = CompositeChecksum::from_parts(of_parts?).ok()?;
            Some((composite.checksum(), ChecksumType::Composite))
        }
        None => quirks.default_checksum.map(full),
    }
}
