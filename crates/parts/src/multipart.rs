//! Values of multipart uploads that client and store exchange.

use crate::{Checksum, ETag, PartNumber, UploadId};

/// A part in the list of CompleteMultipartUpload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedPart {
    /// The part number, 1..=10,000; the list is in ascending order.
    pub number: PartNumber,
    /// The ETag that UploadPart returned, with or without quotes.
    pub etag: ETag,
    /// The part's checksum, if the list names one. A client sends it only if Create echoed the
    /// algorithm, because Swift refuses lists with checksums.
    pub checksum: Option<Checksum>,
}

/// The position at which the next page of ListMultipartUploads begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadMarker {
    /// `key-marker`: the last key of the page, or its last common prefix.
    pub key: String,
    /// `upload-id-marker`: the last upload; `None` after a common prefix.
    pub upload_id: Option<UploadId>,
}
