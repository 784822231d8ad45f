//! The errors of the store, named as S3 names them where S3 has a name.
//!
//! One enum for the whole crate. The server converts a variant to an S3 error document by
//! [`Error::s3_code`]; the fields have the details. Does not know HTTP: the server chooses the
//! status.

use std::io;
use std::path::PathBuf;

use haul_parts::{
    Bucket, Checksum, ChecksumAlgorithm, ChecksumType, ETag, Key, PartNumber, UploadId,
};
use thiserror::Error;

use crate::disk::{FileId, NotPlain};

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why an operation failed. Unless a variant says otherwise, the operation changed
/// nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process holds the folder.
    #[error(
        "the store {} is in use{}",
        dir.display(),
        pid.map(|pid| format!(" by process {pid}")).unwrap_or_default()
    )]
    Locked {
        /// The folder of the store.
        dir: PathBuf,
        /// The process id from the lock file, if it could be read.
        pid: Option<u32>,
    },
    /// The folder has no store, but the operation needs one.
    #[error("there is no store in {}", dir.display())]
    NotAStore {
        /// The folder without a store.
        dir: PathBuf,
    },
    /// A newer Haul wrote the folder.
    #[error("{what} has format version {found}, this Haul reads up to {known}")]
    FormatTooNew {
        /// The record or folder, in words.
        what: &'static str,
        /// The version on disk.
        found: u8,
        /// The newest version that this Haul reads.
        known: u8,
    },
    /// An older Haul wrote the folder in a format that this one does not read.
    #[error("{what} has format version {found}, this Haul reads {oldest} and later")]
    FormatTooOld {
        /// The folder, in words.
        what: &'static str,
        /// The version on disk.
        found: u8,
        /// The oldest version that this Haul reads.
        oldest: u8,
    },
    /// There are data files, but no metadata for them.
    #[error(
        "{} holds the data of a store ({files} data files) without its metadata, meta.redb",
        dir.display()
    )]
    MetadataLost {
        /// The folder of the store.
        dir: PathBuf,
        /// The number of data files.
        files: u64,
    },
    /// The metadata belongs to a store other than that of the data files.
    #[error(
        "the metadata in {} is of store {metadata}, its data files are of {}",
        dir.display(),
        data.as_deref().map_or_else(
            || "a store that is not named (data/store-id is missing)".to_owned(),
            |id| format!("store {id}")
        )
    )]
    ForeignMetadata {
        /// The folder of the store.
        dir: PathBuf,
        /// The id in the metadata.
        metadata: String,
        /// The id beside the data files; `None` if there is none.
        data: Option<String>,
    },
    /// An entry in the folder of the store is a link, or of the wrong kind.
    #[error("{} is a {found} where a {expected} is expected", path.display())]
    NotPlain {
        /// The path of the entry.
        path: PathBuf,
        /// The actual kind of the entry.
        found: &'static str,
        /// The required kind of the entry.
        expected: &'static str,
    },
    /// The bytes of a data file are not those written. None of the wrong bytes were returned.
    #[error("{}: {what}", file.path().display())]
    DamagedFile {
        /// The id of the data file.
        file: FileId,
        /// The mismatch, in words.
        what: String,
    },
    /// Data on disk is not what was written.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// The mismatch, in words.
        what: String,
    },
    /// The metadata is not what was written, so none of it is used.
    #[error("the metadata of the store, meta.redb, is not what was written there: {message}")]
    MetadataDamaged {
        /// The message of the database.
        message: String,
    },

    /// The bucket does not exist.
    #[error("bucket {bucket} does not exist")]
    NoSuchBucket {
        /// The requested bucket.
        bucket: Bucket,
    },
    /// The bucket exists already.
    #[error("bucket {bucket} exists already")]
    BucketAlreadyExists {
        /// The requested bucket.
        bucket: Bucket,
    },
    /// The bucket has objects.
    #[error("bucket {bucket} is not empty")]
    BucketNotEmpty {
        /// The requested bucket.
        bucket: Bucket,
    },
    /// The bucket has no such configuration.
    #[error("bucket {bucket} has no {setting} configuration")]
    NoSuchSetting {
        /// The requested bucket.
        bucket: Bucket,
        /// The missing setting: `lifecycle`, `CORS`, `tags`, `ownership controls` or `public access
        /// block`.
        setting: &'static str,
    },
    /// The object does not exist.
    #[error("there is no object {key} in bucket {bucket}")]
    NoSuchKey {
        /// The requested bucket.
        bucket: Bucket,
        /// The requested key.
        key: Key,
    },
    /// The upload id is unknown, belongs to another key, or to an upload that was completed or
    /// aborted.
    #[error(
        "upload {upload_id} does not exist: the id may be wrong, or it was aborted or completed"
    )]
    NoSuchUpload {
        /// The requested upload id.
        upload_id: UploadId,
    },

    /// A listed part was never uploaded, or was uploaded with another ETag or checksum.
    #[error(
        "part {part_number} of upload {upload_id} was not uploaded with ETag {etag} or the named \
         checksum"
    )]
    InvalidPart {
        /// The listed part number.
        part_number: PartNumber,
        /// The listed ETag.
        etag: ETag,
        /// The upload to be completed.
        upload_id: UploadId,
    },
    /// The list of parts is not in strictly ascending order, or has gaps where checksums forbid
    /// them.
    #[error("the list of parts is not in ascending order at part {part_number}")]
    InvalidPartOrder {
        /// The first part out of order.
        part_number: PartNumber,
    },
    /// A part other than the last is below the minimum.
    #[error("part {part_number} has {size_bytes} bytes; all but the last need {min_bytes}")]
    EntityTooSmall {
        /// The part that is too small.
        part_number: PartNumber,
        /// The ETag of the part.
        etag: ETag,
        /// The size of the part in bytes.
        size_bytes: u64,
        /// The minimum in bytes.
        min_bytes: u64,
    },
    /// A part or object is above the maximum.
    #[error("{size_bytes} bytes are more than the {max_bytes} allowed")]
    EntityTooLarge {
        /// The requested size in bytes.
        size_bytes: u64,
        /// The maximum in bytes.
        max_bytes: u64,
    },
    /// Complete lists no part.
    #[error("You must specify at least one part")]
    NoPartsListed,
    /// The size of the object differs from the one that the client announced.
    #[error(
        "The provided 'x-amz-mp-object-size' header value {given_bytes} does not match what was \
         computed: {computed_bytes}"
    )]
    ObjectSizeMismatch {
        /// The announced size in bytes.
        given_bytes: u64,
        /// The sum of the parts in bytes.
        computed_bytes: u64,
    },

    /// S3 does not support this pair of algorithm and type for uploads.
    #[error(
        "The {checksum_type} checksum type cannot be used with the {} checksum algorithm.",
        algorithm.s3_name().to_lowercase()
    )]
    ChecksumPair {
        /// The requested algorithm.
        algorithm: ChecksumAlgorithm,
        /// The unsupported type.
        checksum_type: ChecksumType,
    },
    /// The algorithm of a part's checksum differs from that of its upload.
    #[error(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        expected.s3_name().to_lowercase(),
        actual.map_or_else(|| "null".to_owned(), |actual| actual.s3_name().to_lowercase())
    )]
    ChecksumAlgorithmMismatch {
        /// The algorithm of the upload.
        expected: ChecksumAlgorithm,
        /// The algorithm of the part's checksum, if it had one.
        actual: Option<ChecksumAlgorithm>,
    },
    /// Complete names another checksum type than Create did. An upload that was created without an
    /// algorithm has no type: AWS calls it `null`.
    #[error(
        "The upload was created using the {} checksum mode. The complete request must use the same \
         checksum mode.",
        expected.map_or("null", |expected| expected.s3_name())
    )]
    ChecksumTypeMismatch {
        /// The type of the upload.
        expected: Option<ChecksumType>,
    },
    /// Complete of a composite upload lists a part without a checksum.
    #[error(
        "The upload was created using a {} checksum. The complete request must include the \
         checksum for each part. It was missing for part {part_number} in the request.",
        algorithm.s3_name().to_lowercase()
    )]
    MissingPartChecksum {
        /// The algorithm of the upload.
        algorithm: ChecksumAlgorithm,
        /// The first part without a checksum.
        part_number: PartNumber,
    },
    /// The checksum of the bytes differs from the client's.
    #[error(
        "The {} you specified did not match the calculated checksum.",
        claimed.algorithm().s3_name()
    )]
    BadDigest {
        /// The client's checksum; [`ChecksumAlgorithm::Md5`] means `Content-MD5`.
        claimed: Checksum,
        /// The checksum of the bytes, by the same algorithm.
        computed: Box<Checksum>,
    },
    /// The checksum of the object differs from the one in Complete. AWS spells the algorithm in
    /// lower case here.
    #[error(
        "The {} you specified did not match the calculated checksum.",
        computed.algorithm().s3_name().to_lowercase()
    )]
    BadObjectDigest {
        /// The client's checksum.
        claimed: Checksum,
        /// The checksum of the parts together, by the upload's algorithm.
        computed: Box<Checksum>,
    },
    /// The caller names a checksum that it did not request while writing. A bug of the caller.
    #[error("the {algorithm} of these bytes was not computed while they were written")]
    ChecksumNotComputed {
        /// The algorithm of that checksum.
        algorithm: ChecksumAlgorithm,
    },

    /// A condition on a write or delete does not hold.
    #[error("At least one of the pre-conditions you specified did not hold ({condition})")]
    PreconditionFailed {
        /// The condition: `If-None-Match` or `If-Match`.
        condition: &'static str,
    },
    /// The key changed while the upload was open; a new upload is needed.
    #[error("key {key} changed while the upload was open ({condition})")]
    ConditionalRequestConflict {
        /// The condition: `If-None-Match` or `If-Match`.
        condition: &'static str,
        /// The changed key.
        key: Key,
    },
    /// The source of a copy is no longer the requested version.
    #[error("object {key} in bucket {bucket} changed meanwhile")]
    SourceChanged {
        /// The bucket of the source.
        bucket: Bucket,
        /// The key of the source.
        key: Key,
    },

    /// The range lies outside of the object.
    #[error("the range is outside the object of {size_bytes} bytes")]
    InvalidRange {
        /// The size of the object in bytes.
        size_bytes: u64,
    },
    /// The object has no such part.
    #[error("part {part_number} was asked for, the object has {part_count}")]
    InvalidPartNumber {
        /// The requested part.
        part_number: PartNumber,
        /// The number of parts of the object.
        part_count: u16,
    },
    /// The range of a part to copy ends past the end of the source.
    #[error("Range specified is not valid for source object of size: {size_bytes}")]
    InvalidCopyRange {
        /// The size of the source in bytes.
        size_bytes: u64,
    },
    /// The upload-id marker does not belong to the key marker.
    #[error("Invalid uploadId marker")]
    InvalidUploadIdMarker,

    /// The disk is full. Earlier data is intact, and the space of the failed operation was freed.
    #[error("the disk of the store is full")]
    StorageFull,
    /// This process, or the whole system, has reached its limit of open files. The store is intact:
    /// the same call works once some files are closed.
    #[error("too many files are open")]
    TooManyOpenFiles,
    /// A sync failed earlier. The page cache can no longer be trusted, so the store accepts no
    /// writes until it is opened again. Reads continue where possible.
    #[error("the store takes no writes until it is opened again: {reason}")]
    ReadOnlyAfterSyncFailure {
        /// The first failure.
        reason: String,
    },
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
    /// A file operation failed.
    #[error("{operation} failed")]
    Io {
        /// The operation, in words.
        operation: &'static str,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The metadata database failed.
    #[error("the metadata database failed: {message}")]
    Database {
        /// The message of the database.
        message: String,
    },
}

impl Error {
    /// Returns the error code as S3 spells it; `InternalError` for variants without an S3 name.
    pub fn s3_code(&self) -> &'static str {
        match self {
            Self::NoSuchBucket { .. } => "NoSuchBucket",
            Self::BucketAlreadyExists { .. } => "BucketAlreadyOwnedByYou",
            Self::BucketNotEmpty { .. } => "BucketNotEmpty",
            Self::NoSuchSetting { setting, .. } => match *setting {
                "CORS" => "NoSuchCORSConfiguration",
                "tags" => "NoSuchTagSet",
                "ownership controls" => "OwnershipControlsNotFoundError",
                "public access block" => "NoSuchPublicAccessBlockConfiguration",
                _ => "NoSuchLifecycleConfiguration",
            },
            Self::NoSuchKey { .. } => "NoSuchKey",
            Self::NoSuchUpload { .. } => "NoSuchUpload",
            Self::InvalidPart { .. } => "InvalidPart",
            Self::InvalidPartOrder { .. } => "InvalidPartOrder",
            Self::EntityTooSmall { .. } => "EntityTooSmall",
            Self::EntityTooLarge { .. } => "EntityTooLarge",
            Self::NoPartsListed
            | Self::ObjectSizeMismatch { .. }
            | Self::ChecksumPair { .. }
            | Self::ChecksumAlgorithmMismatch { .. }
            | Self::ChecksumTypeMismatch { .. }
            | Self::MissingPartChecksum { .. } => "InvalidRequest",
            Self::BadDigest { .. } | Self::BadObjectDigest { .. } => "BadDigest",
            Self::PreconditionFailed { .. } | Self::SourceChanged { .. } => "PreconditionFailed",
            Self::ConditionalRequestConflict { .. } => "ConditionalRequestConflict",
            Self::InvalidRange { .. } => "InvalidRange",
            Self::InvalidPartNumber { .. } => "InvalidPartNumber",
            Self::InvalidCopyRange { .. } | Self::InvalidUploadIdMarker => "InvalidArgument",
            Self::StorageFull => "InsufficientStorage",
            Self::TooManyOpenFiles => "SlowDown",
            Self::ReadOnlyAfterSyncFailure { .. } | Self::Closed => "ServiceUnavailable",
            _ => "InternalError",
        }
    }

    /// Returns how to resolve the error, where that is not obvious.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Locked { .. } => Some("stop the other process, or use it through its address"),
            Self::NotAStore { .. } => {
                Some("name the folder that haul serve or local:// keeps its data in")
            }
            Self::FormatTooNew { .. } => {
                Some("open this folder with the Haul that wrote it, or a newer one")
            }
            Self::FormatTooOld { .. } => {
                Some("copy the objects out with the Haul that wrote it, into a store of this one")
            }
            Self::MetadataLost { .. } => Some(
                "nothing was changed: restore meta.redb from a backup; `haul store check` on \
                 the folder lists the files",
            ),
            Self::ForeignMetadata { .. } => {
                Some("nothing was changed: restore meta.redb and data/ of the same store")
            }
            Self::NotPlain { .. } => Some(
                "links are not followed there, and nothing was changed: put the file or folder \
                 itself in its place",
            ),
            Self::DamagedFile { .. } => Some(
                "run `haul store check` on the folder, which names the objects that are damaged",
            ),
            Self::Damaged { .. } => Some("run `haul store check` on the folder"),
            Self::MetadataDamaged { .. } => Some(
                "nothing was changed, and the bytes of every part are still under data/: \
                 restore meta.redb from a backup",
            ),
            Self::TooManyOpenFiles => {
                Some("raise the limit of open files (ulimit -n), or send fewer requests at once")
            }
            Self::StorageFull => {
                Some("delete objects or unfinished uploads, or give the disk more space")
            }
            Self::ReadOnlyAfterSyncFailure { .. } => Some("check the disk, then restart the store"),
            Self::ConditionalRequestConflict { .. } => {
                Some("create a new upload and send every part again")
            }
            _ => None,
        }
    }

    /// Converts a failed file operation; a full disk and too many open files have their own
    /// variants.
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull,
            _ if is_out_of_files(&source) => Self::TooManyOpenFiles,
            _ => match source.get_ref().and_then(|inner| inner.downcast_ref::<NotPlain>()) {
                Some(not_plain) => Self::NotPlain {
                    path: not_plain.path.clone(),
                    found: not_plain.found,
                    expected: not_plain.expected,
                },
                None => Self::Io { operation, source },
            },
        }
    }
}

/// Returns whether the error is `EMFILE` or `ENFILE`, for which the standard library has no names;
/// the numbers are the same on every Unix.
fn is_out_of_files(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

/// Converts redb's error types, one per step: the store only distinguishes a full disk, a damaged
/// file, and everything else.
macro_rules! database_errors {
    ($($name:ty),*) => {$(
        impl From<$name> for Error {
            fn from(error: $name) -> Self {
                from_database(error.into())
            }
        }
    )*};
}
database_errors!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

fn from_database(error: redb::Error) -> Error {
    match error {
        redb::Error::Io(source) if source.kind() == io::ErrorKind::StorageFull => {
            Error::StorageFull
        }
        redb::Error::Corrupted(message) => Error::MetadataDamaged { message },
        // redb reports this for a file without its magic number, or one that claims to be longer
        // than it is.
        redb::Error::Io(source)
            if matches!(
                source.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Error::MetadataDamaged { message: source.to_string() }
        }
        redb::Error::UpgradeRequired(version) => {
            Error::MetadataDamaged { message: format!("it has format version {version} of redb") }
        }
        other => Error::Database { message: other.to_string() },
    }
}
