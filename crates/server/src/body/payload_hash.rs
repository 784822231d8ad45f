//! The SHA-256 that stands in `x-amz-content-sha256`, and the answer to bytes that have another
//! one.
//!
//! `s3s` compares it while the bytes of an object or part pass, on the thread of their connection.
//! Documents are compared by [`RequestBody`](crate::body::request_body::RequestBody), because `s3s`
//! has only an internal error for them.

use haul_parts::{Checksum, ChecksumAlgorithm};
use http::HeaderMap;
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;

/// The hash that was given. Other values name a form of the body, or are refused by `s3s`.
pub(crate) fn claimed(headers: &HeaderMap) -> Option<Checksum> {
    let sha256 = hex::decode(headers.get("x-amz-content-sha256")?).ok()?;
    Checksum::from_bytes(ChecksumAlgorithm::Sha256, &sha256).ok()
}

/// The answer to a document with another hash.
pub(crate) fn mismatch(claimed: Checksum, computed: Checksum) -> Refusal {
    mismatch_of(Some(claimed)).field("S3ComputedContentSHA256", hex::encode(computed.bytes()))
}

/// The answer to an object or part with another hash. `s3s` does not report the one that it
/// computed.
pub(crate) fn mismatch_of(claimed: Option<Checksum>) -> Refusal {
    let refusal = Refusal::new(S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()))
        .with_status(http::StatusCode::BAD_REQUEST);
    match claimed {
        Some(claimed) => refusal.field("ClientComputedContentSHA256", hex::encode(claimed.bytes())),
        None => refusal,
    }
}
