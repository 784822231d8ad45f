//! The ETag of a part or an object: opaque text, sent back exactly as received.
//!
//! An ETag is an MD5 only for single parts of plain objects, `md5-of-md5s-N` for multipart objects
//! on AWS and close relatives, and anything at all elsewhere (encryption, directory buckets, other
//! stores; even empty). So every text is a valid ETag; [`ETag::as_md5`] and [`ETag::part_count`]
//! return what it *might* be, and the caller decides what that means. The quotes are framing, not
//! part of the value: two ETags are equal if they are equal without quotes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::lanes::Md5Stream;

/// An entity tag in the form in which it was received.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(String);

impl ETag {
    /// Keeps `text` as it is, quoted or not.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Creates the ETag that S3 gives to a single part: its MD5 in hex, quoted.
    pub fn from_md5(digest: [u8; 16]) -> Self {
        Self(format!("\"{}\"", hex::encode(digest)))
    }

    /// Computes the ETag that S3 gives to a multipart object: the MD5 of the concatenated MD5s of
    /// its parts in order, then `-N`.
    pub fn composite(part_md5s: impl IntoIterator<Item = [u8; 16]>) -> Self {
        let mut hasher = Md5Stream::new();
        let mut part_count = 0_u32;
        for digest in part_md5s {
            hasher.update(&digest);
            part_count += 1;
        }
        Self(format!("\"{}-{part_count}\"", hex::encode(hasher.finish())))
    }

    /// Returns the text exactly as received.
    pub fn as_given(&self) -> &str {
        &self.0
    }

    /// Returns the tag in quotes, as HTTP headers need it. A weak tag (`W/"…"`) is quoted already.
    pub fn quoted(&self) -> String {
        if self.is_weak() { self.0.clone() } else { format!("\"{}\"", self.unquoted()) }
    }

    /// Returns the tag without the surrounding quotes. A weak tag (`W/"…"`) stays whole: no S3
    /// store sends one, but a proxy may turn a strong tag into one. It means that the bytes may
    /// differ, so it must not equal the strong tag.
    pub fn unquoted(&self) -> &str {
        self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&self.0)
    }

    /// Returns the MD5 that this ETag spells, if it is exactly 32 hex digits of either case.
    pub fn as_md5(&self) -> Option<[u8; 16]> {
        let mut digest = [0; 16];
        hex::decode_to_slice(self.unquoted(), &mut digest).ok()?;
        Some(digest)
    }

    /// Returns `N` of an ETag `…-N`, if it is a possible number of parts.
    pub fn part_count(&self) -> Option<u16> {
        let (_, count) = self.unquoted().rsplit_once('-')?;
        count.parse::<crate::PartNumber>().ok().map(crate::PartNumber::get)
    }

    /// Returns whether there is nothing between the quotes, or no text at all: some stores respond
    /// with such ETags.
    pub fn is_empty(&self) -> bool {
        self.unquoted().is_empty()
    }

    /// Returns whether `If-Match` may name this tag: neither weak nor empty. A weak tag never
    /// matches there (RFC 9110, 13.1.1).
    pub fn is_strong(&self) -> bool {
        !self.is_weak() && !self.is_empty()
    }

    /// Returns the text between the quotes, of a weak tag too: the part that a weak comparison (RFC
    /// 9110, 8.8.3.2) looks at.
    pub fn opaque(&self) -> &str {
        let strong = if self.is_weak() { &self.0[2..] } else { &self.0 };
        strong.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(strong)
    }

    fn is_weak(&self) -> bool {
        self.0.starts_with("W/\"") && self.0.ends_with('"') && self.0.len() >= 4
    }
}

impl PartialEq for ETag {
    fn eq(&self, other: &Self) -> bool {
        self.unquoted() == other.unquoted()
    }
}

impl Eq for ETag {}

impl Hash for ETag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.unquoted().hash(state);
    }
}

/// Prints the text as received.
impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for ETag {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for ETag {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl FromStr for ETag {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}
