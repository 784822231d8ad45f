//! Key pairs: random generation, redacted display, lookup by access key id.
//!
//! A [`Secret`] has no `Display` and its `Debug` is redacted: code that needs the text calls
//! [`expose`](Secret::expose), which is easy to search for. `s3s` compares signatures, in constant
//! time; `haul-store` keeps the pair.

use std::fmt;

use rand::TryRngCore;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A secret access key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for signing or for display to the owner.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A key pair, as every S3 client needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The public half: 20 upper-case letters and digits, beginning with `HAUL`.
    pub access_key_id: String,
    /// The secret half: 40 letters and digits, about 238 bits.
    pub secret_access_key: Secret,
}

/// The characters of an access key id, without digits and letters that look alike.
const ID_LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// The characters of a secret: none that a shell, a URL or an INI file treats specially.
const SECRET_LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Credentials {
    /// Generates a pair from the system's random source.
    ///
    /// # Errors
    /// [`Error::Random`] if the system returns no random bytes.
    pub fn random() -> Result<Self, Error> {
        Ok(Self {
            access_key_id: format!("HAUL{}", random_text(ID_LETTERS, 16)?),
            secret_access_key: Secret(random_text(SECRET_LETTERS, 40)?),
        })
    }
}

fn random_text(letters: &[u8], length: usize) -> Result<String, Error> {
    // Discard bytes beyond the last full multiple: a plain modulo would favour the first letters.
    let fair_below = 256 / letters.len() * letters.len();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 64];
        rand::rngs::OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|e| Error::Random { cause: e.to_string() })?;
        let fair = bytes.iter().map(|b| usize::from(*b)).filter(|b| *b < fair_below);
        text.extend(fair.take(length - text.len()).map(|b| char::from(letters[b % letters.len()])));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_and_never_shown() {
        let (one, two) = (Credentials::random().unwrap(), Credentials::random().unwrap());
        assert_ne!(one.access_key_id, two.access_key_id);
        assert_ne!(one.secret_access_key.expose(), two.secret_access_key.expose());
        assert_eq!(one.access_key_id.len(), 20);
        assert_eq!(one.secret_access_key.expose().len(), 40);
        assert!(!format!("{one:?}").contains(one.secret_access_key.expose()));
    }
}
