//! Pages of buckets, objects, uploads and parts. A page never has more than 1,000 entries, whatever
//! the caller requests.

use std::time::SystemTime;

use haul_parts::{
    Bucket, ChecksumAlgorithm, ChecksumType, ETag, Key, PartNumber, UploadId, UploadMarker,
};

use super::{ObjectVersion, PartInfo, UploadInfo};

/// A bucket in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketInfo {
    /// The name of the bucket.
    pub name: Bucket,
    /// The time of CreateBucket, to the millisecond.
    pub created: SystemTime,
}

/// Selects the objects of a bucket to list.
#[derive(Clone, Debug, Default)]
pub struct ListObjects {
    /// Lists only keys that begin with this prefix.
    pub prefix: String,
    /// Groups keys that contain this text after the prefix into common prefixes. `None` and
    /// `Some("")` are the same.
    pub delimiter: Option<String>,
    /// Lists only keys after this one in UTF-8 byte order: StartAfter, Marker, or
    /// [`ObjectPage::next`] of the previous page.
    pub start_after: Option<String>,
    /// The maximum number of keys and common prefixes together; `None` and values above 1,000 mean
    /// 1,000.
    pub max_keys: Option<u16>,
}

/// One object in a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectSummary {
    /// The key of the object.
    pub key: Key,
    /// The version that the last write created.
    pub version: ObjectVersion,
    /// The length in bytes.
    pub size_bytes: u64,
    /// The ETag of the object.
    pub etag: ETag,
    /// The time of publishing, to the millisecond.
    pub last_modified: SystemTime,
    /// The algorithm and type of the stored checksum.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    /// The storage class from the request that wrote it.
    pub storage_class: Option<String>,
}

/// A page of objects.
#[derive(Clone, Debug, Default)]
pub struct ObjectPage {
    /// Objects in UTF-8 byte order of their keys.
    pub objects: Vec<ObjectSummary>,
    /// Common prefixes in UTF-8 byte order.
    pub common_prefixes: Vec<String>,
    /// The [`ListObjects::start_after`] of the next page, if there is one: the last key or common
    /// prefix.
    pub next: Option<String>,
}

/// Selects the open uploads of a bucket to list.
#[derive(Clone, Debug, Default)]
pub struct ListUploads {
    /// Lists only keys that begin with this prefix.
    pub prefix: String,
    /// Groups keys that contain this text after the prefix into common prefixes. `None` and
    /// `Some("")` are the same.
    pub delimiter: Option<String>,
    /// Lists only keys after this one.
    pub key_marker: Option<String>,
    /// With a key marker: also lists uploads of that key that were created after this one. Ignored
    /// without a key marker.
    pub upload_id_marker: Option<UploadId>,
    /// The maximum number of uploads and common prefixes together; `None` and values above 1,000
    /// mean 1,000.
    pub max_uploads: Option<u16>,
}

/// A page of open uploads.
#[derive(Clone, Debug, Default)]
pub struct UploadPage {
    /// Uploads by key in UTF-8 byte order, then by the time of Create.
    pub uploads: Vec<UploadInfo>,
    /// Common prefixes in UTF-8 byte order.
    pub common_prefixes: Vec<String>,
    /// The marker of the next page, if there is one.
    pub next: Option<UploadMarker>,
}

/// A page of the parts of an upload.
#[derive(Clone, Debug)]
pub struct PartPage {
    /// The upload that the parts belong to.
    pub upload: UploadInfo,
    /// Parts in order of their numbers.
    pub parts: Vec<PartInfo>,
    /// The part-number marker of the next page, if there is one.
    pub next: Option<PartNumber>,
}
