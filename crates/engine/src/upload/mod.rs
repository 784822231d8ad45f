//! One upload from its first request to its last.
//!
//! The plan says which bytes are which part, [`schedule`] decides what happens next, [`driver`] carries it
//! out on a task of its own: whoever drops the [`Upload`] cancels it, and the task stays behind until
//! nothing is left at the store (P3). A dropped future cannot await; a task can.

mod abort;
mod complete;
mod driver;
mod options;
mod part;
pub mod schedule;
mod single;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use haul_parts::{ETag, PartPlan, UploadId};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::events::{EventSender, Events};
use crate::proof::ProofCount;
use crate::source::Source;
use crate::store::{ObjectRef, Store, Wire};

pub use options::{DEFAULT_CONCURRENCY, DEFAULT_MULTIPART_THRESHOLD_BYTES, UploadOptions};

/// What an upload came to.
#[derive(Clone, Debug)]
pub struct UploadReport {
    /// The object.
    pub object: ObjectRef,
    /// Its length.
    pub size_bytes: u64,
    /// As the store gave it.
    pub etag: ETag,
    /// 1 for a single PutObject.
    pub part_count: u32,
    /// `None` for a single PutObject.
    pub upload_id: Option<UploadId>,
    /// How the parts were proven.
    pub proof: ProofCount,
    /// The full-object checksum, `ALGORITHM value`, if there is one.
    pub checksum: Option<haul_parts::Checksum>,
}

/// How far an upload is; read it whenever you like.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    wire: Wire,
    arrived_bytes: Arc<AtomicU64>,
    parts_in_flight: Arc<AtomicU32>,
}

impl Progress {
    /// Bytes that left for the store, repeated attempts included: what the link carries.
    pub fn sent_bytes(&self) -> u64 {
        self.wire.sent_bytes()
    }

    /// Bytes of parts that the store has acknowledged: what will not be sent again.
    pub fn arrived_bytes(&self) -> u64 {
        self.arrived_bytes.load(Ordering::Relaxed)
    }

    /// Parts being sent now.
    pub fn parts_in_flight(&self) -> u32 {
        self.parts_in_flight.load(Ordering::Relaxed)
    }

    fn arrived(&self, bytes: u64) {
        self.arrived_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn set_parts_in_flight(&self, parts: u32) {
        self.parts_in_flight.store(parts, Ordering::Relaxed);
    }
}

/// A running upload. Await it for the report; drop it to cancel.
#[derive(Debug)]
pub struct Upload {
    task: JoinHandle<Result<UploadReport, Error>>,
    cancel: Cancel,
    events: Option<Events>,
    progress: Progress,
    finished: bool,
}

/// Cancels an upload from anywhere; clones cancel the same one.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Sender<bool>);

impl Cancel {
    /// Asks the upload to end: parts in flight are stopped, what is at the store is removed. The upload then
    /// answers [`Error::Cancelled`], unless it was complete already.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Upload {
    /// The events from the beginning; `None` when they were taken before.
    pub fn take_events(&mut self) -> Option<Events> {
        self.events.take()
    }

    /// A view of how far it is.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// A handle to cancel it with.
    pub fn canceller(&self) -> Cancel {
        self.cancel.clone()
    }
}

impl Future for Upload {
    type Output = Result<UploadReport, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(context).map(|ended| {
            self.finished = true;
            ended.unwrap_or_else(|error| Err(Error::Internal(error.to_string())))
        })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.finished {
            self.cancel.cancel();
        }
    }
}

/// What every step of one upload needs.
struct Job {
    store: Arc<dyn Store>,
    source: Arc<dyn Source>,
    object: ObjectRef,
    options: UploadOptions,
    events: EventSender,
    progress: Progress,
}

/// Uploads `source` as `object`. Must be called inside a tokio runtime.
///
/// Nothing is sent when the source cannot be planned. See [`Upload`] for cancelling.
pub fn upload(
    store: Arc<dyn Store>,
    source: impl Source,
    object: ObjectRef,
    options: UploadOptions,
) -> Upload {
    let (events, receiver) = EventSender::new();
    let progress = Progress::default();
    let (cancel, cancelled) = watch::channel(false);
    let job = Job { store, source: Arc::new(source), object, options, events, progress: progress.clone() };
    Upload {
        task: tokio::spawn(run(job, cancelled)),
        cancel: Cancel(cancel),
        events: Some(receiver),
        progress,
        finished: false,
    }
}

async fn run(job: Job, cancelled: watch::Receiver<bool>) -> Result<UploadReport, Error> {
    let size_bytes = job.source.size_bytes();
    let one_piece = size_bytes == 0
        || (size_bytes < job.options.multipart_threshold_bytes
            && job.options.part_size_bytes.is_none_or(|part| part >= size_bytes));
    let plan = PartPlan::new(size_bytes, &job.options.limits, job.options.part_size_bytes)
        .map_err(|source| Error::Plan { source_name: job.source.name(), source })?;
    if one_piece { single::put(&job, cancelled).await } else { driver::drive(job, plan, cancelled).await }
}
