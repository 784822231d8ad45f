//! The body of an object or part whose SHA-256 stands in `x-amz-content-sha256`.
//!
//! `s3s` compares it while the bytes pass, one stream after the other. That was a third of what an upload without TLS cost:
//! two streams side by side cost half (`haul_parts::lanes`), and only the store knows which parts are on their way together. So
//! the body goes to `s3s` as ever, which checks the signature that covers the hash, and to the operation in the extensions of the
//! request, which reads it there and has the store make the hash. Whoever does not read it there gets it from `s3s`,
//! compared if version 4 signed it. Bodies that are documents are read so; [`RequestBody`] compares them first, because `s3s` has only an internal error
//! to say of it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm};
use http::request::Parts;
use http::{HeaderMap, Method};
use http_body::{Frame, SizeHint};
use s3s::dto::StreamingBlob;
use s3s::{Body, S3ErrorCode};

use crate::answer::refusal::Refusal;
use crate::body::request_body::{BrokenBody, RequestBody};

/// A body that two may read, and what it has to come to. All clones are the same body.
#[derive(Clone)]
pub(crate) struct SignedPayload {
    body: Arc<Mutex<RequestBody>>,
    sha256: Checksum,
}

impl SignedPayload {
    /// The body as `s3s` gets it, and for the operation too if its hash was given.
    pub(crate) fn share(request: &mut Parts, body: RequestBody) -> Body {
        let claimed = if request.method == Method::PUT { claimed(&request.headers) } else { None };
        let Some(sha256) = claimed else { return Body::http_body(body) };
        let payload = Self { body: Arc::new(Mutex::new(body)), sha256 };
        request.extensions.insert(payload.clone());
        Body::http_body(payload)
    }

    /// The bytes as they come, not compared with anything.
    pub(crate) fn bytes(&self) -> StreamingBlob {
        StreamingBlob::from(Body::http_body(self.clone()))
    }

    /// Compares what the bytes came to with what was signed.
    pub(crate) fn check(&self, computed: Option<Checksum>) -> Result<(), Refusal> {
        match computed {
            Some(computed) if computed == self.sha256 => Ok(()),
            Some(computed) => Err(mismatch(self.sha256, computed)),
            None => Err(Refusal::new(S3ErrorCode::InternalError)),
        }
    }

    fn body(&self) -> MutexGuard<'_, RequestBody> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hash that was given. Other values name a form of the body, or are refused by `s3s`.
pub(crate) fn claimed(headers: &HeaderMap) -> Option<Checksum> {
    let sha256 = hex::decode(headers.get("x-amz-content-sha256")?).ok()?;
    Checksum::from_bytes(ChecksumAlgorithm::Sha256, &sha256).ok()
}

/// The answer to bytes that came to another hash.
pub(crate) fn mismatch(claimed: Checksum, computed: Checksum) -> Refusal {
    Refusal::new(S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()))
        .with_status(http::StatusCode::BAD_REQUEST)
        .field("ClientComputedContentSHA256", hex::encode(claimed.bytes()))
        .field("S3ComputedContentSHA256", hex::encode(computed.bytes()))
}

impl http_body::Body for SignedPayload {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        Pin::new(&mut *self.body()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}
