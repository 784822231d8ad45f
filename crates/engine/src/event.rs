//! What happens during an upload, for progress displays, NDJSON and tests.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use haul_parts::{PartNumber, UploadId};
use jiff::Timestamp;
use serde::Serialize;

use crate::journal::Relation;
use crate::proof::{Proof, ProofCount};

/// One step of an upload. Durations are in milliseconds when serialised.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The plan stands; nothing was sent yet.
    Started {
        /// Where from.
        source: String,
        /// Where to.
        target: String,
        /// The whole object.
        size_bytes: u64,
        /// Of every part but the last; the whole size for a single PutObject.
        part_size_bytes: u64,
        /// 1 for a single PutObject.
        part_count: u32,
        /// False: one PutObject.
        multipart: bool,
    },
    /// A stream is uploaded in parts; nothing was sent yet.
    StreamStarted {
        /// Where from.
        source: String,
        /// Where to.
        target: String,
        /// The whole stream, where its length was promised.
        size_bytes: Option<u64>,
        /// Of the first part; those behind it may be larger.
        part_size_bytes: u64,
    },
    /// Parts of a stream no longer fit their share of the memory: from here on they are kept in
    /// files.
    Spooling {
        /// Where.
        folder: String,
        /// Of the first such part.
        part_size_bytes: u64,
    },
    /// An earlier run's upload goes on.
    Resumed {
        /// The store's name for it.
        upload_id: UploadId,
        /// The whole object.
        size_bytes: u64,
        /// What need not be sent again.
        arrived_bytes: u64,
        /// Parts that need not be sent again.
        arrived_parts: u32,
        /// Of these, parts that the journal did not know and that were compared with the source.
        adopted_parts: u32,
        /// Parts that were there but differ from the source as it is now.
        differing_parts: Vec<PartNumber>,
    },
    /// CreateMultipartUpload was answered.
    UploadCreated {
        /// The store's name for it.
        upload_id: UploadId,
    },
    /// A part arrived.
    PartSent {
        /// Which.
        part_number: PartNumber,
        /// Its size.
        size_bytes: u64,
        /// Which try succeeded, from 1.
        attempt: u32,
        /// How it is known to be right.
        proof: Proof,
    },
    /// A request failed and will be tried again.
    Retrying {
        /// What failed: a part's number, or none for Create, Complete and PutObject.
        part_number: Option<PartNumber>,
        /// Which try failed, from 1.
        attempt: u32,
        /// Until the next try.
        #[serde(rename = "wait_ms", serialize_with = "as_millis")]
        wait: Duration,
        /// What the store said.
        reason: String,
    },
    /// Every part is there; Complete was sent.
    Completing,
    /// The answer to Complete was lost; the object is being examined.
    InDoubt {
        /// What happened.
        reason: String,
    },
    /// The object is there.
    Completed {
        /// As the store gave it.
        etag: String,
        /// The whole object.
        size_bytes: u64,
        /// How it was proven.
        proof: ProofCount,
    },
    /// The upload failed or was cancelled; its parts are being removed.
    Aborting {
        /// Why.
        reason: String,
    },
    /// ListParts answered NoSuchUpload: nothing is left.
    Aborted,
    /// It stopped and can go on later.
    Paused {
        /// The journal's id.
        id: String,
        /// What need not be sent again.
        arrived_bytes: u64,
    },
    /// The store lost the upload or wants a new one: every part is sent again.
    Restarting {
        /// Why.
        reason: String,
    },
    /// Unfinished uploads of the key are at the store that no journal of this machine remembers.
    UnfinishedFound {
        /// How many; at least this many where the store has more than a page of them.
        count: usize,
        /// When the newest of them was begun.
        #[serde(serialize_with = "as_text")]
        initiated: Option<Timestamp>,
    },
    /// Another unfinished upload of this machine concerns this one: of the same key, or of the same
    /// file.
    RelatedJournal {
        /// Its journal.
        id: String,
        /// Why it concerns this one.
        relation: Relation,
        /// Where it comes from.
        source: String,
        /// Where it goes.
        target: String,
        /// At which store.
        store: String,
        /// Its whole object.
        size_bytes: u64,
        /// What need not be sent again.
        arrived_bytes: u64,
        /// The process that works on it now.
        running_pid: Option<u32>,
    },
    /// Something a person should know.
    Warning {
        /// What.
        message: String,
    },
}

fn as_millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn as_text<S: serde::Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// Events that wait for a reader; when there are more, the oldest are lost.
const EVENTS_WAITING_MAX: usize = 16 * 1024;

/// Sends events; never waits for a reader.
#[derive(Clone, Debug)]
pub(crate) struct EventSender(Arc<Sending>);

/// The sending end: the stream ends when its last clone is dropped.
#[derive(Debug)]
struct Sending(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    reader: Option<Waker>,
    /// The reader was dropped.
    unread: bool,
    ended: bool,
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventSender {
    pub(crate) fn new() -> (Self, Events) {
        let queue = Arc::new(Mutex::default());
        (Self(Arc::new(Sending(Arc::clone(&queue)))), Events(queue))
    }

    pub(crate) fn send(&self, event: Event) {
        tracing::debug!(target: "haul::decision", "{event:?}");
        let mut queue = lock(&self.0.0);
        if queue.unread {
            return;
        }
        if queue.events.len() == EVENTS_WAITING_MAX {
            queue.events.pop_front();
        }
        queue.events.push_back(event);
        let reader = queue.reader.take();
        drop(queue);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.ended = true;
        let reader = queue.reader.take();
        drop(queue);
        reader.into_iter().for_each(Waker::wake);
    }
}

/// The events of one transfer, in order, as a [`Stream`] that ends with the transfer. A reader that
/// is 16,384 events behind loses the oldest.
#[derive(Debug)]
pub struct Events(Arc<Mutex<Queue>>);

impl Events {
    /// The next event; `None` when the transfer has ended.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut queue = lock(&self.0);
        match queue.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if queue.ended => Poll::Ready(None),
            None => {
                queue.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.unread = true;
        queue.events.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_come_in_order_and_end_with_the_last_sender() {
        let (sender, mut events) = EventSender::new();
        let other = sender.clone();
        sender.send(Event::Completing);
        other.send(Event::Aborted);
        drop(sender);
        assert!(matches!(events.next().await, Some(Event::Completing)));
        assert!(matches!(events.next().await, Some(Event::Aborted)));
        let (_, ()) =
            tokio::join!(async { assert!(events.next().await.is_none()) }, async { drop(other) });
    }

    #[tokio::test]
    async fn a_reader_far_behind_loses_the_oldest_events() {
        let (sender, mut events) = EventSender::new();
        sender.send(Event::Completing);
        (0..EVENTS_WAITING_MAX).for_each(|_| sender.send(Event::Aborted));
        drop(sender);
        let mut count = 0;
        while let Some(event) = events.next().await {
            assert!(matches!(event, Event::Aborted));
            count += 1;
        }
        assert_eq!(count, EVENTS_WAITING_MAX);
    }
}
