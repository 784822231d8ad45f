//! What can go wrong for the caller. [`Error::advice`] is the answer for programs; hints for people
//! belong to who talks to them.

use std::io;
use std::path::PathBuf;

use haul_parts::{ObjectRef, PartNumber, UploadId};

use crate::advice::Advice;
use crate::journal::JournalError;
use crate::remote::StoreError;
use crate::source::{Change, OpenError};
use crate::subject::Subject;

/// Why an upload or a download did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source cannot be opened or read.
    #[error("cannot read {source_name}")]
    SourceUnreadable {
        /// The path.
        source_name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A folder, a pipe, a device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// What can be read of it is not as long as it announces, and too long to be held in memory.
    #[error("{} announces {announced_bytes} bytes, and reading it gives another length", path.display())]
    WrongLength {
        /// What was named.
        path: PathBuf,
        /// The length that the system gives.
        announced_bytes: u64,
    },
    /// P4: the source is not the one that was opened.
    #[error("{source_name} changed while it was read")]
    SourceChanged {
        /// The path.
        source_name: String,
        /// What differs.
        #[source]
        change: Change,
    },
    /// P4, between two runs: the source is not the one that the upload was begun with, and that was
    /// to be an error.
    #[error("{source_name} changed since the upload was begun")]
    SourceChangedSince {
        /// The path.
        source_name: String,
        /// What differs.
        #[source]
        change: Change,
    },
    /// The object does not fit the limits with the part size asked for.
    #[error("cannot divide {source_name} into parts")]
    Plan {
        /// The path.
        source_name: String,
        /// Which limit.
        source: haul_parts::PlanError,
    },
    /// A stream has another length than was promised.
    #[error("{source_name} gave {} bytes instead of {promised_bytes}", read_bytes.map_or("more".to_owned(), |read| read.to_string()))]
    StreamLength {
        /// What the stream is called.
        source_name: String,
        /// What was promised.
        promised_bytes: u64,
        /// What it gave; `None`: more than that, and the rest was not read.
        read_bytes: Option<u64>,
    },
    /// A stream is longer than its parts hold.
    #[error(
        "{source_name} is longer than {capacity_bytes} bytes, and no more parts are left for it"
    )]
    StreamTooLong {
        /// What the stream is called.
        source_name: String,
        /// What its parts hold.
        capacity_bytes: u64,
    },
    /// Parts of a stream do not fit the memory, and cannot be kept in a file.
    #[error("parts of the stream no longer fit the memory, and cannot be spooled to {}", folder.display())]
    Spool {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A metadata name with a blank, a colon, a letter that is not ASCII: no header can carry it.
    #[error("{name:?} cannot be a metadata name: no header can carry it")]
    MetadataName {
        /// As it was given.
        name: String,
    },
    /// A request failed for good.
    #[error("{}", FailedRequest { subject, part: *part, attempts: *attempts })]
    Store {
        /// The object, bucket or endpoint that the request was about.
        subject: Subject,
        /// The part it was for.
        part: Option<PartNumber>,
        /// How many times it was tried.
        attempts: u32,
        /// What the store said.
        source: Box<StoreError>,
    },
    /// P6: the answer to Complete was lost and the object could not be examined afterwards.
    #[error("{object}: it is not known whether the upload was completed; nothing was aborted")]
    InDoubt {
        /// The object.
        object: ObjectRef,
        /// To look for.
        upload_id: UploadId,
        /// Why it could not be settled.
        source: Box<StoreError>,
    },
    /// P6: a PutObject was not answered, and the object does not show whether it was, or will be,
    /// carried out.
    #[error("{object}: it is not known whether the object was written")]
    PutInDoubt {
        /// The object.
        object: ObjectRef,
        /// Why it could not be settled.
        source: Box<StoreError>,
    },
    /// The store lost the upload: it is neither there nor completed by us.
    #[error("{object}: the upload is gone at the store and the object is not ours")]
    UploadGone {
        /// The object.
        object: ObjectRef,
        /// Which upload.
        upload_id: UploadId,
    },
    /// The store lost the upload again and again.
    #[error("{object}: the store lost the upload {times} times")]
    Restarted {
        /// The object.
        object: ObjectRef,
        /// How often it was begun.
        times: u32,
        /// What ended the last one.
        source: Option<Box<Error>>,
    },
    /// `--require-proof`, and the store gave none.
    #[error("{object}, part {part}: the store neither verified a checksum nor gave an MD5 as ETag")]
    Unproven {
        /// The object.
        object: ObjectRef,
        /// The part.
        part: PartNumber,
    },
    /// The caller cancelled; nothing is left at the store.
    #[error("{object}: cancelled; nothing was left at the store")]
    Cancelled {
        /// The object.
        object: ObjectRef,
    },
    /// It stopped and can go on: what arrived is kept at the store and remembered here.
    #[error("{object}: paused with {} of it at the store", share(*arrived_bytes, *size_bytes))]
    Paused {
        /// The object.
        object: ObjectRef,
        /// The journal's id.
        id: String,
        /// What need not be sent again.
        arrived_bytes: u64,
        /// The whole.
        size_bytes: u64,
        /// Why it stopped, if nobody asked it to.
        source: Option<Box<Error>>,
    },
    /// A download stopped and can be continued: what arrived is kept beside its target and
    /// remembered here.
    #[error("{object}: paused with {} of it here", share(*arrived_bytes, *size_bytes))]
    DownloadPaused {
        /// The object.
        object: ObjectRef,
        /// The journal's id.
        id: String,
        /// What need not be fetched again.
        arrived_bytes: u64,
        /// The whole.
        size_bytes: u64,
        /// Why it stopped, if the caller did not ask it to.
        source: Option<Box<Error>>,
    },
    /// The journal cannot be used.
    #[error("cannot remember the transfer")]
    Journal(#[from] JournalError),
    /// The upload failed and cleaning up failed too: parts may be billed.
    #[error(
        "{object}: parts of upload {upload_id} could not be removed: {}",
        with_its_root(cleanup)
    )]
    LeftBehind {
        /// The object.
        object: ObjectRef,
        /// Which upload.
        upload_id: UploadId,
        /// Why it could not be removed.
        cleanup: Box<StoreError>,
        /// Why the upload had failed.
        source: Box<Error>,
    },
    /// What was downloaded is not what the store says it is.
    #[error("{object}: what arrived is not what was stored: {detail}")]
    Corrupt {
        /// The object.
        object: ObjectRef,
        /// Which check failed.
        detail: String,
    },
    /// The object is not the one that the download or the copy began with.
    #[error("{object} changed at the store while it was read: {detail}")]
    ObjectChanged {
        /// The object.
        object: ObjectRef,
        /// What differs.
        detail: String,
    },
    /// What is at the store after an upload is not what was read.
    #[error("{object}: the object at the store is not what was sent: {detail}")]
    CorruptObject {
        /// The object.
        object: ObjectRef,
        /// Which check failed.
        detail: String,
    },
    /// A copy of an object onto itself that changes nothing: S3 refuses it.
    #[error("{object} would be copied onto itself, and nothing of it would change")]
    CopyOntoItself {
        /// The object.
        object: ObjectRef,
    },
    /// The target of a download cannot be written.
    #[error("cannot write {}", path.display())]
    TargetUnwritable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No store can be reached with this configuration.
    #[error("the configuration of the store is incomplete: {0}")]
    Configuration(String),
    /// A setting of the environment, a profile or the caller cannot be used. Nothing was sent.
    #[error("{problem}")]
    BadSetting {
        /// Which one, and what is wrong with it.
        problem: String,
        /// What to write instead.
        hint: String,
    },
    /// A task of ours ended in a way that it must not: a bug.
    #[error("internal error: {0}")]
    Internal(String),
}

/// "s3://bucket/key, part 7, after 3 attempts": where it failed.
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
    /// What to do next.
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

    /// The failure of a single request about `subject`, without a part number.
    pub fn of_store(subject: impl Into<Subject>, source: StoreError) -> Self {
        Self::Store { subject: subject.into(), part: None, attempts: 1, source: Box::new(source) }
    }
}

/// `61 %`, rounded down.
fn share(arrived_bytes: u64, size_bytes: u64) -> String {
    let percent = u128::from(arrived_bytes) * 100 / u128::from(size_bytes.max(1));
    format!("{percent} %")
}

/// An error and where it began: "AbortMultipartUpload: the connection broke (connection refused)".
fn with_its_root(error: &StoreError) -> String {
    use std::error::Error as _;
    match std::iter::successors(error.source(), |cause| (*cause).source()).last() {
        Some(root) => format!("{error} ({root})"),
        None => error.to_string(),
    }
}
