//! Errors of a store or of the connection to it, and their meaning for the caller.
//!
//! The kind is decided once, where the answer is parsed; no caller matches on strings.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::Operation;
use crate::advice::Advice;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The upload was aborted, was completed, has expired, or never existed.
    NoSuchUpload,
    /// The bucket does not exist.
    NoSuchBucket,
    /// The object does not exist.
    NoSuchKey,
    /// 403: no permission for this request (or, for HEAD, perhaps no such key: trap 27).
    AccessDenied,
    /// 401/403: the keys are unknown or the signature does not match.
    BadCredentials,
    /// The session token has expired; a refreshed one may work.
    ExpiredCredentials,
    /// The clock of this machine differs too much from the store's (`RequestTimeTooSkewed`).
    ClockSkew,
    /// 301/307 or `AuthorizationHeaderMalformed`: the bucket is in another region.
    WrongRegion,
    /// 412: `If-Match` / `If-None-Match` did not hold.
    PreconditionFailed,
    /// 409 `ConditionalRequestConflict`: a new upload is needed (trap 5).
    ConditionalConflict,
    /// Complete named a part that the store does not have, or has with another ETag.
    InvalidPart,
    /// A checksum or MD5 did not match the bytes that arrived.
    BadDigest,
    /// `SlowDown`, 429, 503: the store asks for fewer requests.
    Throttled,
    /// 5xx: the store failed internally.
    Server,
    /// `RequestTimeout`, or no progress on the connection.
    Timeout,
    /// The connection could not be established, or broke.
    Connection,
    /// The TLS handshake failed: the store's certificate is not trusted, expired, or for another
    /// host.
    BadCertificate,
    /// `https://` to a port that speaks plain HTTP, or the reverse.
    WrongScheme,
    /// The proxy refuses to connect, or requires a password.
    ProxyRefused,
    /// 413: a proxy before the store refuses requests of this size.
    TooLarge,
    /// No credentials were found, or their provider failed.
    NoCredentials,
    /// The store has no free space.
    StorageFull,
    /// The store does not support the operation or one of its headers.
    NotImplemented,
    /// Complete: a part that is not the last one is below the store's minimum.
    EntityTooSmall,
    /// Any other 4xx: a retry cannot help.
    Rejected,
    /// The answer is not S3's: no ETag, unreadable XML.
    Malformed,
    /// The bytes to send could not be read.
    Source,
}

impl StoreErrorKind {
    /// Returns true if the store refuses the caller and not the request: other credentials, another
    /// clock or another policy may be enough.
    pub fn concerns_the_caller(self) -> bool {
        use StoreErrorKind as K;
        matches!(
            self,
            K::AccessDenied
                | K::BadCredentials
                | K::ExpiredCredentials
                | K::ClockSkew
                | K::NoCredentials
        )
    }

    /// Returns true if the credentials are refused for every request: they are missing, unknown or
    /// expired.
    pub fn ends_the_credentials(self) -> bool {
        use StoreErrorKind as K;
        matches!(self, K::BadCredentials | K::ExpiredCredentials | K::NoCredentials)
    }

    /// Returns true if no later request can complete an upload after this answer: it is gone, its
    /// condition does not hold, or its parts are too small for this store.
    pub fn ends_the_upload(self) -> bool {
        use StoreErrorKind as K;
        matches!(
            self,
            K::NoSuchUpload | K::PreconditionFailed | K::ConditionalConflict | K::EntityTooSmall
        )
    }
}

/// Corrections that an answer names in addition to its error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guidance {
    /// `x-amz-bucket-region`, or the region that the error document names.
    pub bucket_region: Option<String>,
    /// The store's clock, from `Date`.
    pub store_time: Option<Timestamp>,
    /// What the user can do, if only this failure shows it: the URL with the right scheme.
    pub remedy: Option<String>,
}

/// One failed request.
#[derive(Debug)]
pub struct StoreError {
    /// The operation that failed.
    pub operation: Operation,
    /// The kind of the failure.
    pub kind: StoreErrorKind,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// S3's error code, if the answer had one.
    pub code: Option<String>,
    /// The message of the store, or the local failure.
    pub message: String,
    /// `x-amz-request-id`, for the store's support.
    pub request_id: Option<String>,
    /// `Retry-After`, honoured when present (trap 40).
    pub retry_after: Option<Duration>,
    /// True if the request may have been carried out although there was no answer.
    pub outcome_unknown: bool,
    /// True if a reused, idle connection broke: worth one immediate retry on a new one (trap 28).
    pub reused_connection: bool,
    /// Corrections that the answer names.
    pub guidance: Box<Guidance>,
    /// The underlying error.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// Creates an error without an answer from the store.
    pub fn local(operation: Operation, kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            operation,
            kind,
            status: None,
            code: None,
            message: message.into(),
            request_id: None,
            retry_after: None,
            outcome_unknown: false,
            reused_connection: false,
            guidance: Box::default(),
            source: None,
        }
    }

    /// Creates the error of an answer with an S3 error document.
    pub fn answered(operation: Operation, status: u16, code: Option<&str>, message: &str) -> Self {
        Self {
            status: Some(status),
            code: code.map(str::to_owned),
            ..Self::local(operation, classify_of(operation, status, code), message)
        }
    }

    /// Creates the error of one entry of a successful answer (DeleteObjects).
    pub fn of_entry(operation: Operation, code: &str, message: &str) -> Self {
        let text = if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") };
        let kind = classify(200, Some(code));
        Self { code: Some(code.to_owned()), ..Self::local(operation, kind, text) }
    }

    /// Adds the corrections that the answer names.
    #[must_use]
    pub fn guided(mut self, guidance: Guidance) -> Self {
        // AWS answers HEAD in the wrong region with a bare 400 and the region.
        if self.status == Some(400) && self.code.is_none() && guidance.bucket_region.is_some() {
            self.kind = StoreErrorKind::WrongRegion;
        }
        *self.guidance = guidance;
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns what to do next.
    pub fn advice(&self) -> Advice {
        use StoreErrorKind as K;
        match self.kind {
            K::Throttled | K::Server | K::Timeout | K::Connection | K::BadDigest => {
                Advice::Retry { after: self.retry_after }
            }
            K::ExpiredCredentials | K::ClockSkew => Advice::Refresh,
            // A retry cannot help, but the upload itself is still valid.
            K::NoCredentials | K::BadCertificate | K::WrongScheme | K::ProxyRefused => {
                Advice::Resume
            }
            _ => Advice::GiveUp,
        }
    }
}

/// Classifies like [`classify`], with exceptions for some operations.
fn classify_of(operation: Operation, status: u16, code: Option<&str>) -> StoreErrorKind {
    use Operation as O;
    match (operation, code) {
        // Ceph RGW 16.2 gives this answer if the upload is gone. These operations do not need an
        // object.
        (O::UploadPart | O::ListParts | O::AbortMultipartUpload, Some("NoSuchKey")) => {
            StoreErrorKind::NoSuchUpload
        }
        _ => classify(status, code),
    }
}

/// Maps S3's error codes and statuses to kinds. If there is a code, it decides, because statuses
/// differ between S3-compatible stores.
fn classify(status: u16, code: Option<&str>) -> StoreErrorKind {
    use StoreErrorKind as K;
    match code.unwrap_or_default() {
        "NoSuchUpload" => K::NoSuchUpload,
        "NoSuchBucket" => K::NoSuchBucket,
        "NoSuchKey" => K::NoSuchKey,
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => K::AccessDenied,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "InvalidTokenId"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "UnrecognizedClientException"
        | "AuthFailure" => K::BadCredentials,
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired" => {
            K::ExpiredCredentials
        }
        "RequestTimeTooSkewed" => K::ClockSkew,
        "AuthorizationHeaderMalformed"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "IllegalLocationConstraintException" => K::WrongRegion,
        "PreconditionFailed" => K::PreconditionFailed,
        "ConditionalRequestConflict" => K::ConditionalConflict,
        "InvalidPart" | "InvalidPartOrder" => K::InvalidPart,
        "EntityTooSmall" => K::EntityTooSmall,
        "BadDigest"
        | "InvalidDigest"
        | "XAmzContentSHA256Mismatch"
        | "XAmzContentChecksumMismatch" => K::BadDigest,
        "SlowDown"
        | "SlowDownRead"
        | "SlowDownWrite"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "ServiceUnavailable"
        | "Busy" => K::Throttled,
        "RequestTimeout" | "RequestTimeoutException" => K::Timeout,
        "IncompleteBody" => K::Connection,
        "InsufficientStorage" | "XMinioStorageFull" | "QuotaExceeded" => K::StorageFull,
        "NotImplemented" => K::NotImplemented,
        "InternalError" => K::Server,
        _ => match status {
            301 | 302 | 307 | 308 => K::WrongRegion,
            401 => K::BadCredentials,
            403 => K::AccessDenied,
            404 => K::NoSuchKey,
            407 => K::ProxyRefused,
            413 => K::TooLarge,
            408 => K::Timeout,
            412 => K::PreconditionFailed,
            429 | 503 => K::Throttled,
            501 => K::NotImplemented,
            507 => K::StorageFull,
            500..=599 => K::Server,
            _ => K::Rejected,
        },
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != StoreErrorKind::NoCredentials {
            write!(f, "{}: ", self.operation)?;
        }
        match (&self.code, self.status) {
            // The document is the failure, so the status would only confuse.
            (Some(code), Some(200..=299)) => {
                write!(f, "the store answered {code} although the status was of success")?;
            }
            (None, Some(200..=299)) => return write!(f, "{}", self.message),
            (Some(code), Some(status)) => write!(f, "the store answered {status} {code}")?,
            (None, Some(status)) => write!(f, "the store answered {status}")?,
            _ => return write!(f, "{}", self.message),
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let (StoreErrorKind::WrongRegion, Some(region)) =
            (self.kind, &self.guidance.bucket_region)
        {
            write!(f, " (the bucket is in {region})")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request id {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_before_the_status() {
        assert_eq!(classify(400, Some("RequestTimeout")), StoreErrorKind::Timeout);
        assert_eq!(classify(500, Some("NoSuchUpload")), StoreErrorKind::NoSuchUpload);
        assert_eq!(classify(400, Some("ExpiredToken")), StoreErrorKind::ExpiredCredentials);
        assert_eq!(classify(403, Some("RequestExpired")), StoreErrorKind::ExpiredCredentials);
        assert_eq!(classify(403, Some("InvalidTokenId")), StoreErrorKind::BadCredentials);
        assert_eq!(classify(503, None), StoreErrorKind::Throttled);
        assert_eq!(classify(418, None), StoreErrorKind::Rejected);
    }

    /// Found by the conformance suite: Ceph RGW 16.2 answers ListParts after Complete with 404
    /// NoSuchKey.
    #[test]
    fn no_such_key_in_upload_requests_means_no_such_upload() {
        let kind = |operation| StoreError::answered(operation, 404, Some("NoSuchKey"), "").kind;
        assert_eq!(kind(Operation::ListParts), StoreErrorKind::NoSuchUpload);
        assert_eq!(kind(Operation::HeadObject), StoreErrorKind::NoSuchKey);
        assert_eq!(kind(Operation::CompleteMultipartUpload), StoreErrorKind::NoSuchKey);
    }

    #[test]
    fn a_bare_400_that_names_a_region_means_another_region() {
        let bare = StoreError::answered(Operation::HeadObject, 400, None, "");
        let guidance = Guidance { bucket_region: Some("eu-west-3".into()), ..Guidance::default() };
        let guided = bare.guided(guidance.clone());
        assert_eq!(guided.kind, StoreErrorKind::WrongRegion);
        assert!(guided.to_string().ends_with("(the bucket is in eu-west-3)"), "{guided}");
        let refused = StoreError::answered(Operation::UploadPart, 400, Some("InvalidArgument"), "");
        assert_eq!(refused.guided(guidance).kind, StoreErrorKind::Rejected);
    }

    /// Regression: `haul ls` reported only "the store answered 200" for a list that it could not
    /// read.
    #[test]
    fn a_status_of_success_is_never_the_reason() {
        let unreadable = StoreError {
            status: Some(200),
            ..StoreError::local(Operation::ListObjectsV2, StoreErrorKind::Malformed, "it is empty")
        };
        assert_eq!(unreadable.to_string(), "ListObjectsV2: it is empty");
        let refused = StoreError::answered(
            Operation::CompleteMultipartUpload,
            200,
            Some("InternalError"),
            "",
        );
        assert!(!refused.to_string().contains("200"), "{refused}");
    }

    #[test]
    fn four_hundreds_are_not_repeated_and_five_hundreds_are() {
        let advice =
            |status, code| StoreError::answered(Operation::UploadPart, status, code, "").advice();
        assert_eq!(advice(403, Some("AccessDenied")), Advice::GiveUp);
        assert_eq!(advice(400, Some("EntityTooSmall")), Advice::GiveUp);
        assert_eq!(advice(400, Some("RequestTimeout")), Advice::Retry { after: None });
        assert_eq!(advice(500, None), Advice::Retry { after: None });
        assert_eq!(advice(429, None), Advice::Retry { after: None });
        assert_eq!(advice(507, None), Advice::GiveUp);
    }
}
