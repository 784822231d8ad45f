//! A key of the customer (SSE-C), with which the store encrypts an object and which it does not
//! keep.
//!
//! The key never leaves this type except in the headers of a request: it has no `Display`, its
//! `Debug` shows the MD5, and nothing serializes it. The MD5, which S3 requires beside the key, is
//! no secret: journals record it to recognise the key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use haul_parts::{ChecksumAlgorithm, Hasher};

/// The only algorithm of SSE-C (S3 User Guide, "Using server-side encryption with customer-provided
/// keys").
const ALGORITHM: &str = "AES256";
const KEY_BYTES: usize = 32;
/// The headers for the object of a request: algorithm, key and MD5 of the key.
const OF_OBJECT: [&str; 3] = [
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
];
/// The headers for the source of a copy.
const OF_COPY_SOURCE: [&str; 3] = [
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key-md5",
];

/// A 256-bit key of the customer.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey([u8; KEY_BYTES]);

/// The content of a key file is not a key. The error contains nothing of the content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds {given_bytes} bytes, and a key is 32 bytes, or those in base64")]
pub struct CustomerKeyError {
    /// The number of bytes that were given.
    pub given_bytes: usize,
}

impl CustomerKey {
    /// Parses the content of a key file: exactly 32 bytes, or the base64 of 32 bytes with blanks
    /// around it.
    ///
    /// # Errors
    /// Any other content.
    pub fn parse(content: &[u8]) -> Result<Self, CustomerKeyError> {
        let wrong = CustomerKeyError { given_bytes: content.len() };
        if let Ok(raw) = content.try_into() {
            return Ok(Self(raw));
        }
        let decoded = STANDARD.decode(content.trim_ascii()).map_err(|_| wrong.clone())?;
        decoded.try_into().map(Self).map_err(|_| wrong)
    }

    /// Returns the MD5 of the key in base64, as in the header.
    pub fn md5(&self) -> String {
        Hasher::checksum(ChecksumAlgorithm::Md5, &self.0).to_base64()
    }

    /// Returns the headers for the object of a request.
    pub(super) fn headers(&self) -> [(&'static str, String); 3] {
        self.named(OF_OBJECT)
    }

    /// Returns the headers for the source of a copy.
    pub(super) fn copy_source_headers(&self) -> [(&'static str, String); 3] {
        self.named(OF_COPY_SOURCE)
    }

    fn named(&self, [algorithm, key, md5]: [&'static str; 3]) -> [(&'static str, String); 3] {
        let values = [ALGORITHM.to_owned(), STANDARD.encode(self.0), self.md5()];
        let [of_algorithm, of_key, of_md5] = values;
        [(algorithm, of_algorithm), (key, of_key), (md5, of_md5)]
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomerKey(MD5 {})", self.md5())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: [u8; 32] = *b"0123456789abcdef0123456789abcdef";

    #[test]
    fn a_key_file_holds_32_bytes_or_their_base64() {
        let key = CustomerKey::parse(&RAW).unwrap();
        let text = format!(" {}\n", STANDARD.encode(RAW));
        assert_eq!(CustomerKey::parse(text.as_bytes()).unwrap(), key);
        for wrong in [&b""[..], b"short", &[0; 33], &[b'A'; 44]] {
            assert!(CustomerKey::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn neither_debug_nor_the_error_shows_the_key() {
        let key = CustomerKey::parse(&RAW).unwrap();
        let shown = format!("{key:?} {:?}", CustomerKey::parse(b"0123456789abcdef").unwrap_err());
        assert!(!shown.contains("01234567") && !shown.contains(&STANDARD.encode(RAW)), "{shown}");
        assert!(shown.contains(&key.md5()));
    }
}
