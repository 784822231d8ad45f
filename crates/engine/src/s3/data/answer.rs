//! Parses the store's answer to a data request.

use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm, ETag};
use http::header::{DATE, ETAG, LOCATION, RETRY_AFTER};
use http::response::Parts;

use crate::remote::{Guidance, Operation, StoreError, StoreErrorKind, UploadedPart};
use crate::s3::clock;
use crate::s3::convert;
use crate::s3::document::{BUCKET_REGION, ErrorDocument, redirect_remedy};
use crate::s3::transport::{ConnectError, Origin, wrong_scheme};

pub(super) struct Answer {
    head: Parts,
    body: Bytes,
}

impl Answer {
    pub(super) fn new(head: Parts, body: Bytes) -> Self {
        Self { head, body }
    }

    /// Returns the head and the whole body.
    pub(super) fn into_parts(self) -> (Parts, Bytes) {
        (self.head, self.body)
    }

    /// Parses the answer to UploadPart or PutObject.
    pub(super) fn uploaded(
        &self,
        operation: Operation,
        algorithm: Option<ChecksumAlgorithm>,
    ) -> Result<UploadedPart, StoreError> {
        if !self.head.status.is_success() {
            return Err(self.error(operation));
        }
        let etag = self.header(ETAG.as_str()).filter(|etag| !etag.is_empty()).ok_or_else(|| {
            StoreError::local(operation, StoreErrorKind::Malformed, "the store gave no ETag")
        })?;
        // A checksum in the answer that cannot be parsed counts as missing: then the ETag decides.
        let checksum = algorithm.and_then(|algorithm| {
            Checksum::from_base64(algorithm, self.header(algorithm.header_name())?).ok()
        });
        let etag_is_opaque = convert::is_opaque_by(&self.head.headers);
        Ok(UploadedPart { etag: ETag::new(etag), checksum, etag_is_opaque })
    }

    /// Returns the scheme error if the answer shows that the URL has the wrong scheme.
    pub(super) fn wrong_scheme(&self, origin: &Origin) -> Option<ConnectError> {
        wrong_scheme::of_answer(origin, self.head.status, &self.head.headers, &self.body)
    }

    /// Returns a header, if its value is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    pub(super) fn error(&self, operation: Operation) -> StoreError {
        let status = self.head.status.as_u16();
        let document = ErrorDocument::read(&self.body);
        let message = document.message.as_deref().unwrap_or_default();
        let mut error = StoreError::answered(operation, status, document.code.as_deref(), message);
        let region =
            self.header(BUCKET_REGION).map(str::to_owned).or_else(|| document.bucket_region());
        error.request_id =
            self.header("x-amz-request-id").map(str::to_owned).or(document.request_id);
        let store_time = self.header(DATE.as_str()).and_then(clock::date);
        let wait = self.header(RETRY_AFTER.as_str());
        error.retry_after = wait.and_then(|wait| clock::retry_after(wait, store_time));
        let location = self.header(LOCATION.as_str());
        let remedy = redirect_remedy(status, document.code.as_deref(), region.as_deref(), location);
        error.guided(Guidance { bucket_region: region, store_time, remedy })
    }
}

/// Parses an arbitrary answer, for fuzzing: the result is an ETag or an error that names the
/// status.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn check_answer(head: Parts, body: Bytes) {
    let (status, succeeded) = (head.status, head.status.is_success());
    let answer = Answer::new(head, body);
    match answer.uploaded(Operation::UploadPart, Some(ChecksumAlgorithm::Crc64Nvme)) {
        Ok(part) => assert!(succeeded && !part.etag.as_given().is_empty()),
        Err(error) if succeeded => assert_eq!(error.kind, StoreErrorKind::Malformed),
        Err(error) => {
            assert_eq!(error.status, Some(status.as_u16()));
            let _ = (error.to_string(), error.advice());
        }
    }
}
