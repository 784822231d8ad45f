//! The key of an object: 1 to 1024 bytes of UTF-8, without further rules.
//!
//! Source: S3 User Guide, "Naming Amazon S3 objects". A key is never a path: `..`, a leading `/`,
//! `//` and control characters are ordinary bytes of it and kept exactly. A store that keeps
//! objects in files must not derive file names from keys.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::KEY_MAX_BYTES;
use crate::text::checked_text;

/// The key of an object. Keys are ordered by their bytes, as S3 lists them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is empty.
    #[error("the object key is empty; S3 keys have 1 to {KEY_MAX_BYTES} bytes")]
    Empty,
    /// The text is longer than [`KEY_MAX_BYTES`].
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
    /// Checks a key and keeps it byte for byte.
    ///
    /// # Errors
    /// The text is empty or longer than [`KEY_MAX_BYTES`].
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        match text.len() {
            0 => Err(KeyError::Empty),
            given_bytes if given_bytes > KEY_MAX_BYTES => Err(KeyError::TooLong { given_bytes }),
            _ => Ok(Self(text)),
        }
    }

    /// Returns the text of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

checked_text!(Key, KeyError);

/// Lets maps keyed by key be searched with a plain `&str`, such as a prefix or a marker.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}
