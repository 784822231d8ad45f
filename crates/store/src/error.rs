//! What can go wrong, named as S3 names it where S3 has a name.
//!
//! One enum for the crate. The server turns a variant into an S3 error document by
//! [`Error::s3_code`], and everything it wants to say beside the code is in the fields. Nothing
//! here knows HTTP: the status is the server's business.

use std::io;
use std::path::PathBuf;

use haul_parts::{
    Bucket, Checksum, ChecksumAlgorithm, ChecksumType, ETag, Key, PartNumber, UploadId,
};
use thiserror::Error;

use crate::disk::{FileId, NotPlain};

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not happen. Unless a variant says otherwise, nothing was changed by it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process holds the folder.
    #[error("the store {} is in use{}", dir.display(), pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// Which process wrote itself into the lock file, when that could be read.
        pid: Option<u32>,
    },
    /// The folder has no store in it, and was to have one.
    #[error("there is no store in {}", dir.display())]
    NotAStore {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder was written by a newer Haul.
    #[error("{what} has format version {found}, this Haul reads up to {known}")]
    FormatTooNew {
        /// Which record or folder.
        what: &'static str,
        /// The version found.
        found: u8,
        /// The newest version known.
        known: u8,
    },
    /// The folder was written by an older Haul, whose format this one does not read.
    #[error("{what} has format version {found}, this Haul reads {oldest} and later")]
    FormatTooOld {
        /// Which folder.
        what: &'static str,
        /// The version found.
        found: u8,
        /// The oldest version known.
        oldest: u8,
    },
    /// There are data files, and no metadata that knows them.
    #[error("{} holds the data of a store ({files} data files) without its metadata, meta.redb", dir.display())]
    MetadataLost {
        /// The folder.
        dir: PathBuf,
        /// How many data files there are.
        files: u64,
    },
    /// The metadata is of another store than the data files.
    #[error(
        "the metadata in {} is of store {metadata}, its data files are of {}",
        dir.display(),
        data.as_deref().map_or_else(|| "a store that is not named (data/store-id is missing)".to_owned(), |id| format!("store {id}"))
    )]
    ForeignMetadata {
        /// The folder.
        dir: PathBuf,
        /// The id in the metadata.
        metadata: String,
        /// The id beside the data files; `None` when there is none.
        data: Option<String>,
    },
    /// Something in the folder of the store is a link, or another thing than it must be.
    #[error("{} is a {found} where a {expected} is expected", path.display())]
    NotPlain {
        /// What.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A data file is not what was written. None of its wrong bytes were given out.
    #[error("{}: {what}", file.path().display())]
    DamagedFile {
        /// Which file.
        file: FileId,
        /// What does not fit.
        what: String,
    },
    /// Data on disk is not what was written there.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What does not fit.
        what: String,
    },
    /// The metadata is not what was written there, and nothing of it is believed.
    #[error("the metadata of the store, meta.redb, is not what was written there: {message}")]
    MetadataDamaged {
        /// What the database says.
        message: String,
    },

    /// The bucket does not exist.
    #[error("bucket {bucket} does not exist")]
    NoSuchBucket {
        /// The bucket asked for.
        bucket: Bucket,
    },
    /// The bucket exists already.
    #[error("bucket {bucket} exists already")]
    BucketAlreadyExists {
        /// The bucket asked for.
        bucket: Bucket,
    },
    /// The bucket has objects.
    #[error("bucket {bucket} is not empty")]
    BucketNotEmpty {
        /// The bucket asked for.
        bucket: Bucket,
    },
    /// The bucket has no such configuration.
    #[error("bucket {bucket} has no {setting} configuration")]
    NoSuchSetting {
        /// The bucket asked for.
        bucket: Bucket,
        /// Which one: `lifecycle`, `CORS`, `tags`, `ownership controls` or `public access block`.
        setting: &'static str,
    },
    /// The object does not exist.
    #[error("there is no object {key} in bucket {bucket}")]
    NoSuchKey {
        /// Where.
        bucket: Bucket,
        /// The key asked for.
        key: Key,
    },
    /// The upload id is unknown, of another key, or of an upload that was completed or aborted.
    #[error(
        "upload {upload_id} does not exist: the id may be wrong, or it was aborted or completed"
    )]
    NoSuchUpload {
        /// The id asked for.
        upload_id: UploadId,
    },

    /// A listed part was never uploaded, or its ETag or checksum is another one.
    #[error(
        "part {part_number} of upload {upload_id} was not uploaded with ETag {etag} or the named \
         checksum"
    )]
    InvalidPart {
        /// Which part.
        part_number: PartNumber,
        /// The ETag it was listed with.
        etag: ETag,
        /// Of which upload.
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
        /// Which part.
        part_number: PartNumber,
        /// Its ETag.
        etag: ETag,
        /// Its size.
        size_bytes: u64,
        /// The minimum.
        min_bytes: u64,
    },
    /// A part or object is above the maximum.
    #[error("{size_bytes} bytes are more than the {max_bytes} allowed")]
    EntityTooLarge {
        /// The size asked for.
        size_bytes: u64,
        /// The maximum.
        max_bytes: u64,
    },
    /// Complete named no part.
    #[error("You must specify at least one part")]
    NoPartsListed,
    /// The object would have another size than the client says.
    #[error(
        "The provided 'x-amz-mp-object-size' header value {given_bytes} does not match what was \
         computed: {computed_bytes}"
    )]
    ObjectSizeMismatch {
        /// What the client says.
        given_bytes: u64,
        /// What the parts have.
        computed_bytes: u64,
    },

    /// An upload cannot be created with this pair.
    #[error("The {checksum_type} checksum type cannot be used with the {} checksum algorithm.", algorithm.s3_name().to_lowercase())]
    ChecksumPair {
        /// The algorithm.
        algorithm: ChecksumAlgorithm,
        /// The type that it does not have.
        checksum_type: ChecksumType,
    },
    /// A part came with another checksum than its upload was created with.
    #[error(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        expected.s3_name().to_lowercase(),
        actual.map_or_else(|| "null".to_owned(), |actual| actual.s3_name().to_lowercase())
    )]
    ChecksumAlgorithmMismatch {
        /// What the upload was created with.
        expected: ChecksumAlgorithm,
        /// What the part came with.
        actual: Option<ChecksumAlgorithm>,
    },
    /// Complete names another checksum type than Create did. An upload that was created without an
    /// algorithm has none to name: AWS calls its type `null`.
    #[error(
        "The upload was created using the {} checksum mode. The complete request must use the same \
         checksum mode.",
        expected.map_or("null", |expected| expected.s3_name())
    )]
    ChecksumTypeMismatch {
        /// What the upload was created with.
        expected: Option<ChecksumType>,
    },
    /// A composite upload is completed without the checksum of each part.
    #[error(
        "The upload was created using a {} checksum. The complete request must include the \
         checksum for each part. It was missing for part {part_number} in the request.",
        algorithm.s3_name().to_lowercase()
    )]
    MissingPartChecksum {
        /// What the upload was created with.
        algorithm: ChecksumAlgorithm,
        /// The first part without.
        part_number: PartNumber,
    },
    /// The bytes have another checksum than the client says.
    #[error("The {} you specified did not match the calculated checksum.", claimed.algorithm().s3_name())]
    BadDigest {
        /// The client's; [`ChecksumAlgorithm::Md5`] means `Content-MD5`.
        claimed: Checksum,
        /// That of the bytes, by the same algorithm.
        computed: Checksum,
    },
    /// The object has another checksum than Complete says. AWS spells the algorithm in lower case
    /// here.
    #[error("The {} you specified did not match the calculated checksum.", computed.algorithm().s3_name().to_lowercase())]
    BadObjectDigest {
        /// What the client says.
        claimed: Checksum,
        /// What the parts come to, of the algorithm that the upload was created with.
        computed: Checksum,
    },
    /// The caller names a checksum that it did not have computed while writing. A mistake of the
    /// caller.
    #[error("the {algorithm} of these bytes was not computed while they were written")]
    ChecksumNotComputed {
        /// Of which algorithm.
        algorithm: ChecksumAlgorithm,
    },

    /// A condition on writing (or deleting) does not hold.
    #[error("At least one of the pre-conditions you specified did not hold ({condition})")]
    PreconditionFailed {
        /// Which: `If-None-Match` or `If-Match`.
        condition: &'static str,
    },
    /// The key changed while the upload was open; a new upload is needed.
    #[error("key {key} changed while the upload was open ({condition})")]
    ConditionalRequestConflict {
        /// Which: `If-None-Match` or `If-Match`.
        condition: &'static str,
        /// The key.
        key: Key,
    },
    /// The object to copy is no longer the version asked for.
    #[error("object {key} in bucket {bucket} changed meanwhile")]
    SourceChanged {
        /// Where.
        bucket: Bucket,
        /// Which key.
        key: Key,
    },

    /// The range lies outside the object.
    #[error("the range is outside the object of {size_bytes} bytes")]
    InvalidRange {
        /// The size of the object.
        size_bytes: u64,
    },
    /// The object has no such part.
    #[error("part {part_number} was asked for, the object has {part_count}")]
    InvalidPartNumber {
        /// The part asked for.
        part_number: PartNumber,
        /// How many there are.
        part_count: u16,
    },
    /// The range of a part to copy ends past the end of the source.
    #[error("Range specified is not valid for source object of size: {size_bytes}")]
    InvalidCopyRange {
        /// The size of the source.
        size_bytes: u64,
    },
    /// The upload-id marker is not an upload of the key marker.
    #[error("Invalid uploadId marker")]
    InvalidUploadIdMarker,

    /// No space left; earlier data is intact, and the space of what failed was given back.
    #[error("the disk of the store is full")]
    StorageFull,
    /// This process, or the whole system, has as many files open as it may. Nothing is wrong with
    /// the store: the same call works once some are closed.
    #[error("too many files are open")]
    TooManyOpenFiles,
    /// A sync failed earlier: what the page cache says can no longer be believed, so nothing more
    /// is written until the store is opened again. Reading goes on where it can.
    #[error("the store takes no writes until it is opened again: {reason}")]
    ReadOnlyAfterSyncFailure {
        /// What failed.
        reason: String,
    },
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
    /// A file operation failed.
    #[error("{operation} failed")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The metadata database failed.
    #[error("the metadata database failed: {message}")]
    Database {
        /// What it says.
        message: String,
    },
}

impl Error {
    /// The error code as S3 spells it. What has no S3 name is `InternalError`.
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

    /// What a person can do about it, where that is not obvious.
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
                "nothing was changed: bring meta.redb back from a backup; `haul store check` on \
                 the folder lists the files",
            ),
            Self::ForeignMetadata { .. } => Some(
                "nothing was changed: bring back meta.redb and data/ of one and the same store",
            ),
            Self::NotPlain { .. } => Some(
                "links are not followed there, and nothing was changed: put the file or folder \
                 itself in its place",
            ),
            Self::DamagedFile { .. } => Some(
                "run `haul store check` on the folder, which names the objects that are damaged",
            ),
            Self::Damaged { .. } => Some("run `haul store check` on the folder"),
            Self::MetadataDamaged { .. } => Some(
                "nothing was changed, and the bytes of every part are still under data/: bring \
                 meta.redb back from a backup",
            ),
            Self::TooManyOpenFiles => {
                Some("raise the limit of open files (ulimit -n), or send fewer requests at once")
            }
            Self::StorageFull => {
                Some("delete objects or unfinished uploads, or give the disk more space")
            }
            Self::ReadOnlyAfterSyncFailure { .. } => {
                Some("look at the disk, then start the store again")
            }
            Self::ConditionalRequestConflict { .. } => {
                Some("create a new upload and send every part again")
            }
            _ => None,
        }
    }

    /// A failed file operation; a full disk and too many open files get their own names.
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

/// `EMFILE` and `ENFILE`, for which the standard library has no names; the numbers are those of
/// every Unix.
fn is_out_of_files(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

/// redb has an error type per step; all that matters here is whether the disk was full, or the file
/// damaged.
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
        // A file that does not begin like one of its own, or says that it is longer than it is.
        redb::Error::Io(source)
            if matches!(
                source.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Error::MetadataDamaged { message: source.to_string() }
        }
        redb::Error::UpgradeRequired(version) => Error::MetadataDamaged {
            message: format!("it says that it has format version {version} of redb"),
        },
        other => Error::Database { message: other.to_string() },
    }
}
