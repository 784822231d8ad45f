//! The events of a transfer, for progress displays, NDJSON and tests.

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

/// One step of a transfer. Durations are in milliseconds when serialised.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The plan is made; nothing was sent yet.
    Started {
        /// The source of the upload.
        source: String,
        /// The target of the upload.
        target: String,
        /// The bytes of the whole object.
        size_bytes: u64,
        /// The bytes of every part but the last; the whole size for a single PutObject.
        part_size_bytes: u64,
        /// The number of parts; 1 for a single PutObject.
        part_count: u32,
        /// Whether the object is sent in parts; false for one PutObject.
        multipart: bool,
    },
    /// An upload of a stream in parts begins; nothing was sent yet.
    StreamStarted {
        /// The source of the upload.
        source: String,
        /// The target of the upload.
        target: String,
        /// The bytes of the whole stream, if its length was promised.
        size_bytes: Option<u64>,
        /// The bytes of the first part; later ones may be larger.
        part_size_bytes: u64,
    },
    /// Parts of a stream no longer fit their share of the memory: from now on they are spooled to
    /// files.
    Spooling {
        /// The folder of the files.
        folder: String,
        /// The bytes of the first such part.
        part_size_bytes: u64,
    },
    /// An earlier run's upload continues.
    Resumed {
        /// The id of the upload.
        upload_id: UploadId,
        /// The bytes of the whole object.
        size_bytes: u64,
        /// The bytes that need not be sent again.
        arrived_bytes: u64,
        /// The number of parts that need not be sent again.
        arrived_parts: u32,
        /// The number of these that were not in the journal and were compared with the source.
        adopted_parts: u32,
        /// The parts that had arrived but differ from the current source.
        differing_parts: Vec<PartNumber>,
    },
    /// A stream is read again after an earlier run left parts: each is compared before it counts.
    StreamResumed {
        /// The id of the upload.
        upload_id: UploadId,
        /// The number of bytes at the store.
        stored_bytes: u64,
        /// The number of parts at the store.
        stored_parts: u32,
    },
    /// CreateMultipartUpload was answered.
    UploadCreated {
        /// The id of the upload.
        upload_id: UploadId,
    },
    /// A part has arrived.
    PartSent {
        /// The number of the part.
        part_number: PartNumber,
        /// The bytes of the part.
        size_bytes: u64,
        /// The successful attempt, from 1; 0: a part of a stream that had arrived before.
        attempt: u32,
        /// The proof that its bytes are right.
        proof: Proof,
    },
    /// A request failed and will be retried.
    Retrying {
        /// The number of the part; `None` for Create, Complete and PutObject.
        part_number: Option<PartNumber>,
        /// The failed attempt, from 1.
        attempt: u32,
        /// The time until the next attempt.
        #[serde(rename = "wait_ms", serialize_with = "as_millis")]
        wait: Duration,
        /// The error of the failed attempt.
        reason: String,
    },
    /// Every part has arrived; Complete was sent.
    Completing,
    /// The answer to Complete was lost; the object is being examined.
    InDoubt {
        /// The reason of the doubt.
        reason: String,
    },
    /// The object exists.
    Completed {
        /// The ETag as the store returned it.
        etag: String,
        /// The bytes of the whole object.
        size_bytes: u64,
        /// The proof of the object's parts.
        proof: ProofCount,
    },
    /// The upload failed or was cancelled; its parts are being removed.
    Aborting {
        /// The reason of the abort.
        reason: String,
    },
    /// ListParts answered NoSuchUpload: nothing is left.
    Aborted,
    /// The transfer stopped and can be resumed.
    Paused {
        /// The id of the journal.
        id: String,
        /// The bytes that need not be sent again.
        arrived_bytes: u64,
    },
    /// The store lost the upload or requires a new one: every part is sent again.
    Restarting {
        /// The reason of the restart.
        reason: String,
    },
    /// The store has unfinished uploads of the key that are in no journal of this machine.
    UnfinishedFound {
        /// Their number; a lower bound if the store has more than a page of them.
        count: usize,
        /// The start of the newest of them.
        #[serde(serialize_with = "as_text")]
        initiated: Option<Timestamp>,
    },
    /// Another unfinished upload of this machine has the same key or the same file.
    RelatedJournal {
        /// The id of its journal.
        id: String,
        /// Its relation to this upload.
        relation: Relation,
        /// The source of the other upload.
        source: String,
        /// The target of the other upload.
        target: String,
        /// The store of the other upload.
        store: String,
        /// The bytes of its whole object.
        size_bytes: u64,
        /// The bytes that need not be sent again.
        arrived_bytes: u64,
        /// The process that holds it now.
        running_pid: Option<u32>,
    },
    /// Of a tree: a file has arrived; in a dry run, it would be sent.
    FileCopied {
        /// The source of the file.
        source: String,
        /// The target of the file.
        target: String,
        /// The length of the file in bytes.
        size_bytes: u64,
        /// Whether this is a dry run, in which nothing was sent.
        dry_run: bool,
    },
    /// Of a tree: a file or an object was removed; in a dry run, it would be.
    FileRemoved {
        /// The file or object.
        target: String,
        /// Whether this is a dry run, in which nothing was removed.
        dry_run: bool,
    },
    /// Of a tree: a file was not copied, or not removed.
    FileFailed {
        /// The source of the file.
        source: String,
        /// The target of the file.
        target: String,
        /// The reason of the failure.
        reason: String,
    },
    /// Of a sync: files of the target that are not in the source will be removed.
    Removing {
        /// The number of files.
        count: u64,
    },
    /// A warning for the user.
    Warning {
        /// The text of the warning.
        message: String,
    },
}

impl Event {
    /// Returns the event as it is reported for one file among many; `None` if it is an ordinary
    /// step.
    fn of_file(self, name: &str) -> Option<Self> {
        let named = |text: String| format!("{name}: {text}");
        match self {
            Self::Warning { message } => Some(Self::Warning { message: named(message) }),
            Self::Retrying { part_number, attempt, wait, reason } => {
                Some(Self::Retrying { part_number, attempt, wait, reason: named(reason) })
            }
            Self::InDoubt { reason } => Some(Self::InDoubt { reason: named(reason) }),
            _ => None,
        }
    }
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

/// The maximum number of waiting events; beyond that, the oldest are dropped.
const EVENTS_WAITING_MAX: usize = 16 * 1024;

/// The sender of events; never waits for a reader.
#[derive(Clone, Debug)]
pub(crate) struct EventSender {
    sending: Arc<Sending>,
    /// The name of the file, if the sender is for one file of a tree. Then only events that the
    /// user should see are sent.
    file: Option<Arc<str>>,
}

/// The sending end: the stream ends when its last clone is dropped.
#[derive(Debug)]
struct Sending(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    reader: Option<Waker>,
    /// Whether the reader was dropped.
    unread: bool,
    /// Whether a reader has requested events, and will therefore request more.
    read: bool,
    ended: bool,
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventSender {
    pub(crate) fn new() -> (Self, Events) {
        let queue = Arc::new(Mutex::default());
        let sending = Arc::new(Sending(Arc::clone(&queue)));
        (Self { sending, file: None }, Events(queue))
    }

    /// Returns whether a reader is so far behind that it will soon lose events.
    pub(crate) fn is_crowded(&self) -> bool {
        let queue = lock(&self.sending.0);
        queue.read && !queue.unread && queue.events.len() > EVENTS_WAITING_MAX / 2
    }

    /// Creates a sender for one file of a tree, which reports events with the file's name.
    pub(crate) fn of_file(&self, name: &str) -> Self {
        Self { sending: Arc::clone(&self.sending), file: Some(name.into()) }
    }

    pub(crate) fn send(&self, event: Event) {
        tracing::debug!(target: "haul::decision", "{event:?}");
        let event = match &self.file {
            None => event,
            Some(name) => match event.of_file(name) {
                Some(event) => event,
                None => return,
            },
        };
        let mut queue = lock(&self.sending.0);
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
    /// Returns the next event; `None` when the transfer has ended.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut queue = lock(&self.0);
        queue.read = true;
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
