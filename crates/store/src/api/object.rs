//! The description of an object, and the options for writing, reading and copying one.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::SystemTime;

use haul_parts::{
    Bucket, Checksum, ChecksumAlgorithm, ChecksumType, CompositeChecksum, ETag, Key,
    ObjectAttributes, PartNumber,
};

/// The version of a key: every write creates a new one, and a store never reuses one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectVersion(pub(crate) u64);

/// The metadata of an object: everything but its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The version that the last write created.
    pub version: ObjectVersion,
    /// The length in bytes.
    pub size_bytes: u64,
    /// The MD5 of the bytes, or `md5-of-md5s-N` for an object uploaded in parts.
    pub etag: ETag,
    /// The time of publishing, to the millisecond.
    pub last_modified: SystemTime,
    /// The headers and tags that the client sent.
    pub attributes: ObjectAttributes,
    /// The stored checksum; `None` only if the writer computed none.
    pub checksum: Option<ObjectChecksum>,
    /// The number of uploaded parts; `None` for an object that was written by PutObject.
    pub part_count: Option<u16>,
}

/// The checksum of a whole object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectChecksum {
    /// A checksum over all bytes.
    FullObject(Checksum),
    /// A checksum over the checksums of the parts.
    Composite(CompositeChecksum),
}

impl ObjectChecksum {
    /// Returns the algorithm of the checksum.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        match self {
            Self::FullObject(checksum) => checksum.algorithm(),
            Self::Composite(composite) => composite.checksum().algorithm(),
        }
    }

    /// Returns whether the checksum covers the bytes or the checksums of parts.
    pub fn checksum_type(&self) -> ChecksumType {
        match self {
            Self::FullObject(_) => ChecksumType::FullObject,
            Self::Composite(_) => ChecksumType::Composite,
        }
    }
}

/// Prints the value as S3 writes it: base64, with `-N` if it is composite.
impl fmt::Display for ObjectChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FullObject(checksum) => f.write_str(&checksum.to_base64()),
            Self::Composite(composite) => composite.fmt(f),
        }
    }
}

/// Options to set before the bytes of a part or object arrive.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// The number of bytes to come, if known. A size that does not fit on the disk is refused
    /// before the first byte.
    pub size_hint_bytes: Option<u64>,
    /// The checksums to compute in the same pass, besides the MD5 that is always computed.
    pub checksums: Vec<ChecksumAlgorithm>,
}

/// The condition of a write or delete; evaluated atomically with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WriteCondition {
    /// No condition: always write.
    #[default]
    Always,
    /// `If-None-Match: *`: only when the key has no object.
    IfNoneMatch,
    /// `If-Match`: only when the key has the object with this ETag.
    IfMatch(ETag),
    /// `If-Match: *`: only when the key has an object.
    IfMatchAny,
}

/// Options for putting an object.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// The attributes to store with it.
    pub attributes: ObjectAttributes,
    /// The checksum that the client sent: the store compares it again and stores it. Without one,
    /// the store keeps a CRC64NVME that was computed while writing.
    pub checksum: Option<Checksum>,
    /// The condition of the write.
    pub condition: WriteCondition,
}

/// The source object of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySource {
    /// The bucket of the source.
    pub bucket: Bucket,
    /// The key of the source.
    pub key: Key,
    /// The version on which the caller evaluated conditional headers; any other version is refused
    /// with [`SourceChanged`].
    ///
    /// [`SourceChanged`]: crate::Error::SourceChanged
    pub version: Option<ObjectVersion>,
}

/// The origin of a copy's attributes.
#[derive(Clone, Debug, Default)]
pub enum MetadataDirective {
    /// From the source.
    #[default]
    Copy,
    /// From the request.
    Replace(Box<ObjectAttributes>),
}

/// Options for copying an object.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// The origin of the copy's attributes.
    pub metadata: MetadataDirective,
    /// The condition of the write.
    pub condition: WriteCondition,
}

/// The range of an object to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReadRange {
    /// The whole object.
    #[default]
    Whole,
    /// From the first to the last byte, both included. A last byte beyond the end means the end.
    Bytes(RangeInclusive<u64>),
    /// From this offset to the end.
    From(u64),
    /// The last bytes of the object; the whole object if it has fewer.
    Suffix(u64),
    /// The bytes of one part, counted from 1. An object that was written by PutObject has one part.
    Part(PartNumber),
}

/// Whether a delete removed an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The object existed and was removed.
    Removed,
    /// There was no such object; S3 reports that as success too.
    WasAbsent,
}

/// One part in the layout of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPart {
    /// The position of the part in the object, counted from 1 without gaps. (The part number from
    /// the upload may be higher.)
    pub part_number: PartNumber,
    /// The offset of the part in the object.
    pub offset_bytes: u64,
    /// The length of the part in bytes.
    pub size_bytes: u64,
    /// The checksum of the part, by the object's algorithm.
    pub checksum: Option<Checksum>,
}

/// A page of the parts of an object.
#[derive(Clone, Debug)]
pub struct ObjectPartPage {
    /// The object that the parts belong to.
    pub object: ObjectInfo,
    /// Parts in order. Empty for an object that was written by PutObject.
    pub parts: Vec<ObjectPart>,
    /// The marker of the next page, if there is one.
    pub next: Option<PartNumber>,
}
