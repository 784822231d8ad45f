//! Records requests and arrived bytes, so that tests can verify "never twice" and "no abort in
//! doubt". It stores counts, not the bytes themselves.

use std::collections::{HashMap, HashSet, VecDeque};

use haul_parts::{PartNumber, UploadId};

use crate::remote::{Operation, StoreErrorKind};

/// The maximum number of recorded calls and published objects; older ones are dropped.
pub(super) const HISTORY_MAX: usize = 100_000;

/// One request that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The operation of the request.
    pub operation: Operation,
    /// The upload of the request, if it names one.
    pub upload_id: Option<UploadId>,
    /// The part of the request, if it names one.
    pub part: Option<PartNumber>,
    /// The outcome of the request.
    pub fate: Fate,
    /// The time of its beginning, in steps of one clock for beginnings and ends.
    pub began: u64,
    /// The time of its end, by the same clock.
    pub ended: u64,
}

/// The outcome of a request, as the *client* knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The request succeeded.
    Succeeded,
    /// The request failed, and was not carried out.
    Failed(StoreErrorKind),
    /// The connection broke; the client cannot know whether the request was carried out.
    Unknown,
    /// The client dropped the request before the answer.
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
    /// Records the beginning of a request and returns its time.
    pub(super) fn begin(&mut self, operation: Operation) -> u64 {
        *self.calls.entry(operation).or_default() += 1;
        if operation == Operation::UploadPart {
            self.parts_in_flight += 1;
            self.parts_in_flight_most = self.parts_in_flight_most.max(self.parts_in_flight);
        }
        self.tick()
    }

    /// Records the end of a request; sets `ended`.
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

    /// Counts body bytes of a part or of a whole object.
    pub(super) fn receive(&mut self, part: Option<(&UploadId, PartNumber)>, bytes: u64) {
        self.bytes_received += bytes;
        if let Some((upload_id, number)) = part
            && self.acknowledged.contains(&(upload_id.clone(), number))
        {
            self.bytes_received_again += bytes;
        }
    }

    /// Records a part that is stored as sent and acknowledged.
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
