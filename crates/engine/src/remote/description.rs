//! All properties of an object: HeadObject with all its fields, and GetObjectAttributes with its
//! parts.

use std::collections::BTreeMap;

use haul_parts::{Checksum, ChecksumType, ObjectChecksum, PartNumber};
use jiff::Timestamp;

use super::types::ObjectHead;

/// The whole answer to HeadObject.
#[derive(Clone, Debug)]
pub struct ObjectDescription {
    /// Size, ETag, time and attributes.
    pub head: ObjectHead,
    /// The checksum of the object, of either type.
    pub checksum: Option<ObjectChecksum>,
    /// Values of algorithms that Haul does not compute, by S3's name: `SHA512`, `XXHASH64`.
    pub other_checksums: BTreeMap<String, String>,
    /// The version id, in a bucket with versioning.
    pub version_id: Option<String>,
    /// The encryption at the store.
    pub encryption: Encryption,
    /// The protection against removal.
    pub lock: ObjectLock,
    /// `x-amz-expiration`: the date and the lifecycle rule that remove the object.
    pub expiration: Option<String>,
    /// `x-amz-restore`: the state of a restored copy from an archive.
    pub restore: Option<String>,
    /// The archive tier that the object is in (`x-amz-archive-status`).
    pub archive_status: Option<String>,
    /// The state of its replication (`x-amz-replication-status`).
    pub replication_status: Option<String>,
    /// The number of tags; `None` if the store does not return it.
    pub tag_count: Option<u32>,
    /// The number of metadata entries that no header can carry (`x-amz-missing-meta`).
    pub missing_metadata: Option<u32>,
}

/// The encryption of an object at the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encryption {
    /// `x-amz-server-side-encryption`: `AES256`, `aws:kms`, `aws:kms:dsse`, `aws:fsx`.
    pub algorithm: Option<String>,
    /// The id of the KMS key.
    pub kms_key_id: Option<String>,
    /// Whether a bucket key is used between the object and KMS.
    pub bucket_key: bool,
    /// `x-amz-server-side-encryption-customer-algorithm`: the client keeps the key (SSE-C).
    pub customer_algorithm: Option<String>,
}

/// The protection of an object against removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectLock {
    /// The mode: `GOVERNANCE` or `COMPLIANCE`.
    pub mode: Option<String>,
    /// The end of the retention period.
    pub retain_until: Option<Timestamp>,
    /// The legal hold: `ON` or `OFF`.
    pub legal_hold: Option<String>,
}

impl Encryption {
    /// Returns true if the ETag is not an MD5, whatever its form: the object is encrypted with a
    /// key of KMS or of the customer (S3 API reference, Object, `ETag`).
    pub fn makes_etag_opaque(&self) -> bool {
        self.customer_algorithm.is_some()
            || self.algorithm.as_deref().is_some_and(|algorithm| algorithm.starts_with("aws:kms"))
    }
}

/// Creates the description from the answer of a store that supports HeadObject only in its simplest
/// form.
impl From<ObjectHead> for ObjectDescription {
    fn from(head: ObjectHead) -> Self {
        let checksum = match head.checksum {
            Some((checksum, ChecksumType::FullObject)) => {
                Some(ObjectChecksum::FullObject(checksum))
            }
            _ => head.composite.map(ObjectChecksum::Composite),
        };
        Self {
            head,
            checksum,
            other_checksums: BTreeMap::new(),
            version_id: None,
            encryption: Encryption::default(),
            lock: ObjectLock::default(),
            expiration: None,
            restore: None,
            archive_status: None,
            replication_status: None,
            tag_count: None,
            missing_metadata: None,
        }
    }
}

/// The access control list of an object, from GetObjectAcl.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectAcl {
    /// The display name of the owner, else its id.
    pub owner: Option<String>,
    /// The grants, in the order of the store.
    pub grants: Vec<AclGrant>,
}

/// One grant of an access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclGrant {
    /// The grantee: its id, the URI of a group, or an address.
    pub grantee: String,
    /// The permission: `FULL_CONTROL`, `READ`, `READ_ACP` or `WRITE_ACP`.
    pub permission: String,
}

/// A page of the parts of an object from GetObjectAttributes.
#[derive(Clone, Debug, Default)]
pub struct ObjectPartsPage {
    /// The number of parts; `None`: the object was put in one request, or the store does not return
    /// it.
    pub part_count: Option<u16>,
    /// The parts in ascending order of part number. AWS lists them only if each has a checksum of
    /// its own.
    pub parts: Vec<ObjectPart>,
    /// The number to continue after; `None` on the last page.
    pub next: Option<PartNumber>,
}

/// One of the parts that an object was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPart {
    /// The part number, 1..=10,000.
    pub number: PartNumber,
    /// The length of the part in bytes.
    pub size_bytes: u64,
    /// The checksum, if the store keeps one.
    pub checksum: Option<Checksum>,
}
