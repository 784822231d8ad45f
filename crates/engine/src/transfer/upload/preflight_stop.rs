//! Stops a resumed upload before it sends anything: while the store's parts are listed and compared
//! with the source.
//!
//! Nothing has changed at the store by then: a pause only releases the journal, a failure of the
//! store leaves everything as it is, and a cancel removes the upload that the journal records. If
//! Complete may have been carried out, a stop has to wait until the outcome is determined (P6).

use std::sync::Arc;

use haul_parts::UploadId;

use super::abandon::{Abandoned, abandon};
use super::context::Context;
use super::journal_handle::JournalHandle;
use super::lost_create;
use super::remembered::Remembered;
use crate::error::Error;
use crate::transfer::StopRequest;

/// The state that a stop has to consider.
#[derive(Default)]
pub(super) struct PreflightStop {
    /// Whether an earlier run left a record, so that there is something to resume, even if it is
    /// only a Create without an answer.
    begun: bool,
    /// Whether an earlier run may have sent Complete.
    pub(super) completing: bool,
    /// The id of the upload at the store, if Create was answered.
    created: Option<UploadId>,
    arrived_bytes: u64,
}

impl PreflightStop {
    pub(super) fn of(remembered: Option<&Remembered>) -> Self {
        remembered.map_or_else(Self::default, |remembered| Self {
            begun: true,
            completing: remembered.completing,
            created: remembered.created.as_ref().map(|created| created.upload_id.clone()),
            arrived_bytes: remembered.arrived_bytes(),
        })
    }

    /// Handles a store that does not list the upload: nothing is removed, and a later run can
    /// resume.
    pub(super) fn failed(
        self,
        context: &Context,
        journal: &mut JournalHandle,
        error: Error,
    ) -> Error {
        match (journal.id().map(str::to_owned), error) {
            (Some(id), error @ Error::Store { .. }) if self.created.is_some() => {
                journal.paused(context, &error);
                self.paused(context, id, Some(Box::new(error)))
            }
            (_, error) => error,
        }
    }

    /// Stops as requested.
    pub(super) async fn end(
        self,
        context: Context,
        journal: JournalHandle,
        request: StopRequest,
    ) -> Error {
        let object = context.object.clone();
        let cancelled = Error::Cancelled { object: object.clone() };
        let Some(id) = journal.id().map(str::to_owned) else { return cancelled };
        if !self.begun {
            // The run stops before Create: a journal without an upload must not be offered for a
            // resume.
            journal.forget(&context);
            return cancelled;
        }
        // Dropping the journal releases its lock.
        drop(journal);
        if request < StopRequest::Cancel {
            return self.paused(&context, id, None);
        }
        let Some(journal) = &context.options.journal else { return cancelled };
        match (abandon(Arc::clone(context.store()), &journal.folder, &id).await, self.created) {
            (Ok(Abandoned::Unclear(_)), _) => {
                lost_create::warn_of_leftovers(&context);
                cancelled
            }
            (Ok(_), _) => cancelled,
            // The journal and the parts stay.
            (Err(Error::Store { source: cleanup, .. }), Some(upload_id)) => {
                Error::LeftBehind { object, upload_id, cleanup, source: Box::new(cancelled) }
            }
            (Err(error), _) => error,
        }
    }

    fn paused(self, context: &Context, id: String, source: Option<Box<Error>>) -> Error {
        let (object, size_bytes) = (context.object.clone(), context.source.size_bytes());
        Error::Paused { object, id, arrived_bytes: self.arrived_bytes, size_bytes, source }
    }
}
