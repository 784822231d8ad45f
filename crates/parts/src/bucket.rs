//! The name of a bucket, by S3's naming rules.
//!
//! Source: S3 User Guide, "General purpose bucket naming rules". [`Bucket::new`] checks the shape:
//! length, characters, dots, no IP address. It accepts reserved prefixes and suffixes, because
//! `--x-s3` and `-s3alias` name buckets that exist and take uploads but cannot be *created*;
//! [`Bucket::reserved`] detects those. Names that only old us-east-1 buckets have (upper case,
//! underscores) are rejected.
//!
//! In requests, the ARN of an access point may stand in place of the name:
//! [`Bucket::access_point`]. [`Bucket::new`] never accepts an ARN, so no bucket of a store can be
//! named like one.

use std::borrow::Borrow;
use std::net::Ipv4Addr;

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;

use crate::access_point::{self, AccessPoint};
use crate::limits::{BUCKET_MAX_BYTES, BUCKET_MIN_BYTES};
use crate::text::checked_text;

const RESERVED_STARTS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// The name of a bucket, or the ARN of an access point to one. Serialized as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Bucket(String);

/// The naming rule that a text breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BucketError {
    /// The name is shorter than 3 or longer than 63 bytes.
    #[error("bucket name {name:?} has {} bytes; bucket names have {BUCKET_MIN_BYTES} to \
        {BUCKET_MAX_BYTES}", name.len())]
    Length {
        /// The name as it was given.
        name: String,
    },
    /// The name has a character other than a-z, 0-9, `.` and `-`.
    #[error("bucket name {name:?} contains {character:?}; only a-z, 0-9, '.' and '-' are allowed")]
    Character {
        /// The name as it was given.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// The name begins or ends with `.` or `-`.
    #[error("bucket name {name:?} must begin and end with a letter or digit")]
    Edge {
        /// The name as it was given.
        name: String,
    },
    /// The name has two dots next to each other.
    #[error("bucket name {name:?} has two dots next to each other")]
    AdjacentDots {
        /// The name as it was given.
        name: String,
    },
    /// The ARN is not one of an S3 access point.
    #[error("{arn} cannot be used: {rule}; write {} or a bucket name", access_point::FORM)]
    NotAnAccessPoint {
        /// The ARN as it was given.
        arn: String,
        /// The rule that the ARN breaks.
        rule: &'static str,
    },
    /// The name is four numbers with dots, like an IPv4 address.
    #[error("bucket name {name:?} is formatted as an IP address")]
    IpAddress {
        /// The name as it was given.
        name: String,
    },
}

impl Bucket {
    /// Checks a bucket name.
    ///
    /// # Errors
    /// The first rule that the name breaks.
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

    /// Checks the ARN of an access point: `arn:aws:s3:us-west-2:123456789012:accesspoint/my-ap`, or
    /// with a colon before the name, which becomes a slash.
    ///
    /// # Errors
    /// The first rule that the ARN breaks.
    pub fn access_point(arn: impl Into<String>) -> Result<Self, BucketError> {
        let arn = arn.into();
        match AccessPoint::read(&arn) {
            Ok(point) => Ok(Self(point.arn())),
            Err(rule) => Err(BucketError::NotAnAccessPoint { arn, rule }),
        }
    }

    /// Checks a bucket name or an access point's ARN. For clients.
    ///
    /// # Errors
    /// Those of [`Bucket::access_point`] if the text begins with `arn:`, else those of
    /// [`Bucket::new`].
    pub fn name_or_arn(text: impl Into<String>) -> Result<Self, BucketError> {
        let text = text.into();
        if text.starts_with("arn:") { Self::access_point(text) } else { Self::new(text) }
    }

    /// Splits `BUCKET/KEY` or `ARN/KEY`; the key is empty if there is none. Checks neither.
    pub fn split_key(text: &str) -> (&str, &str) {
        access_point::split(text)
    }

    /// Returns the fields of the ARN, if this is an access point.
    pub fn as_access_point(&self) -> Option<AccessPoint<'_>> {
        AccessPoint::read(&self.0).ok()
    }

    /// Returns the name or the ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the prefix or suffix that S3 reserves, if the name has one: CreateBucket refuses
    /// such names.
    pub fn reserved(&self) -> Option<&'static str> {
        let start = RESERVED_STARTS.into_iter().find(|start| self.0.starts_with(start));
        start.or_else(|| RESERVED_ENDS.into_iter().find(|end| self.0.ends_with(end)))
    }
}

checked_text!(Bucket, BucketError);

/// Lets maps keyed by bucket be searched with a plain `&str`.
impl Borrow<str> for Bucket {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Accepts names and ARNs: journals hold both.
impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::name_or_arn(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
