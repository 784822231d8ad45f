//! A resumed upload that is stopped again before it has begun to send: while the store is listed and parts are
//! compared with the source.
//!
//! Nothing has changed at the store by then, so a pause only lets go, and a cancel removes what the journal
//! remembers. Where Complete may have been carried out this is not done at all: the look at it comes first (P6).

use super::abandon::abandon;
use super::memory::Memory;
use super::{Job, Wish};
use crate::error::Error;
use crate::journal::Record;

/// What there is to stop.
pub(super) struct Stopped {
    /// Complete may have been sent by an earlier run.
    pub(super) completing: bool,
    arrived_bytes: u64,
}

impl Stopped {
    pub(super) fn of(records: &[Record]) -> Self {
        let parts = records.iter().map(|record| match record {
            Record::Part(part) => part.size_bytes,
            _ => 0,
        });
        Self {
            completing: records.iter().any(|record| matches!(record, Record::Completing)),
            arrived_bytes: parts.sum(),
        }
    }

    /// Stops as wished.
    pub(super) async fn end(self, job: Job, memory: Memory, wish: Wish) -> Error {
        let object = job.object.clone();
        let cancelled = Error::Cancelled { object: object.to_string() };
        let Some(id) = memory.id().map(str::to_owned) else { return cancelled };
        // Its lock is let go with it.
        drop(memory);
        if wish < Wish::Abort {
            let size_bytes = job.source.size_bytes();
            return Error::Paused { object, id, arrived_bytes: self.arrived_bytes, size_bytes, source: None };
        }
        let Some(journal) = &job.options.journal else { return cancelled };
        match abandon(job.store, &journal.folder, &id).await {
            Ok(_) => cancelled,
            Err(error) => error,
        }
    }
}
