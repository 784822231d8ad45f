//! The SHA-256 in `x-amz-content-sha256`, and the response to bytes with another hash.
//!
//! `s3s` compares it while the bytes of an object or part pass, on the thread of their connection.
//! [`RequestBody`](crate::body::request_body::RequestBody) compares documents, because `s3s` has
//! only an internal error for them.

use haul_parts::{Checksum, ChecksumAlgorithm};
use http::HeaderMap;
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;

/// Returns the hash in the request. Other values name a framing of the body, or `s3s` rejects them.
pub(crate) fn claimed(headers: &HeaderMap) -> Option<Checksum> {
    let sha256 = hex::decode(headers.get("x-amz-content-sha256")?).ok()?;
    Checksum::from_bytes(ChecksumAlgorithm::Sha256, &sha256).ok()
}

/// Creates the response to a document with another hash.
pub(crate) fn mismatch(claimed: Checksum, computed: Checksum) -> Refusal {
    mismatch_of(Some(claimed)).field("S3ComputedContentSHA256", hex::encode(computed.bytes()))
}

/// Creates the response to an object or part with another hash. `s3s` does not report the computed
/// one.
pub(crate) fn mismatch_of(claimed: Option<Checksum>) -> Refusal {
    let refusal = Refusal::new(S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()))
        .with_status(http::StatusCode::BAD_REQUEST);
    match claimed {
        Some(claimed) => refusal.field("ClientComputedContentSHA256", hex::encode(claimed.bytes())),
        None => refusal,
    }
}
