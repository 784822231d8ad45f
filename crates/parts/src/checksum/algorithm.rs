//! The checksum algorithms of S3, their spelling, and the checksum types that each supports.
//!
//! Sources: S3 API model (ChecksumAlgorithm, ChecksumType, UploadPart headers) and S3 User Guide,
//! "Checking object integrity". Only a table: hashing is in `hasher.rs`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ChecksumError;

/// A checksum algorithm that S3 verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ChecksumAlgorithm {
    /// CRC-64/NVME: recommended by AWS, and Haul's default.
    #[serde(rename = "CRC64NVME")]
    Crc64Nvme,
    /// CRC-32/ISCSI (Castagnoli).
    #[serde(rename = "CRC32C")]
    Crc32c,
    /// CRC-32/ISO-HDLC (zlib).
    #[serde(rename = "CRC32")]
    Crc32,
    /// SHA-1, 20 bytes.
    #[serde(rename = "SHA1")]
    Sha1,
    /// SHA-256, 32 bytes.
    #[serde(rename = "SHA256")]
    Sha256,
    /// SHA-512, 64 bytes; in S3 since April 2026, as the three XXHASH.
    #[serde(rename = "SHA512")]
    Sha512,
    /// XXH3 of 64 bits, without a seed, big-endian as the canonical form of xxHash.
    #[serde(rename = "XXHASH3")]
    Xxhash3,
    /// XXH64, without a seed, big-endian.
    #[serde(rename = "XXHASH64")]
    Xxhash64,
    /// XXH3 of 128 bits, without a seed, big-endian.
    #[serde(rename = "XXHASH128")]
    Xxhash128,
    /// MD5: older in S3 than all the others, as `Content-MD5` and as the ETag of a part.
    #[serde(rename = "MD5")]
    Md5,
}

/// How the checksum of a multipart object follows from those of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChecksumType {
    /// The hash of the concatenated digests of the parts, written `base64-N`.
    #[serde(rename = "COMPOSITE")]
    Composite,
    /// The checksum of all bytes, as if one request had sent the object.
    #[serde(rename = "FULL_OBJECT")]
    FullObject,
}

impl ChecksumAlgorithm {
    /// All algorithms, the preferred one first.
    pub const ALL: [ChecksumAlgorithm; 10] = [
        Self::Crc64Nvme,
        Self::Crc32c,
        Self::Crc32,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::Xxhash3,
        Self::Xxhash64,
        Self::Xxhash128,
        Self::Md5,
    ];

    /// Returns the name that `x-amz-checksum-algorithm` and XML documents use.
    pub const fn s3_name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "CRC64NVME",
            Self::Crc32c => "CRC32C",
            Self::Crc32 => "CRC32",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::Xxhash3 => "XXHASH3",
            Self::Xxhash64 => "XXHASH64",
            Self::Xxhash128 => "XXHASH128",
            Self::Md5 => "MD5",
        }
    }

    /// Returns the header that carries the value (base64) in PutObject and UploadPart, in lower
    /// case.
    ///
    /// For MD5 this is `content-md5`: every store supports it, none echoes it (the ETag serves as
    /// the echo), and Create must not announce it in `x-amz-checksum-algorithm`. AWS's newer
    /// `x-amz-checksum-md5` is the [header of a kept value](Self::kept_header_name).
    pub const fn header_name(self) -> &'static str {
        match self {
            Self::Md5 => "content-md5",
            other => other.kept_header_name(),
        }
    }

    /// Returns the header in which a store returns a value that it keeps with an object, in lower
    /// case.
    pub const fn kept_header_name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Sha512 => "x-amz-checksum-sha512",
            Self::Xxhash3 => "x-amz-checksum-xxhash3",
            Self::Xxhash64 => "x-amz-checksum-xxhash64",
            Self::Xxhash128 => "x-amz-checksum-xxhash128",
            Self::Md5 => "x-amz-checksum-md5",
        }
    }

    /// Returns the length of a value in bytes.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Crc64Nvme | Self::Xxhash3 | Self::Xxhash64 => 8,
            Self::Crc32c | Self::Crc32 => 4,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
            Self::Md5 | Self::Xxhash128 => 16,
        }
    }

    /// Returns whether the value of `a ++ b` follows from the values and lengths of `a` and `b`:
    /// true for the CRCs.
    pub const fn combines(self) -> bool {
        matches!(self, Self::Crc64Nvme | Self::Crc32c | Self::Crc32)
    }

    /// Returns the type that AWS assumes for a multipart upload when Create names only the
    /// algorithm.
    pub const fn default_type(self) -> ChecksumType {
        match self {
            Self::Crc64Nvme => ChecksumType::FullObject,
            _ => ChecksumType::Composite,
        }
    }

    /// Returns whether a multipart upload may be created with this type. (The checksum of an object
    /// sent by PutObject is always full-object.)
    pub const fn supports(self, checksum_type: ChecksumType) -> bool {
        match checksum_type {
            ChecksumType::FullObject => self.combines(),
            ChecksumType::Composite => !matches!(self, Self::Crc64Nvme),
        }
    }
}

impl ChecksumType {
    /// Returns the name that `x-amz-checksum-type` and XML documents use.
    pub const fn s3_name(self) -> &'static str {
        match self {
            Self::Composite => "COMPOSITE",
            Self::FullObject => "FULL_OBJECT",
        }
    }
}

/// Prints the S3 name.
impl fmt::Display for ChecksumAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.s3_name())
    }
}

/// Prints the S3 name.
impl fmt::Display for ChecksumType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.s3_name())
    }
}

/// Parses the S3 name, ignoring case.
impl FromStr for ChecksumAlgorithm {
    type Err = ChecksumError;

    fn from_str(name: &str) -> Result<Self, ChecksumError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.s3_name().eq_ignore_ascii_case(name))
            .ok_or_else(|| ChecksumError::UnknownAlgorithm { name: name.to_owned() })
    }
}

/// Parses the S3 name, ignoring case.
impl FromStr for ChecksumType {
    type Err = ChecksumError;

    fn from_str(name: &str) -> Result<Self, ChecksumError> {
        [Self::Composite, Self::FullObject]
            .into_iter()
            .find(|checksum_type| checksum_type.s3_name().eq_ignore_ascii_case(name))
            .ok_or_else(|| ChecksumError::UnknownType { name: name.to_owned() })
    }
}
