//! A checksum value: an algorithm and its bytes, always of the right length.
//!
//! S3 writes values in base64; CRCs are big-endian there, and this type keeps that byte order.
//! Small and `Copy`, because one exists for every part of every upload.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ChecksumAlgorithm;

/// The length of the longest digest, SHA-512.
const DIGEST_MAX_BYTES: usize = 64;

/// The value of one algorithm over some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "ChecksumRecord", into = "ChecksumRecord")]
pub struct Checksum {
    algorithm: ChecksumAlgorithm,
    /// The first `digest_len` bytes are the digest, the others are zero.
    bytes: [u8; DIGEST_MAX_BYTES],
}

/// A text or a set of values that is not a valid checksum.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChecksumError {
    /// The name of the algorithm is unknown.
    #[error(
        "unknown checksum algorithm {name:?}; known are CRC64NVME, CRC32C, CRC32, SHA1, SHA256, \
         SHA512, XXHASH3, XXHASH64, XXHASH128 and MD5"
    )]
    UnknownAlgorithm {
        /// The name as it was given.
        name: String,
    },
    /// The name of the type is neither COMPOSITE nor FULL_OBJECT.
    #[error("unknown checksum type {name:?}; known are COMPOSITE and FULL_OBJECT")]
    UnknownType {
        /// The name as it was given.
        name: String,
    },
    /// The text is not padded base64.
    #[error("{algorithm} value {text:?} is not base64")]
    NotBase64 {
        /// The algorithm of the expected value.
        algorithm: ChecksumAlgorithm,
        /// The text as it was given.
        text: String,
    },
    /// The value has the wrong number of bytes for its algorithm.
    #[error("a {algorithm} value has {} bytes, not {given_bytes}", algorithm.digest_len())]
    WrongLength {
        /// The algorithm of the expected value.
        algorithm: ChecksumAlgorithm,
        /// The number of bytes that were given.
        given_bytes: usize,
    },
    /// The algorithm is not a CRC, so values cannot be combined.
    #[error("{algorithm} values of parts cannot be combined into one of the whole object")]
    NotCombinable {
        /// The algorithm of the values.
        algorithm: ChecksumAlgorithm,
    },
    /// The values are of two algorithms where one was expected.
    #[error("part {part} has a {found} value among {expected} ones")]
    MixedAlgorithms {
        /// The algorithm of the first part.
        expected: ChecksumAlgorithm,
        /// The algorithm that differs.
        found: ChecksumAlgorithm,
        /// The position of the part that differs, from 1.
        part: usize,
    },
    /// There is no part to compute a value from.
    #[error("there are no part checksums to make one of the whole object from")]
    NoParts,
    /// There are more parts than an upload can have.
    #[error("{given} part checksums; an upload has at most 10000 parts")]
    TooManyParts {
        /// The number of parts that were given.
        given: usize,
    },
    /// A composite value without `-N`, or with `N` out of range.
    #[error(
        "composite {algorithm} value {text:?} does not end in '-' and a number of parts from 1 to \
         10000"
    )]
    NotComposite {
        /// The algorithm of the expected value.
        algorithm: ChecksumAlgorithm,
        /// The text as it was given.
        text: String,
    },
}

impl Checksum {
    /// Creates a value from its bytes; for CRCs big-endian.
    ///
    /// # Errors
    /// [`ChecksumError::WrongLength`] unless there are exactly [`ChecksumAlgorithm::digest_len`]
    /// bytes.
    pub fn from_bytes(algorithm: ChecksumAlgorithm, digest: &[u8]) -> Result<Self, ChecksumError> {
        if digest.len() != algorithm.digest_len() {
            return Err(ChecksumError::WrongLength { algorithm, given_bytes: digest.len() });
        }
        let mut bytes = [0; DIGEST_MAX_BYTES];
        bytes[..digest.len()].copy_from_slice(digest);
        Ok(Self { algorithm, bytes })
    }

    /// Creates the value of an MD5.
    pub fn from_md5(digest: [u8; 16]) -> Self {
        let mut bytes = [0; DIGEST_MAX_BYTES];
        bytes[..digest.len()].copy_from_slice(&digest);
        Self { algorithm: ChecksumAlgorithm::Md5, bytes }
    }

    /// Parses a value as S3 writes it in headers and XML.
    ///
    /// # Errors
    /// The text is not padded base64 of exactly the right number of bytes.
    pub fn from_base64(algorithm: ChecksumAlgorithm, text: &str) -> Result<Self, ChecksumError> {
        let bytes = STANDARD
            .decode(text)
            .map_err(|_| ChecksumError::NotBase64 { algorithm, text: text.to_owned() })?;
        Self::from_bytes(algorithm, &bytes)
    }

    /// Returns the value in base64, as S3 writes it in headers and XML.
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.bytes())
    }

    /// Returns the algorithm of this value.
    pub const fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// Returns the digest; for CRCs big-endian.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.digest_len()]
    }

    /// Returns the digest if this is an MD5, for comparison with an [`ETag`](crate::ETag); `None`
    /// for other algorithms.
    pub fn as_md5(&self) -> Option<[u8; 16]> {
        match self.algorithm {
            ChecksumAlgorithm::Md5 => self.bytes().try_into().ok(),
            _ => None,
        }
    }

    /// Returns the bytes of a CRC as a number; 32-bit CRCs are zero-extended.
    pub(super) fn crc_value(&self) -> u64 {
        self.bytes().iter().fold(0, |value, &byte| (value << 8) | u64::from(byte))
    }

    /// Creates the value of a CRC from its number.
    pub(super) fn from_crc(algorithm: ChecksumAlgorithm, value: u64) -> Self {
        let length = algorithm.digest_len();
        debug_assert!(algorithm.combines(), "{algorithm} is not a CRC");
        let mut bytes = [0; DIGEST_MAX_BYTES];
        bytes[..length].copy_from_slice(&value.to_be_bytes()[8 - length..]);
        Self { algorithm, bytes }
    }
}

/// Prints algorithm and base64: `CRC32C:yZRlqg==`
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.to_base64())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

/// The serialized form of a checksum.
#[derive(Serialize, Deserialize)]
struct ChecksumRecord {
    algorithm: ChecksumAlgorithm,
    value: String,
}

impl From<Checksum> for ChecksumRecord {
    fn from(checksum: Checksum) -> Self {
        Self { algorithm: checksum.algorithm, value: checksum.to_base64() }
    }
}

impl TryFrom<ChecksumRecord> for Checksum {
    type Error = ChecksumError;

    fn try_from(record: ChecksumRecord) -> Result<Self, ChecksumError> {
        Self::from_base64(record.algorithm, &record.value)
    }
}
