//! Ends a run: builds the report, and decides whether the journal is kept.
//!
//! If the run is done, failed or cancelled, nothing is left at the store, and the journal is
//! removed. If it is paused or in doubt, or could not remove its parts, the journal stays, so that
//! the upload is listed and can be resumed or removed (P3).

use std::sync::Arc;

use haul_parts::ETag;

use super::UploadReport;
use super::abandon::{Abandoned, abandon};
use super::complete::{self, Expected};
use super::context::Context;
use super::journal_handle::JournalHandle;
use super::layout::PartsLayout;
use super::resume::ResumedState;
use crate::error::Error;
use crate::event::Event;
use crate::proof::{Proof, ProofCount, WholeProof};
use crate::remote::{ObjectHead, StoreError, UploadRef};
use crate::transfer::lifecycle::Outcome;
use crate::transfer::mover::SentPart;

/// The outcome of the driver, if it ended without an error.
pub(super) enum RunOutcome {
    Done(Box<UploadReport>),
    /// The store lost the upload or requires a new upload.
    Restart {
        reason: String,
        journal: JournalHandle,
        cause: Option<Error>,
    },
}

/// The state needed to end one run.
pub(super) struct Finisher<'a> {
    pub(super) context: &'a Context,
    pub(super) upload: Option<UploadRef>,
    pub(super) journal: JournalHandle,
    pub(super) cause: Option<Error>,
    /// Whether answers to Create were lost without a search for the uploads they may have left.
    pub(super) unheard: bool,
}

impl Finisher<'_> {
    /// Finishes a run whose object existed already, because only the answer to an earlier run's
    /// Complete was lost. The object is verified nevertheless.
    pub(super) fn of_earlier(
        context: &Context,
        journal: JournalHandle,
        resumed: ResumedState,
        head: &ObjectHead,
        expected: &Expected,
    ) -> Result<UploadReport, Error> {
        let ResumedState { layout, upload, sent, .. } = resumed;
        let parts: Vec<_> = sent.into_iter().flatten().collect();
        let finisher =
            Finisher { context, upload: Some(upload), journal, cause: None, unheard: false };
        let whole = match expected.close(head, &context.store().profile()) {
            Ok(whole) => whole,
            Err(detail) => return Err(finisher.corrupt(detail)),
        };
        let unproven = parts.iter().find(|part| part.proof == Proof::Unproven);
        if let Some(part) = unproven
            && context.demands_proof()
            && whole == WholeProof::NotShown
        {
            // The object exists and stays; there is nothing to resume.
            finisher.journal.forget(context);
            return Err(Error::Unproven { object: context.object.clone(), part: part.number });
        }
        finisher.done(&layout, &parts, head.etag.clone(), whole)
    }

    pub(super) fn done(
        self,
        layout: &PartsLayout,
        parts: &[SentPart],
        etag: ETag,
        whole: WholeProof,
    ) -> Result<UploadReport, Error> {
        let mut proof = ProofCount::default();
        parts.iter().for_each(|part| proof.add(part.proof));
        let size_bytes = layout.size_bytes();
        self.journal.forget(self.context);
        let event_etag = etag.unquoted().to_owned();
        self.context.events.send(Event::Completed { etag: event_etag, size_bytes, proof });
        Ok(UploadReport {
            object: self.context.object.clone(),
            size_bytes,
            etag,
            part_count: layout.part_count(),
            upload_id: self.upload.map(|upload| upload.upload_id),
            proof,
            whole,
            // This run has not sent any of the parts.
            resumed_bytes: parts
                .iter()
                .filter(|part| part.attempt == 0)
                .map(|part| part.size_bytes)
                .sum(),
            checksum: complete::full_object(parts),
            parts: parts.iter().map(Into::into).collect(),
        })
    }

    /// Returns the error for an object that differs from what was read: the store damaged it after
    /// acknowledging it.
    pub(super) fn corrupt(self, detail: String) -> Error {
        self.journal.forget(self.context);
        Error::CorruptObject { object: self.context.object.clone(), detail }
    }

    pub(super) fn restart(self) -> RunOutcome {
        let reason = self.cause.as_ref().map_or_else(String::new, |cause| match cause {
            Error::Store { source, .. } => source.to_string(),
            other => other.to_string(),
        });
        RunOutcome::Restart { reason, journal: self.journal, cause: self.cause }
    }

    pub(super) fn paused(mut self, layout: &PartsLayout, parts: &[SentPart]) -> Error {
        let object = self.context.object.clone();
        let Some(id) = self.journal.id().map(str::to_owned) else {
            return self.cause.unwrap_or(Error::Cancelled { object: object.clone() });
        };
        let arrived_bytes = parts.iter().map(|part| part.size_bytes).sum();
        if self.upload.is_none() && !self.unheard {
            // Nothing is at the store yet, so there is nothing to resume.
            self.journal.forget(self.context);
            return self.cause.unwrap_or(Error::Cancelled { object: object.clone() });
        }
        match &self.cause {
            Some(cause) => self.journal.paused(self.context, cause),
            None => self.journal.interrupted(self.context),
        }
        self.context.events.send(Event::Paused { id: id.clone(), arrived_bytes });
        let (size_bytes, source) = (layout.size_bytes(), self.cause.map(Box::new));
        Error::Paused { object, id, arrived_bytes, size_bytes, source }
    }

    /// Returns true if no answer to Create was received: an upload may exist that can be found only
    /// through the journal.
    pub(super) fn may_be_left(&self) -> bool {
        self.unheard && self.upload.is_none() && self.journal.id().is_some()
    }

    /// Ends a cancelled run for which [`Finisher::may_be_left`] is true: searches for the upload.
    /// If the result of the search is unknown, the journal stays.
    pub(super) async fn cancelled_unheard(self, layout: &PartsLayout) -> Error {
        let object = self.context.object.clone();
        let cancelled = Error::Cancelled { object: object.clone() };
        let journal = self.context.options.journal.as_ref();
        let (Some(journal), Some(id)) = (journal, self.journal.id().map(str::to_owned)) else {
            return cancelled;
        };
        // Dropping the journal releases its lock.
        drop(self.journal);
        let source = match abandon(Arc::clone(self.context.store()), &journal.folder, &id).await {
            Ok(Abandoned::Unclear(_)) => self.cause,
            Ok(_) => return cancelled,
            Err(error) => Some(error),
        };
        let size_bytes = layout.size_bytes();
        Error::Paused { object, id, arrived_bytes: 0, size_bytes, source: source.map(Box::new) }
    }

    pub(super) fn failed(mut self, outcome: Outcome, cleanup: Option<StoreError>) -> Error {
        let object = self.context.object.clone();
        let upload_id = self.upload.map(|upload| upload.upload_id);
        let cause = self.cause.take();
        let error = match (outcome, upload_id, cleanup, cause) {
            (Outcome::Cancelled, ..) => Error::Cancelled { object: object.clone() },
            (Outcome::UploadGone, Some(upload_id), ..) => Error::UploadGone { object, upload_id },
            (Outcome::LeftBehind, Some(upload_id), Some(cleanup), cause) => Error::LeftBehind {
                upload_id,
                cleanup: Box::new(cleanup),
                source: Box::new(cause.unwrap_or(Error::Cancelled { object: object.clone() })),
                object,
            },
            (Outcome::InDoubt, Some(upload_id), _, Some(Error::Store { source, .. })) => {
                Error::InDoubt { object, upload_id, source }
            }
            (_, _, _, Some(cause)) => cause,
            (_, _, _, None) => Error::Internal("the upload failed without a reason".into()),
        };
        match &error {
            Error::LeftBehind { .. } | Error::InDoubt { .. } => {
                self.journal.paused(self.context, &error);
            }
            _ => self.journal.forget(self.context),
        }
        error
    }
}
