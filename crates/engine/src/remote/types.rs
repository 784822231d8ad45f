//! Requests and answers of the store trait, in S3's terms.

use std::fmt;
use std::ops::Range;

use haul_parts::{
    Checksum, ChecksumAlgorithm, ChecksumType, CompletedPart, CompositeChecksum, ETag,
    ObjectAttributes, ObjectRef, PartNumber, Protection, UploadId, UploadMarker,
};
use jiff::Timestamp;
use serde::Serialize;

use super::description::ObjectLock;
use super::object_bytes::ObjectBytes;
use crate::body::{Meter, Payload};

/// The S3 operation of a request, for errors and counters.
#[allow(missing_docs)] // The names are S3's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Operation {
    CreateMultipartUpload,
    UploadPart,
    ListParts,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListMultipartUploads,
    PutObject,
    CopyObject,
    UploadPartCopy,
    HeadObject,
    GetObjectTagging,
    PutObjectTagging,
    PutObjectRetention,
    PutObjectLegalHold,
    GetObjectAcl,
    GetObjectAttributes,
    GetObject,
    ListObjectsV2,
    DeleteObject,
    DeleteObjects,
    CreateBucket,
    DeleteBucket,
    ListBuckets,
    GetBucketLifecycleConfiguration,
    PutBucketLifecycleConfiguration,
    DeleteBucketLifecycle,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Returns the name of the header of a metadata entry.
pub(crate) fn metadata_header(name: &str) -> String {
    format!("x-amz-meta-{name}")
}

/// The parameters of CreateMultipartUpload.
#[derive(Clone, Debug, Default)]
pub struct CreateRequest {
    /// The attributes of the object.
    pub attributes: ObjectAttributes,
    /// The declared checksum: chosen at Create, the same for every part (trap 14).
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

/// The answer to CreateMultipartUpload.
#[derive(Clone, Debug)]
pub struct CreatedUpload {
    /// The store's id of the upload.
    pub upload_id: UploadId,
    /// The checksum declaration echoed by the store; `None`: the store does not support checksums.
    pub checksum: Option<ChecksumAlgorithm>,
    /// The time when a lifecycle rule will remove the unfinished upload (`x-amz-abort-date`).
    pub abort_date: Option<Timestamp>,
}

/// The parameters of UploadPart: one attempt.
#[derive(Clone, Debug)]
pub struct PartRequest {
    /// The part number, 1..=10,000.
    pub number: PartNumber,
    /// The bytes of the part.
    pub payload: Payload,
    /// The checksum of the bytes, sent in a signed header.
    pub checksum: Option<Checksum>,
    /// True from the second attempt on: use a new connection, to another address if there is more
    /// than one.
    pub fresh_connection: bool,
    /// Counts every body byte that is sent.
    pub wire: Meter,
}

/// The answer to UploadPart and PutObject, and to UploadPartCopy and CopyObject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedPart {
    /// The ETag that the store returned.
    pub etag: ETag,
    /// The checksum that the store computed or verified, as echoed.
    pub checksum: Option<Checksum>,
    /// Whether the answer says that the part is encrypted by KMS or a customer's key, so that the
    /// ETag is not an MD5.
    pub etag_is_opaque: bool,
}

/// A part as listed by ListParts or HeadObject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    /// The part number, 1..=10,000.
    pub number: PartNumber,
    /// The length of this part in bytes.
    pub size_bytes: u64,
    /// The ETag that the store returned (for HeadObject: the object's).
    pub etag: ETag,
    /// The checksum, if the store keeps one.
    pub checksum: Option<Checksum>,
    /// The number of parts of the object; only HeadObject returns it.
    pub part_count: Option<u16>,
}

/// A page of ListParts.
#[derive(Clone, Debug, Default)]
pub struct PartsPage {
    /// The parts in ascending order of part number.
    pub parts: Vec<StoredPart>,
    /// The number to continue after; `None` on the last page.
    pub next: Option<PartNumber>,
    /// How the declared checksum is derived from those of the parts; `None`: the store does not
    /// name it, or none was declared.
    pub checksum_type: Option<ChecksumType>,
    /// The arrival time of the newest part of this page, if the store lists it.
    pub newest: Option<Timestamp>,
}

/// The parameters of CompleteMultipartUpload.
#[derive(Clone, Debug, Default)]
pub struct CompleteRequest {
    /// Every part, in ascending order.
    pub parts: Vec<CompletedPart>,
    /// The whole object's checksum; sent with `x-amz-checksum-type: FULL_OBJECT`.
    pub full_object_checksum: Option<Checksum>,
    /// The object size, for `x-amz-mp-object-size`.
    pub object_size_bytes: Option<u64>,
    /// `If-None-Match: *`: do not overwrite.
    pub if_none_match: bool,
    /// `If-Match`: overwrite only this version.
    pub if_match: Option<ETag>,
}

/// The answer to CompleteMultipartUpload.
#[derive(Clone, Debug)]
pub struct CompletedObject {
    /// The ETag; `None` if the store left it empty (Ceph RGW 16.2).
    pub etag: Option<ETag>,
    /// The object's checksum, if the store returns one.
    pub checksum: Option<Checksum>,
    /// The version id, from `x-amz-version-id`.
    pub version_id: Option<String>,
}

/// The parameters of PutObject: one attempt.
#[derive(Clone, Debug)]
pub struct PutRequest {
    /// The bytes of the object.
    pub payload: Payload,
    /// The attributes of the object.
    pub attributes: ObjectAttributes,
    /// The checksum of the bytes, sent in a signed header.
    pub checksum: Option<Checksum>,
    /// The MD5 of the bytes, sent as `Content-MD5`: an object put in one request is visible at
    /// once, so a store that ignores checksums (Ceph RGW 16.2) must get the digest that it does
    /// verify. `None` if `checksum` is the MD5.
    pub md5: Option<Checksum>,
    /// `If-None-Match: *`: do not overwrite.
    pub if_none_match: bool,
    /// `If-Match`: overwrite only this version.
    pub if_match: Option<ETag>,
    /// Counts every body byte that is sent.
    pub fresh_connection: bool,
    /// Whether to use a new connection, as in [`PartRequest`].
    pub wire: Meter,
}

/// The parameters of CopyObject: one attempt.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// The object to copy.
    pub source: ObjectRef,
    /// `x-amz-copy-source-if-match`: copy only this version; for another one the store answers
    /// `PreconditionFailed`.
    pub source_if_match: Option<ETag>,
    /// Attributes that replace the source's (`REPLACE`); `None`: keep those of the source (`COPY`).
    /// Tags are the source's in both cases, unless the attributes contain some.
    pub attributes: Option<ObjectAttributes>,
    /// `x-amz-storage-class`, which no copy inherits.
    pub storage_class: Option<String>,
    /// ACL, encryption and lock, which no copy inherits.
    pub protection: Protection,
    /// `If-None-Match: *`: do not overwrite.
    pub if_none_match: bool,
    /// `If-Match`: overwrite only this version.
    pub if_match: Option<ETag>,
}

/// The parameters of UploadPartCopy: one attempt.
#[derive(Clone, Debug)]
pub struct PartCopyRequest {
    /// The part number, 1..=10,000.
    pub number: PartNumber,
    /// The object to copy from.
    pub source: ObjectRef,
    /// Copy only this version, as in [`CopyRequest`].
    pub source_if_match: Option<ETag>,
    /// The range of the source's bytes to copy into the part; `None`: the whole source. AWS accepts
    /// a range only for sources above 5 MiB.
    pub range: Option<Range<u64>>,
}

/// The properties of an object from HeadObject.
#[derive(Clone, Debug)]
pub struct ObjectHead {
    /// The length of the object in bytes.
    pub size_bytes: u64,
    /// The ETag, which is opaque (trap 13).
    pub etag: ETag,
    /// The checksum of the object and its type, if the store gives one without `-N`.
    pub checksum: Option<(Checksum, ChecksumType)>,
    /// The checksum of the parts' checksums, written with `-N`. It can be verified only if the
    /// sizes of the parts are known.
    pub composite: Option<CompositeChecksum>,
    /// The time of the last change, from `Last-Modified`.
    pub last_modified: Option<Timestamp>,
    /// Content type, metadata and other attributes.
    pub attributes: ObjectAttributes,
    /// Whether the answer says that the object is encrypted by KMS or a customer's key, so that the
    /// ETag is not an MD5.
    pub etag_is_opaque: bool,
    /// The number of tags (`x-amz-tagging-count`); `None` if the store does not return it.
    pub tag_count: Option<u32>,
    /// The lock of the object, as far as the answer shows it.
    pub lock: ObjectLock,
}

/// The parameters of GetObject.
#[derive(Clone, Debug, Default)]
pub struct GetRequest {
    /// The offset of the first byte.
    pub offset_bytes: u64,
    /// The number of bytes from that offset; `None`: all bytes to the end of the object.
    pub size_bytes: Option<u64>,
    /// Return only this version: for a changed object the store answers `PreconditionFailed`.
    pub if_match: Option<ETag>,
}

impl GetRequest {
    /// Returns the value of `Range`; `None` if the whole object is requested.
    pub(crate) fn range(&self) -> Option<String> {
        let first = self.offset_bytes;
        match self.size_bytes {
            Some(size_bytes) => {
                Some(format!("bytes={first}-{}", (first + size_bytes).saturating_sub(1)))
            }
            None => (first > 0).then(|| format!("bytes={first}-")),
        }
    }
}

/// The answer to GetObject.
pub struct ObjectBody {
    /// The properties as from HeadObject; `size_bytes` is that of the whole object, 0 if this
    /// answer does not contain it.
    pub head: ObjectHead,
    /// The length of the whole object according to this answer; `None`: it has no `Content-Length`.
    pub announced_bytes: Option<u64>,
    /// Whether the store ignored `Range` and sends the whole object. Bytes before `offset_bytes`
    /// are discarded here, but bytes after the requested ones are not.
    pub ignores_range: bool,
    /// The bytes from `offset_bytes` on.
    pub bytes: ObjectBytes,
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBody").field("head", &self.head).finish_non_exhaustive()
    }
}

/// An unfinished upload as listed by ListMultipartUploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadSummary {
    /// The key that the store returned.
    pub key: String,
    /// The store's id of the upload.
    pub upload_id: UploadId,
    /// The time when it was created.
    pub initiated: Option<Timestamp>,
    /// The storage class that its parts are billed as.
    pub storage_class: Option<String>,
    /// The initiator's display name, else its id.
    pub initiator: Option<String>,
}

/// A page of ListMultipartUploads.
#[derive(Clone, Debug, Default)]
pub struct UploadsPage {
    /// The uploads, sorted by key, then by time of initiation.
    pub uploads: Vec<UploadSummary>,
    /// The position to continue after; `None` on the last page.
    pub next: Option<UploadMarker>,
    /// Whether the store lists uploads only if the prefix is a whole key (MinIO): an empty page
    /// does not mean that there are none.
    pub exact_key_only: bool,
}

/// A bucket as listed by ListBuckets, with a name that may be invalid at other stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBucket {
    /// The name that the store returned.
    pub name: String,
    /// The time when it was created.
    pub created: Option<Timestamp>,
}

/// The lifecycle rules of a bucket as the store wrote them. They are raw text, because a model
/// would drop unknown elements, and with them the rules of other tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleDocument {
    /// The whole `<LifecycleConfiguration>` document.
    pub xml: String,
    /// `x-amz-transition-default-minimum-object-size`: belongs to the rules, and has to be sent
    /// back with them.
    pub transition_default_minimum_object_size: Option<String>,
}

/// An object or a common prefix as listed by ListObjectsV2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListingEntry {
    /// An object with its listed properties.
    Object {
        /// The key of the object.
        key: String,
        /// The length of the object in bytes.
        size_bytes: u64,
        /// The time of the last change, from `Last-Modified`.
        last_modified: Option<Timestamp>,
        /// The ETag that the store returned.
        etag: Option<ETag>,
        /// The storage class such as `STANDARD`, if the store lists it.
        storage_class: Option<String>,
    },
    /// Keys grouped at the delimiter.
    CommonPrefix(String),
}

impl ListingEntry {
    /// Returns the key, or the common prefix.
    pub fn name(&self) -> &str {
        match self {
            Self::Object { key, .. } => key,
            Self::CommonPrefix(prefix) => prefix,
        }
    }
}

/// A page of ListObjectsV2.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Objects and common prefixes, in the order of their names.
    pub entries: Vec<ListingEntry>,
    /// The `ContinuationToken` for the next page.
    pub next: Option<String>,
}
