//! The control plane: all requests without object bytes or lists, sent by the official SDK.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types as sdk;
use haul_parts::{Bucket, ChecksumAlgorithm, ETag, PartNumber, UploadId};

use super::convert::{self, checksum_of, composite_of};
use super::genuine::{self, signs_of};
use super::sdk_error::convert as failed;
use crate::remote::{
    CompleteRequest, CompletedObject, CompletedPart, CreateRequest, CreatedUpload,
    ObjectAttributes, ObjectHead, ObjectRef, Operation, StoreError, StoreErrorKind, StoredPart,
    UploadRef,
};

pub(super) async fn create_multipart_upload(
    client: &Client,
    object: &ObjectRef,
    request: &CreateRequest,
) -> Result<CreatedUpload, StoreError> {
    let attributes = &request.attributes;
    let mut more = attributes.protection.headers();
    // The SDK accepts only a date here; S3 stores any text.
    more.extend(attributes.expires.clone().map(|expires| ("expires", expires)));
    let metadata =
        attributes.metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let answer = client
        .create_multipart_upload()
        .bucket(object.bucket.as_str())
        .key(object.key.as_str())
        .set_content_type(attributes.content_type.clone())
        .set_cache_control(attributes.cache_control.clone())
        .set_content_disposition(attributes.content_disposition.clone())
        .set_content_encoding(attributes.content_encoding.clone())
        .set_content_language(attributes.content_language.clone())
        .set_website_redirect_location(attributes.website_redirect_location.clone())
        .set_tagging(convert::tagging(&attributes.tags))
        .set_storage_class(attributes.storage_class.as_deref().map(sdk::StorageClass::from))
        .set_metadata(Some(metadata))
        .set_checksum_algorithm(
            request.checksum.map(|(algorithm, _)| convert::algorithm(algorithm)),
        )
        .set_checksum_type(request.checksum.map(|(_, kind)| convert::checksum_type(kind)))
        .customize()
        .map_request(move |request| convert::with_headers(request, &more))
        .send()
        .await
        .map_err(|error| failed(Operation::CreateMultipartUpload, error))?;
    let upload_id = answer.upload_id().unwrap_or_default();
    let upload_id = UploadId::new(upload_id).map_err(|error| {
        let kind = StoreErrorKind::Malformed;
        StoreError::local(Operation::CreateMultipartUpload, kind, "the store gave no UploadId")
            .with_source(error)
    })?;
    Ok(CreatedUpload {
        upload_id,
        checksum: answer.checksum_algorithm().and_then(convert::algorithm_from),
        abort_date: answer.abort_date().and_then(convert::timestamp),
    })
}

pub(super) async fn complete_multipart_upload(
    client: &Client,
    upload: &UploadRef,
    request: &CompleteRequest,
    timeout: Duration,
) -> Result<CompletedObject, StoreError> {
    let parts = request.parts.iter().map(completed_part).collect();
    let list = sdk::CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let object_size = request.object_size_bytes.and_then(|size| i64::try_from(size).ok());
    let mut call = client
        .complete_multipart_upload()
        .bucket(upload.object.bucket.as_str())
        .key(upload.object.key.as_str())
        .upload_id(upload.upload_id.as_str())
        .multipart_upload(list)
        .set_mpu_object_size(object_size)
        .set_if_none_match(request.if_none_match.then(|| "*".to_owned()))
        .set_if_match(request.if_match.as_ref().map(ETag::quoted));
    if let Some(checksum) = request.full_object_checksum {
        let value = Some(checksum.to_base64());
        call = call.checksum_type(sdk::ChecksumType::FullObject);
        call = match checksum.algorithm() {
            ChecksumAlgorithm::Crc64Nvme => call.set_checksum_crc64_nvme(value),
            ChecksumAlgorithm::Crc32c => call.set_checksum_crc32_c(value),
            ChecksumAlgorithm::Crc32 => call.set_checksum_crc32(value),
            // Other algorithms have no full-object value for multipart uploads.
            _ => call,
        };
    }
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(timeout).build();
    let answer = call
        .customize()
        .config_override(
            aws_sdk_s3::config::Builder::new()
                .timeout_config(timeouts)
                // During Complete the store may send one blank now and then for minutes; that is
                // not a stalled stream.
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled()),
        )
        .send()
        .await
        .map_err(|error| failed(Operation::CompleteMultipartUpload, error))?;
    Ok(CompletedObject {
        etag: convert::etag(answer.e_tag()),
        checksum: checksum_of!(answer),
        version_id: answer.version_id().map(str::to_owned),
    })
}

fn completed_part(part: &CompletedPart) -> sdk::CompletedPart {
    let mut built = sdk::CompletedPart::builder()
        .part_number(i32::from(part.number.get()))
        // The ETag is sent back exactly as received, because some stores compare the text.
        .e_tag(part.etag.as_given());
    if let Some(checksum) = part.checksum {
        let value = Some(checksum.to_base64());
        built = match checksum.algorithm() {
            ChecksumAlgorithm::Crc64Nvme => built.set_checksum_crc64_nvme(value),
            ChecksumAlgorithm::Crc32c => built.set_checksum_crc32_c(value),
            ChecksumAlgorithm::Crc32 => built.set_checksum_crc32(value),
            ChecksumAlgorithm::Sha1 => built.set_checksum_sha1(value),
            ChecksumAlgorithm::Sha256 => built.set_checksum_sha256(value),
            ChecksumAlgorithm::Sha512 => built.set_checksum_sha512(value),
            ChecksumAlgorithm::Xxhash3 => built.set_checksum_xxhash3(value),
            ChecksumAlgorithm::Xxhash64 => built.set_checksum_xxhash64(value),
            ChecksumAlgorithm::Xxhash128 => built.set_checksum_xxhash128(value),
            // Content-MD5 belongs to the request of the part, not to the list.
            _ => built,
        };
    }
    built.build()
}

pub(super) async fn abort_multipart_upload(
    client: &Client,
    upload: &UploadRef,
) -> Result<(), StoreError> {
    let sent = client
        .abort_multipart_upload()
        .bucket(upload.object.bucket.as_str())
        .key(upload.object.key.as_str())
        .upload_id(upload.upload_id.as_str())
        .send()
        .await;
    sent.map(drop).map_err(|error| failed(Operation::AbortMultipartUpload, error))
}

/// Builds the head of an object from the answer to HeadObject.
macro_rules! head_of {
    ($answer:expr) => {
        ObjectHead {
            tag_count: $answer.tag_count().and_then(|count| u32::try_from(count).ok()),
            lock: convert::lock(&$answer),
            size_bytes: convert::size_bytes($answer.content_length),
            etag_is_opaque: convert::is_opaque(
                $answer.server_side_encryption(),
                $answer.sse_customer_algorithm(),
            ),
            etag: ETag::new($answer.e_tag().unwrap_or_default()),
            checksum: checksum_of!($answer)
                .map(|checksum| (checksum, convert::checksum_type_from($answer.checksum_type()))),
            composite: composite_of!($answer),
            last_modified: $answer.last_modified().and_then(convert::timestamp),
            attributes: ObjectAttributes {
                content_type: $answer.content_type,
                cache_control: $answer.cache_control,
                content_disposition: $answer.content_disposition,
                content_encoding: $answer.content_encoding,
                content_language: $answer.content_language,
                expires: $answer.expires_string,
                website_redirect_location: $answer.website_redirect_location,
                storage_class: $answer.storage_class.map(|class| class.as_str().to_owned()),
                metadata: $answer.metadata.unwrap_or_default().into_iter().collect(),
                // The answer contains only the number of tags.
                ..ObjectAttributes::default()
            },
        }
    };
}

pub(super) async fn head_object(
    client: &Client,
    object: &ObjectRef,
) -> Result<ObjectHead, StoreError> {
    head_of_answer(ask_for_head(client, object).await?)
}

/// Sends HeadObject with the checksum mode enabled.
pub(super) async fn ask_for_head(
    client: &Client,
    object: &ObjectRef,
) -> Result<HeadObjectOutput, StoreError> {
    client
        .head_object()
        .bucket(object.bucket.as_str())
        .key(object.key.as_str())
        .checksum_mode(sdk::ChecksumMode::Enabled)
        .send()
        .await
        .map_err(|error| failed(Operation::HeadObject, error))
}

/// Builds the head of an object from the answer to HeadObject.
pub(super) fn head_of_answer(answer: HeadObjectOutput) -> Result<ObjectHead, StoreError> {
    let operation = Operation::HeadObject;
    genuine::check(operation, &signs_of!(answer))?;
    // Without a length the object would look empty.
    if answer.content_length().is_none() {
        let message = "the answer announces no length (Content-Length)";
        return Err(StoreError::local(operation, StoreErrorKind::Malformed, message));
    }
    Ok(head_of!(answer))
}

pub(super) async fn head_part(
    client: &Client,
    object: &ObjectRef,
    number: PartNumber,
) -> Result<Option<StoredPart>, StoreError> {
    let sent = client
        .head_object()
        .bucket(object.bucket.as_str())
        .key(object.key.as_str())
        .part_number(i32::from(number.get()))
        .send()
        .await;
    let answer = match sent.map_err(|error| failed(Operation::HeadObject, error)) {
        Ok(answer) => answer,
        Err(error) if matches!(error.status, Some(400 | 416 | 501)) => return Ok(None),
        Err(error) => return Err(error),
    };
    // A store that ignores the parameter describes the whole object, without a number of parts.
    let Some(part_count) = answer.parts_count().and_then(|count| u16::try_from(count).ok()) else {
        return Ok(None);
    };
    Ok(Some(StoredPart {
        number,
        size_bytes: convert::size_bytes(answer.content_length),
        etag: ETag::new(answer.e_tag().unwrap_or_default()),
        checksum: None,
        part_count: Some(part_count),
    }))
}

pub(super) async fn delete_object(client: &Client, object: &ObjectRef) -> Result<(), StoreError> {
    let sent =
        client.delete_object().bucket(object.bucket.as_str()).key(object.key.as_str()).send().await;
    sent.map(drop).map_err(|error| failed(Operation::DeleteObject, error))
}

pub(super) async fn create_bucket(
    client: &Client,
    bucket: &Bucket,
    region: &str,
) -> Result<(), StoreError> {
    // `us-east-1` is the default location, and a request must not name it.
    let place = (region != "us-east-1").then(|| {
        sdk::CreateBucketConfiguration::builder()
            .location_constraint(sdk::BucketLocationConstraint::from(region))
            .build()
    });
    let sent = client
        .create_bucket()
        .bucket(bucket.as_str())
        .set_create_bucket_configuration(place)
        .send()
        .await;
    sent.map(drop).map_err(|error| failed(Operation::CreateBucket, error))
}

pub(super) async fn delete_bucket(client: &Client, bucket: &Bucket) -> Result<(), StoreError> {
    let sent = client.delete_bucket().bucket(bucket.as_str()).send().await;
    sent.map(drop).map_err(|error| failed(Operation::DeleteBucket, error))
}
