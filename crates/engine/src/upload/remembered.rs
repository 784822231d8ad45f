//! The records of a journal, folded into what is known of the upload.

use std::collections::BTreeMap;

use haul_parts::{ChecksumType, PartNumber, UploadId};

use super::UploadOptions;
use super::complete::{Expected, own_type};
use super::part::SentPart;
use crate::journal::{Beginning, PartRecord, Record};

/// What an earlier run knew of its upload.
pub(super) struct Remembered {
    /// With the source, the plan and the conditions that held last.
    pub(super) beginning: Beginning,
    /// If Create was answered.
    pub(super) created: Option<(UploadId, Option<ChecksumType>)>,
    pub(super) parts: BTreeMap<PartNumber, PartRecord>,
    /// Complete was about to be sent: the object may be there.
    pub(super) completing: bool,
}

impl Remembered {
    /// `None`: there is no beginning, so there is nothing.
    pub(super) fn fold(records: &[Record]) -> Option<Self> {
        let mut records = records.iter();
        let Some(Record::Begun(beginning)) = records.next() else { return None };
        let mut folded = Self {
            beginning: (**beginning).clone(),
            created: None,
            parts: BTreeMap::new(),
            completing: false,
        };
        for record in records {
            match record {
                Record::Created { upload_id, declared, checksum_type } => {
                    let own = || folded.beginning.checksum.map(own_type);
                    let declared = checksum_type.or_else(own).filter(|_| *declared);
                    folded.created = Some((upload_id.clone(), declared));
                }
                Record::Part(part) => {
                    folded.parts.insert(part.number, part.clone());
                }
                Record::SourceChanged { source, plan } => {
                    folded.parts.clear();
                    (folded.beginning.source, folded.beginning.plan) = (source.clone(), *plan);
                }
                Record::Conditions { if_none_match, if_match, require_proof } => {
                    folded.beginning.if_none_match = *if_none_match;
                    folded.beginning.if_match.clone_from(if_match);
                    folded.beginning.require_proof = *require_proof;
                }
                Record::Completing => folded.completing = true,
                Record::Begun(_) | Record::Opened { .. } | Record::Paused { .. } | Record::Unknown => {}
            }
        }
        Some(folded)
    }

    /// What was decided when it was begun holds for this run too. Conditions are asked at Complete, so this run's are
    /// taken where it has any; proof that was demanded once stays demanded. True if that is news to the journal.
    pub(super) fn bind(&self, options: &mut UploadOptions) -> bool {
        let beginning = &self.beginning;
        options.checksum = beginning.checksum;
        options.attributes = beginning.attributes.clone();
        if !options.if_none_match && options.if_match.is_none() {
            options.if_none_match = beginning.if_none_match;
            options.if_match.clone_from(&beginning.if_match);
        }
        options.require_proof |= beginning.require_proof;
        options.if_none_match != beginning.if_none_match
            || options.if_match != beginning.if_match
            || options.require_proof != beginning.require_proof
    }

    /// The parts as they were recorded.
    pub(super) fn sent(&self) -> Vec<SentPart> {
        self.parts.values().map(SentPart::from_record).collect()
    }

    /// By what the object is recognised as the one that this upload makes.
    pub(super) fn expected(&self) -> Expected {
        let mut parts = self.sent();
        if parts.len() != usize::from(self.beginning.plan.part_count()) {
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
