//! Stores that people run themselves. *Measured* means that this project's tests ran against the
//! named release.

use haul_parts::limits::TIB;
use haul_parts::{ChecksumAlgorithm as A, Limits};

use super::support::{CLASSIC, OF_2026};
use super::{ChecksumSupport, Conditions, StoreKind, StoreProfile, Support};

/// The endpoint `haul serve`: docs/s3-compatibility.md, where each line names its test.
pub(super) fn haul_serve() -> StoreProfile {
    StoreProfile {
        checksums: ChecksumSupport::default()
            .with(Support::Yes, &CLASSIC)
            .with(Support::Yes, &OF_2026),
        checksum_mode: Support::Yes,
        trailers: Support::Yes,
        on_put: Conditions::both(Support::Yes),
        on_complete: Conditions::both(Support::Yes),
        upload_part_copy: Support::Yes,
        list_multipart_uploads: Support::Yes,
        lifecycle_abort: Support::Yes,
        get_object_attributes: Support::Yes,
        part_number_head: Support::Yes,
        upload_attributes: Support::Yes,
        ..StoreProfile::unknown(StoreKind::HaulServe)
    }
}

/// The Ceph Object Gateway, of any release: later ones verify checksums and hold conditions that
/// 16.2.15 ignores, so the answers decide.
pub(super) fn ceph_rgw() -> StoreProfile {
    StoreProfile {
        // Measured at 16.2.15: 200 to a wrong checksum in a header, and no echo; Content-MD5 is
        // verified.
        checksums: ChecksumSupport::default().with(Support::Yes, &[A::Md5]),
        // Measured at 16.2.15: 400 to the framing.
        trailers: Support::No,
        // Measured at 16.2.15 (copies::ceph_rgw_copies, orphans::ceph_rgw_*).
        upload_part_copy: Support::Yes,
        list_multipart_uploads: Support::Yes,
        // docs.ceph.com, "Bucket Policies and Lifecycle": AbortIncompleteMultipartUpload.
        lifecycle_abort: Support::Yes,
        // Measured at 16.2.15 (late_attributes::*): the tags and the lock of Create are dropped
        // without an error.
        upload_attributes: Support::Ignored,
        ..StoreProfile::unknown(StoreKind::CephRgw)
    }
}

/// Garage.
pub(super) fn garage() -> StoreProfile {
    StoreProfile {
        // Measured at 2.5.0: parts have no minimum size.
        limits: Limits { part_size_min_bytes: 1, ..Limits::AWS },
        // Measured at 2.5.0: a wrong one is InvalidDigest.
        checksums: ChecksumSupport::default().with(Support::Yes, &CLASSIC),
        // Measured at 2.5.0: trailers are accepted; whether a wrong one is refused is untested.
        trailers: Support::Unknown,
        // Measured at 2.5.0: Complete overwrites in spite of the condition.
        on_complete: Conditions::both(Support::Ignored),
        // Measured at 2.5.0 (GetObject and HeadObject of a part).
        part_number_head: Support::Yes,
        ..StoreProfile::unknown(StoreKind::Garage)
    }
}

/// MinIO and AIStor.
pub(super) fn minio() -> StoreProfile {
    StoreProfile {
        // "Thresholds and Limits": parts of 5 MiB to 5 GiB, 10,000 of them (48.8 TiB, below the
        // 50 TiB of its objects).
        limits: Limits::AWS,
        // The same page: 5 TiB in one PUT.
        put_object_max_bytes: 5 * TIB,
        // A wrong SHA-256 is BadDigest (cloudflare/workers-sdk discussion 16970).
        checksums: ChecksumSupport::default().with(Support::Yes, &[A::Sha256]),
        // "S3 API Compatibility", conditional headers: on PutObject.
        on_put: Conditions::both(Support::Yes),
        // "S3 API Compatibility": x-amz-copy-source-if-match on UploadPartCopy.
        upload_part_copy: Support::Yes,
        // "S3 API Compatibility": ListMultipartUploads requires the exact object name as a prefix.
        list_multipart_uploads: Support::Ignored,
        // "S3 API Compatibility": the action is not supported.
        lifecycle_abort: Support::No,
        ..StoreProfile::unknown(StoreKind::MinIo)
    }
}

/// The LocalStack emulator.
pub(super) fn localstack() -> StoreProfile {
    StoreProfile {
        // Measured at 4.14.0: a wrong one is BadDigest.
        checksums: ChecksumSupport::default().with(Support::Yes, &CLASSIC),
        // Measured at 4.14.0: trailers are accepted; whether a wrong one is refused is untested.
        trailers: Support::Unknown,
        // Measured at 4.14.0, also by racing Completes. If-Match on Complete: recorded answers of
        // its test suite.
        on_complete: Conditions::both(Support::Yes),
        // Measured at 4.14.0 (copies::localstack_copies, orphans::localstack_*).
        upload_part_copy: Support::Yes,
        list_multipart_uploads: Support::Yes,
        // Measured at 4.14.0 (GetObject and HeadObject of a part).
        part_number_head: Support::Yes,
        // Measured at 4.14.0 (attributes::localstack_headers_tags_and_acl_survive_a_kill,
        // attributes::localstack_object_lock_survives_a_kill).
        upload_attributes: Support::Yes,
        ..StoreProfile::unknown(StoreKind::LocalStack)
    }
}
