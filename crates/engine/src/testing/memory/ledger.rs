//! What was asked of the store and what arrived, so that tests can prove "never twice" and "no
//! abort in doubt" instead of believing it. Knows no bytes, only counts.

use std::collections::{HashMap, HashSet, VecDeque};

use haul_parts::{PartNumber, UploadId};

use crate::remote::{Operation, StoreErrorKind};

/// Calls and published objects that the store remembers; older ones are forgotten.
pub(super) const HISTORY_MAX: usize = 100_000;

/// One request that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub operation: Operation,
    /// Of which upload.
    pub upload_id: Option<UploadId>,
    /// Of which part.
    pub part: Option<PartNumber>,
    /// What became of it.
    pub fate: Fate,
    /// When it began, in steps of one clock for beginnings and ends.
    pub began: u64,
    /// When it ended, by the same clock.
    pub ended: u64,
}

/// What became of a request, as the *client* knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It succeeded.
    Succeeded,
    /// It failed, and was not carried out.
    Failed(StoreErrorKind),
    /// It broke; the client cannot know whether it was carried out.
    Unknown,
    /// The client went away before the answer.
    Abandoned,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    clock: u64,
    calls: HashMap<Operation, u64>,
    acknowledged: HashSet<(UploadId, PartNumber)>,
    parts_in_flight: u32,
    pub(super) bytes_received: u64,
    pub(super) bytes_received_again: u64,
    pub(super) parts_in_flight_most: u32,
    pub(super) history: VecDeque<Call>,
}

impl Ledger {
    /// A request begins; the answer is when.
    pub(super) fn begin(&mut self, operation: Operation) -> u64 {
        *self.calls.entry(operation).or_default() += 1;
        if operation == Operation::UploadPart {
            self.parts_in_flight += 1;
            self.parts_in_flight_most = self.parts_in_flight_most.max(self.parts_in_flight);
        }
        self.tick()
    }

    /// A request has ended; `ended` is filled in here.
    pub(super) fn end(&mut self, call: Call) {
        if call.operation == Operation::UploadPart {
            self.parts_in_flight -= 1;
        }
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        let ended = self.tick();
        self.history.push_back(Call { ended, ..call });
    }

    /// Body bytes arrived, of a part or of a whole object.
    pub(super) fn receive(&mut self, part: Option<(&UploadId, PartNumber)>, bytes: u64) {
        self.bytes_received += bytes;
        if let Some((upload_id, number)) = part
            && self.acknowledged.contains(&(upload_id.clone(), number))
        {
            self.bytes_received_again += bytes;
        }
    }

    /// A part is stored as it was sent, and its client was told so.
    pub(super) fn acknowledge(&mut self, upload_id: &UploadId, number: PartNumber) {
        self.acknowledged.insert((upload_id.clone(), number));
    }

    pub(super) fn calls_of(&self, operation: Operation) -> u64 {
        self.calls.get(&operation).copied().unwrap_or_default()
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}
