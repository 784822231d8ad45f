//! Maps the store's errors to S3 errors: the store supplies the code, this file adds the extra
//! elements.

use haul_parts::{Checksum, ChecksumAlgorithm};
use haul_store::Error;
use http::StatusCode;
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;

impl Refusal {
    /// Returns the refusal for an error of the store. Logs errors that the client did not cause.
    pub(crate) fn from_store(error: &Error) -> Self {
        match error {
            Error::NoSuchBucket { bucket }
            | Error::BucketNotEmpty { bucket }
            | Error::BucketAlreadyExists { bucket } => {
                usual(error).field("BucketName", bucket.as_str())
            }
            // s3s does not know some of these codes, nor that they are 404.
            Error::NoSuchSetting { bucket, .. } => {
                usual(error).with_status(StatusCode::NOT_FOUND).field("BucketName", bucket.as_str())
            }
            Error::NoSuchKey { key, .. } => usual(error).field("Key", key.as_str()),
            Error::NoSuchUpload { upload_id } => usual(error).field("UploadId", upload_id.as_str()),
            Error::InvalidPart { part_number, etag, upload_id } => usual(error)
                .field("ETag", etag.unquoted())
                .field("PartNumber", part_number.get().to_string())
                .field("UploadId", upload_id.as_str()),
            Error::EntityTooSmall { part_number, etag, size_bytes, min_bytes } => usual(error)
                .field("ProposedSize", size_bytes.to_string())
                .field("MinSizeAllowed", min_bytes.to_string())
                .field("PartNumber", part_number.get().to_string())
                .field("ETag", etag.unquoted()),
            Error::EntityTooLarge { size_bytes, max_bytes } => usual(error)
                .field("ProposedSize", size_bytes.to_string())
                .field("MaxSizeAllowed", max_bytes.to_string()),
            Error::PreconditionFailed { condition } => Self::precondition(condition),
            Error::ConditionalRequestConflict { condition, key } => {
                usual(error).field("Condition", *condition).field("Key", key.as_str())
            }
            Error::InvalidRange { size_bytes } => {
                usual(error).field("ActualObjectSize", size_bytes.to_string())
            }
            Error::InvalidPartNumber { part_number, part_count } => Self::custom(
                "InvalidPartNumber",
                StatusCode::RANGE_NOT_SATISFIABLE,
                "The requested partnumber is not satisfiable",
            )
            .field("PartNumberRequested", part_number.get().to_string())
            .field("ActualPartCount", part_count.to_string()),
            Error::NoPartsListed
            | Error::ObjectSizeMismatch { .. }
            | Error::ChecksumPair { .. }
            | Error::ChecksumAlgorithmMismatch { .. }
            | Error::ChecksumTypeMismatch { .. }
            | Error::MissingPartChecksum { .. } => Self::invalid_request(error.to_string()),
            Error::BadDigest { claimed, computed } => bad_digest(claimed, computed),
            Error::BadObjectDigest { claimed, computed } => with_digests(
                Self::with(S3ErrorCode::BadDigest, error.to_string()),
                claimed.to_base64(),
                computed,
            ),
            Error::InvalidCopyRange { .. } | Error::InvalidUploadIdMarker => {
                Self::with(S3ErrorCode::InvalidArgument, error.to_string())
            }
            Error::InvalidPartOrder { .. } => usual(error),
            Error::StorageFull => {
                tracing::error!("the disk of the store is full");
                Self::custom(
                    "InsufficientStorage",
                    StatusCode::INSUFFICIENT_STORAGE,
                    "There is not enough space left for this request.",
                )
            }
            Error::TooManyOpenFiles => {
                tracing::warn!("too many files are open: a request was answered SlowDown");
                Self::new(S3ErrorCode::SlowDown)
            }
            Error::ReadOnlyAfterSyncFailure { .. } | Error::Closed => {
                tracing::error!(%error, "the store takes no writes");
                Self::new(S3ErrorCode::ServiceUnavailable)
            }
            error => Self::internal("the store failed", error),
        }
    }
}

/// Creates `BadDigest` with AWS's wording for MD5 or another checksum, and both digests. AWS writes
/// the expected MD5 in hex and the calculated one in base64.
pub(crate) fn bad_digest(claimed: &Checksum, computed: &Checksum) -> Refusal {
    let (message, expected) = match claimed.algorithm() {
        ChecksumAlgorithm::Md5 => (
            "The Content-MD5 you specified did not match what we received.".to_owned(),
            hex::encode(claimed.bytes()),
        ),
        other => (
            format!("The {} you specified did not match the calculated checksum.", other.s3_name()),
            claimed.to_base64(),
        ),
    };
    with_digests(Refusal::with(S3ErrorCode::BadDigest, message), expected, computed)
}

fn with_digests(refusal: Refusal, expected: String, computed: &Checksum) -> Refusal {
    refusal.field("CalculatedDigest", computed.to_base64()).field("ExpectedDigest", expected)
}

fn usual(error: &Error) -> Refusal {
    Refusal::new(error.s3_code().parse().unwrap_or(S3ErrorCode::InternalError))
}
