//! Downloads objects: in parallel ranges ([`fetch`]) into a file ([`ranges_to_file`]), or in order
//! into a pipe or a device ([`in_order`]); the bytes are verified with the values that the store
//! returns ([`verify`], [`plan`]).
//!
//! The bytes are written to a temporary file beside the target, which gets the target's name only
//! when all bytes have arrived and match; a pipe or a device is written in order and never
//! replaced. After a broken connection the download continues at the same byte and only with the
//! same version of the object.

mod allocate;
pub(in crate::transfer) mod destination;
mod fetch;
mod frontier;
mod in_order;
mod in_place;
mod kept;
pub(in crate::transfer) mod modified;
mod one_stream;
mod part_hashes;
mod plan;
mod published;
mod ranged;
mod ranges_to_file;
mod remembering;
mod target;
mod target_file;
pub(in crate::transfer) mod temporary;
pub(in crate::transfer) mod verify;
pub(crate) mod version;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, stream};
use haul_parts::{Limits, PartNumber, PartPlan};
use tokio::task::JoinHandle;

use self::destination::Destination;
use self::part_hashes::MadeOfParts;
use self::plan::PieceSize;
use self::ranged::Unfetched;
use self::remembering::DownloadJournal;
use self::target::OpenTarget;
use self::verify::{BodyVerifier, Mismatch};
use self::version::Version;
use super::upload::JournalOptions;
use super::{Line, Progress, StopRequest, Transfer};
use crate::error::Error;
use crate::error_text::in_one_line;
use crate::event::EventSender;
use crate::pace::Resources;
use crate::remote::{ObjectHead, ObjectRef, StoreError, StoreErrorKind};

pub use verify::Verified;

/// The minimum number of ranges of a pipe for which the memory budget must have room.
const RANGES_KEPT_MIN: u64 = 4;
/// HeadObject requests in flight, if every part has to be queried.
const HEADS_AT_ONCE: usize = 16;

/// Options of a download. Construct with `..Default::default()`.
#[derive(Clone, Debug, Default)]
pub struct DownloadOptions {
    /// Size in bytes of every range but the last. `None`: 8 MiB or, if the object's ETag is made of
    /// the MD5s of its parts, the size of those parts. An object of one range is fetched in one
    /// stream.
    pub part_size_bytes: Option<u64>,
    /// The journal, so that the download can be continued after a crash; `None`: no journal, and
    /// the downloaded bytes are removed when it stops. A download in one stream has no journal.
    pub journal: Option<JournalOptions>,
    /// The MD5 of the customer's key (SSE-C) in base64, which the journal records: an unfinished
    /// download is resumed only with the same key. The connection to the store has the key.
    pub customer_key_md5: Option<String>,
}

/// The target of a download.
#[derive(Debug)]
pub enum DownloadTarget {
    /// A file that is replaced atomically, or a pipe or device that is written in order.
    Path(PathBuf),
    /// A file that is open already, such as standard output: written in order from its current
    /// position, and not synced.
    Open {
        /// The file, open for writing.
        file: File,
        /// The name for messages.
        name: String,
    },
}

impl<P: Into<PathBuf>> From<P> for DownloadTarget {
    fn from(path: P) -> Self {
        Self::Path(path.into())
    }
}

/// The result of a finished download.
#[derive(Clone, Debug)]
pub struct DownloadReport {
    /// The object that was downloaded.
    pub object: ObjectRef,
    /// The path of the file.
    pub target: PathBuf,
    /// The length of the object in bytes.
    pub size_bytes: u64,
    /// The verification that was possible.
    pub verified: Verified,
}

/// Starts a download of `object` into the file `target` with the shared resources of an engine.
pub(crate) fn start(
    resources: &Resources,
    object: ObjectRef,
    target: DownloadTarget,
    options: DownloadOptions,
) -> Transfer<DownloadReport> {
    let (path, open) = match target {
        DownloadTarget::Path(path) => (path, None),
        DownloadTarget::Open { file, name } => (name.into(), Some(file)),
    };
    Transfer::start(resources, |line| {
        let Line { events, progress, mut stop } = line;
        let resources = resources.clone();
        let context = Context {
            resources,
            object,
            path,
            options,
            events,
            progress,
            journal: Mutex::default(),
            beyond_return: AtomicBool::new(false),
        };
        async move {
            let mut run = Box::pin(context.run(open));
            let ended = tokio::select! {
                ended = &mut run => ended.map_err(End::Failed),
                request = stop.stronger() => {
                    if context.is_beyond_return() {
                        // The file is complete and verified, and is being renamed at this moment:
                        // wait for the result.
                        run.as_mut().await.map_err(End::Failed)
                    } else {
                        Err(End::Stopped(request))
                    }
                }
            };
            // Dropping the run ends its requests, and removes a temporary file without a journal.
            drop(run);
            ended.map_err(|end| context.end(end))
        }
    })
}

/// The state that all steps of one download share.
struct Context {
    resources: Resources,
    object: ObjectRef,
    path: PathBuf,
    options: DownloadOptions,
    events: EventSender,
    progress: Progress,
    /// The journal, as soon as there is something to record.
    journal: Mutex<Option<DownloadJournal>>,
    /// Whether the file is being renamed; nothing else is left to do.
    beyond_return: AtomicBool,
}

/// The reason why a run ended without a file.
enum End {
    Failed(Error),
    Stopped(StopRequest),
}

impl Context {
    async fn run(&self, open: Option<File>) -> Result<DownloadReport, Error> {
        // An unwritable target is refused before any request.
        let destination = match open {
            Some(file) => Destination::Open(file),
            None => Destination::find(&self.path).map_err(|source| self.unwritable(source))?,
        };
        if let Destination::File { path, .. } = &destination {
            remembering::check_key(self, path)?;
        }
        let version = Version::of(self.head().await?);
        // Folders are created for the path that was given, but never at the end of a link: the link
        // may lead to a disk that is not mounted.
        if let Destination::File { path, .. } = &destination
            && *path == self.path
            && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
        {
            std::fs::create_dir_all(parent).map_err(|source| self.unwritable(source))?;
        }
        self.progress.set_size(version.size_bytes());
        let part_size_bytes = self.part_size_bytes(version.head()).await;
        let max_bytes = match destination {
            Destination::File { .. } => u64::MAX,
            // The memory has to hold several ranges until it is their turn to be written.
            _ => self.resources.pool.budget_bytes() / RANGES_KEPT_MIN,
        };
        let size = PieceSize { wanted: self.options.part_size_bytes, max_bytes };
        let planned = plan::plan(version.head(), part_size_bytes, size);
        if let (Destination::File { path, permissions }, Some(planned)) = (&destination, planned) {
            let target = (path.as_path(), permissions.as_ref());
            match self.in_pieces(target, &version, part_size_bytes, planned).await {
                Ok(report) => return Ok(report),
                Err(Unfetched::Failed(error)) => return Err(error),
                Err(Unfetched::NoRanges) => {}
            }
            // A single stream cannot be resumed in ranges.
            if let Some(journal) = self.journal().take() {
                journal.give_up();
            }
            self.progress.set_arrived(0);
        }
        let is_file = matches!(destination, Destination::File { .. });
        let verifier = BodyVerifier::new(version.head(), part_size_bytes);
        let target =
            OpenTarget::open(&self.path, destination, version.size_bytes(), verifier).await?;
        match planned {
            Some(planned) if !is_file => {
                self.in_order(target, version, part_size_bytes, planned).await
            }
            _ => self.in_one_stream(target, version).await,
        }
    }

    /// Records that the download now runs to its end, even if the caller requests a stop.
    fn point_of_no_return(&self) {
        self.beyond_return.store(true, Ordering::Relaxed);
    }

    fn is_beyond_return(&self) -> bool {
        self.beyond_return.load(Ordering::Relaxed)
    }

    /// Converts the result of a comparison to the verification or to an error.
    async fn settled(
        &self,
        verified: Result<Verified, Mismatch>,
        head: &ObjectHead,
    ) -> Result<Verified, String> {
        match verified {
            Err(mismatch) if mismatch.if_parts_are_equal && self.parts_differ(head).await => {
                Ok(Verified::OnlySize("its checksum is of its parts, and they are not equal"))
            }
            verified => verified.map_err(|mismatch| mismatch.detail),
        }
    }

    /// Returns whether the store lists any part but the last with another size than the first part.
    /// This is queried only before an object is reported as damaged.
    async fn parts_differ(&self, head: &ObjectHead) -> bool {
        let Some(first_bytes) = self.part_size_bytes(head).await else { return false };
        let limits = Limits { part_size_min_bytes: 1, ..Limits::AWS };
        let Ok(plan) = PartPlan::new(head.size_bytes, &limits, Some(first_bytes)) else {
            return false;
        };
        let differs = plan.parts().map(|planned| async move {
            let (retry, store) = (&self.resources.retry, &self.resources.store);
            let part = retry.run(|| store.head_part(&self.object, planned.number)).await;
            part.ok().flatten().is_some_and(|part| part.size_bytes != planned.size_bytes)
        });
        stream::iter(differs)
            .buffer_unordered(HEADS_AT_ONCE)
            .any(|differs| async move { differs })
            .await
    }

    /// Returns the error of a run that ended without a file. Keeps the downloaded bytes only if a
    /// later run can use them.
    fn end(&self, end: End) -> Error {
        let cancelled = || Error::Cancelled { object: self.object.clone() };
        let Some(journal) = self.journal().take() else {
            return match end {
                End::Failed(error) => error,
                End::Stopped(_) => cancelled(),
            };
        };
        let (reason, source) = match end {
            End::Stopped(StopRequest::Cancel) => {
                journal.give_up();
                return cancelled();
            }
            End::Stopped(_) => ("interrupted".to_owned(), None),
            End::Failed(error) if is_final(&error) => {
                journal.give_up();
                return error;
            }
            End::Failed(error) => (in_one_line(&error), Some(Box::new(error))),
        };
        let id = journal.id().to_owned();
        journal.paused(reason);
        Error::DownloadPaused {
            object: self.object.clone(),
            id,
            arrived_bytes: self.progress.arrived_bytes(),
            size_bytes: self.progress.size_bytes().unwrap_or_default(),
            source,
        }
    }

    fn journal(&self) -> MutexGuard<'_, Option<DownloadJournal>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, size_bytes: u64, verified: Verified) -> DownloadReport {
        DownloadReport {
            object: self.object.clone(),
            target: self.path.clone(),
            size_bytes,
            verified,
        }
    }

    fn unwritable(&self, source: io::Error) -> Error {
        Error::TargetUnwritable { path: self.path.clone(), source }
    }

    async fn head(&self) -> Result<ObjectHead, Error> {
        let head =
            self.resources.retry.run(|| self.resources.store.head_object(&self.object)).await;
        head.map_err(|error| self.failed(1, error))
    }

    /// Returns the size of the first part of an object whose checksum or ETag is a hash of hashes,
    /// if the store returns it.
    async fn part_size_bytes(&self, head: &ObjectHead) -> Option<u64> {
        if head.checksum.is_some() || MadeOfParts::of(head).is_none() {
            return None;
        }
        let part = self.resources.store.head_part(&self.object, PartNumber::MIN).await.ok()??;
        Some(part.size_bytes)
    }

    fn changed(&self, detail: String) -> Error {
        Error::ObjectChanged { object: self.object.clone(), detail }
    }

    fn failed(&self, attempts: u32, error: StoreError) -> Error {
        Error::Store {
            subject: (&self.object).into(),
            part: None,
            attempts,
            source: Box::new(error),
        }
    }
}

/// Returns whether this error makes the downloaded bytes useless.
fn is_final(error: &Error) -> bool {
    match error {
        Error::ObjectChanged { .. } | Error::Corrupt { .. } => true,
        Error::Store { source, .. } => source.kind == StoreErrorKind::NoSuchKey,
        _ => false,
    }
}

/// Aborts a task when dropped.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfetched> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| Unfetched::Failed(Error::Internal(error.to_string())))
}
