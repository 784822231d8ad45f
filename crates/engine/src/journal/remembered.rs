//! Folds the records of a journal into the state of its upload: the only rule for how a later
//! record changes an earlier one.

use std::collections::BTreeMap;

use haul_parts::{ChecksumType, PartNumber, UploadId};

use super::record::{Beginning, PartRecord, Record};

/// State of an upload, restored from its journal.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    /// The parameters, with the latest source, plan and conditions.
    pub(crate) beginning: Beginning,
    /// The answer to Create, if there was one.
    pub(crate) created: Option<Created>,
    pub(crate) parts: BTreeMap<PartNumber, PartRecord>,
    /// Whether Complete was about to be sent: the object may exist.
    pub(crate) completing: bool,
    /// The process that opened it last.
    pub(crate) last_pid: Option<u32>,
    /// The reason why it stopped, if it stopped regularly.
    pub(crate) paused: Option<String>,
}

/// The recorded answer to Create.
#[derive(Clone, Debug)]
pub(crate) struct Created {
    pub(crate) upload_id: UploadId,
    pub(crate) declared: bool,
    pub(crate) checksum_type: Option<ChecksumType>,
}

impl Remembered {
    /// Folds the records; `None` without a first record.
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
