//! Parts of a response that `s3s` cannot express. An operation puts them into the response's
//! extensions, and the front applies them to the response.

use bytes::Bytes;
use http::StatusCode;

use crate::answer::refusal::Refusal;

/// A status that the operation's output in `s3s` has no field for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusOverride(pub(crate) StatusCode);

/// A document that an operation writes itself, because `s3s` would write it differently from AWS.
#[derive(Clone, Debug)]
pub(crate) struct DocumentOverride(pub(crate) Bytes);

impl DocumentOverride {
    /// Serializes a document.
    ///
    /// # Errors
    /// An internal error if serializing fails, which cannot happen when writing to memory.
    pub(crate) fn of(document: &impl s3s::xml::Serialize) -> Result<Self, Refusal> {
        let mut text = Vec::with_capacity(512);
        let mut serializer = s3s::xml::Serializer::new(&mut text);
        let written = serializer.decl().and_then(|()| document.serialize(&mut serializer));
        written.map_err(|error| Refusal::internal("a document cannot be written", &error))?;
        Ok(Self(text.into()))
    }
}
