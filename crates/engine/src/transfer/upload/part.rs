//! Sends one part in one attempt: gets a memory permit, reads, hashes, sends, proves.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use haul_parts::{Checksum, ChecksumAlgorithm, PlannedPart};

use super::context::Context;
use super::streamed::Streamed;
use crate::body::BufferPool;
use crate::body::{Payload, Range};
use crate::error::Error;
use crate::proof::{self, Judgement, Proof};
use crate::remote::{
    Meter, Operation, PartRequest, Store, StoreError, StoreErrorKind, UploadRef, UploadedPart,
};
use crate::source::Source;
use crate::transfer::mover::{PartFailure, SentPart};

/// The state that all parts of an upload share.
pub(super) struct PartSender {
    pub(super) store: Arc<dyn Store>,
    pub(super) source: Arc<dyn Source>,
    pub(super) pool: BufferPool,
    pub(super) upload: UploadRef,
    pub(super) checksum: Option<ChecksumAlgorithm>,
    pub(super) md5: Md5Wish,
    /// Whether a part of this upload was proven by the checksum in its trailer.
    pub(super) trailers_proven: AtomicBool,
    pub(super) wire: Meter,
}

/// Records whether the proof of the next part will need an MD5. Computing the MD5 in the same pass
/// as the checksum costs less than reading the part a second time; omitting it costs nothing.
#[derive(Debug)]
pub(super) struct Md5Wish(AtomicBool);

impl Md5Wish {
    /// Requests MD5s from the first part on, unless the store confirmed our checksum algorithm.
    pub(super) fn new(wanted: bool) -> Self {
        Self(AtomicBool::new(wanted))
    }

    pub(super) fn wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn learn(&self, proof: Proof) {
        self.0.store(proof == Proof::Md5, Ordering::Relaxed);
    }
}

impl PartSender {
    /// Creates the sender of this upload; `md5_wanted` if the store did not confirm our checksum
    /// algorithm.
    pub(super) fn new(context: &Context, upload: UploadRef, md5_wanted: bool) -> Self {
        Self {
            store: Arc::clone(context.store()),
            source: Arc::clone(&context.source),
            pool: context.resources.pool.clone(),
            upload,
            checksum: context.options.checksum,
            md5: Md5Wish::new(md5_wanted),
            trailers_proven: AtomicBool::new(false),
            wire: context.progress.meter().clone(),
        }
    }

    /// Sends one part in one attempt; `wire` counts its bytes. A later attempt reads the part
    /// again, so a waiting part holds no memory.
    pub(super) async fn send_from_source(
        &self,
        part: PlannedPart,
        attempt: u32,
        wire: &Meter,
    ) -> Result<SentPart, PartFailure> {
        if let Some(algorithm) = self.trailer()
            && let Streamed::Sent(sent) = self.send_streamed(part, attempt, algorithm, wire).await?
        {
            return Ok(sent);
        }
        let read = read(self.range(part), &self.pool, self.checksum, self.md5.wanted()).await;
        let bytes = read.map_err(PartFailure::Source)?;
        self.send(part, attempt, &bytes, wire).await
    }

    /// Reads a part and hashes it with MD5 too.
    pub(super) async fn read_with_md5(&self, part: PlannedPart) -> Result<ReadBytes, PartFailure> {
        let read = read(self.range(part), &self.pool, self.checksum, true).await;
        read.map_err(PartFailure::Source)
    }

    /// Sends a part that was read, and evaluates the answer.
    pub(super) async fn send(
        &self,
        part: PlannedPart,
        attempt: u32,
        bytes: &ReadBytes,
        wire: &Meter,
    ) -> Result<SentPart, PartFailure> {
        let request = PartRequest {
            number: part.number,
            payload: bytes.payload.clone(),
            checksum: bytes.checksum,
            fresh_connection: attempt > 1,
            wire: wire.clone(),
        };
        let answer = self.store.upload_part(&self.upload, request).await;
        let answer =
            answer.map_err(|error| blame(self.source.as_ref(), PartFailure::Store(error)))?;
        let proof = prove(&answer, bytes, Operation::UploadPart).await;
        let proof = proof.map_err(|failure| blame(self.source.as_ref(), failure))?;
        Ok(self.sent(part, attempt, answer, bytes, proof))
    }

    pub(super) fn range(&self, part: PlannedPart) -> Range {
        Range {
            source: Arc::clone(&self.source),
            offset_bytes: part.offset_bytes,
            size_bytes: part.size_bytes,
        }
    }

    /// Handles a part that arrived: its proof decides how the next part is hashed.
    pub(super) fn sent(
        &self,
        part: PlannedPart,
        attempt: u32,
        answer: UploadedPart,
        bytes: &ReadBytes,
        proof: Proof,
    ) -> SentPart {
        self.md5.learn(proof);
        SentPart {
            number: part.number,
            size_bytes: part.size_bytes,
            attempt,
            etag: answer.etag,
            checksum: bytes.checksum,
            proof,
        }
    }
}

/// Bytes that were read, with their digests.
#[derive(Clone)]
pub(super) struct ReadBytes {
    pub(super) payload: Payload,
    pub(super) checksum: Option<Checksum>,
    pub(super) md5: Option<Checksum>,
}

/// Reads a range, hashes it, and verifies that the source has not changed (P4).
pub(super) async fn read(
    range: Range,
    pool: &BufferPool,
    checksum: Option<ChecksumAlgorithm>,
    md5_wanted: bool,
) -> Result<ReadBytes, Error> {
    let source = Arc::clone(&range.source);
    let md5 =
        (md5_wanted || checksum == Some(ChecksumAlgorithm::Md5)).then_some(ChecksumAlgorithm::Md5);
    let algorithms: Vec<_> = checksum.into_iter().chain(md5).collect();
    let (payload, digests) = Payload::read(range, pool, &algorithms)
        .await
        .map_err(|error| unreadable(source.as_ref(), error))?;
    check_unchanged(source.as_ref())?;
    let digest = |wanted: Option<ChecksumAlgorithm>| {
        digests.iter().find(|digest| Some(digest.algorithm()) == wanted).copied()
    };
    Ok(ReadBytes { payload, checksum: digest(checksum), md5: digest(md5) })
}

/// Fails if the source is no longer the version that was opened.
pub(super) fn check_unchanged(source: &dyn Source) -> Result<(), Error> {
    source
        .check_unchanged()
        .map_err(|change| Error::SourceChanged { source_name: source.name(), change })
}

/// Returns the error of a failed read: the source was truncated, or is unreadable.
pub(super) fn unreadable(source: &dyn Source, error: io::Error) -> Error {
    match check_unchanged(source) {
        Err(changed) => changed,
        Ok(()) => Error::SourceUnreadable { source_name: source.name(), source: error },
    }
}

/// Assigns the failure to the store or the source: if the source could not be read a second time
/// while it was sent, the store is not the cause.
pub(super) fn blame(source: &dyn Source, failure: PartFailure) -> PartFailure {
    match failure {
        PartFailure::Store(error) if error.kind == StoreErrorKind::Source => {
            PartFailure::Source(unreadable(source, io::Error::other(error)))
        }
        other => other,
    }
}

/// Evaluates the answer. If the store has other bytes than were sent, the failure makes the part be
/// sent again.
pub(super) async fn prove(
    answer: &UploadedPart,
    bytes: &ReadBytes,
    operation: Operation,
) -> Result<Proof, PartFailure> {
    let judgement = match proof::of_answer(answer, bytes.checksum.as_ref(), bytes.md5.as_ref()) {
        Judgement::NeedsMd5(etag) => {
            let md5 = bytes.payload.digest(ChecksumAlgorithm::Md5).await.map_err(|error| {
                PartFailure::Store(
                    StoreError::local(
                        operation,
                        StoreErrorKind::Source,
                        "cannot read the part again",
                    )
                    .with_source(error),
                )
            })?;
            proof::judge_md5(etag, &md5)
        }
        settled => settled,
    };
    match judgement {
        Judgement::Proven(proof) => Ok(proof),
        Judgement::NeedsMd5(_) => Ok(Proof::Unproven),
        Judgement::Differs(difference) => Err(PartFailure::Store(StoreError::local(
            operation,
            StoreErrorKind::BadDigest,
            format!("the store holds other bytes than were sent: {difference}"),
        ))),
    }
}
