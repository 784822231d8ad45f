//! The properties of a store: the columns of the table.

use haul_parts::limits::PUT_OBJECT_MAX_BYTES;
use haul_parts::{ChecksumAlgorithm, Limits};
use serde::{Deserialize, Serialize};

use super::{ChecksumSupport, StoreKind, Support};

/// The properties of a store. A limit that no source names is AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreProfile {
    /// The kind that the properties belong to.
    pub kind: StoreKind,
    /// Limits on the sizes and the number of parts, and on the object.
    pub limits: Limits,
    /// The largest object that one PutObject creates, in bytes.
    pub put_object_max_bytes: u64,
    /// The largest object that one CopyObject copies, in bytes.
    pub copy_object_max_bytes: u64,
    /// Which checksums in a header the store verifies.
    pub checksums: ChecksumSupport,
    /// HeadObject and GetObject with `x-amz-checksum-mode`.
    pub checksum_mode: Support,
    /// Whether the store verifies and echoes the checksum in an unsigned trailer
    /// (`STREAMING-UNSIGNED-PAYLOAD-TRAILER`).
    pub trailers: Support,
    /// Conditions on PutObject, and on the target of CopyObject.
    pub on_put: Conditions,
    /// Conditions on CompleteMultipartUpload.
    pub on_complete: Conditions,
    /// UploadPartCopy, also of a range.
    pub upload_part_copy: Support,
    /// ListMultipartUploads. [`Support::Ignored`]: an empty list does not mean that there are no
    /// uploads (MinIO lists them only if the prefix is a whole key, and older releases list nothing
    /// without a prefix: minio/minio#20989, #11686, "working as intended").
    pub list_multipart_uploads: Support,
    /// Lifecycle rules with AbortIncompleteMultipartUpload.
    pub lifecycle_abort: Support,
    /// The support for GetObjectAttributes.
    pub get_object_attributes: Support,
    /// HeadObject with `partNumber`.
    pub part_number_head: Support,
    /// Whether the store keeps the tags and the lock that CreateMultipartUpload gives to its
    /// object.
    pub upload_attributes: Support,
}

/// The support for the two conditions of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// `If-None-Match: *`: do not overwrite.
    pub if_none_match: Support,
    /// `If-Match`: overwrite only this version.
    pub if_match: Support,
}

impl Conditions {
    /// Both conditions with the same support.
    pub const fn both(support: Support) -> Self {
        Self { if_none_match: support, if_match: support }
    }

    /// Returns the support for the condition that a write has; a write without one needs none.
    pub fn of(self, if_none_match: bool, if_match: bool) -> Support {
        match (if_none_match, if_match) {
            (true, _) => self.if_none_match,
            (false, true) => self.if_match,
            (false, false) => Support::Yes,
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self {
            if_none_match: self.if_none_match.or(other.if_none_match),
            if_match: self.if_match.or(other.if_match),
        }
    }
}

impl StoreProfile {
    /// The profile of a kind about which nothing is known: the limits of AWS, and only what answers
    /// show.
    pub(super) fn unknown(kind: StoreKind) -> Self {
        Self {
            kind,
            limits: Limits::AWS,
            put_object_max_bytes: PUT_OBJECT_MAX_BYTES,
            copy_object_max_bytes: PUT_OBJECT_MAX_BYTES,
            checksums: ChecksumSupport::default(),
            checksum_mode: Support::Unknown,
            trailers: Support::Unknown,
            on_put: Conditions::both(Support::Unknown),
            on_complete: Conditions::both(Support::Unknown),
            upload_part_copy: Support::Unknown,
            list_multipart_uploads: Support::Unknown,
            lifecycle_abort: Support::Unknown,
            get_object_attributes: Support::Unknown,
            part_number_head: Support::Unknown,
            upload_attributes: Support::Unknown,
        }
    }

    /// Returns the checksum to send where Haul's default is wanted: the default itself, unless the
    /// store is known to refuse or to ignore it. Then the preferred one that it verifies; `None`:
    /// it verifies none, and the ETag is compared with the MD5.
    pub fn default_checksum(&self, wanted: ChecksumAlgorithm) -> Option<ChecksumAlgorithm> {
        if self.checksums.of(wanted).is_missing() {
            self.checksums.best_verified()
        } else {
            Some(wanted)
        }
    }

    /// Returns whether an echo of this algorithm proves that the store has the sent bytes. A store
    /// that takes wrong checksums may echo them too.
    pub fn trusts(&self, algorithm: ChecksumAlgorithm) -> bool {
        self.checksums.of(algorithm) != Support::Ignored
    }
}

impl Default for StoreProfile {
    fn default() -> Self {
        Self::unknown(StoreKind::Generic)
    }
}
