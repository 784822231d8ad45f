//! Uploads a stream: bytes that can be read once, in order, and whose length may be unknown.
//!
//! [`feed`] reads part after part, as long as the growing plan wants them; [`window`] keeps each
//! until the store has acknowledged it, in memory or, above a quarter of the budget, in a file of
//! [`spool`]. Everything else is an upload like any other: the same lifecycle, driver and proof.
//! [`read_ahead`] stands between the two.
//!
//! Memory is taken only by a part that has a pass of the gate, and such a part keeps its pass until
//! the store has acknowledged it. So transfers of one engine cannot wait for each other in a
//! circle: one with the memory that another needs, the other with its passes.

mod feed;
mod options;
mod read_ahead;
mod spool;
mod window;

use std::io::Read;
use std::sync::Arc;

use haul_parts::PlannedPart;

use self::feed::Feed;
use self::window::Window;
use super::context::Context;
use super::driver::{self, RunOutcome};
use super::journal_handle::JournalHandle;
use super::part::{self, ReadBytes};
use super::start::{Start, check_condition};
use super::{UploadReport, single};
use crate::body::Range;
use crate::error::Error;
use crate::pace::Resources;
use crate::remote::ObjectRef;
use crate::source::Source;
use crate::transfer::{Line, StopSignal, Transfer};

pub use options::{DEFAULT_SPOOL_DIR, StreamOptions};
pub(super) use read_ahead::{ReadAhead, enter, part_read};

/// Starts an upload of what `reader` gives as `object`.
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
        let window = Arc::new(Window::new(options.name.clone(), options.upload.checksum));
        let upload = super::UploadOptions { journal: None, ..options.upload.clone() };
        let source = Arc::clone(&window) as Arc<dyn Source>;
        let context = Context {
            resources: resources.clone(),
            source,
            maker: None,
            object,
            options: upload,
            events,
            progress,
        };
        run(context, reader, options, window, stop)
    })
}

async fn run(
    context: Context,
    reader: Box<dyn Read + Send>,
    options: StreamOptions,
    window: Arc<Window>,
    mut stop: StopSignal,
) -> Result<UploadReport, Error> {
    if let Some(name) = context.options.attributes.impossible_name() {
        return Err(Error::MetadataName { name: name.to_owned() });
    }
    let plan = options
        .plan()
        .map_err(|source| Error::Plan { source_name: options.name.clone(), source })?;
    let mut feed = Feed::new(&context, reader, plan, &options, Arc::clone(&window));
    if options.size_bytes.or(options.expected_size_bytes).is_some() {
        feed.check_spool()?;
    }
    let cancelled = || Error::Cancelled { object: context.object.clone() };
    let pass = tokio::select! {
        checked = check_condition(&context) => {
            checked?;
            tokio::select! {
                pass = context.resources.gate.enter() => pass,
                _ = stop.stronger() => return Err(cancelled()),
            }
        }
        _ = stop.stronger() => return Err(cancelled()),
    };
    let mut parts = vec![];
    let begun = tokio::select! {
        begun = begin(&context, &mut feed, &mut parts) => begun?,
        _ = stop.stronger() => return Err(cancelled()),
    };
    if begun == Beginning::OnePiece {
        let bytes = tokio::select! {
            bytes = whole(&context, &window) => bytes?,
            _ = stop.stronger() => return Err(cancelled()),
        };
        context.progress.set_size(bytes.payload.size_bytes());
        return single::put_read(&context, pass, bytes, stop).await;
    }
    let start = Start::of_stream(ReadAhead::new(feed, pass), parts);
    in_parts(context, start, stop).await
}

async fn in_parts(context: Context, start: Start, stop: StopSignal) -> Result<UploadReport, Error> {
    let context = Arc::new(context);
    match driver::drive(&context, start, JournalHandle::default(), stop).await? {
        RunOutcome::Done(report) => Ok(*report),
        // What was sent is gone at the store, and cannot be read again.
        RunOutcome::Restart { cause, .. } => Err(cause.unwrap_or_else(|| Error::Restarted {
            object: context.object.clone(),
            times: 1,
            source: None,
        })),
    }
}

/// What the beginning of a stream decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// It has ended, and is short enough for one PutObject.
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
    // These parts share one pass, so no more of them are read than leave room for the parts of
    // others.
    let room_bytes = context.resources.pool.budget_bytes() / 2;
    loop {
        let read = feed.next().await?;
        parts.extend(read);
        let offset_bytes = feed.offset_bytes();
        if read.is_none() || feed.has_ended() {
            // What is put in one piece is visible before it can be judged: with proof demanded it
            // gets parts.
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

/// Everything that was read, of a stream that has ended.
async fn whole(context: &Context, window: &Arc<Window>) -> Result<ReadBytes, Error> {
    if let Some(bytes) = window.only() {
        return Ok(bytes);
    }
    let source = Arc::clone(window) as Arc<dyn Source>;
    let range = Range { size_bytes: source.size_bytes(), source, offset_bytes: 0 };
    part::read(range, &context.resources.pool, context.options.checksum, true).await
}
