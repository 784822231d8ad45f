//! The way back: one plain stream into a file, verified by whatever the store gives to verify with.
//!
//! The bytes go into a temporary file beside the target, which takes the target's name only when everything
//! arrived and agreed; a pipe or a device is written in order and never replaced. A connection that breaks is
//! continued at the byte where it broke, of the same version of the object or not at all.

mod place;
mod target;
mod temporary;
mod verify;
mod version;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use haul_parts::PartNumber;

use self::place::Place;
use self::target::Target;
use self::verify::Verifier;
use self::version::Version;
use super::{Line, Progress, Transfer};
use crate::error::Error;
use crate::pace::{Failure, Resources};
use crate::remote::{GetRequest, ObjectHead, ObjectRef, Operation, StoreError, StoreErrorKind};

pub use verify::Verified;

/// How long the end of a body is waited for when every byte of the object is here.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// How to download. Construct with `..Default::default()`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DownloadOptions {}

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
    target: PathBuf,
    options: DownloadOptions,
) -> Transfer<DownloadReport> {
    Transfer::start(resources, |line| {
        let Line { progress, mut stop, .. } = line;
        let DownloadOptions {} = options;
        let context = Context { resources: resources.clone(), object, path: target, progress };
        async move {
            let cancelled = Error::Cancelled { object: context.object.to_string() };
            tokio::select! {
                report = context.run() => report,
                // The temporary file goes with what is dropped here.
                _ = stop.stronger() => Err(cancelled),
            }
        }
    })
}

/// What every step of one download needs.
struct Context {
    resources: Resources,
    object: ObjectRef,
    path: PathBuf,
    progress: Progress,
}

impl Context {
    async fn run(self) -> Result<DownloadReport, Error> {
        let unwritable = |source| Error::TargetUnwritable { path: self.path.clone(), source };
        // What cannot be written is refused before the store is asked.
        let place = Place::find(&self.path).map_err(unwritable)?;
        let mut version = Version::of(self.head().await?);
        self.progress.set_size(version.size_bytes());
        let part_size_bytes = self.part_size_bytes(version.head()).await;
        let verifier = Verifier::new(version.head(), part_size_bytes);
        let mut target = Target::open(&self.path, place, verifier).await?;
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
            tries = if target.written_bytes() > before { 1 } else { tries + 1 };
            let wait = self.resources.retry.wait(tries, &Failure::from(&error), &mut rand::rng());
            let paid = tries == 1 || self.resources.budget.pay();
            let Some(wait) = wait.filter(|_| paid) else { return Err(self.failed(tries, error)) };
            tokio::time::sleep(wait).await;
        }
        let size_bytes = target.written_bytes();
        let verified = target.publish(&self.object, version.size_bytes()).await?;
        Ok(DownloadReport { object: self.object, target: self.path, size_bytes, verified })
    }

    async fn head(&self) -> Result<ObjectHead, Error> {
        let head = self.resources.retry.run(|| self.resources.store.head_object(&self.object)).await;
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

    /// The store refused `If-Match`: either the object is another version, or ETags do not survive the way to it.
    async fn settle_refused_if_match(&self, version: &mut Version) -> Result<(), Error> {
        let now = self.head().await?;
        version.agrees(&now).map_err(|detail| self.changed(detail))?;
        version.stop_naming_the_etag();
        Ok(())
    }

    /// Streams from where the file ends to the end of the object. The outer error is final, the inner one perhaps not.
    async fn stream(&self, version: &Version, target: &mut Target) -> Result<Result<(), StoreError>, Error> {
        let request = GetRequest { offset_bytes: target.written_bytes(), if_match: version.if_match() };
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
        // Everything that was announced is here. A store that sends more is not to be believed about the rest either,
        // but need not be waited for.
        match tokio::time::timeout(END_PATIENCE, body.bytes.next()).await {
            Ok(Some(Ok(more))) if !more.is_empty() => Err(self.too_long(version, target)),
            _ => Ok(Ok(())),
        }
    }

    async fn take(&self, bytes: Bytes, version: &Version, target: &mut Target) -> Result<(), Error> {
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
        Error::Store { object: self.object.to_string(), part: None, attempts, source: Box::new(error) }
    }
}

/// A body that ends properly, but before the object does: no reason to ask again without a pause.
fn ended_early(arrived_bytes: u64, size_bytes: u64) -> StoreError {
    let message = format!("the body ended after {arrived_bytes} of {size_bytes} bytes");
    StoreError::local(Operation::GetObject, StoreErrorKind::Connection, message)
}
