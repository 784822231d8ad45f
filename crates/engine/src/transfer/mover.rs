//! The interface for one attempt at one piece, which is the part of a transfer that moves bytes. A
//! new kind of transfer needs a new mover.

use async_trait::async_trait;
use haul_parts::{Checksum, ETag, PartNumber, PlannedPart};

use crate::error::Error;
use crate::journal::PartRecord;
use crate::proof::Proof;
use crate::remote::StoreError;

/// A mover makes the parts of an upload: it sends them from a source, or copies them inside a
/// store.
#[async_trait]
pub(crate) trait Mover: Send + Sync + 'static {
    /// Makes one attempt at one part; attempts are counted from 1. Checks the answer, and returns a
    /// part only if the store has the right bytes, as far as the store shows that.
    async fn attempt(&self, part: PlannedPart, attempt: u32) -> Result<SentPart, PartFailure>;
}

/// A part that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct SentPart {
    pub(crate) number: PartNumber,
    pub(crate) size_bytes: u64,
    /// The attempt of this run that succeeded, from 1; 0 for a part of an earlier run.
    pub(crate) attempt: u32,
    pub(crate) etag: ETag,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) proof: Proof,
}

impl SentPart {
    /// Restores a part from its journal record; this run has made no attempt at it.
    pub(crate) fn from_record(record: &PartRecord) -> Self {
        Self {
            number: record.number,
            size_bytes: record.size_bytes,
            attempt: 0,
            etag: record.etag.clone(),
            checksum: record.checksum,
            proof: record.proof,
        }
    }
}

/// The reason why an attempt failed.
#[derive(Debug)]
pub(crate) enum PartFailure {
    /// The store or the connection failed: another attempt may succeed.
    Store(StoreError),
    /// The source failed: no attempt can succeed.
    Source(Error),
}
