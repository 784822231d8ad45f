//! The way back: ranges in parallel into a file ([`ranged`], [`fetch`]), or one stream into a pipe
//! or a device ([`target`]), verified by whatever the store gives to verify with ([`verify`],
//! [`plan`]).
//!
//! The bytes go into a temporary file beside the target, which takes the target's name only when
//! everything arrived and agreed; a pipe or a device is written in order and never replaced. A
//! connection that breaks is continued at the byte where it broke, of the same version of the
//! object or not at all.

mod allocate;
pub(in crate::transfer) mod destination;
mod fetch;
mod frontier;
pub(in crate::transfer) mod modified;
mod plan;
mod ranged;
mod remembering;
mod target;
pub(in crate::transfer) mod temporary;
pub(in crate::transfer) mod verify;
pub(crate) mod version;

use std::collections::HashMap;
use std::fs::{File, Permissions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use haul_parts::{Checksum, PartNumber, PartPlan};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::allocate::allocate;
use self::destination::Destination;
use self::fetch::{Fetched, Fetcher};
use self::frontier::verify_in_order;
use self::plan::Proof;
use self::ranged::{Unfetched, fetch_all};
use self::remembering::{DownloadJournal, compare};
use self::target::Target;
use self::temporary::Temporary;
use self::verify::Verifier;
use self::version::Version;
use super::upload::JournalOptions;
use super::{Line, Progress, StopRequest, Transfer};
use crate::error::Error;
use crate::error_text::in_one_line;
use crate::event::EventSender;
use crate::pace::{Failure, Resources};
use crate::remote::{GetRequest, ObjectHead, ObjectRef, Operation, StoreError, StoreErrorKind};

pub use verify::Verified;

/// How long the end of a body is waited for when every byte of the object is here.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// How to download. Construct with `..Default::default()`.
#[derive(Clone, Debug, Default)]
pub struct DownloadOptions {
    /// Bytes of every range but the last; `None`: 8 MiB, or the size of the object's parts where
    /// its ETag is made of their MD5s. An object of one range is fetched in one stream.
    pub part_size_bytes: Option<u64>,
    /// Where to remember the download, so that it can be continued after a crash; `None`: nowhere,
    /// and what has arrived is removed when it stops. What is fetched in one stream is not
    /// remembered.
    pub journal: Option<JournalOptions>,
}

/// Where a download goes.
#[derive(Debug)]
pub enum DownloadTarget {
    /// A file that is replaced in one step, or a pipe or device that is written in order.
    Path(PathBuf),
    /// A file that is open already, such as standard output: written in order from where it stands,
    /// and not synced.
    Open {
        /// Open for writing.
        file: File,
        /// What messages call it.
        name: String,
    },
}

impl<P: Into<PathBuf>> From<P> for DownloadTarget {
    fn from(path: P) -> Self {
        Self::Path(path.into())
    }
}

/// What a download came to.
#[derive(Clone, Debug)]
pub struct DownloadReport {
    /// The object.
    pub object: ObjectRef,
    /// The file.
    pub target: PathBuf,
    /// Its length.
    pub size_bytes: u64,
    /// How it was verified.
    pub verified: Verified,
}

/// Starts a download of `object` into the file `target` over what an engine shares.
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
        };
        async move {
            let ended = tokio::select! {
                ended = context.run(open) => ended.map_err(End::Failed),
                // What is dropped here ends its requests, and removes a temporary file that no
                // journal remembers.
                request = stop.stronger() => Err(End::Stopped(request)),
            };
            ended.map_err(|end| context.end(end))
        }
    })
}

/// What every step of one download needs.
struct Context {
    resources: Resources,
    object: ObjectRef,
    path: PathBuf,
    options: DownloadOptions,
    events: EventSender,
    progress: Progress,
    /// The journal, once there is something to remember.
    journal: Mutex<Option<DownloadJournal>>,
}

/// How a run ended without a file.
enum End {
    Failed(Error),
    Stopped(StopRequest),
}

impl Context {
    async fn run(&self, open: Option<File>) -> Result<DownloadReport, Error> {
        // What cannot be written is refused before the store is asked.
        let destination = match open {
            Some(file) => Destination::Open(file),
            None => Destination::find(&self.path).map_err(|source| self.unwritable(source))?,
        };
        let version = Version::of(self.head().await?);
        if let Destination::File { path, .. } = &destination
            && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
        {
            std::fs::create_dir_all(parent).map_err(|source| self.unwritable(source))?;
        }
        self.progress.set_size(version.size_bytes());
        let part_size_bytes = self.part_size_bytes(version.head()).await;
        let planned = plan::plan(version.head(), part_size_bytes, self.options.part_size_bytes);
        let (Destination::File { path, permissions }, Some(planned)) = (&destination, planned)
        else {
            return self.in_one_stream(destination, version, part_size_bytes).await;
        };
        match self.in_pieces((path, permissions.as_ref()), &version, part_size_bytes, planned).await
        {
            Ok(report) => Ok(report),
            Err(Unfetched::Failed(error)) => Err(error),
            Err(Unfetched::NoRanges) => {
                // One stream has nothing that could be continued in ranges.
                if let Some(journal) = self.journal().take() {
                    journal.give_up();
                }
                self.progress.set_arrived(0);
                self.in_one_stream(destination, version, part_size_bytes).await
            }
        }
    }

    /// Fetches ranges at once, each to its destination in a temporary file.
    async fn in_pieces(
        &self,
        (path, permissions): (&Path, Option<&Permissions>),
        version: &Version,
        part_size_bytes: Option<u64>,
        (plan, proof): (PartPlan, Proof),
    ) -> Result<DownloadReport, Unfetched> {
        let failed = |source| Unfetched::Failed(self.unwritable(source));
        let head = version.head();
        let (remembered, recorded) = self.remember(path, head, plan).map_err(Unfetched::Failed)?;
        // The ranges of an earlier run need not be the parts that the store names now.
        let proof =
            if remembered != plan && proof == Proof::PartMd5s { Proof::InOrder } else { proof };
        let plan = remembered;
        let id = self.journal().as_ref().map(|journal| journal.id().to_owned());
        let opened = match &id {
            Some(id) => Temporary::remembered(path, id, permissions),
            None => Temporary::create(path, permissions),
        };
        if opened.is_err()
            && recorded.is_empty()
            && let Some(journal) = self.journal().take()
        {
            // Nothing has arrived, and nothing can: there is nothing to resume.
            journal.give_up();
        }
        let (temporary, file) = opened.map_err(failed)?;
        let file = Arc::new(file);
        let fetched = compare(&file, plan, recorded, &proof.algorithms(head)).await;
        self.progress.set_arrived(fetched.values().map(|range| range.size_bytes).sum());
        let to_allocate = Arc::clone(&file);
        let size_bytes = head.size_bytes;
        blocking(move || allocate(&to_allocate, size_bytes)).await?.map_err(failed)?;
        let fetcher = Arc::new(Fetcher::new(self, version.clone(), &file, proof));
        let (frontier, reached) = watch::channel(0);
        let verifier = Verifier::new(head, part_size_bytes);
        let in_order = (proof == Proof::InOrder).then(|| {
            let verified = verify_in_order(Arc::clone(&file), size_bytes, verifier, reached);
            AbortOnDrop(tokio::spawn(verified))
        });
        let arrived = |range: &Fetched| {
            if let Some(journal) = self.journal().as_mut() {
                journal.range(range);
            }
        };
        let pieces =
            fetch_all(&self.resources, &fetcher, plan, fetched, &self.events, &frontier, arrived)
                .await?;
        let corrupt =
            |detail| Unfetched::Failed(Error::Corrupt { object: self.object.clone(), detail });
        let verified = match in_order {
            Some(mut in_order) => {
                let ended = (&mut in_order.0)
                    .await
                    .map_err(|error| Unfetched::Failed(Error::Internal(error.to_string())))?;
                ended.map_err(failed)?.finish().map_err(corrupt)?
            }
            None => proof.of(&pieces, head).map_err(corrupt)?,
        };
        let modified = modified::of(head);
        blocking(move || {
            modified::set(&file, modified);
            file.sync_all()?;
            temporary.publish()
        })
        .await?
        .map_err(failed)?;
        if let Some(journal) = self.journal().take() {
            journal.done();
        }
        Ok(self.report(size_bytes, verified))
    }

    /// Opens the journal, if one is wanted, and gives the plan that holds and the ranges of an
    /// earlier run.
    fn remember(
        &self,
        path: &Path,
        head: &ObjectHead,
        plan: PartPlan,
    ) -> Result<(PartPlan, HashMap<PartNumber, Checksum>), Error> {
        let Some(options) = &self.options.journal else { return Ok((plan, HashMap::new())) };
        let (journal, plan, recorded) = DownloadJournal::open(self, options, path, head, plan)?;
        *self.journal() = Some(journal);
        Ok((plan, recorded))
    }

    /// What the caller hears of a run that ended without a file. What has arrived stays only where
    /// it can be of use.
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

    async fn in_one_stream(
        &self,
        destination: Destination,
        mut version: Version,
        part_size_bytes: Option<u64>,
    ) -> Result<DownloadReport, Error> {
        let verifier = Verifier::new(version.head(), part_size_bytes);
        let mut target = Target::open(&self.path, destination, verifier).await?;
        let mut tries = 0;
        while target.written_bytes() < version.size_bytes() {
            let before = target.written_bytes();
            let pass = self.resources.gate.enter().await;
            let Err(error) = self.stream(&version, &mut target).await? else {
                pass.succeeded();
                break;
            };
            if error.kind == StoreErrorKind::Throttled {
                pass.throttled();
            }
            drop(pass);
            if error.kind == StoreErrorKind::PreconditionFailed && version.if_match().is_some() {
                self.settle_refused_if_match(&mut version).await?;
                continue;
            }
            // There are no bytes from there on: perhaps the object is a shorter one now.
            if error.status == Some(416) {
                version.agrees(&self.head().await?).map_err(|detail| self.changed(detail))?;
            }
            // Every byte that arrives starts the count again, and nothing is paid for it.
            let moved = target.written_bytes() > before;
            tries = if moved { 1 } else { tries + 1 };
            let wait = self.resources.retry.wait(tries, &Failure::from(&error), &mut rand::rng());
            let wait = wait.filter(|_| moved || self.resources.budget.pay());
            let Some(wait) = wait else { return Err(self.failed(tries, error)) };
            tokio::time::sleep(wait).await;
        }
        let size_bytes = target.written_bytes();
        let modified = modified::of(version.head());
        let verified = target.publish(&self.object, version.size_bytes(), modified).await?;
        Ok(self.report(size_bytes, verified))
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

    /// Of an object whose ETag is a hash of hashes: the size of its first part, if the store tells.
    async fn part_size_bytes(&self, head: &ObjectHead) -> Option<u64> {
        if head.checksum.is_some() || head.etag.part_count().is_none() {
            return None;
        }
        let part = self.resources.store.head_part(&self.object, PartNumber::MIN).await.ok()??;
        Some(part.size_bytes)
    }

    /// The store refused `If-Match`: either the object is another version, or ETags do not survive
    /// the way to it.
    async fn settle_refused_if_match(&self, version: &mut Version) -> Result<(), Error> {
        let now = self.head().await?;
        version.agrees(&now).map_err(|detail| self.changed(detail))?;
        version.stop_naming_the_etag();
        Ok(())
    }

    /// Streams from where the file ends to the end of the object. The outer error is final, the
    /// inner one perhaps not.
    async fn stream(
        &self,
        version: &Version,
        target: &mut Target,
    ) -> Result<Result<(), StoreError>, Error> {
        let request = GetRequest {
            offset_bytes: target.written_bytes(),
            size_bytes: None,
            if_match: version.if_match(),
        };
        let mut body = match self.resources.store.get_object(&self.object, &request).await {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        version.is_of(&body).map_err(|detail| self.changed(detail))?;
        while target.given_bytes() < version.size_bytes() {
            match body.bytes.next().await {
                Some(Ok(bytes)) => self.take(bytes, version, target).await?,
                Some(Err(error)) => {
                    target.flush().await?;
                    return Ok(Err(error));
                }
                None => {
                    target.flush().await?;
                    return Ok(Err(ended_early(target.written_bytes(), version.size_bytes())));
                }
            }
        }
        target.flush().await?;
        // Everything that was announced is here. A store that sends more is not to be believed
        // about the rest either, but need not be waited for.
        match tokio::time::timeout(END_PATIENCE, body.bytes.next()).await {
            Ok(Some(Ok(more))) if !more.is_empty() => Err(self.too_long(version, target)),
            _ => Ok(Ok(())),
        }
    }

    async fn take(
        &self,
        bytes: Bytes,
        version: &Version,
        target: &mut Target,
    ) -> Result<(), Error> {
        let room = version.size_bytes() - target.given_bytes();
        if bytes.len() as u64 > room {
            return Err(self.too_long(version, target));
        }
        self.progress.meter().add(bytes.len() as u64);
        self.progress.arrived(bytes.len() as u64);
        target.push(bytes).await
    }

    fn too_long(&self, version: &Version, target: &Target) -> Error {
        let announced = version.size_bytes();
        target.corrupt(
            &self.object,
            format!("more arrives than the {announced} bytes that the store announced"),
        )
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

/// What has arrived is of no use after this.
fn is_final(error: &Error) -> bool {
    match error {
        Error::ObjectChanged { .. } | Error::Corrupt { .. } => true,
        Error::Store { source, .. } => source.kind == StoreErrorKind::NoSuchKey,
        _ => false,
    }
}

/// Ends a task with its owner.
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

/// A body that ends properly, but before the object does: no reason to ask again without a pause.
fn ended_early(arrived_bytes: u64, size_bytes: u64) -> StoreError {
    let message = format!("the body ended after {arrived_bytes} of {size_bytes} bytes");
    StoreError::local(Operation::GetObject, StoreErrorKind::Connection, message)
}
