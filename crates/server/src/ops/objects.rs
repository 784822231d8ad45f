//! Implements PutObject, DeleteObject and DeleteObjects.

use haul_parts::{ChecksumAlgorithm, Key};
use haul_store::{ObjectChecksum, PutOptions, WriteCondition};
use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

use super::conditions::{delete_condition, write_condition};
use crate::answer::error_document::usual_message;
use crate::answer::refusal::Refusal;
use crate::body::integrity::Integrity;
use crate::body::receive::{Arriving, receive};
use crate::ops::endpoint::{Answered, Endpoint};
use crate::ops::{names, wire};

/// The maximum number of keys in one DeleteObjects, by AWS's rule.
const DELETE_KEYS: usize = 1000;

impl Endpoint {
    pub(crate) async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> Answered<PutObjectOutput> {
        let attributes = self.attributes_of(&req)?;
        let PutObjectInput { bucket, key, body, if_match, if_none_match, .. } = req.input;
        let integrity = Integrity::from_headers(&req.headers)?;
        let condition = write_condition(if_match, if_none_match)?;
        let key = names::key(&key)?;
        let bucket = self.bucket_for_writing(&bucket).await?;

        let arriving = Arriving {
            body,
            requester: req.extensions.get(),
            headers: &req.headers,
            integrity: &integrity,
            trailers: req.extensions.get(),
            // AWS stores this checksum if the client names none.
            checksums: vec![integrity.algorithm().unwrap_or(ChecksumAlgorithm::Crc64Nvme)],
        };
        let received = receive(&self.store, &self.blocks, arriving).await?;
        let options = PutOptions { attributes, checksum: received.checksum, condition };
        let object = self
            .on_store(move |store| store.put_object(&bucket, &key, received.staged, options))
            .await?;

        let mut response = S3Response::new(PutObjectOutput {
            e_tag: Some(wire::etag(&object.etag)),
            ..Default::default()
        });
        if let Some(checksum @ ObjectChecksum::FullObject(_)) = &object.checksum {
            wire::set_object_checksum(&mut response.headers, checksum);
        }
        self.volume.announce(&mut response.headers);
        Ok(response)
    }

    pub(crate) async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> Answered<DeleteObjectOutput> {
        check_no_bypass(&req.headers)?;
        let input = req.input;
        names::unversioned(input.version_id.as_deref())?;
        if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
            // AWS supports these on directory buckets only.
            return Err(
                Refusal::new(S3ErrorCode::NotImplemented).field("Header", "x-amz-if-match-*")
            );
        }
        let condition = delete_condition(input.if_match);
        let (bucket, key) = (names::bucket(&input.bucket)?, names::key(&input.key)?);
        self.on_store(move |store| store.delete_object(&bucket, &key, condition)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    pub(crate) async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> Answered<DeleteObjectsOutput> {
        check_no_bypass(&req.headers)?;
        let DeleteObjectsInput { bucket, delete, .. } = req.input;
        let bucket = names::bucket(&bucket)?;
        if delete.objects.is_empty() || delete.objects.len() > DELETE_KEYS {
            return Err(Refusal::new(S3ErrorCode::MalformedXML));
        }
        let (mut wanted, mut errors) = (Vec::new(), Vec::new());
        for object in delete.objects {
            match conditional_delete(&object) {
                Ok(checked) => wanted.push(checked),
                Err(refusal) => errors.push(failed_delete(object.key, object.version_id, &refusal)),
            }
        }
        let keys = wanted.clone();
        let outcomes = self.on_store(move |store| store.delete_objects(&bucket, keys)).await?;
        let mut deleted = Vec::new();
        for ((key, _), outcome) in wanted.into_iter().zip(outcomes) {
            match outcome {
                Ok(_) if delete.quiet == Some(true) => {}
                Ok(_) => {
                    deleted.push(DeletedObject { key: Some(key.into()), ..Default::default() });
                }
                Err(error) => {
                    errors.push(failed_delete(key.into(), None, &Refusal::from_store(&error)));
                }
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted),
            errors: Some(errors),
            request_charged: None,
        }))
    }
}

/// Refuses a bypass of Object Lock, which no bucket has. AWS refuses any value too.
fn check_no_bypass(headers: &HeaderMap) -> Result<(), Refusal> {
    const BYPASS: &str = "x-amz-bypass-governance-retention";
    if !headers.contains_key(BYPASS) {
        return Ok(());
    }
    let message = format!("{BYPASS} is only applicable to Object Lock enabled buckets.");
    Err(Refusal::with(S3ErrorCode::InvalidArgument, message).field("ArgumentName", BYPASS))
}

/// Returns the key of an entry of DeleteObjects, and its ETag as a condition like If-Match on
/// DeleteObject.
fn conditional_delete(object: &ObjectIdentifier) -> Result<(Key, WriteCondition), Refusal> {
    if !matches!(object.version_id.as_deref(), None | Some("null" | "")) {
        // Without versioning there is no version of this name; AWS reports that per entry.
        return Err(Refusal::new(S3ErrorCode::NoSuchVersion));
    }
    if object.last_modified_time.is_some() || object.size.is_some() {
        // AWS supports these on directory buckets only.
        return Err(Refusal::new(S3ErrorCode::NotImplemented));
    }
    let if_match = object.e_tag.clone().map(|etag| match etag.value() {
        "*" => ETagCondition::Any,
        _ => ETagCondition::ETag(etag),
    });
    Ok((names::key(&object.key)?, delete_condition(if_match)))
}

/// Creates the entry of an object that was not deleted.
fn failed_delete(key: String, version_id: Option<String>, refusal: &Refusal) -> Error {
    let code = refusal.code().to_owned();
    let message = refusal.message().unwrap_or_else(|| usual_message(&code)).to_owned();
    Error { code: Some(code), key: Some(key), message: Some(message), version_id }
}
