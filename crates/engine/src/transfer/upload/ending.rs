//! How a run of an upload ends: what is reported, and what the journal keeps.
//!
//! Done, failed, cancelled: nothing is left at the store, nothing is remembered. Paused, in doubt, left
//! behind: the journal stays, so that what is at the store is listed and can go on or be removed (P3).

use std::sync::Arc;

use haul_parts::{ETag, PartPlan};

use super::abandon::{Abandoned, abandon};
use super::complete::{self, Expected};
use super::memory::Memory;
use super::part::SentPart;
use super::resume::Resumed;
use super::schedule::Outcome;
use super::{Job, UploadReport};
use crate::error::Error;
use crate::event::Event;
use crate::proof::{Proof, ProofCount, WholeProof};
use crate::remote::{ObjectHead, StoreError, UploadRef};

/// How the driver ended without an error.
pub(super) enum Driven {
    Done(Box<UploadReport>),
    /// The store lost the upload or wants a new one.
    Restart {
        reason: String,
        memory: Memory,
        cause: Option<Error>,
    },
}

/// The end of a run.
pub(super) struct Ending<'a> {
    pub(super) job: &'a Job,
    pub(super) upload: Option<UploadRef>,
    pub(super) memory: Memory,
    pub(super) cause: Option<Error>,
    /// Answers to Create were lost, and what they left was not looked for.
    pub(super) unheard: bool,
}

impl Ending<'_> {
    /// The object was there already: only the answer of an earlier run's Complete had been lost. Whether it is what was
    /// read is looked at all the same.
    pub(super) fn of_earlier(
        job: &Job,
        memory: Memory,
        resumed: Resumed,
        head: &ObjectHead,
        expected: &Expected,
    ) -> Result<UploadReport, Error> {
        let Resumed { plan, upload, sent, .. } = resumed;
        let parts: Vec<_> = sent.into_iter().flatten().collect();
        let ending = Ending { job, upload: Some(upload), memory, cause: None, unheard: false };
        let whole = match expected.close(head) {
            Ok(whole) => whole,
            Err(detail) => return Err(ending.corrupt(detail)),
        };
        let unproven = parts.iter().find(|part| part.proof == Proof::Unproven);
        if let Some(part) = unproven
            && job.options.require_proof
            && whole == WholeProof::NotShown
        {
            // The object is there and stays; there is nothing left to go on with.
            ending.memory.forget(job);
            return Err(Error::Unproven { object: job.object.clone(), part: part.number });
        }
        ending.done(plan, &parts, head.etag.clone(), whole)
    }

    pub(super) fn done(
        self,
        plan: PartPlan,
        parts: &[SentPart],
        etag: ETag,
        whole: WholeProof,
    ) -> Result<UploadReport, Error> {
        let mut proof = ProofCount::default();
        parts.iter().for_each(|part| proof.add(part.proof));
        let size_bytes = plan.object_size_bytes();
        self.memory.forget(self.job);
        let event_etag = etag.unquoted().to_owned();
        self.job.events.send(Event::Completed { etag: event_etag, size_bytes, proof });
        Ok(UploadReport {
            object: self.job.object.clone(),
            size_bytes,
            etag,
            part_count: plan.part_count().into(),
            upload_id: self.upload.map(|upload| upload.upload_id),
            proof,
            whole,
            // No attempt of this run sent them.
            resumed_bytes: parts.iter().filter(|part| part.attempt == 0).map(|part| part.size_bytes).sum(),
            checksum: complete::full_object(parts),
        })
    }

    /// The object that is there is not what was read: the store damaged it after it had acknowledged it.
    pub(super) fn corrupt(self, detail: String) -> Error {
        self.memory.forget(self.job);
        Error::CorruptObject { object: self.job.object.clone(), detail }
    }

    pub(super) fn restart(self) -> Driven {
        let reason = self.cause.as_ref().map_or_else(String::new, |cause| match cause {
            Error::Store { source, .. } => source.to_string(),
            other => other.to_string(),
        });
        Driven::Restart { reason, memory: self.memory, cause: self.cause }
    }

    pub(super) fn paused(mut self, plan: PartPlan, parts: &[SentPart]) -> Error {
        let object = self.job.object.clone();
        let Some(id) = self.memory.id().map(str::to_owned) else {
            return self.cause.unwrap_or(Error::Cancelled { object: object.to_string() });
        };
        let arrived_bytes = parts.iter().map(|part| part.size_bytes).sum();
        if self.upload.is_none() && !self.unheard {
            // Nothing is at the store yet: nothing to resume.
            self.memory.forget(self.job);
            return self.cause.unwrap_or(Error::Cancelled { object: object.to_string() });
        }
        match &self.cause {
            Some(cause) => self.memory.paused(self.job, cause),
            None => self.memory.interrupted(self.job),
        }
        self.job.events.send(Event::Paused { id: id.clone(), arrived_bytes });
        let (size_bytes, source) = (plan.object_size_bytes(), self.cause.map(Box::new));
        Error::Paused { object, id, arrived_bytes, size_bytes, source }
    }

    /// No answer to Create was heard, so an upload may be left that only the journal can lead to.
    pub(super) fn may_be_left(&self) -> bool {
        self.unheard && self.upload.is_none() && self.memory.id().is_some()
    }

    /// Cancelled, and [`Ending::may_be_left`]: looks for it. The journal stays if that is unknown.
    pub(super) async fn cancelled_unheard(self, plan: PartPlan) -> Error {
        let object = self.job.object.clone();
        let cancelled = Error::Cancelled { object: object.to_string() };
        let journal = self.job.options.journal.as_ref();
        let (Some(journal), Some(id)) = (journal, self.memory.id().map(str::to_owned)) else {
            return cancelled;
        };
        // Its lock is let go with it.
        drop(self.memory);
        let source = match abandon(Arc::clone(&self.job.store), &journal.folder, &id).await {
            Ok(Abandoned::Unclear(_)) => self.cause,
            Ok(_) => return cancelled,
            Err(error) => Some(error),
        };
        let size_bytes = plan.object_size_bytes();
        Error::Paused { object, id, arrived_bytes: 0, size_bytes, source: source.map(Box::new) }
    }

    pub(super) fn failed(mut self, outcome: Outcome, cleanup: Option<StoreError>) -> Error {
        let object = self.job.object.clone();
        let upload_id = self.upload.map(|upload| upload.upload_id);
        let cause = self.cause.take();
        let error = match (outcome, upload_id, cleanup, cause) {
            (Outcome::Cancelled, ..) => Error::Cancelled { object: object.to_string() },
            (Outcome::UploadGone, Some(upload_id), ..) => Error::UploadGone { object, upload_id },
            (Outcome::LeftBehind, Some(upload_id), Some(cleanup), cause) => Error::LeftBehind {
                upload_id,
                cleanup: Box::new(cleanup),
                source: Box::new(cause.unwrap_or(Error::Cancelled { object: object.to_string() })),
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
                self.memory.paused(self.job, &error);
            }
            _ => self.memory.forget(self.job),
        }
        error
    }
}
