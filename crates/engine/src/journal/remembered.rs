//! The records of a journal, folded into what is known of its upload: the one rule for what a later
//! record does to an earlier one.

use std::collections::BTreeMap;

use haul_parts::{ChecksumType, PartNumber, UploadId};

use super::record::{Beginning, PartRecord, Record};

/// What an earlier run knew of its upload.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    /// With the source, the plan and the conditions that held last.
    pub(crate) beginning: Beginning,
    /// If Create was answered.
    pub(crate) created: Option<Created>,
    pub(crate) parts: BTreeMap<PartNumber, PartRecord>,
    /// Complete was about to be sent: the object may be there.
    pub(crate) completing: bool,
    /// The process that took it up last.
    pub(crate) last_pid: Option<u32>,
    /// Why it stopped, if it stopped in good order.
    pub(crate) paused: Option<String>,
}

/// The answer to Create, as it was recorded.
#[derive(Clone, Debug)]
pub(crate) struct Created {
    pub(crate) upload_id: UploadId,
    pub(crate) declared: bool,
    pub(crate) checksum_type: Option<ChecksumType>,
}

impl Remembered {
    /// `None`: there is no beginning, so there is nothing.
    pub(crate) fn fold(records: Vec<Record>) -> Option<Self> {
        let mut records = records.into_iter();
        let Some(Record::Begun(beginning)) = records.next() else { return None };
        let mut folded = Self {
            beginning: *beginning,
            created: None,
            parts: BTreeMap::new(),
            completing: false,
            last_pid: None,
            paused: None,
        };
        records.for_each(|record| folded.add(record));
        Some(folded)
    }

    fn add(&mut self, record: Record) {
        let beginning = &mut self.beginning;
        match record {
            Record::Opened { pid } => (self.last_pid, self.paused) = (Some(pid), None),
            Record::Created { upload_id, declared, checksum_type } => {
                self.created = Some(Created { upload_id, declared, checksum_type });
            }
            Record::Part(part) => {
                self.parts.insert(part.number, part);
            }
            Record::SourceChanged { source, plan } => {
                self.parts.clear();
                (beginning.source, beginning.plan) = (source, plan);
            }
            Record::SourceMoved { source } => beginning.source = source,
            Record::Conditions { if_none_match, if_match, require_proof } => {
                (beginning.if_none_match, beginning.if_match) = (if_none_match, if_match);
                beginning.require_proof = require_proof;
            }
            Record::Completing => self.completing = true,
            Record::Paused { reason } => self.paused = Some(reason),
            Record::Begun(_) | Record::Downloading(_) | Record::Range(_) | Record::Unknown => {}
        }
    }
}
