//! What happens during an upload, for progress displays, NDJSON and tests.

use std::time::Duration;

use haul_parts::{PartNumber, UploadId};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;

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
    /// Another unfinished upload of this machine concerns this one: of the same key, or of the same file.
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

fn as_text<S: serde::Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// Events that a slow reader may fall behind; older ones are lost then, and counted.
const EVENTS_BEHIND_MAX: usize = 16 * 1024;

/// Sends events; never waits for a reader.
#[derive(Clone, Debug)]
pub(crate) struct EventSender(broadcast::Sender<Event>);

impl EventSender {
    pub(crate) fn new() -> (Self, Events) {
        let (sender, receiver) = broadcast::channel(EVENTS_BEHIND_MAX);
        (Self(sender), Events(receiver))
    }

    pub(crate) fn send(&self, event: Event) {
        tracing::debug!(target: "haul::decision", "{event:?}");
        // No reader is no error.
        let _ = self.0.send(event);
    }
}

/// Receives the events of one upload.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` when the upload has ended. A reader that fell too far behind goes on with
    /// the oldest event that is still there.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
