//! Sends a part *streamed*, in one attempt: hashed while it is sent, with its checksum in a
//! trailer.

use std::sync::atomic::Ordering;

use haul_parts::{ChecksumAlgorithm, PlannedPart};

use super::part::{PartSender, ReadBytes, blame, prove};
use crate::body::Payload;
use crate::proof::Proof;
use crate::remote::{Meter, Operation, PartRequest, StoreError, StoreErrorKind};
use crate::transfer::mover::{PartFailure, SentPart};

/// The outcome of an attempt that did not fail.
pub(super) enum Streamed {
    /// The store has the part.
    Sent(SentPart),
    /// The store does not accept trailers, or its answer proves nothing: the part has to be sent
    /// with its checksum in a header.
    NotTaken,
}

impl PartSender {
    /// Returns the algorithm for the trailer, if this store verifies trailers. A store whose
    /// answers are proven by MD5 gets no trailer.
    pub(super) fn trailer(&self) -> Option<ChecksumAlgorithm> {
        let algorithm = self.checksum.filter(|algorithm| *algorithm != ChecksumAlgorithm::Md5)?;
        (!self.md5.wanted() && self.store.profile().trailers.is_yes()).then_some(algorithm)
    }

    pub(super) async fn send_streamed(
        &self,
        part: PlannedPart,
        attempt: u32,
        algorithm: ChecksumAlgorithm,
        wire: &Meter,
    ) -> Result<Streamed, PartFailure> {
        let payload = Payload::streamed(self.range(part), &self.pool, algorithm).await;
        let request = PartRequest {
            number: part.number,
            payload: payload.clone(),
            checksum: None,
            fresh_connection: attempt > 1,
            wire: wire.clone(),
        };
        let answer = match self.store.upload_part(&self.upload, request).await {
            Ok(answer) => answer,
            // A store that has verified a trailer before refuses this part for another reason.
            Err(error)
                if !self.trailers_proven.load(Ordering::Relaxed) && refuses_trailers(&error) =>
            {
                self.store.has_no_trailers();
                return Ok(Streamed::NotTaken);
            }
            Err(error) => return Err(blame(self.source.as_ref(), PartFailure::Store(error))),
        };
        let Some(checksum) = payload.sent_checksum() else {
            return Err(PartFailure::Store(StoreError::local(
                Operation::UploadPart,
                StoreErrorKind::Connection,
                "the store answered before it had the whole part",
            )));
        };
        if answer.checksum.is_none() {
            self.store.has_no_trailers();
        }
        let bytes = ReadBytes { payload, checksum: Some(checksum), md5: None };
        let proof = prove(&answer, &bytes, Operation::UploadPart).await;
        let proof = proof.map_err(|failure| blame(self.source.as_ref(), failure))?;
        if proof == Proof::Unproven {
            return Ok(Streamed::NotTaken);
        }
        self.trailers_proven.store(true, Ordering::Relaxed);
        Ok(Streamed::Sent(self.sent(part, attempt, answer, &bytes, proof)))
    }
}

/// Returns true for errors caused by an unknown framing or header (Ceph RGW 16.2: 400
/// XAmzContentSHA256Mismatch; Swift: 501), and false for errors caused by damaged bytes.
fn refuses_trailers(error: &StoreError) -> bool {
    use StoreErrorKind as K;
    match error.kind {
        K::Rejected | K::NotImplemented => matches!(error.status, Some(400 | 411 | 501)),
        K::BadDigest => error.code.as_deref() == Some("XAmzContentSHA256Mismatch"),
        K::BadCredentials => error.code.as_deref() == Some("SignatureDoesNotMatch"),
        _ => false,
    }
}
