//! Uploads a stream: bytes that can be read once, in order, and whose length may be unknown.
//!
//! [`feed`] reads part after part as the growing plan requires; [`window`] keeps each part until
//! the store has acknowledged it, in memory or, above a quarter of the budget, in a file of
//! [`spool`]. [`read_ahead`] connects the two. Otherwise a stream uses the same lifecycle, driver
//! and proof as any other upload.
//!
//! Only a part that has a pass of the gate takes memory, and it keeps its pass until the store has
//! acknowledged it. So transfers of one engine cannot deadlock, with one holding the memory that
//! another needs while the other holds the passes.

mod continued;
mod feed;
mod held_limit;
mod options;
mod read_ahead;
mod spool;
mod stored_parts;
mod window;

use std::io::Read;
use std::sync::Arc;

use haul_parts::PlannedPart;

use self::feed::Feed;
use self::held_limit::HeldLimit;
use self::window::Window;
use super::context::Context;
use super::driver::{self, RunOutcome};
use super::journal_handle::JournalHandle;
use super::lost_create::LostCreates;
use super::part::{self, ReadBytes};
use super::preflight_stop::PreflightStop;
use super::remembered::Remembered;
use super::round_trip::HeldParts;
use super::start::{Start, check_condition};
use super::{UploadReport, abort_until_gone, earlier, single};
use crate::body::Range;
use crate::error::Error;
use crate::pace::{Pass, Resources};
use crate::remote::ObjectRef;
use crate::source::{Source, SourceRecord};
use crate::transfer::{Line, StopSignal, Transfer};

pub(super) use continued::EarlierStream;
pub use options::{DEFAULT_SPOOL_DIR, StreamOptions};
pub(super) use read_ahead::{ReadAhead, enter, part_read};

/// Starts an upload of the bytes of `reader` as `object`.
pub(crate) fn start(
    resources: &Resources,
    reader: Box<dyn Read + Send>,
    object: ObjectRef,
    options: StreamOptions,
) -> Transfer<UploadReport> {
    Transfer::start(resources, |line| {
        let Line { events, progress, stop } = line;
        if let Some(size_bytes) = options.size_bytes {
            progress.set_size(size_bytes);
        }
        let upload = options.upload.clone();
        let context = Context {
            resources: resources.clone(),
            source: Arc::new(Window::new(options.name.clone(), upload.checksum)),
            maker: None,
            object,
            options: upload,
            events,
            progress,
        };
        run(context, reader, options, stop)
    })
}

async fn run(
    mut context: Context,
    reader: Box<dyn Read + Send>,
    mut options: StreamOptions,
    stop: StopSignal,
) -> Result<UploadReport, Error> {
    let profile = context.store().profile();
    options.upload.check_checksum(&profile)?;
    options.upload.adapt(&profile);
    context.options = options.upload;
    context.adapt_to_round_trip(HeldParts::Always, &stop).await;
    options.upload = context.options.clone();
    if let Some(name) = context.options.attributes.impossible_name() {
        return Err(Error::MetadataName { name: name.to_owned() });
    }
    options.plan().map_err(|source| Error::Plan { source_name: options.name.clone(), source })?;
    let record = SourceRecord::Stream(options.record());
    let (mut journal, records) = JournalHandle::open(&context, &record)?;
    let remembered = Remembered::fold(records);
    let stopped = PreflightStop::of(remembered.as_ref());
    let is_new = remembered.is_none();
    let mut preparing_signal = stop.clone();
    let prepared = tokio::select! {
        prepared = prepare(&mut context, remembered, &mut journal, reader, &options) => prepared,
        request = preparing_signal.stronger() => {
            return Err(stopped.end(context, journal, request).await);
        }
    };
    let start = match prepared {
        Ok(Prepared::Parts(start)) => *start,
        Ok(Prepared::OnePiece { pass, bytes, creates }) => {
            earlier::forget(&context, journal, &creates).await;
            context.progress.set_size(bytes.payload.size_bytes());
            return single::put_read(&context, pass, *bytes, stop).await;
        }
        Err(error) if is_new => {
            journal.forget(&context);
            return Err(error);
        }
        Err(error) => return Err(stopped.failed(&context, &mut journal, error)),
    };
    start.remember(&context, &mut journal)?;
    in_parts(context, start, journal, stop).await
}

/// The result of the preparation.
enum Prepared {
    OnePiece { pass: Pass, bytes: Box<ReadBytes>, creates: LostCreates },
    Parts(Box<Start>),
}

/// Finds the upload that an earlier run left, and reads the beginning of the stream.
async fn prepare(
    context: &mut Context,
    remembered: Option<Remembered>,
    journal: &mut JournalHandle,
    reader: Box<dyn Read + Send>,
    options: &StreamOptions,
) -> Result<Prepared, Error> {
    if let Some(remembered) = &remembered {
        remembered.check_attributes(context, journal)?;
    }
    let creates = remembered.as_ref().map(Remembered::creates).unwrap_or_default();
    let news = remembered.as_ref().is_some_and(|remembered| remembered.bind(&mut context.options));
    let recorded = remembered.as_ref().and_then(|it| it.beginning.plan.growing());
    let continued = continued::find(context, remembered).await?;
    // A restarted upload uses the part size that this run requests.
    let plan = match recorded.filter(|_| continued.is_some()) {
        Some(plan) => plan,
        None => options
            .plan()
            .map_err(|source| Error::Plan { source_name: options.name.clone(), source })?,
    };
    let (earlier, stored) = continued.unzip();
    if earlier.is_some() && news {
        journal.conditions(&context.options)?;
    }
    let mut window = Window::new(options.name.clone(), context.options.checksum);
    if context.options.journal.is_some() {
        window = window.of_journal(options.record(), stored);
    }
    let window = Arc::new(window);
    context.source = Arc::clone(&window) as Arc<dyn Source>;
    let mut feed = Feed::new(context, reader, plan, options, Arc::clone(&window));
    if let Some(length_bytes) = options.size_bytes.or(options.expected_size_bytes) {
        feed.check_spool(length_bytes)?;
    }
    check_condition(context).await?;
    let pass = context.resources.gate.enter().await;
    let mut parts = vec![];
    let begun = begin(context, &mut feed, &mut parts).await?;
    if begun == Beginning::OnePiece {
        // An upload in parts that an earlier run began is given up; an empty stream has no parts.
        if let Some(earlier) = &earlier {
            let patience = context.options.abort_patience;
            abort_until_gone(context.store().as_ref(), &earlier.upload, patience)
                .await
                .map_err(|error| Error::of_store(&context.object, error))?;
        }
        let bytes = Box::new(whole(context, &window).await?);
        return Ok(Prepared::OnePiece { pass, bytes, creates });
    }
    let limit = HeldLimit::new(
        feed.first_part_size_bytes(),
        &context.resources.gate,
        &context.resources.pool,
        context.progress.meter().clone(),
    );
    let start = Start::of_stream(ReadAhead::new(feed, pass, limit), parts, earlier, creates);
    Ok(Prepared::Parts(Box::new(start)))
}

async fn in_parts(
    context: Context,
    start: Start,
    journal: JournalHandle,
    stop: StopSignal,
) -> Result<UploadReport, Error> {
    let context = Arc::new(context);
    match driver::drive(&context, start, journal, stop).await? {
        RunOutcome::Done(report) => Ok(*report),
        // The store has lost the sent parts, and they cannot be read again.
        RunOutcome::Restart { cause, journal, .. } => {
            journal.forget(&context);
            Err(cause.unwrap_or_else(|| Error::Restarted {
                object: context.object.clone(),
                times: 1,
                source: None,
            }))
        }
    }
}

/// The decision after the first parts of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// The stream has ended, and is short enough for one PutObject.
    OnePiece,
    InParts,
}

/// Reads parts until it is known whether the stream is shorter than the threshold.
async fn begin(
    context: &Context,
    feed: &mut Feed,
    parts: &mut Vec<PlannedPart>,
) -> Result<Beginning, Error> {
    let options = &context.options;
    let threshold_bytes =
        options.multipart_threshold_bytes.min(options.part_size_bytes.unwrap_or(u64::MAX));
    // These parts share one pass, so their number is limited to leave memory for other transfers.
    let room_bytes = context.resources.pool.budget_bytes() / 2;
    loop {
        let read = feed.next().await?;
        parts.extend(read);
        let offset_bytes = feed.offset_bytes();
        if read.is_none() || feed.has_ended() {
            // An object put in one request is visible before it can be verified, so the stream is
            // sent in parts if proof is required.
            let short = offset_bytes < threshold_bytes && !options.require_proof;
            return Ok(if short || offset_bytes == 0 {
                Beginning::OnePiece
            } else {
                Beginning::InParts
            });
        }
        let next_bytes = feed.next_part().map_or(0, |part| part.size_bytes);
        if offset_bytes >= threshold_bytes || offset_bytes + next_bytes > room_bytes {
            return Ok(Beginning::InParts);
        }
    }
}

/// Returns all bytes of a stream that has ended.
async fn whole(context: &Context, window: &Arc<Window>) -> Result<ReadBytes, Error> {
    if let Some(bytes) = window.only() {
        return Ok(bytes);
    }
    let source = Arc::clone(window) as Arc<dyn Source>;
    let range = Range { size_bytes: source.size_bytes(), source, offset_bytes: 0 };
    part::read(range, &context.resources.pool, context.options.checksum, true).await
}
