//! Everything that a store tells of an object: HeadObject with all its fields, and
//! GetObjectAttributes with its parts.

use std::collections::BTreeMap;

use haul_parts::{Checksum, ChecksumType, ObjectChecksum, PartNumber};
use jiff::Timestamp;

use super::types::ObjectHead;

/// The whole answer of HeadObject.
#[derive(Clone, Debug)]
pub struct ObjectDescription {
    /// Size, ETag, time and what the client sent along.
    pub head: ObjectHead,
    /// The checksum of the object, of either type.
    pub checksum: Option<ObjectChecksum>,
    /// Values of algorithms that Haul does not compute, by the name that S3 gives them: `SHA512`,
    /// `XXHASH64`.
    pub other_checksums: BTreeMap<String, String>,
    /// The version, in a bucket that keeps versions.
    pub version_id: Option<String>,
    /// How it is encrypted at the store.
    pub encryption: Encryption,
    /// What stands against its removal.
    pub lock: ObjectLock,
    /// `x-amz-expiration`: when a lifecycle rule removes it, and which rule.
    pub expiration: Option<String>,
    /// `x-amz-restore`: whether a copy out of an archive is being made or is there.
    pub restore: Option<String>,
    /// The archive tier that the object is in (`x-amz-archive-status`).
    pub archive_status: Option<String>,
    /// The state of its replication (`x-amz-replication-status`).
    pub replication_status: Option<String>,
    /// How many tags it has; `None`: the store does not say.
    pub tag_count: Option<u32>,
    /// Metadata that no header can carry (`x-amz-missing-meta`).
    pub missing_metadata: Option<u32>,
}

/// How an object is encrypted at the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encryption {
    /// `x-amz-server-side-encryption`: `AES256`, `aws:kms`, `aws:kms:dsse`, `aws:fsx`.
    pub algorithm: Option<String>,
    /// The id of the key of KMS.
    pub kms_key_id: Option<String>,
    /// Whether a key of the bucket stands between the object and KMS.
    pub bucket_key: bool,
    /// `x-amz-server-side-encryption-customer-algorithm`: the client keeps the key (SSE-C).
    pub customer_algorithm: Option<String>,
}

/// What stands against the removal of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectLock {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub mode: Option<String>,
    /// Until when.
    pub retain_until: Option<Timestamp>,
    /// `ON` or `OFF`.
    pub legal_hold: Option<String>,
}

impl Encryption {
    /// True if the ETag is no MD5, whatever its shape: under a key of KMS or of the customer (S3 API
    /// reference, Object, `ETag`).
    pub fn makes_etag_opaque(&self) -> bool {
        self.customer_algorithm.is_some()
            || self.algorithm.as_deref().is_some_and(|algorithm| algorithm.starts_with("aws:kms"))
    }
}

/// What a store tells that answers HeadObject in its simplest form only.
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

/// A page of the parts of an object, by GetObjectAttributes.
#[derive(Clone, Debug, Default)]
pub struct ObjectPartsPage {
    /// How many parts the object was made of; `None`: it was put in one piece, or the store does
    /// not say.
    pub part_count: Option<u16>,
    /// In ascending order of part number. AWS lists them only where each has a checksum of its own.
    pub parts: Vec<ObjectPart>,
    /// Ask again behind this number; `None` on the last page.
    pub next: Option<PartNumber>,
}

/// A part that an object was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPart {
    /// The part number, 1..=10,000.
    pub number: PartNumber,
    /// Its length.
    pub size_bytes: u64,
    /// If the store keeps one.
    pub checksum: Option<Checksum>,
}
