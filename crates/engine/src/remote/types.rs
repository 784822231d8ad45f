//! Requests and answers of the store trait, in S3's words.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;
use haul_parts::{
    Checksum, ChecksumAlgorithm, ChecksumType, CompletedPart, CompositeChecksum, ETag,
    ObjectAttributes, ObjectRef, PartNumber, UploadId, UploadMarker,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::body::{Meter, Payload};

/// The S3 operation that a request was, for errors and counters.
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

/// The header that carries a piece of metadata.
pub(crate) fn metadata_header(name: &str) -> String {
    format!("x-amz-meta-{name}")
}

/// Of CreateMultipartUpload.
#[derive(Clone, Debug, Default)]
pub struct CreateRequest {
    /// What the object will carry.
    pub attributes: ObjectAttributes,
    /// Declared to the store: chosen at Create, the same for every part (trap 14).
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

/// Answer of CreateMultipartUpload.
#[derive(Clone, Debug)]
pub struct CreatedUpload {
    /// The store's name for the upload.
    pub upload_id: UploadId,
    /// The checksum declaration as the store echoed it; `None`: the store does not know checksums.
    pub checksum: Option<ChecksumAlgorithm>,
    /// When a lifecycle rule will remove the unfinished upload (`x-amz-abort-date`).
    pub abort_date: Option<Timestamp>,
}

/// Of UploadPart: one attempt.
#[derive(Clone, Debug)]
pub struct PartRequest {
    /// The part number, 1..=10,000.
    pub number: PartNumber,
    /// The bytes.
    pub payload: Payload,
    /// Of these bytes, sent in a signed header.
    pub checksum: Option<Checksum>,
    /// True from the second attempt on: a new connection, to another address where there are
    /// several.
    pub fresh_connection: bool,
    /// Told of every body byte that leaves.
    pub wire: Meter,
}

/// Answer of UploadPart and PutObject, and of UploadPartCopy and CopyObject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedPart {
    /// As the store gave it.
    pub etag: ETag,
    /// Echoed: the store computed or verified it.
    pub checksum: Option<Checksum>,
    /// The answer says that the part is encrypted by KMS or a customer's key: the ETag is no MD5.
    pub etag_is_opaque: bool,
}

/// A part as ListParts or HeadObject shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    /// The part number, 1..=10,000.
    pub number: PartNumber,
    /// Bytes of this part.
    pub size_bytes: u64,
    /// As the store gave it (of HeadObject: the object's).
    pub etag: ETag,
    /// If the store keeps one.
    pub checksum: Option<Checksum>,
    /// How many parts the object has; only HeadObject knows.
    pub part_count: Option<u16>,
}

/// A page of ListParts.
#[derive(Clone, Debug, Default)]
pub struct PartsPage {
    /// In ascending order of part number.
    pub parts: Vec<StoredPart>,
    /// Ask again behind this number; `None` on the last page.
    pub next: Option<PartNumber>,
    /// How the checksum that was declared at Create is made of those of the parts; `None`: the
    /// store says nothing of it, or none was declared.
    pub checksum_type: Option<ChecksumType>,
    /// When the newest part of this page arrived, where the store shows it.
    pub newest: Option<Timestamp>,
}

/// Of CompleteMultipartUpload.
#[derive(Clone, Debug, Default)]
pub struct CompleteRequest {
    /// Every part, ascending.
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

/// Answer of CompleteMultipartUpload.
#[derive(Clone, Debug)]
pub struct CompletedObject {
    /// `None` where the store left it empty (Ceph RGW 16.2 does).
    pub etag: Option<ETag>,
    /// The object's checksum, if the store gives one.
    pub checksum: Option<Checksum>,
    /// The version id, from `x-amz-version-id`.
    pub version_id: Option<String>,
}

/// Of PutObject: one attempt.
#[derive(Clone, Debug)]
pub struct PutRequest {
    /// The bytes.
    pub payload: Payload,
    /// What the object carries.
    pub attributes: ObjectAttributes,
    /// Of these bytes, sent in a signed header.
    pub checksum: Option<Checksum>,
    /// Of these bytes too, sent as `Content-MD5`: what is put in one piece is visible at once, so a
    /// store that ignores checksums (Ceph RGW 16.2) must be given the one that it does check.
    /// `None` if `checksum` is it.
    pub md5: Option<Checksum>,
    /// `If-None-Match: *`: do not overwrite.
    pub if_none_match: bool,
    /// `If-Match`: overwrite only this version.
    pub if_match: Option<ETag>,
    /// As in [`PartRequest`].
    pub fresh_connection: bool,
    /// As in [`PartRequest`].
    pub wire: Meter,
}

/// Of CopyObject: one attempt.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// What is copied.
    pub source: ObjectRef,
    /// `x-amz-copy-source-if-match`: only this version; another one answers `PreconditionFailed`.
    pub source_if_match: Option<ETag>,
    /// What the copy carries instead of the source's attributes (`REPLACE`); `None`: it carries
    /// those of the source (`COPY`). Tags are the source's either way, unless the attributes have
    /// some.
    pub attributes: Option<ObjectAttributes>,
    /// `x-amz-storage-class`, which no copy inherits.
    pub storage_class: Option<String>,
    /// `If-None-Match: *`: do not overwrite.
    pub if_none_match: bool,
    /// `If-Match`: overwrite only this version.
    pub if_match: Option<ETag>,
}

/// Of UploadPartCopy: one attempt.
#[derive(Clone, Debug)]
pub struct PartCopyRequest {
    /// The part number, 1..=10,000.
    pub number: PartNumber,
    /// What is copied.
    pub source: ObjectRef,
    /// As in [`CopyRequest`].
    pub source_if_match: Option<ETag>,
    /// The bytes of the source that become the part; `None`: all of them. AWS takes a range only of
    /// sources above 5 MiB.
    pub range: Option<Range<u64>>,
}

/// What HeadObject tells.
#[derive(Clone, Debug)]
pub struct ObjectHead {
    /// Bytes of the object.
    pub size_bytes: u64,
    /// Opaque (trap 13).
    pub etag: ETag,
    /// With its type.
    pub checksum: Option<(Checksum, ChecksumType)>,
    /// A checksum of those of the parts (`-N`); it can be compared where their sizes are known.
    pub composite: Option<CompositeChecksum>,
    /// The time of the last change, from `Last-Modified`.
    pub last_modified: Option<Timestamp>,
    /// Content type, metadata and so on.
    pub attributes: ObjectAttributes,
}

/// Of GetObject.
#[derive(Clone, Debug, Default)]
pub struct GetRequest {
    /// First byte wanted.
    pub offset_bytes: u64,
    /// Bytes wanted from there on; `None`: all to the end.
    pub size_bytes: Option<u64>,
    /// Only this version: a changed object answers `PreconditionFailed`.
    pub if_match: Option<ETag>,
}

impl GetRequest {
    /// The value of `Range`; `None`: the whole object is wanted.
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

/// Answer of GetObject.
pub struct ObjectBody {
    /// As of HeadObject; `size_bytes` is that of the whole object, 0 if this answer announces none.
    pub head: ObjectHead,
    /// Bytes of the whole object as this answer announces them; `None`: it has no `Content-Length`.
    pub announced_bytes: Option<u64>,
    /// The store ignored `Range` and sends the whole object. What comes before `offset_bytes` is
    /// left out here, what comes after the bytes wanted is not.
    pub ignores_range: bool,
    /// The bytes from `offset_bytes` on.
    pub bytes: Pin<Box<dyn Stream<Item = Result<Bytes, super::StoreError>> + Send>>,
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBody").field("head", &self.head).finish_non_exhaustive()
    }
}

/// An unfinished upload, as ListMultipartUploads shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadSummary {
    /// The key as the store gave it.
    pub key: String,
    /// The store's name for it.
    pub upload_id: UploadId,
    /// When it was created.
    pub initiated: Option<Timestamp>,
    /// What its parts are billed as.
    pub storage_class: Option<String>,
    /// Who began it: the initiator's display name, else its id.
    pub initiator: Option<String>,
}

/// A page of ListMultipartUploads.
#[derive(Clone, Debug, Default)]
pub struct UploadsPage {
    /// Sorted by key, then by time of initiation.
    pub uploads: Vec<UploadSummary>,
    /// Ask again behind this; `None` on the last page.
    pub next: Option<UploadMarker>,
    /// The store lists uploads only where the prefix is a whole key (MinIO): an empty page does not
    /// mean that there are none.
    pub exact_key_only: bool,
}

/// A bucket, as ListBuckets shows it: its name is what another store takes for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBucket {
    /// Its name as the store gave it.
    pub name: String,
    /// When it was made.
    pub created: Option<Timestamp>,
}

/// The lifecycle rules of a bucket, as the store wrote them. Raw, because a model drops the
/// elements that it does not know, and with them rules of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleDocument {
    /// `<LifecycleConfiguration>`, whole.
    pub xml: String,
    /// `x-amz-transition-default-minimum-object-size`: belongs to the rules, and has to be sent
    /// back with them.
    pub transition_default_minimum_object_size: Option<String>,
}

/// An object or a common prefix, as ListObjectsV2 shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListingEntry {
    /// An object.
    Object {
        /// Its key.
        key: String,
        /// Its size.
        size_bytes: u64,
        /// The time of the last change, from `Last-Modified`.
        last_modified: Option<Timestamp>,
        /// As the store gave it.
        etag: Option<ETag>,
        /// `STANDARD` and so on, if the store says.
        storage_class: Option<String>,
    },
    /// Keys rolled up at the delimiter.
    CommonPrefix(String),
}

impl ListingEntry {
    /// The key, or the common prefix.
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
    /// `ContinuationToken` for the next page.
    pub next: Option<String>,
}
