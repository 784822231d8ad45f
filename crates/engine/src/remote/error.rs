//! What a store (or the way to it) answered instead of success, and what that means for the caller.
//!
//! Kinds are decided once, where the answer is read; nobody above matches on strings.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::Operation;
use crate::advice::Advice;

/// What went wrong, for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The upload was aborted, completed, expired, or never existed.
    NoSuchUpload,
    /// The bucket does not exist.
    NoSuchBucket,
    /// The object does not exist.
    NoSuchKey,
    /// 403: no right to do this (or, for HEAD, perhaps no such key: trap 27).
    AccessDenied,
    /// 401/403: the keys are unknown or the signature does not match.
    BadCredentials,
    /// The session token has ended; a refreshed one may work.
    ExpiredCredentials,
    /// `RequestTimeTooSkewed`.
    ClockSkew,
    /// 301/307 or `AuthorizationHeaderMalformed`: the bucket lives elsewhere.
    WrongRegion,
    /// 412: `If-Match` / `If-None-Match` did not hold.
    PreconditionFailed,
    /// 409 `ConditionalRequestConflict`: a new upload is needed (trap 5).
    ConditionalConflict,
    /// Complete named a part that the store does not have, or with another ETag.
    InvalidPart,
    /// A checksum or MD5 did not match the bytes that arrived.
    BadDigest,
    /// `SlowDown`, 429, 503: the store asks for less.
    Throttled,
    /// 5xx: the store failed.
    Server,
    /// `RequestTimeout`, or no progress on the connection.
    Timeout,
    /// The connection could not be made, or broke.
    Connection,
    /// TLS cannot be agreed on: the store's certificate is not trusted, expired, or for another
    /// host.
    BadCertificate,
    /// `https://` to a port that speaks plain HTTP, or the reverse.
    WrongScheme,
    /// The proxy refuses to connect, or wants a password.
    ProxyRefused,
    /// 413: a proxy before the store takes no request of this size.
    TooLarge,
    /// No credentials were found, or their provider failed.
    NoCredentials,
    /// The store has no room.
    StorageFull,
    /// The store does not know the operation or one of its headers.
    NotImplemented,
    /// Complete: a part that is not the last one is smaller than the store takes.
    EntityTooSmall,
    /// Any other 4xx: repeating it cannot help.
    Rejected,
    /// An answer that is not S3: no ETag, unreadable XML.
    Malformed,
    /// The bytes to send could not be read.
    Source,
}

impl StoreErrorKind {
    /// True if the store refuses the caller and not the request: other credentials, another clock
    /// or an edited policy may be all that is missing.
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

    /// True if no later request can complete an upload after this answer: it is gone, its condition
    /// does not hold, or its parts are too small for this store.
    pub fn ends_the_upload(self) -> bool {
        use StoreErrorKind as K;
        matches!(
            self,
            K::NoSuchUpload | K::PreconditionFailed | K::ConditionalConflict | K::EntityTooSmall
        )
    }
}

/// What an answer says of how to ask better, beside its error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guidance {
    /// `x-amz-bucket-region`, or the region that the error document names.
    pub bucket_region: Option<String>,
    /// `Date`: the store's clock.
    pub store_time: Option<Timestamp>,
    /// What a person can do about it, where only this failure knows: the URL with the right scheme.
    pub remedy: Option<String>,
}

/// One failed request.
#[derive(Debug)]
pub struct StoreError {
    /// Which operation.
    pub operation: Operation,
    /// What it means.
    pub kind: StoreErrorKind,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// S3's error code, if the answer had one.
    pub code: Option<String>,
    /// What the store said, or what broke.
    pub message: String,
    /// `x-amz-request-id`, for the store's support.
    pub request_id: Option<String>,
    /// `Retry-After`, honoured when present (trap 40).
    pub retry_after: Option<Duration>,
    /// True when the request may have been carried out although no answer came.
    pub outcome_unknown: bool,
    /// True when it broke on a connection that had been idle: worth one try at once on a new one
    /// (trap 28).
    pub reused_connection: bool,
    /// What the answer says of how to ask better.
    pub guidance: Box<Guidance>,
    /// What lies underneath.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error without an answer from the store.
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

    /// An error that the store answered with an S3 error document.
    pub fn answered(operation: Operation, status: u16, code: Option<&str>, message: &str) -> Self {
        Self {
            status: Some(status),
            code: code.map(str::to_owned),
            ..Self::local(operation, classify_of(operation, status, code), message)
        }
    }

    /// The error of one entry of an answer that as a whole was of success (DeleteObjects).
    pub fn of_entry(operation: Operation, code: &str, message: &str) -> Self {
        let text = if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") };
        let kind = classify(200, Some(code));
        Self { code: Some(code.to_owned()), ..Self::local(operation, kind, text) }
    }

    /// With what the answer says of how to ask better.
    #[must_use]
    pub fn guided(mut self, guidance: Guidance) -> Self {
        // AWS answers HEAD in the wrong region with a bare 400 and the region.
        if self.status == Some(400) && self.code.is_none() && guidance.bucket_region.is_some() {
            self.kind = StoreErrorKind::WrongRegion;
        }
        *self.guidance = guidance;
        self
    }

    /// With what lies underneath.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What to do next.
    pub fn advice(&self) -> Advice {
        use StoreErrorKind as K;
        match self.kind {
            K::Throttled | K::Server | K::Timeout | K::Connection | K::BadDigest => {
                Advice::Retry { after: self.retry_after }
            }
            K::ExpiredCredentials | K::ClockSkew => Advice::Refresh,
            // Nothing to try again, and nothing that speaks against the upload.
            K::NoCredentials | K::BadCertificate | K::WrongScheme | K::ProxyRefused => {
                Advice::Resume
            }
            _ => Advice::GiveUp,
        }
    }
}

/// As [`classify`], where the operation makes a difference.
fn classify_of(operation: Operation, status: u16, code: Option<&str>) -> StoreErrorKind {
    use Operation as O;
    match (operation, code) {
        // Ceph RGW 16.2 says so when the upload is gone. For these no object needs to exist.
        (O::UploadPart | O::ListParts | O::AbortMultipartUpload, Some("NoSuchKey")) => {
            StoreErrorKind::NoSuchUpload
        }
        _ => classify(status, code),
    }
}

/// S3's error codes and statuses → kinds. The code decides where there is one: clones differ in
/// statuses.
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
            // The document is what failed, so the status would only confuse.
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

    /// Found by the conformance suite at Ceph RGW 16.2: ListParts after Complete is 404 NoSuchKey
    /// there.
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

    /// "the store answered 200" was all that `haul ls` said of a list that it could not read.
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
