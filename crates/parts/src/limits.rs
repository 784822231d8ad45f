//! The limits of the S3 protocol and of a store.
//!
//! Sources: S3 User Guide, "Amazon S3 multipart upload limits" (qfacts); S3 API Reference for
//! listing pages. Older documents say 5 TB for an object; the exact figure today is 10,000 × 5 GiB.
//! Stores differ (1,000 parts at one, 64 MiB parts at another), so a plan takes [`Limits`] as data
//! and no store's name appears here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One MiB: 2^20 bytes.
pub const MIB: u64 = 1 << 20;
/// One GiB: 2^30 bytes.
pub const GIB: u64 = 1 << 30;
/// One TiB: 2^40 bytes.
pub const TIB: u64 = 1 << 40;

/// The smallest part that is not the last one: 5 MiB.
pub const PART_SIZE_MIN_BYTES: u64 = 5 * MIB;
/// The largest part: 5 GiB.
pub const PART_SIZE_MAX_BYTES: u64 = 5 * GIB;
/// The most parts of an upload, and the highest part number.
pub const PART_COUNT_MAX: u16 = 10_000;
/// The largest object, about 48.8 TiB.
pub const OBJECT_SIZE_MAX_BYTES: u64 = PART_COUNT_MAX as u64 * PART_SIZE_MAX_BYTES;
/// The largest object that one PutObject or CopyObject creates: 5 GiB.
pub const PUT_OBJECT_MAX_BYTES: u64 = 5 * GIB;
/// The most entries in a page of ListParts, ListMultipartUploads or ListObjects.
pub const LIST_PAGE_MAX: u16 = 1000;
/// The part size of AWS if the caller requests none and the object is not too long for it.
pub const DEFAULT_PART_SIZE_BYTES: u64 = 8 * MIB;
/// The longest object key, in bytes of UTF-8.
pub const KEY_MAX_BYTES: usize = 1024;
/// The shortest bucket name, in bytes.
pub const BUCKET_MIN_BYTES: usize = 3;
/// The longest bucket name, in bytes: it has to be a DNS label.
pub const BUCKET_MAX_BYTES: usize = 63;
/// The longest upload id that Haul accepts, in bytes. Our own limit, S3 documents none. Real ids
/// stay below 300, and a request line has room for about 8 KiB.
pub const UPLOAD_ID_MAX_BYTES: usize = 4096;

/// The limits of one kind of store for a multipart upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The smallest part that is not the last one, in bytes.
    pub part_size_min_bytes: u64,
    /// The largest part, in bytes.
    pub part_size_max_bytes: u64,
    /// The most parts of an upload; never more than 10,000, the highest part number.
    pub part_count_max: u16,
    /// The largest object, in bytes.
    pub object_size_max_bytes: u64,
    /// The part size if the caller requests none and the object is not too long for it, in bytes.
    /// A store that bills each part, or keeps each in a segment of its own, is better off with
    /// large ones (Storj: 64 MiB). The minimum and the maximum take precedence.
    pub part_size_default_bytes: u64,
    /// Whether all parts but the last must have the same size (R2 requires it), so that parts
    /// cannot grow during a stream of unknown length. A [`PartPlan`](crate::PartPlan) has equal
    /// parts by construction.
    pub equal_parts: bool,
}

impl Limits {
    /// The limits of AWS S3.
    pub const AWS: Limits = Limits {
        part_size_min_bytes: PART_SIZE_MIN_BYTES,
        part_size_max_bytes: PART_SIZE_MAX_BYTES,
        part_count_max: PART_COUNT_MAX,
        object_size_max_bytes: OBJECT_SIZE_MAX_BYTES,
        part_size_default_bytes: DEFAULT_PART_SIZE_BYTES,
        equal_parts: false,
    };

    /// Returns these limits with a larger default part size for a link on which a round trip takes
    /// this long: 16 MiB from 100 ms on, 32 MiB from 200 ms on, 64 MiB from 400 ms on.
    ///
    /// Each part costs a round trip in which its connection moves nothing, so that long links need
    /// long parts. `held_bytes` is the memory for parts in flight if they are held in memory, in
    /// bytes: sixteen of them have to fit, because fewer would cost more than long parts gain.
    pub fn for_round_trip(self, round_trip: Duration, held_bytes: Option<u64>) -> Self {
        let wanted_bytes = match round_trip.as_millis() {
            0..100 => return self,
            100..200 => 16 * MIB,
            200..400 => 32 * MIB,
            _ => 64 * MIB,
        };
        let affordable_bytes =
            held_bytes.map_or(u64::MAX, |bytes| bytes / HELD_PARTS_MIN / MIB * MIB);
        let part_size_default_bytes =
            wanted_bytes.min(affordable_bytes).max(self.part_size_default_bytes);
        Self { part_size_default_bytes, ..self }
    }
}

/// The number of held parts that must fit into memory when the round trip chooses their size.
const HELD_PARTS_MIN: u64 = 16;

impl Default for Limits {
    fn default() -> Self {
        Self::AWS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default_of(round_trip_ms: u64, held_bytes: Option<u64>) -> u64 {
        let round_trip = Duration::from_millis(round_trip_ms);
        Limits::AWS.for_round_trip(round_trip, held_bytes).part_size_default_bytes / MIB
    }

    #[test]
    fn parts_grow_with_the_round_trip() {
        let sizes = [0, 99, 100, 199, 200, 399, 400, 5_000].map(|ms| default_of(ms, None));
        assert_eq!(sizes, [8, 8, 16, 16, 32, 32, 64, 64]);
    }

    #[test]
    fn sixteen_held_parts_fit_into_memory() {
        assert_eq!(default_of(400, Some(GIB)), 64);
        assert_eq!(default_of(400, Some(512 * MIB)), 32);
        assert_eq!(default_of(400, Some(300 * MIB)), 18);
        assert_eq!(default_of(400, Some(MIB)), 8, "parts never shrink");
    }

    #[test]
    fn a_store_with_larger_parts_keeps_them() {
        let own = Limits { part_size_default_bytes: 64 * MIB, ..Limits::AWS };
        assert_eq!(own.for_round_trip(Duration::from_millis(150), None), own);
    }
}
