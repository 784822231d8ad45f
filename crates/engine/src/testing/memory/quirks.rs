//! What a store does differently from AWS, as data. Source: `reference/stores.md`, each seen on a
//! real server.

use std::time::Duration;

use haul_parts::ChecksumAlgorithm;
use haul_parts::limits::{LIST_PAGE_MAX, PART_SIZE_MIN_BYTES};

/// The ways of a store. Start from a preset: `Quirks { part_size_min_bytes: 1, ..Quirks::AWS }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// Complete refuses smaller parts, but for the last (EntityTooSmall).
    pub part_size_min_bytes: u64,
    /// Entries in a page of any listing.
    pub page_max: usize,
    /// Create, UploadPart, ListParts, Complete and HEAD give checksums back.
    pub echo_checksums: bool,
    /// A wrong checksum is refused. The MD5 in `Content-MD5` is checked by every store.
    pub verify_checksums: bool,
    /// The S3 code of that refusal.
    pub wrong_checksum_code: &'static str,
    /// Kept for objects whose Create named no checksum.
    pub default_checksum: Option<ChecksumAlgorithm>,
    /// What ETags are.
    pub etags: EtagKind,
    /// The first answer to Complete carries no ETag.
    pub empty_etag_at_complete: bool,
    /// What an identical Complete gets after the first one succeeded.
    pub repeated_complete: RepeatedComplete,
    /// What any other Complete of an upload that is gone gets.
    pub complete_of_gone_upload: GoneUpload,
    /// The S3 code when ListParts is asked of an upload that is gone.
    pub list_of_gone_upload_code: &'static str,
    /// Complete must name every part that was uploaded (InvalidPart).
    pub complete_wants_all_parts: bool,
    /// `x-amz-mp-object-size` is compared.
    pub check_object_size: bool,
    /// `If-Match` and `If-None-Match` are obeyed by Complete.
    pub conditional_complete: bool,
    /// HeadObject knows `partNumber`, and GetObjectAttributes is known.
    pub tells_parts: bool,
    /// CopyObject is known.
    pub copies_objects: bool,
    /// UploadPartCopy is known (not at Google's S3 interface).
    pub copies_parts: bool,
    /// `x-amz-copy-source-if-match` is obeyed.
    pub conditional_copies: bool,
    /// DeleteObjects is known (not at Google's S3 interface).
    pub deletes_many: bool,
    /// Writing a key removes the open uploads of that key.
    pub overwriting_drops_uploads: bool,
    /// Create says that a lifecycle rule will remove the upload after so long (`x-amz-abort-date`);
    /// nothing does.
    pub aborts_after: Option<Duration>,
}

/// What ETags are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtagKind {
    /// MD5 of a part, md5-of-md5s-N of an object.
    Md5,
    /// Something else of the same shape, and the answer says that the object is encrypted
    /// (SSE-KMS).
    Encrypted,
    /// Text of no known shape.
    Opaque,
}

/// What an identical Complete gets after the first one succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepeatedComplete {
    /// 200 with the same ETag.
    SameAnswer,
    /// 404 NoSuchUpload.
    NoSuchUpload,
}

/// What Complete of an unknown, aborted or expired upload gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneUpload {
    /// 404 NoSuchUpload.
    NoSuchUpload,
    /// 500 InternalError.
    InternalError,
}

impl Quirks {
    /// What AWS documents, or was recorded to answer (`reference/aws-semantics.md`).
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
    };

    /// Ceph RGW 16.2.15: takes wrong checksums, answers 500 where 404 belongs, wants every part
    /// listed.
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
