//! Deviations of a store from AWS, as data. Source: `reference/stores.md`, each observed on a real
//! server.

use std::time::Duration;

use haul_parts::ChecksumAlgorithm;
use haul_parts::limits::{LIST_PAGE_MAX, PART_SIZE_MIN_BYTES};

/// The behaviour of a store. Start from a preset: `Quirks { part_size_min_bytes: 1, ..Quirks::AWS
/// }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The minimum size in bytes of parts but the last; Complete refuses smaller ones
    /// (EntityTooSmall).
    pub part_size_min_bytes: u64,
    /// Entries in a page of any listing.
    pub page_max: usize,
    /// Create, UploadPart, ListParts, Complete and HEAD return checksums.
    pub echo_checksums: bool,
    /// The store refuses a wrong checksum. Every store verifies the MD5 in `Content-MD5`.
    pub verify_checksums: bool,
    /// The S3 code of that refusal.
    pub wrong_checksum_code: &'static str,
    /// The checksum of objects whose Create named none.
    pub default_checksum: Option<ChecksumAlgorithm>,
    /// The kind of ETags.
    pub etags: EtagKind,
    /// The first answer to Complete contains no ETag.
    pub empty_etag_at_complete: bool,
    /// The answer to an identical Complete after the first one succeeded.
    pub repeated_complete: RepeatedComplete,
    /// The answer to any other Complete of an upload that is gone.
    pub complete_of_gone_upload: GoneUpload,
    /// The S3 code of ListParts for an upload that is gone.
    pub list_of_gone_upload_code: &'static str,
    /// Complete must name every part that was uploaded (InvalidPart).
    pub complete_wants_all_parts: bool,
    /// The store compares `x-amz-mp-object-size`.
    pub check_object_size: bool,
    /// Complete obeys `If-Match` and `If-None-Match`.
    pub conditional_complete: bool,
    /// HeadObject knows `partNumber`, and GetObjectAttributes is known.
    pub tells_parts: bool,
    /// The store supports CopyObject.
    pub copies_objects: bool,
    /// The store supports UploadPartCopy (Google's S3 interface does not).
    pub copies_parts: bool,
    /// Copies obey `x-amz-copy-source-if-match`.
    pub conditional_copies: bool,
    /// The store supports DeleteObjects (Google's S3 interface does not).
    pub deletes_many: bool,
    /// Writing a key removes the open uploads of that key.
    pub overwriting_drops_uploads: bool,
    /// Create announces that a lifecycle rule will remove the upload after this time
    /// (`x-amz-abort-date`); no rule does.
    pub aborts_after: Option<Duration>,
    /// The object gets none of the tags, retention and legal hold that Create names.
    pub drops_upload_attributes: bool,
}

/// The kind of ETags of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtagKind {
    /// MD5 of a part, md5-of-md5s-N of an object.
    Md5,
    /// Another value in the same format; the answer says that the object is encrypted (SSE-KMS).
    Encrypted,
    /// Text in no known format.
    Opaque,
    /// Text that differs for each request, even with the same bytes (directory buckets).
    Random,
}

/// The answer to an identical Complete after the first one succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepeatedComplete {
    /// Status 200 with the same ETag.
    SameAnswer,
    /// Status 404 with the code NoSuchUpload.
    NoSuchUpload,
}

/// The answer to Complete of an unknown, aborted or expired upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneUpload {
    /// Status 404 with the code NoSuchUpload.
    NoSuchUpload,
    /// Status 500 with the code InternalError.
    InternalError,
}

impl Quirks {
    /// The documented or recorded behaviour of AWS (`reference/aws-semantics.md`).
    pub const AWS: Quirks = Quirks {
        part_size_min_bytes: PART_SIZE_MIN_BYTES,
        page_max: LIST_PAGE_MAX as usize,
        echo_checksums: true,
        verify_checksums: true,
        wrong_checksum_code: "BadDigest",
        default_checksum: Some(ChecksumAlgorithm::Crc64Nvme),
        etags: EtagKind::Md5,
        empty_etag_at_complete: false,
        repeated_complete: RepeatedComplete::SameAnswer,
        complete_of_gone_upload: GoneUpload::NoSuchUpload,
        list_of_gone_upload_code: "NoSuchUpload",
        complete_wants_all_parts: false,
        check_object_size: true,
        conditional_complete: true,
        tells_parts: true,
        copies_objects: true,
        copies_parts: true,
        conditional_copies: true,
        deletes_many: true,
        overwriting_drops_uploads: false,
        aborts_after: None,
        drops_upload_attributes: false,
    };

    /// Ceph RGW 16.2.15: accepts wrong checksums, answers 500 instead of 404, requires every part
    /// in the list.
    pub const CEPH_RGW_16: Quirks = Quirks {
        echo_checksums: false,
        verify_checksums: false,
        default_checksum: None,
        empty_etag_at_complete: true,
        complete_of_gone_upload: GoneUpload::InternalError,
        list_of_gone_upload_code: "NoSuchKey",
        complete_wants_all_parts: true,
        check_object_size: false,
        conditional_complete: false,
        conditional_copies: false,
        drops_upload_attributes: true,
        ..Quirks::AWS
    };

    /// Garage 2.5.0: no minimum of part sizes, a repeated Complete fails, overwriting a key drops
    /// its uploads.
    pub const GARAGE_2: Quirks = Quirks {
        part_size_min_bytes: 0,
        wrong_checksum_code: "InvalidDigest",
        default_checksum: None,
        repeated_complete: RepeatedComplete::NoSuchUpload,
        check_object_size: false,
        conditional_complete: false,
        overwriting_drops_uploads: true,
        ..Quirks::AWS
    };
}

impl Default for Quirks {
    fn default() -> Self {
        Self::AWS
    }
}
