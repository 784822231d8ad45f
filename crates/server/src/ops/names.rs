//! Parses the texts of a request into checked names, and maps each failure to its S3 error.

use haul_parts::{Bucket, Key, PartNumber, UploadId};
use haul_store::UploadRef;
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;

pub(crate) fn bucket(name: &str) -> Result<Bucket, Refusal> {
    Bucket::new(name)
        .map_err(|_| Refusal::new(S3ErrorCode::InvalidBucketName).field("BucketName", name))
}

pub(crate) fn key(text: &str) -> Result<Key, Refusal> {
    Key::new(text).map_err(|error| match error {
        haul_parts::KeyError::TooLong { given_bytes } => Refusal::new(S3ErrorCode::KeyTooLongError)
            .field("Size", given_bytes.to_string())
            .field("MaxSizeAllowed", haul_parts::limits::KEY_MAX_BYTES.to_string()),
        _ => Refusal::invalid_request("The object key is empty."),
    })
}

/// Parses an upload id; an invalid one is reported as a missing upload.
pub(crate) fn upload(
    bucket_name: &str,
    key_text: &str,
    upload_id: &str,
) -> Result<UploadRef, Refusal> {
    let id = UploadId::new(upload_id)
        .map_err(|_| Refusal::new(S3ErrorCode::NoSuchUpload).field("UploadId", upload_id))?;
    Ok(UploadRef::new(bucket(bucket_name)?, key(key_text)?, id))
}

pub(crate) fn part_number(number: i32) -> Result<PartNumber, Refusal> {
    let known = u32::try_from(number).ok().and_then(|number| PartNumber::new(number).ok());
    known.ok_or_else(|| no_part_number(&number.to_string()))
}

/// Parses a part number from the query: digits only, although Rust accepts more.
pub(crate) fn part_number_text(text: &str) -> Result<PartNumber, Refusal> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| PartNumber::new(digits.parse().ok()?).ok());
    number.ok_or_else(|| no_part_number(text))
}

fn no_part_number(given: &str) -> Refusal {
    Refusal::invalid_argument(
        "partNumber",
        given,
        "Part number must be an integer between 1 and 10000, inclusive",
    )
}

/// Checks a version id: without versioning, only that of unversioned objects exists.
pub(crate) fn unversioned(version_id: Option<&str>) -> Result<(), Refusal> {
    match version_id {
        None | Some("null" | "") => Ok(()),
        Some(other) => {
            Err(Refusal::invalid_argument("versionId", other, "Invalid version id specified"))
        }
    }
}

/// Returns the object of a request that may name a version of it.
pub(crate) fn object(
    bucket_name: &str,
    key_text: &str,
    version_id: Option<&str>,
) -> Result<(Bucket, Key), Refusal> {
    unversioned(version_id)?;
    Ok((bucket(bucket_name)?, key(key_text)?))
}

/// Returns the page size: the requested one, at most 1,000.
pub(crate) fn page_size(name: &'static str, asked: Option<i32>) -> Result<u16, Refusal> {
    match asked {
        None => Ok(1000),
        Some(asked) => match u32::try_from(asked) {
            Ok(asked) => Ok(u16::try_from(asked.min(1000)).expect("1000 fits")),
            Err(_) => Err(Refusal::invalid_argument(
                name,
                asked.to_string(),
                format!("Argument {name} must be an integer between 0 and 2147483647"),
            )),
        },
    }
}
