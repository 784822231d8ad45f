//! The key pair that a request was verified with, on its way from the signature check to the
//! operations.
//!
//! `s3s` verifies version 4, this crate version 2 ([`version_2`](crate::auth::version_2)). Either
//! way the request continues without its signature, and this value in its extensions is the only
//! proof of who sent it: it is set after a signature was verified and nowhere else. A client cannot
//! set an extension.

use http::Extensions;

/// The access key id of the pair that signed the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller(pub(crate) String);

impl Caller {
    /// The caller of a request; `None` for one without a signature.
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }
}
