//! The id that a store gives to a multipart upload: opaque text.
//!
//! Stores use everything from 32 hex digits to hundreds of characters of base64, so the id is
//! neither interpreted nor normalised. Only two kinds are rejected: an empty id (an empty
//! `uploadId` turns UploadPart into another operation) and one too long for a request line.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::UPLOAD_ID_MAX_BYTES;
use crate::text::checked_text;

/// The id of a multipart upload, as its store spelled it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UploadId(String);

/// The reason why a text is not an upload id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UploadIdError {
    /// The text is empty.
    #[error("the upload id is empty")]
    Empty,
    /// The text is longer than [`UPLOAD_ID_MAX_BYTES`].
    #[error("the upload id is {given_bytes} bytes long; at most {UPLOAD_ID_MAX_BYTES} are taken")]
    TooLong {
        /// Its length in bytes.
        given_bytes: usize,
    },
}

impl UploadId {
    /// Checks an upload id.
    ///
    /// # Errors
    /// The text is empty or longer than [`UPLOAD_ID_MAX_BYTES`].
    pub fn new(text: impl Into<String>) -> Result<Self, UploadIdError> {
        let text = text.into();
        match text.len() {
            0 => Err(UploadIdError::Empty),
            given_bytes if given_bytes > UPLOAD_ID_MAX_BYTES => {
                Err(UploadIdError::TooLong { given_bytes })
            }
            _ => Ok(Self(text)),
        }
    }

    /// Returns the text exactly as the store gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

checked_text!(UploadId, UploadIdError);
