//! The parts that an earlier run of a stream left at the store.
//!
//! The stream is read from its beginning and divided into parts as its journal records. A stored
//! part is used if the bytes that this run reads have its checksum or its MD5; every other part is
//! sent again. The object consists only of parts that this run compared or sent (P4).

use std::collections::BTreeMap;

use haul_parts::{Checksum, ChecksumAlgorithm, PartNumber, PlannedPart};

use crate::journal::PartRecord;
use crate::proof::Proof;
use crate::remote::StoredPart;
use crate::transfer::mover::SentPart;
use crate::transfer::upload::part::ReadBytes;

/// The parts of ListParts, with their journal records.
#[derive(Debug)]
pub(crate) struct StoredParts(BTreeMap<PartNumber, (StoredPart, Option<PartRecord>)>);

impl StoredParts {
    pub(super) fn new(
        listed: Vec<StoredPart>,
        mut recorded: BTreeMap<PartNumber, PartRecord>,
    ) -> Self {
        let with_record = |stored: StoredPart| {
            let record = recorded.remove(&stored.number);
            (stored.number, (stored, record))
        };
        Self(listed.into_iter().map(with_record).collect())
    }

    /// Returns the number of parts.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Returns the sum of their lengths in bytes.
    pub(super) fn size_bytes(&self) -> u64 {
        self.0.values().map(|(stored, _)| stored.size_bytes).sum()
    }

    /// Returns whether the store has a part beyond a stream of this many parts.
    pub(crate) fn reach_beyond(&self, part_count: u32) -> bool {
        self.0.keys().next_back().is_some_and(|last| u32::from(last.get()) > part_count)
    }

    /// Returns whether the store has a part with this number and length, which may be this part.
    pub(super) fn may_have(&self, part: PlannedPart) -> bool {
        self.0.get(&part.number).is_some_and(|(stored, _)| stored.size_bytes == part.size_bytes)
    }

    /// Returns the stored part if it equals the part that was read.
    pub(super) async fn same(&self, part: PlannedPart, read: &ReadBytes) -> Option<SentPart> {
        let (stored, record) = self.0.get(&part.number)?;
        if stored.size_bytes != part.size_bytes {
            return None;
        }
        let proof = match (stored.checksum, of_record(stored, record.as_ref())) {
            (Some(at_store), _) => {
                (digest(read, at_store.algorithm()).await? == at_store).then_some(Proof::Checksum)
            }
            (None, Some((sent, proof))) => {
                (digest(read, sent.algorithm()).await? == sent).then_some(proof)
            }
            (None, None) => {
                let md5 = stored.etag.as_md5()?;
                let read = digest(read, ChecksumAlgorithm::Md5).await?;
                (read.as_md5() == Some(md5)).then_some(Proof::Md5)
            }
        }?;
        Some(SentPart {
            number: part.number,
            size_bytes: part.size_bytes,
            attempt: 0,
            etag: stored.etag.clone(),
            checksum: read.checksum,
            proof,
        })
    }
}

/// Returns the recorded checksum of a part, if the record describes the stored part.
fn of_record(stored: &StoredPart, record: Option<&PartRecord>) -> Option<(Checksum, Proof)> {
    let record = record
        .filter(|record| record.etag == stored.etag && record.size_bytes == stored.size_bytes)?;
    Some((record.checksum?, record.proof))
}

/// Hashes a part; `None` if the part cannot be read again and therefore has to be sent.
async fn digest(read: &ReadBytes, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
    let known = [read.checksum, read.md5].into_iter().flatten();
    match known.into_iter().find(|known| known.algorithm() == algorithm) {
        Some(known) => Some(known),
        None => read.payload.digest(algorithm).await.ok(),
    }
}
