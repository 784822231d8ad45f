//! The result of a comparison, and the evidence for it.

use std::fmt;

use haul_parts::{ChecksumAlgorithm, PartLayout};

/// Whether local bytes and an object are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes are equal, proven by this value.
    Same(Evidence),
    /// The bytes differ.
    Different(Difference),
    /// Neither equality nor difference can be proven.
    Unproven(Unproven),
}

/// The value that was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The checksum of the whole object.
    FullObjectChecksum(ChecksumAlgorithm),
    /// The checksum of the checksums of the parts.
    CompositeChecksum {
        /// The algorithm of the checksums.
        algorithm: ChecksumAlgorithm,
        /// The parts that the checksum depends on.
        layout: PartLayout,
        /// The source of the layout.
        source: LayoutSource,
    },
    /// The ETag of an object put in one request: its MD5.
    Md5,
    /// The ETag of an object in parts: the MD5 of the MD5s of its parts.
    MultipartETag {
        /// The parts that the ETag depends on.
        layout: PartLayout,
        /// The source of the layout.
        source: LayoutSource,
    },
    /// The checksum of every part, from a receipt.
    PartChecksums(ChecksumAlgorithm),
    /// The ETag of a receipt: the object is still the version that was uploaded.
    ETag,
}

/// The source of the layout of an object's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutSource {
    /// HeadObject of its parts.
    PartHeads,
    /// GetObjectAttributes of the object.
    Attributes,
    /// A guess from the length and the number of parts.
    Guess,
    /// The receipt of its upload.
    Receipt,
}

/// The proof that the bytes differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The lengths differ.
    Size {
        /// The length of the local bytes.
        local_bytes: u64,
        /// The length of the object in bytes.
        object_bytes: u64,
    },
    /// A value of the whole object differs.
    Value {
        /// The value that was compared.
        compared: Evidence,
        /// The value of the local bytes.
        local: String,
        /// The value of the store or the receipt.
        object: String,
    },
    /// The checksums of some parts differ.
    Parts {
        /// The numbers of the differing parts, ascending.
        numbers: Vec<u32>,
        /// The number of all parts.
        part_count: u16,
    },
}

/// The reason why nothing can be proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// The ETag is not an MD5: the object is encrypted with a key of KMS or of the customer, or all
    /// ETags of the bucket are of another kind.
    OpaqueETag {
        /// The encryption that the store names; `None`: the bucket is a directory bucket.
        encryption: Option<String>,
    },
    /// The store does not return the parts of the object, and no usual layout gives its ETag.
    UnknownLayout {
        /// The number of parts.
        part_count: u16,
        /// The number of layouts that were tried.
        tried: usize,
    },
    /// The object has neither a checksum nor an ETag that could be recomputed.
    NothingToCompare,
    /// The object is another version, and the receipt contains none of the values that the store
    /// keeps of that version.
    NotInReceipt,
}

impl Verdict {
    /// Returns a word for programs: `same`, `different`, `unproven`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Same(_) => "same",
            Self::Different(_) => "different",
            Self::Unproven(_) => "unproven",
        }
    }
}

impl Evidence {
    /// Returns a word for programs: `full-object-checksum`, `composite-checksum`, `md5-etag`,
    /// `multipart-etag`, `part-checksums`, `etag`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::FullObjectChecksum(_) => "full-object-checksum",
            Self::CompositeChecksum { .. } => "composite-checksum",
            Self::Md5 => "md5-etag",
            Self::MultipartETag { .. } => "multipart-etag",
            Self::PartChecksums(_) => "part-checksums",
            Self::ETag => "etag",
        }
    }

    /// Returns the algorithm of the compared value.
    pub const fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        match self {
            Self::FullObjectChecksum(algorithm)
            | Self::CompositeChecksum { algorithm, .. }
            | Self::PartChecksums(algorithm) => Some(*algorithm),
            Self::Md5 | Self::MultipartETag { .. } => Some(ChecksumAlgorithm::Md5),
            Self::ETag => None,
        }
    }

    /// Returns the parts that the value depends on, and the source of their layout.
    pub const fn layout(&self) -> Option<(&PartLayout, LayoutSource)> {
        match self {
            Self::CompositeChecksum { layout, source, .. }
            | Self::MultipartETag { layout, source } => Some((layout, *source)),
            _ => None,
        }
    }
}

impl LayoutSource {
    /// Returns a word for programs: `part-heads`, `attributes`, `guess`, `receipt`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PartHeads => "part-heads",
            Self::Attributes => "attributes",
            Self::Guess => "guess",
            Self::Receipt => "receipt",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FullObjectChecksum(algorithm) => write!(f, "{algorithm} of the object"),
            Self::CompositeChecksum { algorithm, layout, source } => {
                write!(f, "{algorithm} of {}", Parts(layout, *source))
            }
            Self::Md5 => f.write_str("MD5 in the ETag"),
            Self::MultipartETag { layout, source } => {
                write!(f, "ETag over {}", Parts(layout, *source))
            }
            Self::PartChecksums(algorithm) => write!(f, "{algorithm} of every part"),
            Self::ETag => f.write_str("ETag of the upload"),
        }
    }
}

/// Formats as "13 parts of 8 MiB, told by HeadObject".
struct Parts<'a>(&'a PartLayout, LayoutSource);

impl fmt::Display for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1024 * 1024;
        let Self(layout, source) = *self;
        match (layout.part_count(), layout.part_size_bytes()) {
            (1, _) => f.write_str("1 part")?,
            (count, None) => write!(f, "{count} parts of several sizes")?,
            (count, Some(size)) if size.is_multiple_of(MIB) => {
                write!(f, "{count} parts of {} MiB", size / MIB)?;
            }
            (count, Some(size)) => write!(f, "{count} parts of {size} bytes")?,
        }
        f.write_str(match source {
            LayoutSource::PartHeads => ", told by HeadObject",
            LayoutSource::Attributes => ", told by GetObjectAttributes",
            LayoutSource::Guess => ", guessed from its length",
            LayoutSource::Receipt => ", as in the receipt",
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { local_bytes, object_bytes } => {
                write!(f, "{local_bytes} bytes here, {object_bytes} in the object")
            }
            Self::Value { compared, local, object } => {
                write!(f, "{compared}: {local} here, {object} of the object")
            }
            Self::Parts { numbers, part_count } => {
                let shown: Vec<_> = numbers.iter().take(10).map(u32::to_string).collect();
                let more = if numbers.len() > shown.len() { ", …" } else { "" };
                let count = numbers.len();
                write!(f, "{count} of {part_count} parts differ: {}{more}", shown.join(", "))
            }
        }
    }
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpaqueETag { encryption: Some(encryption) } => {
                write!(f, "the ETag is no MD5 ({encryption}), and there is no checksum")
            }
            Self::OpaqueETag { encryption: None } => {
                f.write_str("ETags of directory buckets are no MD5, and there is no checksum")
            }
            Self::UnknownLayout { part_count, tried } => write!(
                f,
                "the store does not tell the sizes of its {part_count} parts, and none of {tried} \
                 usual layouts gives its ETag"
            ),
            Self::NotInReceipt => f.write_str(
                "the ETag is another one, and the receipt has no other value that the store keeps",
            ),
            Self::NothingToCompare => {
                f.write_str("the store keeps no checksum, and its ETag is no MD5")
            }
        }
    }
}
