//! The description of multipart uploads, and the options of Create and Complete.

use std::time::SystemTime;

use haul_parts::{
    Checksum, ChecksumAlgorithm, ChecksumType, ETag, ObjectAttributes, PartNumber, UploadRef,
};

use super::WriteCondition;
use crate::Error;

/// Options for creating an upload.
#[derive(Clone, Debug, Default)]
pub struct UploadOptions {
    /// The attributes to store with the object.
    pub attributes: ObjectAttributes,
    /// The requested algorithm; `None` selects CRC64NVME, as on AWS.
    pub checksum_algorithm: Option<ChecksumAlgorithm>,
    /// The requested type; `None` selects the default of the algorithm.
    pub checksum_type: Option<ChecksumType>,
}

/// Whether Create requested the checksum of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumOrigin {
    /// The client requested the checksum: parts must carry it as AWS documents.
    Requested,
    /// The default checksum: computed for every part, not required from the client.
    Default,
}

/// The checksum of an upload: decided at Create, the same for all parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadChecksum {
    /// The algorithm of part and object checksums.
    pub algorithm: ChecksumAlgorithm,
    /// How the value of the object follows from the parts.
    pub checksum_type: ChecksumType,
    /// Whether the client requested it.
    pub origin: ChecksumOrigin,
}

/// An open upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadInfo {
    /// Bucket, key and upload id.
    pub upload: UploadRef,
    /// The time of Create, to the millisecond.
    pub initiated: SystemTime,
    /// The attributes that the object will have.
    pub attributes: ObjectAttributes,
    /// The checksum of the upload's parts.
    pub checksum: UploadChecksum,
}

impl UploadInfo {
    /// Returns the checksums to compute for a part that comes with a checksum of algorithm `given`
    /// (`None`: without one), for [`WriteOptions::checksums`](crate::WriteOptions::checksums). Call
    /// it before the first byte, because it refuses a part with the wrong algorithm.
    ///
    /// # Errors
    /// [`Error::ChecksumAlgorithmMismatch`] if the upload was created with another algorithm, or is
    /// composite and the part has none.
    pub fn part_checksums(
        &self,
        given: Option<ChecksumAlgorithm>,
    ) -> Result<Vec<ChecksumAlgorithm>, Error> {
        let expected = self.checksum.algorithm;
        let mismatch = match (self.checksum.origin, given) {
            (ChecksumOrigin::Default, _) => false,
            (ChecksumOrigin::Requested, Some(given)) => given != expected,
            (ChecksumOrigin::Requested, None) => {
                self.checksum.checksum_type == ChecksumType::Composite
            }
        };
        if mismatch {
            return Err(Error::ChecksumAlgorithmMismatch { expected, actual: given });
        }
        let other = given.filter(|&given| given != expected);
        Ok(std::iter::once(expected).chain(other).collect())
    }
}

/// An uploaded part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    /// The part number, 1..=10,000.
    pub part_number: PartNumber,
    /// The length in bytes.
    pub size_bytes: u64,
    /// The ETag: the MD5 of the bytes.
    pub etag: ETag,
    /// The time of the upload, to the millisecond.
    pub last_modified: SystemTime,
    /// The part's checksum, by the upload's algorithm.
    pub checksum: Checksum,
    /// The checksum that the client sent in another algorithm, if Create did not request one.
    pub other_checksum: Option<Checksum>,
}

/// Options for completing an upload.
#[derive(Clone, Debug, Default)]
pub struct CompleteOptions {
    /// `x-amz-mp-object-size`: Complete is refused unless the object has this size.
    pub mpu_object_size_bytes: Option<u64>,
    /// The condition of publishing.
    pub condition: WriteCondition,
    /// `x-amz-checksum-*`: the checksum of the whole object (for composite uploads the checksum of
    /// checksums, without `-N`).
    pub checksum: Option<Checksum>,
    /// The `N` of a composite checksum sent as `value-N`: compared with the number of parts.
    pub checksum_part_count: Option<u16>,
    /// The `x-amz-checksum-type` of the request.
    pub checksum_type: Option<ChecksumType>,
}
