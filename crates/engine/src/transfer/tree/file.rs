//! Transfers one file of a tree: uploads it, downloads it, or copies it from store to store.
//!
//! This uses the code for single files. Short files get no task, no journal and no HeadObject of
//! their own, because the listing contains what is needed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use haul_parts::ObjectRef;

use super::compare::{CompareBy, Direction};
use super::entry::{Entry, Place};
use super::landing::Landing;
use super::leftovers::Leftovers;
use super::look::Look;
use super::{TreeOptions, TreeTarget};
use crate::error::Error;
use crate::event::EventSender;
use crate::journal::{Fingerprint, JournalFolder};
use crate::pace::{FailedAttempt, Resources, Success};
use crate::remote::{GetRequest, ObjectBody, Operation, Store, StoreError, StoreErrorKind};
use crate::source::{FileIdentity, FileSource, HeldFile, Source, settled};
use crate::transfer::copy::{self, CopyProof};
use crate::transfer::download::destination::Destination;
use crate::transfer::download::temporary::Temporary;
use crate::transfer::download::verify::{BodyVerifier, Verified};
use crate::transfer::download::{self, modified};
use crate::transfer::mtime::{MTIME_METADATA, mtime_value};
use crate::transfer::upload::{self, JournalChoice, JournalOptions, UploadContext};
use crate::transfer::{Progress, StopSignal, Transfer};
use crate::verify::Verifier;

/// The maximum length of files that are read, and objects that are written, in one step.
const HELD_MAX_BYTES: u64 = 256 * 1024;

/// The state that all files of a tree share.
pub(super) struct Shared {
    /// The resources of the target's store; for a download, those of the source's store.
    pub(super) resources: Resources,
    pub(super) direction: Direction,
    pub(super) target: TreeTarget,
    pub(super) source_bucket: Option<haul_parts::Bucket>,
    pub(super) options: TreeOptions,
    pub(super) events: EventSender,
    pub(super) progress: Progress,
    pub(super) stop: StopSignal,
    pub(super) landing: Landing,
    pub(super) leftovers: Arc<Leftovers>,
    /// Compares files with the objects of their store by content.
    pub(super) verifier: Verifier,
    /// Whether there are journals of unfinished uploads: a short file may have one too.
    pub(super) has_journals: bool,
}

/// A file to copy.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) entry: Entry,
    pub(super) to: To,
    pub(super) look: Option<Look>,
    pub(super) fingerprint: Option<Fingerprint>,
}

/// The target of a file.
#[derive(Clone, Debug)]
pub(super) enum To {
    File(PathBuf),
    Object(ObjectRef),
}

/// A finished copy of one file.
pub(super) struct Copied {
    /// Whether the copied bytes are proven to be those of the source.
    pub(super) proven: bool,
    /// The version of the file that was read.
    pub(super) read: Option<FileIdentity>,
}

impl Shared {
    /// Returns whether an upload of this file is unfinished: only its journal shows what was sent.
    pub(super) fn is_unfinished(&self, entry: &Entry, to: &To) -> bool {
        match (&entry.place, to, &self.options.journal) {
            (Place::File(path), To::Object(object), Some(journal)) if self.has_journals => {
                journal.folder.has(&self.upload_id(journal, path, object))
            }
            _ => false,
        }
    }

    /// Returns the id of an upload's journal.
    fn upload_id(&self, journal: &JournalOptions, path: &Path, object: &ObjectRef) -> String {
        let name = journal.store_name.clone();
        let store = name.unwrap_or_else(|| self.resources.store.endpoint());
        JournalFolder::upload_id(&settled(path), &store, object)
    }

    /// Returns the store that objects are read from.
    pub(super) fn source_store(&self) -> &Arc<dyn Store> {
        self.options.source_store.as_ref().unwrap_or(&self.resources.store)
    }
}

impl Work {
    /// Returns the source, for messages.
    pub(super) fn source(&self, shared: &Shared) -> String {
        match &self.entry.place {
            Place::File(path) => path.display().to_string(),
            Place::Object { key, .. } => match &shared.source_bucket {
                Some(bucket) => format!("s3://{bucket}/{key}"),
                None => key.to_string(),
            },
        }
    }

    /// Returns the target, for messages.
    pub(super) fn target(&self) -> String {
        match &self.to {
            To::File(path) => path.display().to_string(),
            To::Object(object) => object.to_string(),
        }
    }

    /// Returns the object that is read.
    pub(super) fn source_object(&self, shared: &Shared) -> Option<ObjectRef> {
        match (&self.entry.place, &shared.source_bucket) {
            (Place::Object { key, .. }, Some(bucket)) => {
                Some(ObjectRef { bucket: bucket.clone(), key: key.clone() })
            }
            _ => None,
        }
    }
}

/// Copies one file.
pub(super) async fn copy(shared: &Shared, work: &Work) -> Result<Copied, Error> {
    match (&work.entry.place, &work.to) {
        (Place::File(path), To::Object(object)) => {
            send(shared, &work.entry, path, object.clone()).await
        }
        (Place::Object { etag, .. }, To::File(path)) => {
            let Some(object) = work.source_object(shared) else { return Err(confused()) };
            let short = work.entry.size_bytes <= HELD_MAX_BYTES;
            let if_match = etag.as_ref().filter(|etag| etag.is_strong());
            if let (true, Some(if_match)) = (short, if_match)
                && let Some(copied) =
                    fetch_short(shared, &work.entry, &object, if_match, path).await?
            {
                return Ok(copied);
            }
            fetch(shared, work, object, path).await
        }
        (Place::Object { .. }, To::Object(object)) => {
            let Some(source) = work.source_object(shared) else { return Err(confused()) };
            between(shared, work, source, object.clone()).await
        }
        (Place::File(_), To::File(_)) => Err(confused()),
    }
}

fn confused() -> Error {
    Error::Internal("a tree has files on both sides of a copy".into())
}

async fn send(
    shared: &Shared,
    entry: &Entry,
    path: &Path,
    object: ObjectRef,
) -> Result<Copied, Error> {
    let short = entry.size_bytes <= HELD_MAX_BYTES;
    let opened = path.to_owned();
    let (source, identity) = blocking(move || open(&opened, short)).await?.map_err(Error::from)?;
    let mut options = shared.options.upload.clone();
    options.required = Some(options.attributes.clone());
    let attributes = &mut options.attributes;
    if attributes.content_type.is_none()
        && let Some(guess) = &shared.options.content_type
    {
        attributes.content_type = guess(object.key.as_str(), path);
    }
    if !attributes.metadata.contains_key(MTIME_METADATA)
        && let Some(value) = identity.modified_ns.and_then(|time| {
            mtime_value(SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(time))
        })
    {
        attributes.metadata.insert(MTIME_METADATA.into(), value);
    }
    if shared.options.compare == CompareBy::Absence {
        options.if_none_match = true;
    }
    let in_parts = options.in_parts(source.size_bytes());
    options.journal = match &shared.options.journal {
        Some(journal) if in_parts || shared.has_journals => {
            let choice = JournalChoice::Named(shared.upload_id(journal, path, &object));
            Some(JournalOptions { choice, ..journal.clone() })
        }
        _ => None,
    };
    let progress = shared.progress.of_file();
    let _shown = in_parts.then(|| {
        progress.set_size(source.size_bytes());
        shared.progress.show(&entry.name, &progress)
    });
    let context = UploadContext {
        resources: shared.resources.clone(),
        source,
        maker: None,
        object,
        options,
        events: shared.events.of_file(&entry.name),
        progress,
    };
    let report = Box::pin(upload::run(context, shared.stop.clone())).await?;
    Ok(Copied { proven: report.proof.unproven == 0, read: Some(identity) })
}

/// Opens a file, and reads it if it is short.
fn open(
    path: &Path,
    short: bool,
) -> Result<(Arc<dyn Source>, FileIdentity), crate::source::OpenError> {
    if short && let Some(held) = HeldFile::read(path, HELD_MAX_BYTES)? {
        let identity = held.file_identity().clone();
        return Ok((Arc::new(held), identity));
    }
    let file = FileSource::open(path)?;
    let identity = file.identity().clone();
    Ok((Arc::new(file), identity))
}

/// Downloads the listed version into memory with one GetObject, then writes it to a file. `None`:
/// the answer is unusual, and the download of a single file has to handle it.
async fn fetch_short(
    shared: &Shared,
    entry: &Entry,
    object: &ObjectRef,
    if_match: &haul_parts::ETag,
    path: &Path,
) -> Result<Option<Copied>, Error> {
    let found = Destination::find(path);
    let unwritable = |source| Error::TargetUnwritable { path: path.to_owned(), source };
    let permissions = match found.map_err(unwritable)? {
        Destination::File { permissions, .. } => permissions,
        _ => return Ok(None),
    };
    let request =
        GetRequest { offset_bytes: 0, size_bytes: None, if_match: Some(if_match.clone()) };
    let store = shared.source_store();
    let mut stop = shared.stop.clone();
    let mut pass = tokio::select! {
        pass = shared.resources.gate.enter() => pass,
        _ = stop.stronger() => return Err(cancelled(object)),
    };
    for attempt in 1.. {
        let got = tokio::select! {
            got = get(store.as_ref(), object, &request, entry.size_bytes) => got,
            _ = stop.stronger() => return Err(cancelled(object)),
        };
        let error = match got {
            Ok(Some((body, content))) => {
                pass.succeeded(Success::Short);
                shared.resources.budget.earn();
                let meter = shared.progress.meter();
                meter.add(content.len() as u64);
                meter.bandwidth().take(content.len() as u64).await;
                drop(pass);
                return write(shared, object, body, content, path, permissions).await.map(Some);
            }
            Ok(None) => return Ok(None),
            Err(error) => error,
        };
        if matches!(error.kind, StoreErrorKind::PreconditionFailed) || error.status == Some(416) {
            return Ok(None);
        }
        if error.kind == StoreErrorKind::Throttled {
            pass.throttled();
        }
        let resources = &shared.resources;
        let wait = resources.retry.wait(attempt, &FailedAttempt::from(&error), &mut rand::rng());
        let Some(wait) = wait.filter(|_| resources.budget.pay()) else {
            let (subject, source) = (object.clone().into(), Box::new(error));
            return Err(Error::Store { subject, part: None, attempts: attempt, source });
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.stronger() => return Err(cancelled(object)),
        }
        pass.restart();
    }
    unreachable!("the loop ends only by returning")
}

/// Makes one attempt; `None` if the answer does not have the listed length.
async fn get(
    store: &dyn Store,
    object: &ObjectRef,
    request: &GetRequest,
    size_bytes: u64,
) -> Result<Option<(ObjectBody, Vec<u8>)>, StoreError> {
    let mut body = store.get_object(object, request).await?;
    if body.announced_bytes.is_some_and(|announced| announced != size_bytes) {
        return Ok(None);
    }
    let mut content = vec![0; usize::try_from(size_bytes).unwrap_or(0)];
    let mut filled = 0;
    while filled < content.len() {
        match body.bytes.read(&mut content[filled..]).await? {
            0 => {
                let message = format!("the body ended after {filled} of {size_bytes} bytes");
                let kind = StoreErrorKind::Connection;
                return Err(StoreError::local(Operation::GetObject, kind, message));
            }
            count => filled += count,
        }
    }
    let is_longer = body.bytes.read(&mut [0]).await? > 0;
    Ok((!is_longer).then_some((body, content)))
}

async fn write(
    shared: &Shared,
    object: &ObjectRef,
    body: ObjectBody,
    content: Vec<u8>,
    path: &Path,
    permissions: Option<fs::Permissions>,
) -> Result<Copied, Error> {
    let head = body.head;
    let (target, leftovers) = (path.to_owned(), Arc::clone(&shared.leftovers));
    let written = blocking(move || {
        let mut verifier = BodyVerifier::new(&head, None);
        verifier.update(&content);
        let verified = match verifier.finish() {
            Ok(verified) => verified,
            Err(mismatch) => return Ok(Err(mismatch.detail)),
        };
        leftovers.remove_beside(&target);
        let created = match Temporary::create_in_searched(&target, permissions.as_ref()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                make_parent(&target)?;
                Temporary::create_in_searched(&target, permissions.as_ref())
            }
            created => created,
        };
        let (temporary, mut file) = created?;
        file.write_all(&content)?;
        modified::set(&file, modified::of(&head));
        Ok(Ok((verified, temporary, file)))
    });
    let written: std::io::Result<_> = written.await?;
    let unwritable = |source| Error::TargetUnwritable { path: path.to_owned(), source };
    let (verified, temporary, file) = written
        .map_err(unwritable)?
        .map_err(|detail| Error::Corrupt { object: object.clone(), detail })?;
    shared.landing.land(temporary, file, path.to_owned()).await?;
    Ok(Copied { proven: !matches!(verified, Verified::OnlySize(_)), read: None })
}

/// Creates the folder of a file and its parents.
fn make_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::create_dir_all(parent),
        _ => Ok(()),
    }
}

async fn fetch(
    shared: &Shared,
    work: &Work,
    object: ObjectRef,
    path: &Path,
) -> Result<Copied, Error> {
    let target = path.to_owned();
    let made = blocking(move || make_parent(&target)).await?;
    made.map_err(|source| Error::TargetUnwritable { path: path.to_owned(), source })?;
    let mut options = shared.options.download.clone();
    options.journal.clone_from(&shared.options.journal);
    if let Some(journal) = &mut options.journal {
        journal.choice = JournalChoice::OfSource;
    }
    let transfer = download::start(&shared.resources, object, path.to_owned().into(), options);
    let report = drive(shared, work, transfer).await?;
    Ok(Copied { proven: !matches!(report.verified, Verified::OnlySize(_)), read: None })
}

async fn between(
    shared: &Shared,
    work: &Work,
    source: ObjectRef,
    target: ObjectRef,
) -> Result<Copied, Error> {
    let elsewhere = shared.options.source_store.clone();
    let mut options = shared.options.copy.clone();
    if shared.options.compare == CompareBy::Absence {
        options.if_none_match = true;
    }
    // A shorter file has no parts, and a copy in one request needs no journal.
    let limits = options.limits.unwrap_or_else(|| shared.resources.store.profile().limits);
    if work.entry.size_bytes > limits.part_size_min_bytes {
        options.journal.clone_from(&shared.options.journal);
        if let Some(journal) = &mut options.journal {
            journal.choice = JournalChoice::OfSource;
        }
    }
    let transfer = copy::start(&shared.resources, elsewhere, source, target, options);
    let report = drive(shared, work, transfer).await?;
    Ok(Copied { proven: report.proof != CopyProof::Unproven, read: None })
}

/// Waits for the transfer of one file, and forwards a stop of the tree to it.
async fn drive<R>(shared: &Shared, work: &Work, mut transfer: Transfer<R>) -> Result<R, Error> {
    let progress = transfer.progress();
    let _shown = (work.entry.size_bytes > HELD_MAX_BYTES)
        .then(|| shared.progress.show(&work.entry.name, &progress));
    let mut events = transfer.take_events();
    let sender = shared.events.of_file(&work.entry.name);
    let mut stop = shared.stop.clone();
    let result = loop {
        let event = async {
            match &mut events {
                Some(events) => events.next().await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            request = stop.stronger() => transfer.stop(request),
            Some(event) = event => sender.send(event),
            result = &mut transfer => break result,
        }
    };
    shared.progress.meter().include(progress.moved_bytes());
    result
}

fn cancelled(object: &ObjectRef) -> Error {
    Error::Cancelled { object: object.clone() }
}

/// Runs `work` on a thread where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}
