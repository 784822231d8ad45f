//! Converts between the SDK's generated types and ours.

use std::collections::BTreeMap;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types as sdk;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::http::HttpError;
use aws_smithy_types::DateTime;
use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, CompositeChecksum, ETag};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::remote::ObjectLock;

/// Returns the checksum from the fields of a generated answer. This is a macro because the types
/// have the same fields but no common trait.
macro_rules! checksum_of {
    ($answer:expr) => {
        $crate::s3::convert::first_checksum($crate::s3::convert::checksum_values!($answer))
    };
}
pub(super) use checksum_of;

/// Returns the composite checksum from the same fields.
macro_rules! composite_of {
    ($answer:expr) => {
        $crate::s3::convert::first_composite($crate::s3::convert::checksum_values!($answer))
    };
}
pub(super) use composite_of;

macro_rules! checksum_values {
    ($answer:expr) => {
        [
            (haul_parts::ChecksumAlgorithm::Crc64Nvme, $answer.checksum_crc64_nvme()),
            (haul_parts::ChecksumAlgorithm::Crc32c, $answer.checksum_crc32_c()),
            (haul_parts::ChecksumAlgorithm::Crc32, $answer.checksum_crc32()),
            (haul_parts::ChecksumAlgorithm::Sha256, $answer.checksum_sha256()),
            (haul_parts::ChecksumAlgorithm::Sha1, $answer.checksum_sha1()),
            (haul_parts::ChecksumAlgorithm::Sha512, $answer.checksum_sha512()),
            (haul_parts::ChecksumAlgorithm::Xxhash3, $answer.checksum_xxhash3()),
            (haul_parts::ChecksumAlgorithm::Xxhash64, $answer.checksum_xxhash64()),
            (haul_parts::ChecksumAlgorithm::Xxhash128, $answer.checksum_xxhash128()),
            (haul_parts::ChecksumAlgorithm::Md5, $answer.checksum_md5()),
        ]
    };
}
pub(super) use checksum_values;

/// The value of each algorithm in an answer.
pub(super) type ChecksumValues<'a> = [(ChecksumAlgorithm, Option<&'a str>); 10];

/// Returns the first valid value of the full object. Composite values, which end in `-N`, are
/// skipped.
pub(super) fn first_checksum(values: ChecksumValues<'_>) -> Option<Checksum> {
    values.into_iter().find_map(|(algorithm, value)| Checksum::from_base64(algorithm, value?).ok())
}

/// Returns the first composite value, which ends in `-N`.
pub(super) fn first_composite(values: ChecksumValues<'_>) -> Option<CompositeChecksum> {
    values
        .into_iter()
        .find_map(|(algorithm, value)| CompositeChecksum::parse(algorithm, value?).ok())
}

pub(super) fn algorithm(algorithm: ChecksumAlgorithm) -> sdk::ChecksumAlgorithm {
    sdk::ChecksumAlgorithm::from(algorithm.s3_name())
}

pub(super) fn algorithm_from(name: &sdk::ChecksumAlgorithm) -> Option<ChecksumAlgorithm> {
    ChecksumAlgorithm::ALL.into_iter().find(|algorithm| algorithm.s3_name() == name.as_str())
}

pub(super) fn checksum_type(kind: ChecksumType) -> sdk::ChecksumType {
    sdk::ChecksumType::from(kind.s3_name())
}

/// Returns the type of a value. If the store names no type, a value without `-N` is of the full
/// object.
pub(super) fn checksum_type_from(kind: Option<&sdk::ChecksumType>) -> ChecksumType {
    match kind {
        Some(sdk::ChecksumType::Composite) => ChecksumType::Composite,
        _ => ChecksumType::FullObject,
    }
}

/// Returns the type declared at Create, if the store returns it.
pub(super) fn declared_type(kind: &sdk::ChecksumType) -> Option<ChecksumType> {
    match kind {
        sdk::ChecksumType::Composite => Some(ChecksumType::Composite),
        sdk::ChecksumType::FullObject => Some(ChecksumType::FullObject),
        _ => None,
    }
}

/// Returns whether an encryption makes the ETag another value than an MD5 (trap 13).
pub(super) fn is_opaque(
    encryption: Option<&sdk::ServerSideEncryption>,
    customer_algorithm: Option<&str>,
) -> bool {
    encryption.is_some_and(|encryption| encryption.as_str().starts_with("aws:kms"))
        || customer_algorithm.is_some()
}

/// Returns the same for an answer of the data plane.
pub(super) fn is_opaque_by(headers: &http::HeaderMap) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    header("x-amz-server-side-encryption").is_some_and(|value| value.starts_with("aws:kms"))
        || header("x-amz-server-side-encryption-customer-algorithm").is_some()
}

/// Returns the lock of an object.
pub(super) fn lock(answer: &HeadObjectOutput) -> ObjectLock {
    let text = |value: Option<&str>| value.map(str::to_owned);
    let hold = answer.object_lock_legal_hold_status();
    ObjectLock {
        mode: text(answer.object_lock_mode().map(sdk::ObjectLockMode::as_str)),
        retain_until: answer.object_lock_retain_until_date().and_then(timestamp),
        legal_hold: text(hold.map(sdk::ObjectLockLegalHoldStatus::as_str)),
    }
}

pub(super) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

pub(super) fn etag(text: Option<&str>) -> Option<ETag> {
    text.map(ETag::new).filter(|etag| !etag.is_empty())
}

pub(super) fn size_bytes(size: Option<i64>) -> u64 {
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default()
}

/// Adds headers to a request of the SDK, before it is signed.
pub(super) fn with_headers(
    mut request: HttpRequest,
    headers: &[(&'static str, String)],
) -> Result<HttpRequest, HttpError> {
    for (name, value) in headers {
        request.headers_mut().try_insert(*name, value.clone())?;
    }
    Ok(request)
}

/// Formats tags for `x-amz-tagging`, as query parameters; `None` if there are no tags.
pub(super) fn tagging(tags: &BTreeMap<String, String>) -> Option<String> {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let pairs: Vec<String> =
        tags.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}
