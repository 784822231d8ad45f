//! The name of a bucket, by S3's naming rules.
//!
//! Source: S3 User Guide, "General purpose bucket naming rules". The shape (length, characters,
//! dots, no IP address) is checked by [`Bucket::new`]. The reserved beginnings and endings are not:
//! `--x-s3` and `-s3alias` name things that exist and can be uploaded to, they only cannot be
//! *created* as a bucket; [`Bucket::reserved`] tells. Names that only old us-east-1 buckets have
//! (upper case, underscores) are refused.
//!
//! In requests, the ARN of an access point may stand in place of the name:
//! [`Bucket::access_point`]. [`Bucket::new`] never accepts one, so a store's own buckets are never
//! named like that.

use std::borrow::Borrow;
use std::net::Ipv4Addr;

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;

use crate::access_point::{self, AccessPoint};
use crate::limits::{BUCKET_MAX_BYTES, BUCKET_MIN_BYTES};
use crate::text::checked_text;

const RESERVED_STARTS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// The name of a bucket, or the ARN of an access point to one. It is serialized as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Bucket(String);

/// Which rule a bucket name breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BucketError {
    /// Shorter than 3 or longer than 63 bytes.
    #[error("bucket name {name:?} has {} bytes; bucket names have {BUCKET_MIN_BYTES} to \
        {BUCKET_MAX_BYTES}", name.len())]
    Length {
        /// The name as it was given.
        name: String,
    },
    /// A character other than a-z, 0-9, `.` and `-`.
    #[error("bucket name {name:?} contains {character:?}; only a-z, 0-9, '.' and '-' are allowed")]
    Character {
        /// The name as it was given.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// It begins or ends with `.` or `-`.
    #[error("bucket name {name:?} must begin and end with a letter or digit")]
    Edge {
        /// The name as it was given.
        name: String,
    },
    /// Two dots next to each other.
    #[error("bucket name {name:?} has two dots next to each other")]
    AdjacentDots {
        /// The name as it was given.
        name: String,
    },
    /// An ARN that is not one of an access point of S3.
    #[error("{arn} cannot be used: {rule}; write {} or a bucket name", access_point::FORM)]
    NotAnAccessPoint {
        /// The ARN as it was given.
        arn: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// Four numbers with dots, as an IPv4 address is written.
    #[error("bucket name {name:?} is formatted as an IP address")]
    IpAddress {
        /// The name as it was given.
        name: String,
    },
}

impl Bucket {
    /// A bucket name, checked.
    ///
    /// # Errors
    /// Names the first rule that it breaks.
    pub fn new(name: impl Into<String>) -> Result<Self, BucketError> {
        let name = name.into();
        if !(BUCKET_MIN_BYTES..=BUCKET_MAX_BYTES).contains(&name.len()) {
            return Err(BucketError::Length { name });
        }
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        if let Some(character) = name.chars().find(|&c| !allowed(c)) {
            return Err(BucketError::Character { name, character });
        }
        if name.starts_with(['.', '-']) || name.ends_with(['.', '-']) {
            return Err(BucketError::Edge { name });
        }
        if name.contains("..") {
            return Err(BucketError::AdjacentDots { name });
        }
        if name.parse::<Ipv4Addr>().is_ok() {
            return Err(BucketError::IpAddress { name });
        }
        Ok(Self(name))
    }

    /// An access point, by its ARN: `arn:aws:s3:us-west-2:123456789012:accesspoint/my-ap`, or with
    /// a colon in front of the name, which becomes a slash.
    ///
    /// # Errors
    /// Names the first rule that it breaks.
    pub fn access_point(arn: impl Into<String>) -> Result<Self, BucketError> {
        let arn = arn.into();
        match AccessPoint::read(&arn) {
            Ok(point) => Ok(Self(point.arn())),
            Err(rule) => Err(BucketError::NotAnAccessPoint { arn, rule }),
        }
    }

    /// A bucket by its name or an access point by its ARN, for clients.
    ///
    /// # Errors
    /// Those of [`Bucket::access_point`] for a text that begins with `arn:`, else of
    /// [`Bucket::new`].
    pub fn name_or_arn(text: impl Into<String>) -> Result<Self, BucketError> {
        let text = text.into();
        if text.starts_with("arn:") { Self::access_point(text) } else { Self::new(text) }
    }

    /// Splits `BUCKET/KEY` or `ARN/KEY`, without checking either. The key is empty if there is
    /// none.
    pub fn split_key(text: &str) -> (&str, &str) {
        access_point::split(text)
    }

    /// The fields of the ARN, if this is an access point.
    pub fn as_access_point(&self) -> Option<AccessPoint<'_>> {
        AccessPoint::read(&self.0).ok()
    }

    /// The name, or the ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The beginning or ending that S3 keeps for itself, if the name has one: CreateBucket refuses
    /// such a name.
    pub fn reserved(&self) -> Option<&'static str> {
        let start = RESERVED_STARTS.into_iter().find(|start| self.0.starts_with(start));
        start.or_else(|| RESERVED_ENDS.into_iter().find(|end| self.0.ends_with(end)))
    }
}

checked_text!(Bucket, BucketError);

/// Maps by bucket can be searched with a plain `&str`.
impl Borrow<str> for Bucket {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Journals hold both kinds.
impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::name_or_arn(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
