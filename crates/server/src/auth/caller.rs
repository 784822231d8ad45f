//! The key pair that signed a request, passed from the signature check to the operations.
//!
//! `s3s` verifies version 4, this crate version 2 ([`version_2`](crate::auth::version_2)). In both
//! cases the request continues without its signature, and this value in its extensions is the only
//! proof of its sender. The value is set only after a signature was verified; a client cannot set
//! an extension.

use http::Extensions;

/// The access key id of the pair that signed the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller(pub(crate) String);

impl Caller {
    /// Returns the caller of a request; `None` for a request without a signature.
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }
}
