//! The request for a presigned URL, and its result.

use std::time::Duration;

use jiff::Timestamp;

/// The maximum lifetime of a URL with signature version 4 (S3 User Guide, "Sharing objects with
/// presigned URLs").
pub const PRESIGN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The request that the URL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresignMethod {
    /// Allows to read the object (GetObject).
    Get,
    /// Allows to write the object (PutObject).
    Put,
}

/// The properties of a URL to create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresignRequest {
    /// The request that the URL allows.
    pub method: PresignMethod,
    /// The lifetime in whole seconds: at most [`PRESIGN_MAX`].
    pub expires_in: Duration,
}

/// A URL that allows its holder one kind of request until it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl {
    /// The URL with its signature. It is a secret, because anyone who has it has the right.
    pub url: String,
    /// Whether the URL is signed with the credentials of a session: it then expires with the
    /// session, whatever its own lifetime.
    pub of_session: bool,
    /// The end of that session, if the credentials contain it.
    pub session_ends: Option<Timestamp>,
}

impl std::fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresignedUrl").field("of_session", &self.of_session).finish_non_exhaustive()
    }
}
