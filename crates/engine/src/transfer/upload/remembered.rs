//! State restored from the journal for a resumed upload: the options that it keeps, and how to
//! recognise the finished object.

use haul_parts::ChecksumType;

use super::UploadOptions;
use super::complete::{Expected, own_type};
use super::lost_create::LostCreates;
use crate::transfer::mover::SentPart;

pub(super) use crate::journal::Remembered;

impl Remembered {
    /// How the object's checksum is made of those of its parts; `None`: the store knows no
    /// algorithm.
    pub(super) fn declared(&self) -> Option<ChecksumType> {
        let created = self.created.as_ref().filter(|created| created.declared)?;
        created.checksum_type.or_else(|| self.beginning.checksum.map(own_type))
    }

    /// What was decided when it was begun holds for this run too. Conditions are asked at Complete,
    /// so this run's are taken where it has any; proof that was demanded once stays demanded. True
    /// if that is news to the journal.
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

    /// When tries to create it began of which no answer is recorded: each may have left an upload
    /// without parts.
    pub(super) fn unanswered(&self) -> Vec<i64> {
        let mut times = self.beginning.unanswered.clone();
        if self.created.is_none() {
            times.push(self.beginning.begun_at);
        }
        times
    }

    /// The same for a run that may find out.
    pub(super) fn creates(&self) -> LostCreates {
        LostCreates::after(self.unanswered(), self.beginning.begun_at)
    }

    /// The parts as they were recorded.
    pub(super) fn sent(&self) -> Vec<SentPart> {
        self.parts.values().map(SentPart::from_record).collect()
    }

    /// By what the object is recognised as the one that this upload makes.
    pub(super) fn expected(&self) -> Expected {
        let mut parts = self.sent();
        if Some(parts.len()) != self.beginning.plan.part_count().map(usize::from) {
            // Of some parts neither length nor checksum of the whole can be told.
            parts.clear();
        }
        Expected::new(&self.beginning.token, &parts)
    }

    /// Bytes that need not be sent again.
    pub(super) fn arrived_bytes(&self) -> u64 {
        self.parts.values().map(|part| part.size_bytes).sum()
    }
}
