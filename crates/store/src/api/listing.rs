//! Pages of buckets, objects, uploads and parts. A page never has more than 1,000 entries, whatever
//! is asked.

use std::time::SystemTime;

use haul_parts::{
    Bucket, ChecksumAlgorithm, ChecksumType, ETag, Key, PartNumber, UploadId, UploadMarker,
};

use super::{ObjectVersion, PartInfo, UploadInfo};

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketInfo {
    /// Its name.
    pub name: Bucket,
    /// When it was created, to the millisecond.
    pub created: SystemTime,
}

/// What to list of a bucket.
#[derive(Clone, Debug, Default)]
pub struct ListObjects {
    /// Only keys that begin so.
    pub prefix: String,
    /// Roll up keys that have this after the prefix into common prefixes. `None` and `Some("")` are
    /// the same.
    pub delimiter: Option<String>,
    /// Only what comes after this in UTF-8 byte order: StartAfter, Marker, or [`ObjectPage::next`]
    /// of the page before.
    pub start_after: Option<String>,
    /// How many keys and common prefixes together; `None` and what is above 1,000 is 1,000.
    pub max_keys: Option<u16>,
}

/// One object in a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectSummary {
    /// Its key.
    pub key: Key,
    /// Which write made it.
    pub version: ObjectVersion,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its ETag.
    pub etag: ETag,
    /// When it was published, to the millisecond.
    pub last_modified: SystemTime,
    /// The algorithm and type of the checksum kept with it.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    /// The storage class given with it.
    pub storage_class: Option<String>,
}

/// A page of objects.
#[derive(Clone, Debug, Default)]
pub struct ObjectPage {
    /// In UTF-8 byte order of their keys.
    pub objects: Vec<ObjectSummary>,
    /// In UTF-8 byte order.
    pub common_prefixes: Vec<String>,
    /// What to give as [`ListObjects::start_after`] for the next page, when there is more: the last
    /// key or common prefix.
    pub next: Option<String>,
}

/// What to list of the open uploads of a bucket.
#[derive(Clone, Debug, Default)]
pub struct ListUploads {
    /// Only keys that begin so.
    pub prefix: String,
    /// Roll up keys that have this after the prefix into common prefixes. `None` and `Some("")` are
    /// the same.
    pub delimiter: Option<String>,
    /// Only what comes after this key.
    pub key_marker: Option<String>,
    /// With a key marker: also uploads of that key that were created after this one. Ignored
    /// without a key marker.
    pub upload_id_marker: Option<UploadId>,
    /// How many uploads and common prefixes together; `None` and what is above 1,000 is 1,000.
    pub max_uploads: Option<u16>,
}

/// A page of open uploads.
#[derive(Clone, Debug, Default)]
pub struct UploadPage {
    /// By key in UTF-8 byte order, then by the time of Create.
    pub uploads: Vec<UploadInfo>,
    /// In UTF-8 byte order.
    pub common_prefixes: Vec<String>,
    /// Where to go on, when there is more.
    pub next: Option<UploadMarker>,
}

/// A page of the parts of an upload.
#[derive(Clone, Debug)]
pub struct PartPage {
    /// The upload.
    pub upload: UploadInfo,
    /// By number.
    pub parts: Vec<PartInfo>,
    /// The part-number marker for the next page, when there is more.
    pub next: Option<PartNumber>,
}
