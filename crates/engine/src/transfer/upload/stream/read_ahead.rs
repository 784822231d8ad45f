//! Reads the next part of a stream while earlier parts are sent; each part has a pass of the gate.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use haul_parts::{GrowingPlan, PartNumber, PlannedPart};

use super::feed::Feed;
use super::held_limit::HeldLimit;
use super::window::{StreamSender, Window};
use crate::error::Error;
use crate::pace::{Gate, Pass};
use crate::transfer::upload::PartsLayout;
use crate::transfer::upload::part::PartSender;

/// The stream of an upload.
pub(crate) struct ReadAhead {
    window: Arc<Window>,
    /// `None` while a part is being read, and after a failure.
    feed: Option<Feed>,
    reading: Option<Reading>,
    /// Passes of parts that hold memory, or passes left by parts that held memory.
    kept: Vec<Pass>,
    limit: HeldLimit,
}

type Reading =
    Pin<Box<dyn Future<Output = (Feed, Pass, Result<Option<PlannedPart>, Error>)> + Send>>;

impl ReadAhead {
    /// Creates the reader of a stream whose first parts were read under `pass`.
    pub(super) fn new(feed: Feed, pass: Pass, limit: HeldLimit) -> Self {
        Self {
            window: Arc::clone(feed.window()),
            feed: Some(feed),
            reading: None,
            kept: vec![pass],
            limit,
        }
    }

    /// Returns true once the end of the stream has been read.
    pub(crate) fn has_ended(&self) -> bool {
        self.feed.as_ref().is_some_and(Feed::has_ended)
    }

    /// Returns the plan by which the stream is divided into parts.
    pub(crate) fn plan(&self) -> Option<GrowingPlan> {
        self.feed.as_ref().map(Feed::plan)
    }

    /// Returns whether an earlier run sent parts that lie beyond the end of this stream.
    pub(crate) fn ended_early(&self, layout: &PartsLayout) -> bool {
        self.window.stored().is_some_and(|stored| stored.reach_beyond(layout.part_count()))
    }

    /// Returns the size in bytes of the plan's first part.
    pub(crate) fn first_part_size_bytes(&self) -> u64 {
        self.feed.as_ref().map_or(0, Feed::first_part_size_bytes)
    }

    /// Returns the sender of the stream's parts, with one that reads from the window.
    pub(crate) fn sender(&self, sender: PartSender) -> StreamSender {
        StreamSender::new(sender, Arc::clone(&self.window))
    }

    /// Starts to read the next part, unless one is being read or enough parts are in memory.
    pub(crate) fn start_reading(&mut self, gate: &Gate) {
        if self.window.held_parts() >= self.limit.parts() {
            return;
        }
        let Some(mut feed) = self.feed.take() else { return };
        let entering = kept_or_new(self.kept.pop(), gate.clone());
        self.reading = Some(Box::pin(async move {
            let pass = entering.await;
            let read = feed.next().await;
            (feed, pass, read)
        }));
    }

    /// Waits for the part that is being read; `None`: the stream has ended. Never ready while no
    /// part is being read.
    async fn read(&mut self) -> Result<Option<PlannedPart>, Error> {
        let Some(reading) = &mut self.reading else { return std::future::pending().await };
        let (feed, pass, read) = reading.await;
        self.reading = None;
        let read = read?;
        if read.is_some() {
            self.kept.push(pass);
        }
        self.feed = Some(feed);
        Ok(read)
    }

    /// Records that a part is sent.
    pub(crate) fn sending(&mut self, number: PartNumber) {
        let held = self.window.held_parts();
        self.limit.started(number, held);
    }

    /// Drops a part that the store has acknowledged: its bytes are no longer needed.
    pub(crate) fn acknowledged(&mut self, part: PlannedPart, attempt: u32) {
        self.limit.arrived(part.number, attempt);
        self.window.forget(part);
    }

    /// Keeps the pass of a part that holds memory, because the pass must stay with the stream.
    pub(crate) fn keep(&mut self, pass: Pass) {
        self.kept.push(pass);
    }

    /// Stops reading. A read that does not return keeps its thread.
    pub(crate) fn stop(&mut self) {
        self.reading = None;
        self.feed = None;
        self.kept.clear();
    }
}

/// Waits for the next part of a stream; never ready if there is no stream.
pub(crate) async fn part_read(
    stream: &mut Option<ReadAhead>,
) -> Result<Option<PlannedPart>, Error> {
    match stream {
        Some(stream) => stream.read().await,
        None => std::future::pending().await,
    }
}

/// Returns a pass for a part that is ready: one that the stream kept, or one from the gate.
pub(crate) fn enter(
    stream: &mut Option<ReadAhead>,
    gate: Gate,
) -> impl Future<Output = Pass> + Send + use<> {
    kept_or_new(stream.as_mut().and_then(|stream| stream.kept.pop()), gate)
}

async fn kept_or_new(kept: Option<Pass>, gate: Gate) -> Pass {
    match kept {
        Some(pass) => pass,
        None => gate.enter().await,
    }
}
