//! Reads the SHA-256 in `x-amz-content-sha256`, and creates the response to a mismatch.
//!
//! `s3s` compares it for an object or part while the bytes pass, on the thread of their connection.
//! [`RequestBody`](crate::body::request_body::RequestBody) compares it for documents, because `s3s`
//! reports a mismatch there as an internal error.

use haul_parts::{Checksum, ChecksumAlgorithm};
use http::HeaderMap;
use s3s::S3ErrorCode;

use crate::answer::refusal::Refusal;

/// Returns the hash in the request; `None` for other values, which name a framing or are rejected
/// by `s3s`.
pub(crate) fn claimed(headers: &HeaderMap) -> Option<Checksum> {
    let sha256 = hex::decode(headers.get("x-amz-content-sha256")?).ok()?;
    Checksum::from_bytes(ChecksumAlgorithm::Sha256, &sha256).ok()
}

/// Creates the response to a document whose hash differs.
pub(crate) fn mismatch(claimed: Checksum, computed: Checksum) -> Refusal {
    mismatch_of(Some(claimed)).field("S3ComputedContentSHA256", hex::encode(computed.bytes()))
}

/// Creates the response to an object or part whose hash differs. `s3s` does not report the computed
/// hash.
pub(crate) fn mismatch_of(claimed: Option<Checksum>) -> Refusal {
    let refusal = Refusal::new(S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()))
        .with_status(http::StatusCode::BAD_REQUEST);
    match claimed {
        Some(claimed) => refusal.field("ClientComputedContentSHA256", hex::encode(claimed.bytes())),
        None => refusal,
    }
}
