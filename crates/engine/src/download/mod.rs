//! The way back: one plain stream into a file, verified by whatever the store gives to verify with.
//!
//! The bytes go into a temporary file beside the target, which takes the target's name only when everything
//! arrived and agreed. A connection that breaks is continued at the byte where it broke, of the same version
//! of the object (`If-Match`) or not at all.

mod target;
mod verify;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::StreamExt;
use haul_parts::PartNumber;
use tokio::task::JoinHandle;

use self::target::Target;
use self::verify::Verifier;
use crate::error::Error;
use crate::retry::{Failure, RetryPolicy};
use crate::store::{GetRequest, ObjectHead, ObjectRef, Store, StoreError};

pub use verify::Verified;

/// How to download. Construct with `..Default::default()`.
#[derive(Clone, Debug, Default)]
pub struct DownloadOptions {
    /// When and how often to try again; every byte that arrives starts the count anew.
    pub retry: RetryPolicy,
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

/// A running download. Await it for the report; drop it to cancel, which leaves no file behind.
#[derive(Debug)]
pub struct Download {
    task: JoinHandle<Result<DownloadReport, Error>>,
    object: ObjectRef,
    progress: DownloadProgress,
}

/// How far a download is.
#[derive(Clone, Debug, Default)]
pub struct DownloadProgress {
    arrived_bytes: Arc<AtomicU64>,
    size_bytes: Arc<AtomicU64>,
}

impl DownloadProgress {
    /// Bytes that arrived.
    pub fn arrived_bytes(&self) -> u64 {
        self.arrived_bytes.load(Ordering::Relaxed)
    }

    /// The whole object; 0 until the store has answered.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Relaxed)
    }
}

impl Download {
    /// A view of how far it is.
    pub fn progress(&self) -> DownloadProgress {
        self.progress.clone()
    }

    /// Ends it; awaited afterwards it answers [`Error::Cancelled`], and the temporary file is gone by then.
    pub fn cancel(&self) {
        self.task.abort();
    }
}

impl Future for Download {
    type Output = Result<DownloadReport, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = Pin::new(&mut self.task).poll(context);
        ended.map(|ended| {
            ended.unwrap_or_else(|error| match error.is_cancelled() {
                true => Err(Error::Cancelled { object: self.object.to_string() }),
                false => Err(Error::Internal(error.to_string())),
            })
        })
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Downloads `object` into the file `target`. Must be called inside a tokio runtime.
pub fn download(
    store: Arc<dyn Store>,
    object: ObjectRef,
    target: PathBuf,
    options: DownloadOptions,
) -> Download {
    let progress = DownloadProgress::default();
    let job = Job { store, object: object.clone(), path: target, options, progress: progress.clone() };
    Download { task: tokio::spawn(async move { job.run().await }), object, progress }
}

struct Job {
    store: Arc<dyn Store>,
    object: ObjectRef,
    path: PathBuf,
    options: DownloadOptions,
    progress: DownloadProgress,
}

impl Job {
    async fn run(self) -> Result<DownloadReport, Error> {
        let head = self.head().await?;
        self.progress.size_bytes.store(head.size_bytes, Ordering::Relaxed);
        let part_size_bytes = self.part_size_bytes(&head).await;
        let verifier = Verifier::new(&head, part_size_bytes);
        let mut target = Target::create(&self.path, verifier).await?;
        let mut tries = 0;
        while target.written_bytes() < head.size_bytes {
            let before = target.written_bytes();
            let Err(error) = self.stream(&head, &mut target).await? else { continue };
            tries = if target.written_bytes() > before { 1 } else { tries + 1 };
            let wait = self.options.retry.wait(tries, &Failure::from(&error), &mut rand::rng());
            let Some(wait) = wait else { return Err(self.failed(tries, error)) };
            tokio::time::sleep(wait).await;
        }
        let size_bytes = target.written_bytes();
        let verified = target.publish(&self.object, head.size_bytes).await?;
        Ok(DownloadReport { object: self.object, target: self.path, size_bytes, verified })
    }

    async fn head(&self) -> Result<ObjectHead, Error> {
        let head = self.options.retry.run(|| self.store.head_object(&self.object)).await;
        head.map_err(|error| self.failed(1, error))
    }

    /// Of an object whose ETag is a hash of hashes: the size of its first part, if the store tells.
    async fn part_size_bytes(&self, head: &ObjectHead) -> Option<u64> {
        if head.checksum.is_some() || head.etag.part_count().is_none() {
            return None;
        }
        let part = self.store.head_part(&self.object, PartNumber::MIN).await.ok()??;
        Some(part.size_bytes)
    }

    /// Streams from where the file ends. The outer error is final, the inner one perhaps not.
    async fn stream(&self, head: &ObjectHead, target: &mut Target) -> Result<Result<(), StoreError>, Error> {
        let request = GetRequest { offset_bytes: target.written_bytes(), if_match: Some(head.etag.clone()) };
        let mut body = match self.store.get_object(&self.object, &request).await {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        while let Some(bytes) = body.bytes.next().await {
            match bytes {
                Ok(bytes) => {
                    self.progress.arrived_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    target.push(bytes).await?;
                }
                Err(error) => {
                    target.flush().await?;
                    return Ok(Err(error));
                }
            }
        }
        target.flush().await?;
        Ok(Ok(()))
    }

    fn failed(&self, attempts: u32, error: StoreError) -> Error {
        Error::Store { object: self.object.to_string(), part: None, attempts, source: Box::new(error) }
    }
}
