//! The numbers of the protocol, and what a store allows.
//!
//! Sources: S3 User Guide, "Amazon S3 multipart upload limits" (qfacts); S3 API Reference for
//! listing pages. Older documents say 5 TB for an object; the exact figure today is 10,000 × 5 GiB.
//! Stores differ (1,000 parts at one, 64 MiB parts at another), so a plan takes [`Limits`] as data
//! and no store's name appears here.

use serde::{Deserialize, Serialize};

/// 2^20 bytes.
pub const MIB: u64 = 1 << 20;
/// 2^30 bytes.
pub const GIB: u64 = 1 << 30;
/// 2^40 bytes.
pub const TIB: u64 = 1 << 40;

/// The smallest part that is not the last one.
pub const PART_SIZE_MIN_BYTES: u64 = 5 * MIB;
/// The largest part.
pub const PART_SIZE_MAX_BYTES: u64 = 5 * GIB;
/// The most parts of an upload; part numbers end here too.
pub const PART_COUNT_MAX: u16 = 10_000;
/// The largest object, about 48.8 TiB.
pub const OBJECT_SIZE_MAX_BYTES: u64 = PART_COUNT_MAX as u64 * PART_SIZE_MAX_BYTES;
/// The largest object that one PutObject (or CopyObject) makes.
pub const PUT_OBJECT_MAX_BYTES: u64 = 5 * GIB;
/// The most entries in a page of ListParts, ListMultipartUploads or ListObjects.
pub const LIST_PAGE_MAX: u16 = 1000;
/// The part size when nobody asks for another and the object is not too long for it.
pub const DEFAULT_PART_SIZE_BYTES: u64 = 8 * MIB;
/// The longest object key, in bytes of UTF-8.
pub const KEY_MAX_BYTES: usize = 1024;
/// The shortest bucket name, in bytes.
pub const BUCKET_MIN_BYTES: usize = 3;
/// The longest bucket name, in bytes: it has to be a DNS label.
pub const BUCKET_MAX_BYTES: usize = 63;
/// The longest upload id that Haul takes, in bytes; ours, S3 names no limit. Real ones stay below
/// 300, and a request line has room for about 8 KiB.
pub const UPLOAD_ID_MAX_BYTES: usize = 4096;

/// What one kind of store allows for a multipart upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The smallest part that is not the last one.
    pub part_size_min_bytes: u64,
    /// The largest part.
    pub part_size_max_bytes: u64,
    /// The most parts; never more than 10,000, which is where part numbers end.
    pub part_count_max: u16,
    /// The largest object.
    pub object_size_max_bytes: u64,
    /// All parts but the last must have one size (R2 asks for it), so parts must not grow during a
    /// stream of unknown length. A [`PartPlan`](crate::PartPlan) is equal by construction.
    pub equal_parts: bool,
}

impl Limits {
    /// Those of AWS S3.
    pub const AWS: Limits = Limits {
        part_size_min_bytes: PART_SIZE_MIN_BYTES,
        part_size_max_bytes: PART_SIZE_MAX_BYTES,
        part_count_max: PART_COUNT_MAX,
        object_size_max_bytes: OBJECT_SIZE_MAX_BYTES,
        equal_parts: false,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::AWS
    }
}
