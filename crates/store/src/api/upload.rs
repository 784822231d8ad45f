//! Multipart uploads as the store tells of them, and what Create and Complete can be asked.

use std::time::SystemTime;

use haul_parts::{
    Checksum, ChecksumAlgorithm, ChecksumType, ETag, ObjectAttributes, PartNumber, UploadRef,
};

use super::WriteCondition;
use crate::Error;

/// How to create an upload.
#[derive(Clone, Debug, Default)]
pub struct UploadOptions {
    /// What to keep with the object.
    pub attributes: ObjectAttributes,
    /// The algorithm asked for; `None` is CRC64NVME by default, as on AWS.
    pub checksum_algorithm: Option<ChecksumAlgorithm>,
    /// The type asked for; `None` is the default of the algorithm.
    pub checksum_type: Option<ChecksumType>,
}

/// Whether the checksum of an upload was asked for at Create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumOrigin {
    /// The client named it: parts must carry it as AWS documents.
    Requested,
    /// It is the default: computed for every part, demanded of none.
    Default,
}

/// The checksum of an upload: decided at Create, the same for all its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadChecksum {
    /// The algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// How the value of the object is made.
    pub checksum_type: ChecksumType,
    /// Who chose it.
    pub origin: ChecksumOrigin,
}

/// An open upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadInfo {
    /// Where it goes, and its id.
    pub upload: UploadRef,
    /// When it was created, to the millisecond.
    pub initiated: SystemTime,
    /// What the object will have.
    pub attributes: ObjectAttributes,
    /// The checksum of its parts.
    pub checksum: UploadChecksum,
}

impl UploadInfo {
    /// What has to be computed for a part that comes with a checksum of `given` (`None`: with
    /// none), for [`WriteOptions::checksums`](crate::WriteOptions::checksums). Ask before the first
    /// byte: a part with the wrong algorithm is refused here.
    ///
    /// # Errors
    /// [`Error::ChecksumAlgorithmMismatch`] when the upload was created with another algorithm, or
    /// is composite and the part has none.
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

/// A part that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    /// Its number.
    pub part_number: PartNumber,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The MD5 of its bytes.
    pub etag: ETag,
    /// When it was uploaded, to the millisecond.
    pub last_modified: SystemTime,
    /// Its checksum, of the algorithm of the upload.
    pub checksum: Checksum,
    /// The checksum of another algorithm that the client gave with it, when the upload had none
    /// asked for.
    pub other_checksum: Option<Checksum>,
}

/// How to complete an upload.
#[derive(Clone, Debug, Default)]
pub struct CompleteOptions {
    /// `x-amz-mp-object-size`: refuse unless the object has this size.
    pub mpu_object_size_bytes: Option<u64>,
    /// When to publish at all.
    pub condition: WriteCondition,
    /// `x-amz-checksum-*`: the checksum of the whole object (for composite uploads the checksum of
    /// checksums, without `-N`).
    pub checksum: Option<Checksum>,
    /// The `N` of a composite checksum that is given as `value-N`: it is compared with the number
    /// of parts.
    pub checksum_part_count: Option<u16>,
    /// The `x-amz-checksum-type` of the request.
    pub checksum_type: Option<ChecksumType>,
}
