//! Which checksum algorithms S3 has, how it spells them, and which type each may have.
//!
//! Sources: S3 API model (ChecksumAlgorithm, ChecksumType, UploadPart headers) and S3 User Guide,
//! "Checking object integrity". A table and nothing else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ChecksumError;

/// An algorithm that proves bytes to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ChecksumAlgorithm {
    /// CRC-64/NVME: what AWS prefers, and Haul's default.
    #[serde(rename = "CRC64NVME")]
    Crc64Nvme,
    /// CRC-32/ISCSI (Castagnoli).
    #[serde(rename = "CRC32C")]
    Crc32c,
    /// CRC-32/ISO-HDLC (zlib).
    #[serde(rename = "CRC32")]
    Crc32,
    /// SHA-1.
    #[serde(rename = "SHA1")]
    Sha1,
    /// SHA-256.
    #[serde(rename = "SHA256")]
    Sha256,
    /// MD5: in S3 before all the others, as `Content-MD5` and as the ETag of a part.
    #[serde(rename = "MD5")]
    Md5,
}

/// How the checksum of a multipart object is made from those of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChecksumType {
    /// The hash of the concatenated digests of the parts, written `base64-N`.
    #[serde(rename = "COMPOSITE")]
    Composite,
    /// The checksum of all bytes, as if the object had been sent in one piece.
    #[serde(rename = "FULL_OBJECT")]
    FullObject,
}

impl ChecksumAlgorithm {
    /// All of them, the one to prefer first.
    pub const ALL: [ChecksumAlgorithm; 6] =
        [Self::Crc64Nvme, Self::Crc32c, Self::Crc32, Self::Sha1, Self::Sha256, Self::Md5];

    /// As in `x-amz-checksum-algorithm` and in XML.
    pub const fn s3_name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "CRC64NVME",
            Self::Crc32c => "CRC32C",
            Self::Crc32 => "CRC32",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Md5 => "MD5",
        }
    }

    /// The header that carries the value (in base64) in PutObject and UploadPart, in lower case.
    ///
    /// For MD5 this is `content-md5`: every store knows it, it is never echoed (the ETag is the
    /// echo), and it must not be announced with `x-amz-checksum-algorithm` at Create. AWS's newer
    /// `x-amz-checksum-md5` is not used.
    pub const fn header_name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Md5 => "content-md5",
        }
    }

    /// The length of a value, in bytes.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Crc64Nvme => 8,
            Self::Crc32c | Self::Crc32 => 4,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Md5 => 16,
        }
    }

    /// Whether the value of two pieces together follows from the values and lengths of both: the
    /// CRCs.
    pub const fn combines(self) -> bool {
        matches!(self, Self::Crc64Nvme | Self::Crc32c | Self::Crc32)
    }

    /// The type that AWS takes for a multipart upload when Create names only the algorithm.
    pub const fn default_type(self) -> ChecksumType {
        match self {
            Self::Crc64Nvme => ChecksumType::FullObject,
            _ => ChecksumType::Composite,
        }
    }

    /// Whether a multipart upload may be created with this type. (An object of one PutObject is
    /// always full-object.)
    pub const fn supports(self, checksum_type: ChecksumType) -> bool {
        match checksum_type {
            ChecksumType::FullObject => self.combines(),
            ChecksumType::Composite => !matches!(self, Self::Crc64Nvme),
        }
    }
}

impl ChecksumType {
    /// As in `x-amz-checksum-type` and in XML.
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

/// Reads the S3 name in either case, as people type it.
impl FromStr for ChecksumAlgorithm {
    type Err = ChecksumError;

    fn from_str(name: &str) -> Result<Self, ChecksumError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.s3_name().eq_ignore_ascii_case(name))
            .ok_or_else(|| ChecksumError::UnknownAlgorithm { name: name.to_owned() })
    }
}

/// Reads the S3 name in either case.
impl FromStr for ChecksumType {
    type Err = ChecksumError;

    fn from_str(name: &str) -> Result<Self, ChecksumError> {
        [Self::Composite, Self::FullObject]
            .into_iter()
            .find(|checksum_type| checksum_type.s3_name().eq_ignore_ascii_case(name))
            .ok_or_else(|| ChecksumError::UnknownType { name: name.to_owned() })
    }
}
