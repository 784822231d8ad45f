//! What the store answered to a data request.

use std::time::Duration;

use aws_smithy_xml::decode::{Document, try_data};
use bytes::Bytes;
use haul_parts::{Checksum, ChecksumAlgorithm, ETag};
use http::header::{DATE, ETAG, RETRY_AFTER};
use http::response::Parts;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use crate::store::{Operation, StoreError, StoreErrorKind, UploadedPart};

pub(super) struct Answer {
    head: Parts,
    body: Bytes,
}

impl Answer {
    pub(super) fn new(head: Parts, body: Bytes) -> Self {
        Self { head, body }
    }

    /// The answer to UploadPart or PutObject.
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
        // An echo that cannot be read is none: the ETag decides then.
        let checksum = algorithm.and_then(|algorithm| {
            Checksum::from_base64(algorithm, self.header(algorithm.header_name())?).ok()
        });
        Ok(UploadedPart { etag: ETag::new(etag), checksum, etag_is_opaque: self.is_encrypted() })
    }

    /// The store's clock.
    pub(super) fn date(&self) -> Option<Timestamp> {
        let date = self.header(DATE.as_str())?;
        Some(DateTimeParser::new().parse_zoned(date).ok()?.timestamp())
    }

    fn is_encrypted(&self) -> bool {
        let by_kms = |value: &str| value.starts_with("aws:kms");
        self.header("x-amz-server-side-encryption").is_some_and(by_kms)
            || self.header("x-amz-server-side-encryption-customer-algorithm").is_some()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    fn error(&self, operation: Operation) -> StoreError {
        let status = self.head.status.as_u16();
        let document = ErrorDocument::read(&self.body);
        let message = document.message.as_deref().unwrap_or_default();
        let mut error = StoreError::answered(operation, status, document.code.as_deref(), message);
        error.request_id = self.header("x-amz-request-id").map(str::to_owned).or(document.request_id);
        let seconds = self.header(RETRY_AFTER.as_str()).and_then(|value| value.parse().ok());
        error.retry_after = seconds.map(Duration::from_secs);
        error
    }
}

/// Reads an answer that nobody sent: whatever it says, it is an answer with an ETag or an error that names the status.
pub(crate) fn judge(head: Parts, body: Bytes) {
    let (status, succeeded) = (head.status, head.status.is_success());
    let answer = Answer::new(head, body);
    // A clock that says nonsense is none.
    let _ = answer.date();
    match answer.uploaded(Operation::UploadPart, Some(ChecksumAlgorithm::Crc64Nvme)) {
        Ok(part) => assert!(succeeded && !part.etag.as_given().is_empty()),
        Err(error) if succeeded => assert_eq!(error.kind, StoreErrorKind::Malformed),
        Err(error) => {
            assert_eq!(error.status, Some(status.as_u16()));
            let _ = (error.to_string(), error.advice());
        }
    }
}

/// An S3 error document, as far as it can be read.
#[derive(Debug, Default, PartialEq, Eq)]
struct ErrorDocument {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

impl ErrorDocument {
    /// Never fails: what a proxy or a broken store sends instead is no document, and the status decides.
    fn read(body: &[u8]) -> Self {
        let mut found = Self::default();
        let Ok(text) = std::str::from_utf8(body) else { return found };
        let mut document = Document::new(text);
        let Ok(mut root) = document.root_element() else { return found };
        if !root.start_el().matches("Error") {
            return found;
        }
        while let Some(mut element) = root.next_tag() {
            let name = element.start_el().local().to_owned();
            let Ok(value) = try_data(&mut element) else { return found };
            let value = Some(value.into_owned());
            match name.as_str() {
                "Code" => found.code = value,
                "Message" => found.message = value,
                "RequestId" => found.request_id = value,
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_is_read_and_anything_else_is_not() {
        let document = ErrorDocument::read(
            b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code><Message>Less &amp; slower</Message><RequestId>7</RequestId></Error>",
        );
        assert_eq!(document.code.as_deref(), Some("SlowDown"));
        assert_eq!(document.message.as_deref(), Some("Less & slower"));
        assert_eq!(document.request_id.as_deref(), Some("7"));
        for other in [&b""[..], b"<html><body>502</body></html>", b"\xff\xfe", b"<Error><Code>", b"<Error"] {
            assert_eq!(ErrorDocument::read(other).message, None, "{other:?}");
        }
    }
}
