//! Sends CopyObject and UploadPartCopy: the store moves the bytes, so these requests belong to the
//! control plane.
//!
//! In both cases the store may answer 200 first, send blanks for minutes, and end with an
//! `<Error>`, which the SDK returns as an error.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::types as sdk;
use haul_parts::{Checksum, ETag};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::convert::{self, checksum_of};
use super::sdk_error::convert as failed;
use crate::remote::{
    CopyRequest, ObjectRef, Operation, PartCopyRequest, StoreError, StoreErrorKind, UploadRef,
    UploadedPart,
};

/// The characters to escape in a key of `x-amz-copy-source`. A raw `+` means a blank there, and a
/// raw `%` crashes Ceph RGW 16.2.
const KEY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Formats `x-amz-copy-source` (S3 API, CopyObject): `bucket/key`, or `ARN/object/key` of an access
/// point.
fn copy_source(source: &ObjectRef) -> String {
    let key = utf8_percent_encode(source.key.as_str(), KEY);
    match source.bucket.as_access_point() {
        Some(_) => format!("{}/object/{key}", utf8_percent_encode(source.bucket.as_str(), KEY)),
        None => format!("{}/{key}", source.bucket),
    }
}

/// Returns a configuration with a long time-out, because the answer comes when everything is
/// copied.
fn patient(timeout: Duration) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::new()
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(timeout).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

pub(super) async fn copy_object(
    client: &Client,
    object: &ObjectRef,
    request: &CopyRequest,
    timeout: Duration,
) -> Result<UploadedPart, StoreError> {
    let operation = Operation::CopyObject;
    let storage_class = request.storage_class.as_deref().map(sdk::StorageClass::from);
    let mut call = client
        .copy_object()
        .bucket(object.bucket.as_str())
        .key(object.key.as_str())
        .copy_source(copy_source(&request.source))
        .set_copy_source_if_match(request.source_if_match.as_ref().map(ETag::quoted))
        .set_storage_class(storage_class)
        .set_if_none_match(request.if_none_match.then(|| "*".to_owned()))
        .set_if_match(request.if_match.as_ref().map(ETag::quoted));
    let replaced = request.attributes.clone();
    if let Some(attributes) = &replaced {
        let metadata =
            attributes.metadata.iter().map(|(name, value)| (name.clone(), value.clone()));
        let tags = convert::tagging(&attributes.tags);
        call = call
            .metadata_directive(sdk::MetadataDirective::Replace)
            .set_tagging_directive(tags.is_some().then_some(sdk::TaggingDirective::Replace))
            .set_tagging(tags)
            .set_content_type(attributes.content_type.clone())
            .set_cache_control(attributes.cache_control.clone())
            .set_content_disposition(attributes.content_disposition.clone())
            .set_content_encoding(attributes.content_encoding.clone())
            .set_content_language(attributes.content_language.clone())
            .set_website_redirect_location(attributes.website_redirect_location.clone())
            .set_metadata(Some(metadata.collect()));
    }
    let mut more = request.protection.headers();
    // The SDK accepts only a date here; S3 stores any text.
    more.extend(replaced.and_then(|attributes| Some(("expires", attributes.expires?))));
    let answer = call
        .customize()
        .map_request(move |request| convert::with_headers(request, &more))
        .config_override(patient(timeout))
        .send()
        .await
        .map_err(|error| failed(operation, error))?;
    let opaque =
        convert::is_opaque(answer.server_side_encryption(), answer.sse_customer_algorithm());
    let Some(copied) = answer.copy_object_result() else { return Err(no_result(operation)) };
    copied_part(operation, copied.e_tag(), checksum_of!(copied), opaque)
}

pub(super) async fn upload_part_copy(
    client: &Client,
    upload: &UploadRef,
    request: &PartCopyRequest,
    timeout: Duration,
) -> Result<UploadedPart, StoreError> {
    let operation = Operation::UploadPartCopy;
    let range = request
        .range
        .as_ref()
        .map(|range| format!("bytes={}-{}", range.start, range.end.max(1) - 1));
    let answer = client
        .upload_part_copy()
        .bucket(upload.object.bucket.as_str())
        .key(upload.object.key.as_str())
        .upload_id(upload.upload_id.as_str())
        .part_number(i32::from(request.number.get()))
        .copy_source(copy_source(&request.source))
        .set_copy_source_range(range)
        .set_copy_source_if_match(request.source_if_match.as_ref().map(ETag::quoted))
        .customize()
        // Without `Content-Length` Ceph RGW 16.2 answers this operation, and only this one, with
        // 411.
        .mutate_request(|request| {
            request.headers_mut().insert("content-length", "0");
        })
        .config_override(patient(timeout))
        .send()
        .await
        .map_err(|error| failed(operation, error))?;
    let opaque =
        convert::is_opaque(answer.server_side_encryption(), answer.sse_customer_algorithm());
    let Some(copied) = answer.copy_part_result() else { return Err(no_result(operation)) };
    copied_part(operation, copied.e_tag(), checksum_of!(copied), opaque)
}

pub(super) async fn get_object_tagging(
    client: &Client,
    object: &ObjectRef,
) -> Result<BTreeMap<String, String>, StoreError> {
    let answer = client
        .get_object_tagging()
        .bucket(object.bucket.as_str())
        .key(object.key.as_str())
        .send()
        .await
        .map_err(|error| failed(Operation::GetObjectTagging, error))?;
    Ok(answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

fn copied_part(
    operation: Operation,
    etag: Option<&str>,
    checksum: Option<Checksum>,
    etag_is_opaque: bool,
) -> Result<UploadedPart, StoreError> {
    let etag = convert::etag(etag).ok_or_else(|| no_result(operation))?;
    Ok(UploadedPart { etag, checksum, etag_is_opaque })
}

/// Creates the error for a store that does not support `x-amz-copy-source`, and therefore treats
/// the request as an upload of an empty body.
fn no_result(operation: Operation) -> StoreError {
    let message = "the answer names no copy: this store took the request for an upload of no bytes";
    StoreError::local(operation, StoreErrorKind::NotImplemented, message)
}

#[cfg(test)]
mod tests {
    use haul_parts::{Bucket, Key};

    use super::*;

    #[test]
    fn every_character_of_a_source_key_survives_the_header() {
        let source = |bucket: &str, key: &str| {
            copy_source(&ObjectRef {
                bucket: Bucket::name_or_arn(bucket).unwrap(),
                key: Key::new(key).unwrap(),
            })
        };
        assert_eq!(source("bucket", "a/b.txt"), "bucket/a/b.txt");
        assert_eq!(source("bucket", "a b+c%d?e#f"), "bucket/a%20b%2Bc%25d%3Fe%23f");
        assert_eq!(source("bucket", "//\u{fc}"), "bucket///%C3%BC");
        assert_eq!(
            source("arn:aws:s3:eu-west-1:123456789012:accesspoint/files", "a b"),
            "arn%3Aaws%3As3%3Aeu-west-1%3A123456789012%3Aaccesspoint/files/object/a%20b"
        );
    }
}
