//! The key of an object: 1 to 1024 bytes of UTF-8, and nothing more.
//!
//! Source: S3 User Guide, "Naming Amazon S3 objects". A key is never a path: `..`, a leading `/`,
//! `//` and control characters are ordinary bytes of it, kept exactly. Whoever stores objects in
//! files names those files otherwise.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::KEY_MAX_BYTES;
use crate::text::checked_text;

/// The key of an object. Ordered by its bytes, as S3 lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No text at all.
    #[error("the object key is empty; S3 keys have 1 to {KEY_MAX_BYTES} bytes")]
    Empty,
    /// Longer than [`KEY_MAX_BYTES`].
    #[error(
        "the object key is {given_bytes} bytes long; S3 keys have 1 to {KEY_MAX_BYTES} bytes of \
         UTF-8"
    )]
    TooLong {
        /// Its length in bytes.
        given_bytes: usize,
    },
}

impl Key {
    /// A key from its text, kept byte for byte.
    ///
    /// # Errors
    /// When it is empty or longer than [`KEY_MAX_BYTES`].
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        match text.len() {
            0 => Err(KeyError::Empty),
            given_bytes if given_bytes > KEY_MAX_BYTES => Err(KeyError::TooLong { given_bytes }),
            _ => Ok(Self(text)),
        }
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

checked_text!(Key, KeyError);

/// Maps by key can be searched with a plain `&str`: a prefix, a marker.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}
