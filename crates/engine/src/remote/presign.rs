//! What a presigned URL is for, and what it is.

use std::time::Duration;

use jiff::Timestamp;

/// The longest that a URL of signature version 4 may last (S3 User Guide, "Sharing objects with
/// presigned URLs").
pub const PRESIGN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The one request that the URL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresignMethod {
    /// GetObject.
    Get,
    /// PutObject.
    Put,
}

/// A URL that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresignRequest {
    /// What it allows.
    pub method: PresignMethod,
    /// How long, in whole seconds: at most [`PRESIGN_MAX`].
    pub expires_in: Duration,
}

/// A URL by which anybody may send one request until it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl {
    /// With the signature: its holder has the right, so it is a secret.
    pub url: String,
    /// Signed by the credentials of a session: the URL ends with it, whatever its own time.
    pub of_session: bool,
    /// When that session ends, if the credentials say so.
    pub session_ends: Option<Timestamp>,
}

impl std::fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresignedUrl").field("of_session", &self.of_session).finish_non_exhaustive()
    }
}
