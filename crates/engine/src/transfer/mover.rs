//! One attempt at one piece: the part of a transfer that moves bytes. A new kind of transfer is a
//! new mover.

use async_trait::async_trait;
use haul_parts::{Checksum, ETag, PartNumber, PlannedPart};

use crate::error::Error;
use crate::journal::PartRecord;
use crate::proof::Proof;
use crate::remote::StoreError;

/// Makes parts of an upload: sends them from a source, or copies them inside a store.
#[async_trait]
pub(crate) trait Mover: Send + Sync + 'static {
    /// Makes one attempt at one part, counted from 1. The answer is judged: a part is given only if
    /// the store holds the bytes that it is to hold, as far as the store shows it.
    async fn attempt(&self, part: PlannedPart, attempt: u32) -> Result<SentPart, PartFailure>;
}

/// A part that is at the store.
#[derive(Clone, Debug)]
pub(crate) struct SentPart {
    pub(crate) number: PartNumber,
    pub(crate) size_bytes: u64,
    /// Which attempt of this run succeeded, from 1; 0: one of an earlier run.
    pub(crate) attempt: u32,
    pub(crate) etag: ETag,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) proof: Proof,
}

impl SentPart {
    /// As the journal remembers it; no attempt of this run.
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

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum PartFailure {
    /// The store or the way to it: perhaps worth another attempt.
    Store(StoreError),
    /// The source: no attempt can succeed.
    Source(Error),
}
