//! An object as the store tells of it, and what can be asked when writing, reading and copying one.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::SystemTime;

use haul_parts::{
    Bucket, Checksum, ChecksumAlgorithm, ChecksumType, CompositeChecksum, ETag, Key,
    ObjectAttributes, PartNumber,
};

/// Which version of a key: every write makes a new one, and none is used twice in the life of a
/// store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectVersion(pub(crate) u64);

/// Everything about an object but its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Which write made it.
    pub version: ObjectVersion,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The MD5 of its bytes, or `md5-of-md5s-N` when it came in parts.
    pub etag: ETag,
    /// When it was published, to the millisecond.
    pub last_modified: SystemTime,
    /// What the client said about it.
    pub attributes: ObjectAttributes,
    /// The checksum kept with it; `None` only when the writer had none computed.
    pub checksum: Option<ObjectChecksum>,
    /// In how many parts it was uploaded; `None` when it came as one PutObject.
    pub part_count: Option<u16>,
}

/// The checksum of a whole object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectChecksum {
    /// Over all its bytes.
    FullObject(Checksum),
    /// Over the checksums of its parts.
    Composite(CompositeChecksum),
}

impl ObjectChecksum {
    /// Of which algorithm.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        match self {
            Self::FullObject(checksum) => checksum.algorithm(),
            Self::Composite(composite) => composite.checksum().algorithm(),
        }
    }

    /// Over what.
    pub fn checksum_type(&self) -> ChecksumType {
        match self {
            Self::FullObject(_) => ChecksumType::FullObject,
            Self::Composite(_) => ChecksumType::Composite,
        }
    }
}

/// The value as S3 writes it: base64, with `-N` when it is composite.
impl fmt::Display for ObjectChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FullObject(checksum) => f.write_str(&checksum.to_base64()),
            Self::Composite(composite) => composite.fmt(f),
        }
    }
}

/// What to prepare for before the bytes of a part or object arrive.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// How many bytes will come, when that is known. What does not fit on the disk is refused
    /// before the first byte.
    pub size_hint_bytes: Option<u64>,
    /// What to compute in the same pass, beside the MD5 that is always computed.
    pub checksums: Vec<ChecksumAlgorithm>,
}

/// Under which condition a write (or delete) happens; decided in the same instant as the write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WriteCondition {
    /// Always.
    #[default]
    Always,
    /// `If-None-Match: *`: only when the key has no object.
    IfNoneMatch,
    /// `If-Match`: only when the key has the object with this ETag.
    IfMatch(ETag),
    /// `If-Match: *`: only when the key has an object.
    IfMatchAny,
}

/// How to put an object.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// What to keep with it.
    pub attributes: ObjectAttributes,
    /// The checksum that the client gave: it is compared once more and kept. Without one, a
    /// CRC64NVME that was computed while writing is kept.
    pub checksum: Option<Checksum>,
    /// When to put it at all.
    pub condition: WriteCondition,
}

/// What an object is copied from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySource {
    /// The bucket of the source.
    pub bucket: Bucket,
    /// Which key.
    pub key: Key,
    /// Only this version, the one on which conditional headers were decided; another is
    /// [`SourceChanged`].
    ///
    /// [`SourceChanged`]: crate::Error::SourceChanged
    pub version: Option<ObjectVersion>,
}

/// Whose attributes a copy gets.
#[derive(Clone, Debug, Default)]
pub enum MetadataDirective {
    /// Those of the source.
    #[default]
    Copy,
    /// These.
    Replace(Box<ObjectAttributes>),
}

/// How to copy an object.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// Whose attributes the copy gets.
    pub metadata: MetadataDirective,
    /// When to write the copy at all.
    pub condition: WriteCondition,
}

/// Which bytes of an object to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReadRange {
    /// All.
    #[default]
    Whole,
    /// From the first to the last, both included; a last past the end means the end.
    Bytes(RangeInclusive<u64>),
    /// From this one to the end.
    From(u64),
    /// So many at the end; more than there are means all.
    Suffix(u64),
    /// Those of one part, counted from 1. An object of one PutObject is its part 1.
    Part(PartNumber),
}

/// Whether there was something to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It was there and is gone.
    Removed,
    /// There was none; S3 calls that success too.
    WasAbsent,
}

/// One part in the layout of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPart {
    /// Its place in the object, counted from 1 without gaps. (The number it was uploaded with may
    /// be higher.)
    pub part_number: PartNumber,
    /// Where it begins.
    pub offset_bytes: u64,
    /// How long it is.
    pub size_bytes: u64,
    /// Its checksum, of the algorithm of the object.
    pub checksum: Option<Checksum>,
}

/// A page of the parts of an object.
#[derive(Clone, Debug)]
pub struct ObjectPartPage {
    /// The object.
    pub object: ObjectInfo,
    /// In order. Empty for an object of one PutObject.
    pub parts: Vec<ObjectPart>,
    /// The marker for the next page, when there are more.
    pub next: Option<PartNumber>,
}
