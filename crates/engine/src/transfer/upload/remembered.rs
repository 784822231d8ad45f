//! Restores the state of a resumed upload from its journal: the options that it keeps, and the
//! properties that identify the finished object.

use haul_parts::ChecksumType;

use super::complete::{Expected, own_type};
use super::context::Context;
use super::journal_handle::JournalHandle;
use super::lost_create::LostCreates;
use super::{OWN_METADATA, UploadOptions};
use crate::error::Error;
use crate::transfer::mover::SentPart;

pub(super) use crate::journal::Remembered;

impl Remembered {
    /// Returns how the object's checksum is derived from those of its parts; `None` if no algorithm
    /// was declared to the store.
    pub(super) fn declared(&self) -> Option<ChecksumType> {
        let created = self.created.as_ref().filter(|created| created.declared)?;
        created.checksum_type.or_else(|| self.beginning.checksum.map(own_type))
    }

    /// Checks that the recorded upload gives its object the attributes that this run insists on.
    ///
    /// # Errors
    /// [`Error::OtherAttribute`].
    pub(super) fn check_attributes(
        &self,
        context: &Context,
        journal: &JournalHandle,
    ) -> Result<(), Error> {
        // An adopted upload was begun by another program, whose attributes are unknown.
        let is_ours = !self.beginning.token.is_empty();
        let Some(required) = context.options.required.as_ref().filter(|_| is_ours) else {
            return Ok(());
        };
        match required.contradiction(&self.beginning.attributes, &OWN_METADATA) {
            None => Ok(()),
            Some(attribute) => Err(Error::OtherAttribute {
                source_name: context.source.name(),
                attribute,
                id: journal.id().unwrap_or_default().to_owned(),
            }),
        }
    }

    /// Applies the options that were fixed when the upload began. Conditions are checked at
    /// Complete, so those of this run replace the recorded ones; proof that was required stays
    /// required. Returns true if the journal has to record a change.
    pub(super) fn bind(&self, options: &mut UploadOptions) -> bool {
        let beginning = &self.beginning;
        options.checksum = beginning.checksum;
        options.attributes = beginning.attributes.clone();
        options.part_size_bytes = options.part_size_bytes.or(beginning.part_size_bytes);
        if !options.if_none_match && options.if_match.is_none() {
            options.if_none_match = beginning.if_none_match;
            options.if_match.clone_from(&beginning.if_match);
        }
        options.require_proof |= beginning.require_proof;
        options.if_none_match != beginning.if_none_match
            || options.if_match != beginning.if_match
            || options.require_proof != beginning.require_proof
    }

    /// Returns the start times of Create requests without a recorded answer: each may have left an
    /// upload without parts.
    pub(super) fn unanswered(&self) -> Vec<i64> {
        let mut times = self.beginning.unanswered.clone();
        if self.created.is_none() {
            times.push(self.beginning.begun_at);
        }
        times
    }

    /// Returns these requests in the form in which a run searches for their uploads.
    pub(super) fn creates(&self) -> LostCreates {
        LostCreates::after(self.unanswered(), self.beginning.begun_at)
    }

    /// Returns the parts as they were recorded.
    pub(super) fn sent(&self) -> Vec<SentPart> {
        self.parts.values().map(SentPart::from_record).collect()
    }

    /// Returns the properties that identify the object as the result of this upload.
    pub(super) fn expected(&self) -> Expected {
        let mut parts = self.sent();
        if Some(parts.len()) != self.beginning.plan.part_count().map(usize::from) {
            // If some parts are missing, neither length nor checksum of the whole object is known.
            parts.clear();
        }
        Expected::new(&self.beginning.token, &parts)
    }

    /// Returns the bytes that need not be sent again.
    pub(super) fn arrived_bytes(&self) -> u64 {
        self.parts.values().map(|part| part.size_bytes).sum()
    }
}
