//! One upload from its first request to its last.
//!
//! The plan says which bytes are which part, [`schedule`] decides what happens next, [`driver`] carries it
//! out on a task of its own: whoever drops the [`Upload`] cancels it, and the task stays behind until
//! nothing is left at the store (P3). A dropped future cannot await; a task can. With a journal ([`memory`]),
//! what stops can go on ([`resume`]), and dropping pauses instead of cancelling.

mod abandon;
mod abort;
mod adoption;
mod complete;
mod driver;
mod ending;
mod expiry;
mod interrupted;
mod landed;
mod lost_create;
mod memory;
mod options;
mod part;
mod related;
mod remembered;
mod resume;
pub mod schedule;
mod single;
mod start;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use haul_parts::{ETag, PartPlan, UploadId};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::driver::{Driven, Start};
use self::ending::Ending;
use self::interrupted::Stopped;
use self::lost_create::LostCreates;
use self::memory::Memory;
use self::remembered::Remembered;
use self::resume::Resumption;
use crate::error::Error;
use crate::event::{Event, EventSender, Events};
use crate::proof::{ProofCount, WholeProof};
use crate::remote::{Meter, ObjectRef, Store, StoreErrorKind};
use crate::source::{Change, Source};

pub use abandon::{Abandoned, abandon};
pub(crate) use abort::abort_until_gone;
pub use options::{
    DEFAULT_CONCURRENCY, DEFAULT_MULTIPART_THRESHOLD_BYTES, JournalChoice, JournalOptions, OnChange,
    Unfinished, UploadOptions,
};

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
    /// What the store says of the whole object.
    pub whole: WholeProof,
    /// Bytes that an earlier run had sent.
    pub resumed_bytes: u64,
    /// The full-object checksum, `ALGORITHM value`, if there is one.
    pub checksum: Option<haul_parts::Checksum>,
}

/// How far an upload is; read it whenever you like.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    wire: Meter,
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

    /// What an upload has that begins, or goes on: nothing of another one counts.
    fn set_arrived(&self, bytes: u64) {
        self.arrived_bytes.store(bytes, Ordering::Relaxed);
    }

    fn set_parts_in_flight(&self, parts: u32) {
        self.parts_in_flight.store(parts, Ordering::Relaxed);
    }
}

/// A running upload. Await it for the report. Dropped, it stops: with a journal it is paused, without one what
/// is at the store is removed.
#[derive(Debug)]
pub struct Upload {
    task: JoinHandle<Result<UploadReport, Error>>,
    cancel: Cancel,
    events: Option<Events>,
    progress: Progress,
    finished: bool,
}

/// What the caller wants of a running upload; a later wish may only be stronger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    #[default]
    GoOn,
    Pause,
    PauseNow,
    Abort,
}

/// Stops an upload from anywhere; clones stop the same one.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Sender<Wish>);

impl Cancel {
    /// Asks the upload to end: parts in flight are stopped, what is at the store is removed. The upload then
    /// answers [`Error::Cancelled`], unless it was complete already.
    pub fn cancel(&self) {
        self.wish(Wish::Abort);
    }

    /// Asks the upload to stop and be resumable: parts in flight may still arrive for
    /// [`UploadOptions::pause_grace`]. The upload then answers [`Error::Paused`]. Without a journal nobody
    /// could find it again: then this cancels.
    pub fn pause(&self) {
        self.wish(Wish::Pause);
    }

    /// As [`Cancel::pause`], without waiting for the parts in flight.
    pub fn pause_now(&self) {
        self.wish(Wish::PauseNow);
    }

    fn wish(&self, wish: Wish) {
        self.0.send_if_modified(|current| {
            let stronger = wish > *current;
            *current = wish.max(*current);
            stronger
        });
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

    /// A handle to stop it with.
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
            // With a journal this pauses; without one the driver makes it a cancel.
            self.cancel.pause_now();
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
    let (cancel, wishes) = watch::channel(Wish::GoOn);
    let job = Job { store, source: Arc::new(source), object, options, events, progress: progress.clone() };
    Upload {
        task: tokio::spawn(run(job, wishes)),
        cancel: Cancel(cancel),
        events: Some(receiver),
        progress,
        finished: false,
    }
}

/// An upload that the store loses again and again is not begun anew for ever.
const RESTARTS_MAX: u32 = 3;

/// What is remembered here, and, if that is wished, what is at the store and remembered by nobody.
async fn begin(
    job: &mut Job,
    remembered: Option<Remembered>,
    memory: &mut Memory,
) -> Result<Resumption, Error> {
    let remembered = resume::reconcile(job, remembered, memory).await?;
    match (job.options.unfinished, remembered) {
        (Unfinished::Adopt, Resumption::Anew(reason)) => {
            let adopted = adoption::adopt(job, memory, None).await?;
            Ok(adopted.unwrap_or(Resumption::Anew(reason)))
        }
        (Unfinished::Adopt, Resumption::GoOn(ours)) => {
            let adopted = adoption::adopt(job, memory, Some(&ours)).await?;
            Ok(adopted.unwrap_or(Resumption::GoOn(ours)))
        }
        (Unfinished::Tell, Resumption::Anew(reason)) => {
            adoption::tell(job).await;
            Ok(Resumption::Anew(reason))
        }
        (_, remembered) => Ok(remembered),
    }
}

async fn run(mut job: Job, mut wishes: watch::Receiver<Wish>) -> Result<UploadReport, Error> {
    let size_bytes = job.source.size_bytes();
    if let Some(name) = job.options.attributes.impossible_name() {
        return Err(Error::MetadataName { name: name.to_owned() });
    }
    // What is put in one piece is visible before it can be judged: who insists on proof gets parts.
    let one_piece = size_bytes == 0
        || (size_bytes < job.options.multipart_threshold_bytes
            && !job.options.require_proof
            && job.options.part_size_bytes.is_none_or(|part| part >= size_bytes));
    let plan = PartPlan::new(size_bytes, &job.options.limits, job.options.part_size_bytes)
        .map_err(|source| Error::Plan { source_name: job.source.name(), source })?;
    let adopt = job.options.unfinished == Unfinished::Adopt;
    // What was begun in parts while the file was larger may still be at the store.
    if one_piece && (size_bytes == 0 || !adopt) && !memory::remembers(&job) {
        return single::put(&job, wishes).await;
    }
    if size_bytes == 0 {
        give_up_earlier(&job).await?;
        return single::put(&job, wishes).await;
    }
    let (mut memory, records) = match job.source.identity() {
        Some(source) => Memory::open(&job, &source)?,
        None => {
            warn_of_no_journal(&job);
            Default::default()
        }
    };
    let remembered = Remembered::fold(records);
    let creates = remembered.as_ref().map(Remembered::creates).unwrap_or_default();
    let news = remembered.as_ref().is_some_and(|remembered| remembered.bind(&mut job.options));
    // If it has to begin again after all, it does so with the part size that was asked for at first.
    let plan = PartPlan::new(size_bytes, &job.options.limits, job.options.part_size_bytes).unwrap_or(plan);
    let stopped = Stopped::of(remembered.as_ref());
    let reconciled = tokio::select! {
        reconciled = begin(&mut job, remembered, &mut memory) => match reconciled {
            Ok(reconciled) => reconciled,
            Err(error) => return Err(stopped.failed(&job, &mut memory, error)),
        },
        // Comparing parts with the source takes as long as reading it.
        wish = driver::until_stronger(&mut wishes, Wish::GoOn), if !stopped.completing => {
            return Err(stopped.end(job, memory, wish).await);
        }
    };
    let mut start = match reconciled {
        Resumption::Anew(reason) => {
            if let Some(reason) = reason {
                job.events.send(Event::Restarting { reason });
            }
            if one_piece {
                // Nothing was found that could have been adopted.
                forget(&job, memory, &creates).await;
                return single::put(&job, wishes).await;
            }
            if let Err(error) = start::check_condition(&job).await {
                forget(&job, memory, &creates).await;
                return Err(error);
            }
            Start::anew(plan, creates.clone())
        }
        Resumption::GoOn(resumed) => {
            if news {
                memory.conditions(&job.options)?;
            }
            Start::resumed(*resumed, creates.clone())
        }
        Resumption::AlreadyDone(resumed, head, expected) => {
            return Ending::of_earlier(&job, memory, *resumed, &head, &expected);
        }
    };
    let job = Arc::new(job);
    let mut last = None;
    for _ in 0..RESTARTS_MAX {
        start.remember(&job, &mut memory)?;
        match driver::drive(&job, start, memory, wishes.clone()).await? {
            Driven::Done(report) => return Ok(*report),
            Driven::Restart { reason, memory: kept, cause } => {
                job.events.send(Event::Restarting { reason });
                (memory, last) = (kept, cause);
                start = Start::anew(plan, creates.clone());
            }
        }
    }
    // Each was removed before the next was begun.
    memory.forget(&job);
    Err(match last {
        // Somebody else is always quicker: that is the condition's answer, and no whim of the store.
        Some(Error::Store { source, object, .. }) if source.kind == StoreErrorKind::ConditionalConflict => {
            Error::Store { object, part: None, attempts: RESTARTS_MAX, source }
        }
        last => {
            Error::Restarted { object: job.object.clone(), times: RESTARTS_MAX, source: last.map(Box::new) }
        }
    })
}

/// A journal was asked for, and the source cannot have one.
fn warn_of_no_journal(job: &Job) {
    if job.options.journal.is_some() {
        let message = format!(
            "{} cannot be recognised by a later run: the upload has no journal, and is removed if it stops",
            job.source.name()
        );
        job.events.send(Event::Warning { message });
    }
}

/// Removes the journal of an upload that is not begun; first what tries to create it may have left whose answers were
/// not heard.
async fn forget(job: &Job, memory: Memory, creates: &LostCreates) {
    let (Some(journal), Some(id), true) =
        (&job.options.journal, memory.id().map(str::to_owned), creates.any())
    else {
        return memory.forget(job);
    };
    // Its lock is let go with it.
    drop(memory);
    let given_up = abandon(Arc::clone(&job.store), &journal.folder, &id).await;
    if matches!(given_up, Err(_) | Ok(Abandoned::Unclear(_))) {
        lost_create::say(job);
    }
}

/// An earlier run began it in parts; now there is nothing to make parts of.
async fn give_up_earlier(job: &Job) -> Result<(), Error> {
    let (Some(journal), Some(source)) = (&job.options.journal, job.source.identity()) else { return Ok(()) };
    let (memory, records) = Memory::open(job, &source)?;
    let Some(id) = memory.id().map(str::to_owned) else { return Ok(()) };
    if let Some(remembered) = Remembered::fold(records)
        && job.options.on_change == OnChange::Fail
    {
        let before_bytes = remembered.beginning.source.identity.size_bytes;
        let change = Change::Size { before_bytes, now_bytes: 0 };
        return Err(Error::SourceChangedSince { source_name: job.source.name(), change });
    }
    // Its lock is let go with it.
    drop(memory);
    if let Abandoned::Unclear(_) = abandon(Arc::clone(&job.store), &journal.folder, &id).await? {
        lost_create::say(job);
        return Ok(());
    }
    let reason = "the source is empty now: what had arrived of it was removed".into();
    job.events.send(Event::Restarting { reason });
    Ok(())
}
