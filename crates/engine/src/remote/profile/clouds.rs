//! Hosted stores. Each value has its source in a comment; what no source says is unknown.
//!
//! Where a store's documentation gives decimal units (5 GB), the limit is decimal too: the smaller
//! reading is the safe one.

use haul_parts::limits::{GIB, MIB, TIB};
use haul_parts::{ChecksumAlgorithm as A, Limits};

use super::support::{CLASSIC, OF_2026};
use super::{ChecksumSupport, Conditions, StoreKind, StoreProfile, Support};

const GB: u64 = 1_000_000_000;
const TB: u64 = 1000 * GB;

/// Amazon S3. Sources: S3 User Guide, "Amazon S3 multipart upload limits" (the limits), "Checking
/// object integrity" (checksums, trailers), "Add preconditions to S3 operations with conditional
/// requests"; S3 API Reference (every operation).
pub(super) fn aws() -> StoreProfile {
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
        ..StoreProfile::unknown(StoreKind::Aws)
    }
}

/// Cloudflare R2.
pub(super) fn r2() -> StoreProfile {
    StoreProfile {
        limits: Limits {
            // "Multipart upload": parts of 5 MiB to 5 GiB, 10,000 of them, all but the last equal
            // and the last no larger. "Limits": one request carries at most 5 GiB - 5 MiB.
            part_size_max_bytes: 5 * GIB - 5 * MIB,
            equal_parts: true,
            // "Limits": 5 TiB - 5 GiB.
            object_size_max_bytes: 5 * TIB - 5 * GIB,
            ..Limits::AWS
        },
        // "Limits": 5 GiB - 5 MiB for an upload or a copy in one request.
        put_object_max_bytes: 5 * GIB - 5 * MIB,
        copy_object_max_bytes: 5 * GIB - 5 * MIB,
        checksums: ChecksumSupport::default()
            // "S3 API compatibility", checksum types: CRC64NVME as FULL_OBJECT, SHA1 and SHA256 as
            // COMPOSITE. A wrong one is BadDigest (cloudflare/workers-sdk discussion 16970).
            .with(Support::Yes, &[A::Crc64Nvme, A::Sha1, A::Sha256])
            // The same table: CRC32 and CRC32C are not supported as FULL_OBJECT, which Haul
            // declares for CRCs.
            .with(Support::No, &[A::Crc32, A::Crc32c])
            // The same page: Content-MD5 on PutObject and UploadPart.
            .with(Support::Yes, &[A::Md5]),
        // "Extensions": conditional operations in PutObject. The page on compatibility lists none
        // for Complete.
        on_put: Conditions::both(Support::Yes),
        // "S3 API compatibility": UploadPartCopy with a range, ListMultipartUploads with a prefix,
        // HeadObject with partNumber, lifecycle configuration. GetObjectAttributes is in neither
        // of its tables.
        upload_part_copy: Support::Yes,
        list_multipart_uploads: Support::Yes,
        lifecycle_abort: Support::Yes,
        part_number_head: Support::Yes,
        ..StoreProfile::unknown(StoreKind::R2)
    }
}

/// Backblaze B2.
pub(super) fn b2() -> StoreProfile {
    StoreProfile {
        limits: Limits {
            // "Large Files": parts of 5 MB to 5 GB, files of at most 10 TB.
            part_size_min_bytes: 5_000_000,
            part_size_max_bytes: 5 * GB,
            object_size_max_bytes: 10 * TB,
            ..Limits::AWS
        },
        // "Large Files": at most 5 GB in one request.
        put_object_max_bytes: 5 * GB,
        copy_object_max_bytes: 5 * GB,
        checksums: ChecksumSupport::default()
            // "S3-Compatible API", unsupported features: 400 "Unsupported header
            // 'x-amz-checksum-…'" (boto/s3transfer issue 327, iterate-ch/cyberduck issue 16107).
            .with(Support::No, &[A::Crc64Nvme, A::Crc32c, A::Crc32, A::Sha1, A::Sha256]),
        // 400 "Unsupported header 'x-amz-checksum-mode'" (vatesfr/xen-orchestra issue 8358).
        checksum_mode: Support::No,
        // The header of a trailer is one of those that are refused.
        trailers: Support::No,
        // 501 NotImplemented (sathinduga/obsidian-s3-sync-and-backup pull request 84).
        on_put: Conditions::both(Support::No),
        // "Large Files": a part can be copied from existing files.
        upload_part_copy: Support::Yes,
        ..StoreProfile::unknown(StoreKind::B2)
    }
}

/// Google Cloud Storage by its XML API.
pub(super) fn gcs() -> StoreProfile {
    StoreProfile {
        limits: Limits {
            // "Quotas and limits": parts of 5 MiB to 5 GiB, 10,000 of them, objects of 5 TiB.
            object_size_max_bytes: 5 * TIB,
            ..Limits::AWS
        },
        // rclone's provider file: CopyObject has no smaller limit than the object.
        copy_object_max_bytes: 5 * TIB,
        // "XML API request headers": hashes are in x-goog-hash; no S3 checksum is verified.
        checksums: ChecksumSupport::default()
            .with(Support::Ignored, &[A::Crc64Nvme, A::Crc32c, A::Crc32, A::Sha1, A::Sha256])
            // The same page: Content-MD5 is verified.
            .with(Support::Yes, &[A::Md5]),
        // aws-chunked breaks the signature (traps, number 19).
        trailers: Support::No,
        // "XML API multipart uploads": preconditions are not supported in the requests, and
        // Complete overwrites.
        on_complete: Conditions::both(Support::Ignored),
        // No copy of parts: issue 323465186 of Google's tracker, from rclone's provider file.
        upload_part_copy: Support::No,
        // "List multipart uploads" of the XML API reference.
        list_multipart_uploads: Support::Yes,
        // "Object Lifecycle Management": AbortIncompleteMultipartUpload.
        lifecycle_abort: Support::Yes,
        ..StoreProfile::unknown(StoreKind::Gcs)
    }
}

/// Wasabi.
pub(super) fn wasabi() -> StoreProfile {
    StoreProfile {
        limits: Limits {
            // "What are the minimum and maximum object sizes": 5 terabytes, 5 gigabytes in one PUT.
            part_size_max_bytes: 5 * GB,
            object_size_max_bytes: 5 * TB,
            ..Limits::AWS
        },
        put_object_max_bytes: 5 * GB,
        copy_object_max_bytes: 5 * GB,
        ..StoreProfile::unknown(StoreKind::Wasabi)
    }
}

/// Scaleway Object Storage.
pub(super) fn scaleway() -> StoreProfile {
    StoreProfile {
        limits: Limits {
            // Measured by others: part 1,001 is refused (rclone's provider file,
            // ddebeau/zfs_uploader issue 61).
            part_count_max: 1000,
            // 1,000 parts of 5 GB.
            part_size_max_bytes: 5 * GB,
            object_size_max_bytes: 5 * TB,
            ..Limits::AWS
        },
        put_object_max_bytes: 5 * GB,
        copy_object_max_bytes: 5 * GB,
        // "Supported Object Storage API calls": the lifecycle configuration.
        lifecycle_abort: Support::Yes,
        ..StoreProfile::unknown(StoreKind::Scaleway)
    }
}

/// Storj by its hosted gateway.
pub(super) fn storj() -> StoreProfile {
    StoreProfile {
        limits: Limits {
            // "Multipart Part Size": each part is a segment of its own, and 64 MB is recommended.
            part_size_default_bytes: 64 * MIB,
            ..Limits::AWS
        },
        // rclone's provider file: CopyObject has no smaller limit than the object.
        copy_object_max_bytes: Limits::AWS.object_size_max_bytes,
        // storj/edge issue 564: If-None-Match on PutObject and Complete.
        on_put: Conditions { if_none_match: Support::Yes, if_match: Support::Unknown },
        on_complete: Conditions { if_none_match: Support::Yes, if_match: Support::Unknown },
        // No copy of parts: rclone's provider file, storj/roadmap issue 40.
        upload_part_copy: Support::No,
        // "S3 Compatibility": no operation on the lifecycle configuration.
        lifecycle_abort: Support::No,
        ..StoreProfile::unknown(StoreKind::Storj)
    }
}

/// DigitalOcean Spaces.
pub(super) fn digitalocean() -> StoreProfile {
    StoreProfile {
        limits: Limits {
            // "Spaces limits": parts of 5 MiB to 5 GB, 10,000 of them, 5 TB in all.
            part_size_max_bytes: 5 * GB,
            object_size_max_bytes: 5 * TB,
            ..Limits::AWS
        },
        // "Spaces limits": PUT requests of at most 5 GB.
        put_object_max_bytes: 5 * GB,
        copy_object_max_bytes: 5 * GB,
        ..StoreProfile::unknown(StoreKind::DigitalOcean)
    }
}

/// OVHcloud Object Storage.
pub(super) fn ovh() -> StoreProfile {
    StoreProfile {
        // etalab/flask-storage 2.0.0: a wrong CRC32 is BadDigest, and CRC32 is kept as FULL_OBJECT.
        checksums: ChecksumSupport::default().with(Support::Yes, &[A::Crc32]),
        // ovh/ovhcloud-docs pull request 28, "S3 Conditional Writes": If-Match and If-None-Match
        // on PutObject and Complete, since June 2026.
        on_put: Conditions::both(Support::Yes),
        on_complete: Conditions::both(Support::Yes),
        // "S3 compliancy": ListMultipartUploads.
        list_multipart_uploads: Support::Yes,
        ..StoreProfile::unknown(StoreKind::Ovh)
    }
}
