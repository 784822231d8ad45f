//! Sends a part twice at once if the first request runs much longer than those of other parts did,
//! and decides which of the two counts.
//!
//! The store keeps the part that it completed last, so a request that is dropped must not change
//! what was recorded. Either both requests give the same ETag, because it is the MD5 of the bytes;
//! or the dropped request can never be carried out, because its body has not left as a whole. If
//! neither is certain (parts under a KMS key have random ETags), the second request is waited for
//! too, and ListParts decides. Whichever counts, it was proven like every other part.
//!
//! Only parts that are sent from a source are hedged: the store itself makes those of a copy, and a
//! part that passes through this machine would be fetched twice as well.

use std::sync::Arc;

use async_trait::async_trait;
use haul_parts::{ChecksumAlgorithm, PartNumber, PlannedPart};
use tokio::pin;

use super::context::Context;
use super::part::PartSender;
use super::stream::ReadAhead;
use crate::body::Tap;
use crate::pace::{FailedAttempt, RetryPolicy};
use crate::remote::{Meter, Operation, StoreError, StoreErrorKind};
use crate::transfer::hedge::{HedgePass, Hedging};
use crate::transfer::mover::{Mover, PartFailure, SentPart};

/// Sends parts from a source, and can send one more than once at a time.
#[async_trait]
pub(super) trait RepeatableSender: Send + Sync + 'static {
    /// Makes one attempt, as [`Mover::attempt`]; `wire` counts its bytes.
    async fn send_once(
        &self,
        part: PlannedPart,
        attempt: u32,
        wire: &Meter,
    ) -> Result<SentPart, PartFailure>;

    /// Sends the part again, while the first request may be in flight. Returns the MD5 of its bytes
    /// too.
    async fn send_again(
        &self,
        part: PlannedPart,
        attempt: u32,
        wire: &Meter,
    ) -> Result<(SentPart, [u8; 16]), PartFailure>;

    /// The sender of the upload's parts.
    fn sender(&self) -> &PartSender;
}

/// Returns the mover of an upload whose parts are sent from its source.
pub(super) fn mover(
    context: &Context,
    hedging: &Hedging,
    sender: PartSender,
    stream: Option<&ReadAhead>,
) -> Arc<dyn Mover> {
    let hedging = context.maker.is_none().then(|| hedging.clone());
    let retry = context.resources.retry.clone();
    match stream {
        Some(stream) => Arc::new(HedgedMover { sender: stream.sender(sender), hedging, retry }),
        None => Arc::new(HedgedMover { sender, hedging, retry }),
    }
}

struct HedgedMover<S> {
    sender: S,
    /// `None` if parts are never sent twice at once.
    hedging: Option<Hedging>,
    /// The policy of ListParts.
    retry: RetryPolicy,
}

#[async_trait]
impl<S: RepeatableSender> Mover for HedgedMover<S> {
    async fn attempt(&self, part: PlannedPart, attempt: u32) -> Result<SentPart, PartFailure> {
        let Some(hedging) = &self.hedging else {
            return self.sender.send_once(part, attempt, &self.sender.sender().wire).await;
        };
        let watch = hedging.attempt(part.size_bytes, attempt == 1);
        let (wire, tap) = self.sender.sender().wire.tapped();
        let first = self.sender.send_once(part, attempt, &wire);
        pin!(first);
        let due = watch.due(|| (tap.left_bytes(), part.size_bytes), part.size_bytes);
        let (pass, mut budget) = tokio::select! {
            biased;
            ended = &mut first => {
                if ended.is_ok() {
                    watch.finished();
                }
                return ended;
            }
            due = due => due,
        };
        tracing::debug!(
            target: "haul::decision",
            "{}: part {} is slow: it is sent once more",
            self.sender.sender().upload.object, part.number
        );
        let (again_wire, again_tap) = self.sender.sender().wire.tapped();
        // If this attempt is dropped, how much was sent is not asked any more.
        budget.set_moved(part.size_bytes);
        let again = self.sender.send_again(part, attempt, &again_wire);
        pin!(again);
        let race = Race { sender: self.sender.sender(), part, pass, retry: &self.retry };
        let ended = tokio::select! {
            biased;
            ended = &mut first => race.first_ended(ended, again.as_mut(), &again_tap).await,
            ended = &mut again => race.again_ended(ended, first.as_mut(), &tap).await,
        };
        budget.settle(tap.left_bytes().min(again_tap.left_bytes()));
        ended
    }
}

/// Two requests for one part, of which one has ended.
struct Race<'a> {
    sender: &'a PartSender,
    part: PlannedPart,
    /// The pass of the second request.
    pass: HedgePass,
    retry: &'a RetryPolicy,
}

impl Race<'_> {
    /// Decides after the first request has ended.
    async fn first_ended(
        &self,
        first: Result<SentPart, PartFailure>,
        again: impl Future<Output = Result<(SentPart, [u8; 16]), PartFailure>>,
        again_tap: &Tap,
    ) -> Result<SentPart, PartFailure> {
        match first {
            Ok(sent) if !again_tap.stop(self.part.size_bytes) => Ok(sent),
            Ok(sent) => match again.await {
                Ok((other, md5)) if is_md5(&sent, md5) && is_md5(&other, md5) => Ok(sent),
                Ok((other, _)) => self.listed([sent, other]).await,
                Err(_) => self.listed([sent.clone(), sent]).await,
            },
            Err(PartFailure::Store(error)) => match again.await {
                Ok((other, md5)) if is_md5(&other, md5) || !error.outcome_unknown => Ok(other),
                Ok((other, _)) => self.listed([other.clone(), other]).await,
                Err(_) => Err(PartFailure::Store(error)),
            },
            Err(failure) => Err(failure),
        }
    }

    /// Decides after the second request has ended.
    async fn again_ended(
        &self,
        again: Result<(SentPart, [u8; 16]), PartFailure>,
        first: impl Future<Output = Result<SentPart, PartFailure>>,
        tap: &Tap,
    ) -> Result<SentPart, PartFailure> {
        match again {
            Ok((sent, md5)) if !tap.stop(self.part.size_bytes) || is_md5(&sent, md5) => Ok(sent),
            Ok((sent, _)) => match first.await {
                Ok(other) => self.listed([sent, other]).await,
                Err(_) => self.listed([sent.clone(), sent]).await,
            },
            Err(PartFailure::Store(error)) => {
                if FailedAttempt::from(&error).throttled {
                    self.pass.throttled();
                }
                first.await
            }
            Err(PartFailure::Source(_)) => first.await,
        }
    }

    /// Returns the part that the store lists, if it is one of the two.
    async fn listed(&self, sent: [SentPart; 2]) -> Result<SentPart, PartFailure> {
        let before = PartNumber::new(u32::from(self.part.number.get()) - 1).ok();
        let PartSender { store, upload, .. } = self.sender;
        // Without this answer, the part would be sent for a third time.
        let page = self.retry.run(|| store.list_parts(upload, before)).await;
        let parts = page.map_err(PartFailure::Store)?.parts;
        let kept = parts.into_iter().find(|listed| listed.number == self.part.number);
        let same = |sent: &SentPart| kept.as_ref().is_some_and(|kept| kept.etag == sent.etag);
        sent.into_iter().find(same).ok_or_else(|| {
            let message = "the store lists neither of two requests for the part";
            PartFailure::Store(StoreError::local(
                Operation::ListParts,
                StoreErrorKind::Connection,
                message,
            ))
        })
    }
}

/// Returns whether the ETag of a part is the MD5 of its bytes, so that every request for it gives
/// the same one.
fn is_md5(sent: &SentPart, md5: [u8; 16]) -> bool {
    sent.etag.as_md5() == Some(md5)
}

#[async_trait]
impl RepeatableSender for PartSender {
    async fn send_once(
        &self,
        part: PlannedPart,
        attempt: u32,
        wire: &Meter,
    ) -> Result<SentPart, PartFailure> {
        self.send_from_source(part, attempt, wire).await
    }

    async fn send_again(
        &self,
        part: PlannedPart,
        attempt: u32,
        wire: &Meter,
    ) -> Result<(SentPart, [u8; 16]), PartFailure> {
        let bytes = self.read_with_md5(part).await?;
        let md5 = bytes.md5_bytes().await?;
        Ok((self.send(part, attempt, &bytes, wire).await?, md5))
    }

    fn sender(&self) -> &PartSender {
        self
    }
}

impl super::part::ReadBytes {
    /// Returns the MD5, which is computed now if it is missing.
    pub(super) async fn md5_bytes(&self) -> Result<[u8; 16], PartFailure> {
        let md5 = match self.md5 {
            Some(md5) => md5,
            None => self.payload.digest(ChecksumAlgorithm::Md5).await.map_err(|error| {
                let message = "cannot read the part again";
                let kind = StoreErrorKind::Source;
                let error =
                    StoreError::local(Operation::UploadPart, kind, message).with_source(error);
                PartFailure::Store(error)
            })?,
        };
        Ok(md5.as_md5().unwrap_or_default())
    }
}
