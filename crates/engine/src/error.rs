//! The errors of transfers. [`Error::advice`] is for programs; the caller adds hints for people.

use std::io;
use std::path::PathBuf;

use haul_parts::{ObjectRef, PartNumber, UploadId};

use crate::advice::Advice;
use crate::journal::JournalError;
use crate::remote::StoreError;
use crate::source::{Change, OpenError};
use crate::subject::Subject;

/// The reason why a transfer did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source cannot be opened or read.
    #[error("cannot read {source_name}")]
    SourceUnreadable {
        /// The path or name of the source.
        source_name: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The source is a folder, a pipe or a device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path of the source.
        path: PathBuf,
    },
    /// The readable length of the file differs from its reported one, and is too long for memory.
    #[error(
        "{} announces {announced_bytes} bytes, and reading it gives another length",
        path.display()
    )]
    WrongLength {
        /// The path of the source.
        path: PathBuf,
        /// The length that the system reports, in bytes.
        announced_bytes: u64,
    },
    /// P4: the source has changed since it was opened.
    #[error("{source_name} changed while it was read")]
    SourceChanged {
        /// The path or name of the source.
        source_name: String,
        /// The difference.
        #[source]
        change: Change,
    },
    /// P4, between two runs: the source has changed since the first run, and the caller asked for
    /// an error.
    #[error("{source_name} changed since the upload was begun")]
    SourceChangedSince {
        /// The path or name of the source.
        source_name: String,
        /// The difference.
        #[source]
        change: Change,
    },
    /// The object does not fit the limits with the requested part size.
    #[error("cannot divide {source_name} into parts")]
    Plan {
        /// The path or name of the source.
        source_name: String,
        /// The broken limit.
        source: haul_parts::PlanError,
    },
    /// A stream has another length than promised.
    #[error(
        "{source_name} gave {} bytes instead of {promised_bytes}",
        read_bytes.map_or("more".to_owned(), |read| read.to_string())
    )]
    StreamLength {
        /// The name of the stream.
        source_name: String,
        /// The promised length in bytes.
        promised_bytes: u64,
        /// The real length in bytes; `None`: longer, and the rest was not read.
        read_bytes: Option<u64>,
    },
    /// A stream is longer than its parts can hold.
    #[error(
        "{source_name} is longer than {capacity_bytes} bytes, and no more parts are left for it"
    )]
    StreamTooLong {
        /// The name of the stream.
        source_name: String,
        /// The bytes that its parts can hold.
        capacity_bytes: u64,
    },
    /// P4: a stream that is read again ended before the point up to which an earlier run had sent
    /// it.
    #[error("{source_name} is shorter than what had arrived of it")]
    StreamShorter {
        /// The name of the stream.
        source_name: String,
    },
    /// Parts of a stream do not fit the memory, and cannot be spooled to a file.
    #[error(
        "parts of the stream no longer fit the memory, and cannot be spooled to {}",
        folder.display()
    )]
    Spool {
        /// The folder of the spool files.
        folder: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A metadata name contains a blank, a colon or a non-ASCII character: no header can carry it.
    #[error("{name:?} cannot be a metadata name: no header can carry it")]
    MetadataName {
        /// The name as given.
        name: String,
    },
    /// A request failed permanently.
    #[error("{}", FailedRequest { subject, part: *part, attempts: *attempts })]
    Store {
        /// The object, bucket or endpoint that the request was about.
        subject: Subject,
        /// The part of the request, if any.
        part: Option<PartNumber>,
        /// The number of attempts.
        attempts: u32,
        /// The error of the last attempt.
        source: Box<StoreError>,
    },
    /// P6: the answer to Complete was lost and looking at the object did not settle the outcome.
    #[error("{object}: it is not known whether the upload was completed; nothing was aborted")]
    InDoubt {
        /// The object of the upload.
        object: ObjectRef,
        /// The id of the upload.
        upload_id: UploadId,
        /// The reason why it could not be settled.
        source: Box<StoreError>,
    },
    /// P6: a PutObject was not answered, and the object does not show whether it has been, or will
    /// be, executed.
    #[error("{object}: it is not known whether the object was written")]
    PutInDoubt {
        /// The object of the request.
        object: ObjectRef,
        /// The reason why it could not be settled.
        source: Box<StoreError>,
    },
    /// The store lost the upload: it neither exists nor did we complete it.
    #[error("{object}: the upload is gone at the store and the object is not ours")]
    UploadGone {
        /// The object of the upload.
        object: ObjectRef,
        /// The id of the upload.
        upload_id: UploadId,
    },
    /// The store lost the upload repeatedly.
    #[error("{object}: the store lost the upload {times} times")]
    Restarted {
        /// The object of the upload.
        object: ObjectRef,
        /// The number of times it was started.
        times: u32,
        /// The error that ended the last attempt.
        source: Option<Box<Error>>,
    },
    /// `--require-proof` was requested, and the store gave no proof.
    #[error("{object}, part {part}: the store neither verified a checksum nor gave an MD5 as ETag")]
    Unproven {
        /// The object of the upload.
        object: ObjectRef,
        /// The unproven part.
        part: PartNumber,
    },
    /// The caller cancelled; nothing is left at the store.
    #[error("{object}: cancelled; nothing was left at the store")]
    Cancelled {
        /// The object of the transfer.
        object: ObjectRef,
    },
    /// An upload stopped and can be resumed: the arrived parts are kept at the store and recorded
    /// in the journal.
    #[error("{object}: paused with {} of it at the store", share(*arrived_bytes, *size_bytes))]
    Paused {
        /// The object of the upload.
        object: ObjectRef,
        /// The id of the journal.
        id: String,
        /// The bytes that need not be sent again.
        arrived_bytes: u64,
        /// The bytes of the whole object.
        size_bytes: u64,
        /// The reason, if the caller did not request the stop.
        source: Option<Box<Error>>,
    },
    /// A download stopped and can be resumed: the arrived bytes are kept beside its target and
    /// recorded in the journal.
    #[error("{object}: paused with {} of it here", share(*arrived_bytes, *size_bytes))]
    DownloadPaused {
        /// The object of the download.
        object: ObjectRef,
        /// The id of the journal.
        id: String,
        /// The bytes that need not be fetched again.
        arrived_bytes: u64,
        /// The bytes of the whole object.
        size_bytes: u64,
        /// The reason, if the caller did not request the stop.
        source: Option<Box<Error>>,
    },
    /// The journal is unusable.
    #[error("cannot remember the transfer")]
    Journal(#[from] JournalError),
    /// The upload failed and the cleanup failed too: parts may be billed.
    #[error(
        "{object}: parts of upload {upload_id} could not be removed: {}",
        with_its_root(cleanup)
    )]
    LeftBehind {
        /// The object of the upload.
        object: ObjectRef,
        /// The id of the upload.
        upload_id: UploadId,
        /// The reason why it could not be removed.
        cleanup: Box<StoreError>,
        /// The reason why the upload failed.
        source: Box<Error>,
    },
    /// The downloaded bytes do not match the store's checksum or ETag.
    #[error("{object}: what arrived is not what was stored: {detail}")]
    Corrupt {
        /// The object of the download.
        object: ObjectRef,
        /// The check that failed.
        detail: String,
    },
    /// The object changed during the download or copy.
    #[error("{object} changed at the store while it was read: {detail}")]
    ObjectChanged {
        /// The changed object.
        object: ObjectRef,
        /// The difference.
        detail: String,
    },
    /// The object at the store differs from the bytes that were sent.
    #[error("{object}: the object at the store is not what was sent: {detail}")]
    CorruptObject {
        /// The object of the upload.
        object: ObjectRef,
        /// The check that failed.
        detail: String,
    },
    /// A copy of an object onto itself changes nothing, which S3 refuses.
    #[error("{object} would be copied onto itself, and nothing of it would change")]
    CopyOntoItself {
        /// The object of the copy.
        object: ObjectRef,
    },
    /// The target of a download cannot be written.
    #[error("cannot write {}", path.display())]
    TargetUnwritable {
        /// The path of the target.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A name of a tree that cannot be a key, or a key that cannot be a file.
    #[error("{name:?} cannot be copied: {reason}")]
    UnusableName {
        /// The name, or the path that has it.
        name: String,
        /// The problem with the name.
        reason: String,
    },
    /// A tree that was not started, or not finished, because its result could not be the intended
    /// one.
    #[error("{problem}")]
    TreeRefused {
        /// The problem.
        problem: String,
    },
    /// The copy exists, but its source was kept because the copy is not proven.
    #[error("{source_name} was copied and kept: {reason}")]
    SourceKept {
        /// The source of the move.
        source_name: String,
        /// The reason why it was not removed.
        reason: String,
    },
    /// The configuration does not lead to a store.
    #[error("the configuration of the store is incomplete: {0}")]
    Configuration(String),
    /// An earlier run of this transfer, which is unfinished, gives the object another attribute
    /// than this run requests.
    #[error("an unfinished transfer of {source_name} was begun with another {attribute}")]
    OtherAttribute {
        /// The path or name of the source.
        source_name: String,
        /// The name of the option of the attribute, such as `content-type`.
        attribute: &'static str,
        /// The id of its journal.
        id: String,
    },
    /// A setting of the environment, a profile or the caller is unusable. Nothing was sent.
    #[error("{problem}")]
    BadSetting {
        /// The setting and its problem.
        problem: String,
        /// A correct setting.
        hint: String,
    },
    /// A task ended unexpectedly: a bug.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Formats where a request failed: "s3://bucket/key, part 7, after 3 attempts".
struct FailedRequest<'a> {
    subject: &'a Subject,
    part: Option<PartNumber>,
    attempts: u32,
}

impl std::fmt::Display for FailedRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.subject.fmt(f)?;
        if let Some(part) = self.part {
            write!(f, ", part {part}")?;
        }
        if self.attempts > 1 {
            write!(f, ", after {} attempts", self.attempts)?;
        }
        Ok(())
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unreadable { path, source } => {
                Self::SourceUnreadable { source_name: path.display().to_string(), source }
            }
            OpenError::NotAFile { path } => Self::NotAFile { path },
            OpenError::WrongLength { path, announced_bytes } => {
                Self::WrongLength { path, announced_bytes }
            }
        }
    }
}

impl Error {
    /// Returns what a program can do next.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Store { source, .. } => source.advice(),
            Self::InDoubt { .. } | Self::Paused { .. } | Self::DownloadPaused { .. } => {
                Advice::Resume
            }
            Self::SourceChangedSince { .. } => Advice::Resume,
            Self::SourceChanged { .. }
            | Self::PutInDoubt { .. }
            | Self::UploadGone { .. }
            | Self::Corrupt { .. }
            | Self::ObjectChanged { .. }
            | Self::CorruptObject { .. } => Advice::Retry { after: None },
            _ => Advice::GiveUp,
        }
    }

    /// Creates the error of a single request about `subject`, without a part number.
    pub fn of_store(subject: impl Into<Subject>, source: StoreError) -> Self {
        Self::Store { subject: subject.into(), part: None, attempts: 1, source: Box::new(source) }
    }
}

/// Formats a share as `61 %`, rounded down.
fn share(arrived_bytes: u64, size_bytes: u64) -> String {
    let percent = u128::from(arrived_bytes) * 100 / u128::from(size_bytes.max(1));
    format!("{percent} %")
}

/// Formats an error with its root cause: "AbortMultipartUpload: the connection broke (connection
/// refused)".
fn with_its_root(error: &StoreError) -> String {
    use std::error::Error as _;
    match std::iter::successors(error.source(), |cause| (*cause).source()).last() {
        Some(root) => format!("{error} ({root})"),
        None => error.to_string(),
    }
}
