//! Runs one upload from its first request to its last.
//!
//! The plan assigns bytes to parts, [`Lifecycle`](super::lifecycle::Lifecycle) decides the next
//! step, and [`driver`] carries it out on its own task. A caller that drops the [`Transfer`]
//! cancels the upload, and the task runs until nothing is left at the store (P3): a dropped future
//! cannot await anything, but a task can. With a journal ([`journal_handle`]), an interrupted
//! upload can be resumed ([`resume`]), and dropping pauses it instead.

mod abandon;
mod abort;
mod adoption;
mod at_store;
mod complete;
mod context;
mod driver;
mod dropped;
mod earlier;
mod expiry;
mod finisher;
mod hedged;
mod journal_handle;
mod landed;
mod layout;
mod lost_create;
mod options;
mod part;
mod part_maker;
mod preflight_stop;
mod receipt;
mod related;
mod remembered;
mod resume;
mod round_trip;
mod single;
mod start;
pub mod stream;
mod streamed;

use std::sync::Arc;

use haul_parts::{ETag, PartPlan, UploadId};

use self::driver::{RunOutcome, Start};
use self::finisher::Finisher;
use self::journal_handle::JournalHandle;
pub(crate) use self::layout::PartsLayout;
use self::lost_create::LostCreates;
use self::preflight_stop::PreflightStop;
use self::remembered::Remembered;
use self::resume::Resumption;
use self::round_trip::HeldParts;
use super::{Line, MTIME_METADATA, StopSignal, Transfer};
use crate::error::Error;
use crate::event::Event;
use crate::pace::Resources;
use crate::proof::{ProofCount, WholeProof};
use crate::remote::{ObjectRef, StoreErrorKind};
use crate::source::Source;

pub use abandon::{Abandoned, abandon};
pub(crate) use abort::abort_until_gone;
pub(crate) use at_store::warn_of_condition;
pub(crate) use complete::{TOKEN_METADATA, full_object};
use context::Context;
pub(crate) use context::Context as UploadContext;
pub(crate) use lost_create::unheard_warning;
pub use options::{
    DEFAULT_MULTIPART_THRESHOLD_BYTES, JournalChoice, JournalOptions, OnChange, Unfinished,
    UploadOptions,
};
pub(crate) use part_maker::{EarlierPart, PartMaker};
pub use receipt::ReportedPart;
pub(crate) use start::check_condition_of;

/// The result of a finished upload.
#[derive(Clone, Debug)]
pub struct UploadReport {
    /// The object that was written.
    pub object: ObjectRef,
    /// The length of the object in bytes.
    pub size_bytes: u64,
    /// The ETag that the store returned.
    pub etag: ETag,
    /// Number of parts; 1 for a single PutObject.
    pub part_count: u32,
    /// The id of the multipart upload; `None` for a single PutObject.
    pub upload_id: Option<UploadId>,
    /// How many parts were proven, and by which evidence.
    pub proof: ProofCount,
    /// How the whole object was verified.
    pub whole: WholeProof,
    /// Bytes that an earlier run had sent.
    pub resumed_bytes: u64,
    /// The full-object checksum (`ALGORITHM value` as text), if there is one.
    pub checksum: Option<haul_parts::Checksum>,
    /// Every part in order; the object itself if it was put in one request. Empty if an earlier run
    /// completed the upload and its journal lost the parts.
    pub parts: Vec<ReportedPart>,
}

/// Starts an upload of `source` as `object` with the shared resources of an engine.
pub(crate) fn start(
    resources: &Resources,
    source: Arc<dyn Source>,
    object: ObjectRef,
    options: UploadOptions,
) -> Transfer<UploadReport> {
    Transfer::start(resources, |line| {
        let Line { events, progress, stop } = line;
        progress.set_size(source.size_bytes());
        let resources = resources.clone();
        let maker = None;
        let context = Context { resources, source, maker, object, options, events, progress };
        async move {
            context.options.check_checksum(&context.store().profile())?;
            Box::pin(run(context, stop)).await
        }
    })
}

/// The metadata that clients of Haul add to what their callers request.
pub const OWN_METADATA: [&str; 2] = [TOKEN_METADATA, MTIME_METADATA];

/// The maximum number of restarts if the store repeatedly loses the upload.
const RESTARTS_MAX: u32 = 3;

/// The parts that a new upload would have, for use if no earlier run is continued.
struct Wanted {
    layout: PartsLayout,
    /// Whether the source is sent as one request if no earlier run is continued.
    one_piece: bool,
    /// Whether the parts follow from the length and the requested part size.
    by_length: bool,
}

/// Finds the upload that the journal records and, if requested, unrecorded uploads at the store.
async fn find_start(
    context: &mut Context,
    remembered: Option<Remembered>,
    wanted: &PartsLayout,
    journal: &mut JournalHandle,
) -> Result<Resumption, Error> {
    let remembered = resume::reconcile(context, remembered, wanted, journal).await?;
    match (context.options.unfinished, remembered) {
        (Unfinished::Adopt, Resumption::Restart(reason)) => {
            let adopted = adoption::adopt_best(context, journal, None).await?;
            Ok(adopted.unwrap_or(Resumption::Restart(reason)))
        }
        (Unfinished::Adopt, Resumption::GoOn(ours)) => {
            let adopted = adoption::adopt_best(context, journal, Some(&ours)).await?;
            Ok(adopted.unwrap_or(Resumption::GoOn(ours)))
        }
        (Unfinished::Report, Resumption::Restart(reason)) => {
            adoption::report_unfinished(context).await;
            Ok(Resumption::Restart(reason))
        }
        (_, remembered) => Ok(remembered),
    }
}

/// Uploads the source of `context`, in one request or in parts.
pub(crate) async fn run(mut context: Context, stop: StopSignal) -> Result<UploadReport, Error> {
    let size_bytes = context.source.size_bytes();
    let profile = context.store().profile();
    context.options.adapt(&profile);
    if context.in_parts() {
        context.adapt_to_round_trip(HeldParts::IfNotStreamed, &stop).await;
    }
    if let Some(name) = context.options.attributes.impossible_name() {
        return Err(Error::MetadataName { name: name.to_owned() });
    }
    let one_piece = !context.in_parts();
    let plan =
        PartPlan::new(size_bytes, &context.options.limits(), context.options.part_size_bytes)
            .map_err(|source| Error::Plan { source_name: context.source.name(), source })?;
    let adopt = context.options.unfinished == Unfinished::Adopt;
    // An unfinished upload in parts, from a time when the file was larger, may still be at the
    // store.
    if one_piece && (size_bytes == 0 || !adopt) && !journal_handle::remembers(&context) {
        return single::put(&context, stop).await;
    }
    if size_bytes == 0 {
        earlier::give_up(&context).await?;
        return single::put(&context, stop).await;
    }
    let wanted = Wanted { layout: PartsLayout::Planned(plan), one_piece, by_length: true };
    Box::pin(begin_or_continue(context, wanted, stop)).await
}

/// Uploads the parts of `layout` to make the object of `context`, whatever its size.
pub(crate) async fn make(
    context: Context,
    layout: PartsLayout,
    stop: StopSignal,
) -> Result<UploadReport, Error> {
    let wanted = Wanted { layout, one_piece: false, by_length: false };
    Box::pin(begin_or_continue(context, wanted, stop)).await
}

/// Continues an earlier run, or begins a new upload.
async fn begin_or_continue(
    mut context: Context,
    Wanted { mut layout, one_piece, by_length }: Wanted,
    stop: StopSignal,
) -> Result<UploadReport, Error> {
    let (mut journal, records) = match context.source.identity() {
        Some(source) => JournalHandle::open(&context, &source)?,
        None => {
            earlier::warn_of_no_journal(&context);
            Default::default()
        }
    };
    let remembered = Remembered::fold(records);
    if let Some(remembered) = &remembered {
        remembered.check_attributes(&context, &journal)?;
    }
    let creates = remembered.as_ref().map(Remembered::creates).unwrap_or_default();
    let news = remembered.as_ref().is_some_and(|remembered| remembered.bind(&mut context.options));
    if by_length {
        // A restart uses the part size that was requested originally.
        let part_size_bytes = context.options.part_size_bytes;
        let size_bytes = context.source.size_bytes();
        layout = PartPlan::new(size_bytes, &context.options.limits(), part_size_bytes)
            .map_or(layout, PartsLayout::Planned);
    }
    let stopped = PreflightStop::of(remembered.as_ref());
    let mut preflight_signal = stop.clone();
    let reconciled = tokio::select! {
        reconciled = find_start(&mut context, remembered, &layout, &mut journal) => match reconciled
        {
            Ok(reconciled) => reconciled,
            Err(error) => return Err(stopped.failed(&context, &mut journal, error)),
        },
        // Comparing parts with the source takes as long as reading it, so a stop must be able to
        // interrupt it.
        request = preflight_signal.stronger(), if !stopped.completing => {
            return Err(stopped.end(context, journal, request).await);
        }
    };
    let start = match reconciled {
        Resumption::Restart(reason) => {
            if let Some(reason) = reason {
                context.events.send(Event::Restarting { reason });
            }
            if one_piece {
                // The search found no upload that could be adopted.
                earlier::forget(&context, journal, &creates).await;
                return single::put(&context, stop).await;
            }
            if let Err(error) = start::check_condition(&context).await {
                earlier::forget(&context, journal, &creates).await;
                return Err(error);
            }
            Start::fresh(layout.clone(), creates.clone())
        }
        Resumption::GoOn(resumed) => {
            if news {
                journal.conditions(&context.options)?;
            }
            Start::resumed(*resumed, creates.clone())
        }
        Resumption::AlreadyDone(resumed, head, expected) => {
            dropped::restore(&context, Some(&head)).await;
            return Finisher::of_earlier(&context, journal, *resumed, &head, &expected);
        }
    };
    Box::pin(drive_to_the_end(context, (start, journal), layout, creates, stop)).await
}

/// Drives an upload to its end, and restarts it if the store lost it.
async fn drive_to_the_end(
    context: Context,
    (mut start, mut journal): (Start, JournalHandle),
    layout: PartsLayout,
    creates: LostCreates,
    stop: StopSignal,
) -> Result<UploadReport, Error> {
    let context = Arc::new(context);
    let mut last = None;
    for _ in 0..RESTARTS_MAX {
        start.remember(&context, &mut journal)?;
        match driver::drive(&context, start, journal, stop.clone()).await? {
            RunOutcome::Done(report) => return Ok(*report),
            RunOutcome::Restart { reason, journal: kept, cause } => {
                context.events.send(Event::Restarting { reason });
                (journal, last) = (kept, cause);
                start = Start::fresh(layout.clone(), creates.clone());
            }
        }
    }
    // Each upload was removed before the next was begun.
    journal.forget(&context);
    Err(match last {
        // Another client keeps writing first: the condition does not hold, which is not a failure
        // of the store.
        Some(Error::Store { source, subject, .. })
            if source.kind == StoreErrorKind::ConditionalConflict =>
        {
            Error::Store { subject, part: None, attempts: RESTARTS_MAX, source }
        }
        last => Error::Restarted {
            object: context.object.clone(),
            times: RESTARTS_MAX,
            source: last.map(Box::new),
        },
    })
}
