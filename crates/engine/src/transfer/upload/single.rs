//! Uploads a source below the threshold with one PutObject, which is atomic by itself.
//!
//! A PutObject cannot be undone. If its bytes have been sent and its answer is lost or not awaited,
//! the request may have replaced the object or may still replace it. Then the object is queried
//! (P6, [`landed`](super::landed)); if that does not settle the outcome, the error reports that it
//! is in doubt.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use haul_parts::ChecksumAlgorithm;

use super::at_store::warn_of_condition;
use super::complete::TOKEN_METADATA;
use super::context::Context;
use super::dropped;
use super::landed::{self, Landed};
use super::part::{ReadBytes, blame, prove, read};
use super::start::check_condition_now;
use super::{ReportedPart, UploadReport};
use crate::body::Range;
use crate::error::Error;
use crate::event::Event;
use crate::pace::{FailedAttempt, Pass, Success};
use crate::proof::{Proof, ProofCount, WholeProof};
use crate::remote::{
    Meter, Operation, PutRequest, StoreError, StoreErrorKind, Support, Tap, UploadedPart,
};
use crate::transfer::mover::PartFailure;
use crate::transfer::{StopRequest, StopSignal};

/// Uploads the source in one request.
pub(super) async fn put(context: &Context, mut stop: StopSignal) -> Result<UploadReport, Error> {
    let size_bytes = context.source.size_bytes();
    started(context, size_bytes);
    let support = check_condition(context).await?;
    let pool = context.resources.pool.clone();
    // The pass is taken before any memory, as the parts of other transfers do.
    let pass = tokio::select! {
        pass = context.resources.gate.enter() => pass,
        _ = stop.stronger() => return Err(cancelled(context)),
    };
    let range = Range { source: Arc::clone(&context.source), offset_bytes: 0, size_bytes };
    let bytes = tokio::select! {
        // The object is visible before its answer can be checked, so the store itself must be able
        // to refuse wrong bytes (by MD5).
        bytes = read(range, &pool, context.options.checksum, true) => bytes?,
        _ = stop.stronger() => return Err(cancelled(context)),
    };
    Put::new(context, pass, bytes, support).run(&mut stop).await
}

/// Uploads data that has already been read and hashed with MD5, in one request.
pub(super) async fn put_read(
    context: &Context,
    pass: Pass,
    bytes: ReadBytes,
    mut stop: StopSignal,
) -> Result<UploadReport, Error> {
    started(context, bytes.payload.size_bytes());
    let support = check_condition(context).await?;
    Put::new(context, pass, bytes, support).run(&mut stop).await
}

/// Checks the condition of the upload if the store does not hold it; returns the store's support.
async fn check_condition(context: &Context) -> Result<Support, Error> {
    let profile = context.store().profile();
    let support = context.options.condition_on_put(&profile);
    if support.is_missing() {
        warn_of_condition(support, &profile, &context.events);
        check_condition_now(context).await?;
    }
    Ok(support)
}

fn started(context: &Context, size_bytes: u64) {
    context.events.send(Event::Started {
        source: context.source.name(),
        target: context.object.to_string(),
        size_bytes,
        part_size_bytes: size_bytes,
        part_count: 1,
        multipart: false,
    });
}

/// The combined outcome of the attempts so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// No attempt was carried out.
    Known,
    /// The store has finished every attempt; the object shows the result.
    Visible,
    /// At least one attempt has no answer: it may still be carried out at any time.
    Open,
}

struct Put<'a> {
    context: &'a Context,
    pass: Pass,
    bytes: ReadBytes,
    token: String,
    /// Whether the store refuses the condition, so that it must not be sent.
    without_condition: bool,
    outcome: Outcome,
}

type Answer = Result<UploadedPart, StoreError>;
type Sending<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

impl<'a> Put<'a> {
    fn new(context: &'a Context, pass: Pass, bytes: ReadBytes, condition: Support) -> Self {
        let token = format!("{:032x}", rand::random::<u128>());
        let without_condition = condition == Support::No;
        Self { context, pass, bytes, token, without_condition, outcome: Outcome::Known }
    }
}

impl Put<'_> {
    /// Repeats the request until an attempt succeeds or no further one is allowed.
    async fn run(mut self, stop: &mut StopSignal) -> Result<UploadReport, Error> {
        for attempt in 1.. {
            let (wire, tap) = self.context.progress.meter().tapped();
            let mut sending =
                self.context.store().put_object(&self.context.object, self.request(wire, attempt));
            let (answer, stopped) = tokio::select! {
                answer = &mut sending => (Some(answer), false),
                request = stop.stronger() => {
                    (self.stop(sending, &tap, request, stop).await, true)
                }
            };
            let Some(answer) = answer else { return self.settle(cancelled(self.context)).await };
            let error = match self.proof_of(answer).await {
                Ok((answer, proof)) => {
                    self.pass.succeeded(Success::Short);
                    self.context.resources.budget.earn();
                    dropped::restore_after_put(self.context).await;
                    return Ok(self.report(answer, proof));
                }
                Err(PartFailure::Source(error)) => return Err(error),
                Err(PartFailure::Store(error)) => error,
            };
            self.outcome = self.outcome.max(self.outcome_of(&error, &tap));
            if stopped {
                return self.settle(cancelled(self.context)).await;
            }
            let failure = FailedAttempt::from(&error);
            if failure.throttled {
                self.pass.throttled();
            }
            let Some(wait) = self.wait(attempt, &failure) else {
                return self.settle(self.failed(attempt, error)).await;
            };
            let reason = error.to_string();
            self.context.events.send(Event::Retrying { part_number: None, attempt, wait, reason });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.stronger() => return self.settle(cancelled(self.context)).await,
            }
            self.pass.restart();
        }
        unreachable!("the loop ends only by returning")
    }

    /// Returns the wait before the next attempt, taken from the engine's retry budget.
    fn wait(&self, attempt: u32, failure: &FailedAttempt) -> Option<Duration> {
        let resources = &self.context.resources;
        let wait = resources.retry.wait(attempt, failure, &mut rand::rng());
        wait.filter(|_| resources.budget.pay())
    }

    fn request(&self, wire: Meter, attempt: u32) -> PutRequest {
        let options = &self.context.options;
        let mut attributes = options.attributes.clone();
        attributes.metadata.insert(TOKEN_METADATA.to_owned(), self.token.clone());
        PutRequest {
            payload: self.bytes.payload.clone(),
            attributes,
            checksum: self.bytes.checksum,
            md5: self.bytes.md5.filter(|_| options.checksum != Some(ChecksumAlgorithm::Md5)),
            if_none_match: options.if_none_match && !self.without_condition,
            if_match: options.if_match.clone().filter(|_| !self.without_condition),
            fresh_connection: attempt > 1,
            wire,
        }
    }

    /// Stops a request in flight. If its bytes have been sent, waits for its answer for as long as
    /// a pause waits for parts in flight; returns `None` if no answer came.
    async fn stop(
        &mut self,
        mut sending: Sending<'_>,
        tap: &Tap,
        request: StopRequest,
        stop: &mut StopSignal,
    ) -> Option<Answer> {
        if !tap.stop(self.bytes.payload.size_bytes()) {
            // A request that was cut off in the middle can never be carried out.
            return None;
        }
        let now = request == StopRequest::PauseNow;
        let grace = if now { Duration::ZERO } else { self.context.options.pause_grace };
        let answer = tokio::select! {
            biased;
            answer = &mut sending => Some(answer),
            () = tokio::time::sleep(grace) => None,
            _ = stop.stronger() => None,
        };
        if answer.is_none() {
            self.outcome = Outcome::Open;
        }
        answer
    }

    async fn proof_of(&self, answer: Answer) -> Result<(UploadedPart, Proof), PartFailure> {
        let source = self.context.source.as_ref();
        let answer = answer.map_err(|error| blame(source, PartFailure::Store(error)))?;
        let proof = prove(&answer, &self.bytes, Operation::PutObject).await;
        let proof = proof.map_err(|failure| blame(source, failure))?;
        if proof == Proof::Unproven && self.context.demands_proof() {
            return Err(PartFailure::Source(Error::Unproven {
                object: self.context.object.clone(),
                part: haul_parts::PartNumber::MIN,
            }));
        }
        Ok((answer, proof))
    }

    fn outcome_of(&self, error: &StoreError, tap: &Tap) -> Outcome {
        if !tap.has_left(self.bytes.payload.size_bytes()) {
            return Outcome::Known;
        }
        match error.kind {
            _ if error.outcome_unknown => Outcome::Open,
            // A gateway sends this answer when it has lost its connection to the store.
            StoreErrorKind::Server if error.code.is_none() => Outcome::Open,
            // Our own attempt with the lost answer may make the condition false for the next
            // attempt, or for a repetition by a proxy: the 412 is then caused by our own object.
            StoreErrorKind::Server
            | StoreErrorKind::Malformed
            | StoreErrorKind::PreconditionFailed
            | StoreErrorKind::ConditionalConflict => Outcome::Visible,
            _ => Outcome::Known,
        }
    }

    /// Determines the outcome after the last request. `end` is the result if no attempt was carried
    /// out.
    async fn settle(&self, end: Error) -> Result<UploadReport, Error> {
        if self.outcome == Outcome::Known {
            return Err(end);
        }
        if self.outcome == Outcome::Open {
            let reason = match &end {
                // The text of this error would claim that nothing was left at the store.
                Error::Cancelled { .. } => "the request was stopped on its way".to_owned(),
                other => other.to_string(),
            };
            self.context.events.send(Event::InDoubt { reason });
        }
        let open = self.outcome == Outcome::Open;
        match landed::look(self.context, &self.bytes, &self.token).await {
            Landed::Ours(answer) => {
                match prove(&answer, &self.bytes, Operation::HeadObject).await {
                    Ok(proof) => Ok(self.report(answer, proof)),
                    Err(PartFailure::Source(error)) => Err(error),
                    Err(PartFailure::Store(error)) => Err(Error::CorruptObject {
                        object: self.context.object.clone(),
                        detail: error.message,
                    }),
                }
            }
            Landed::Never => Err(end),
            Landed::NotYet(_) | Landed::Unknown(_) if !open => Err(end),
            Landed::NotYet(source) | Landed::Unknown(source) => {
                Err(Error::PutInDoubt { object: self.context.object.clone(), source })
            }
        }
    }

    fn report(&self, answer: UploadedPart, proof: Proof) -> UploadReport {
        let size_bytes = self.bytes.payload.size_bytes();
        let mut proofs = ProofCount::default();
        proofs.add(proof);
        self.context.progress.arrived(size_bytes);
        let etag = answer.etag.unquoted().to_owned();
        self.context.events.send(Event::Completed { etag, size_bytes, proof: proofs });
        let part =
            ReportedPart { size_bytes, etag: answer.etag.clone(), checksum: self.bytes.checksum };
        UploadReport {
            object: self.context.object.clone(),
            parts: vec![part],
            size_bytes,
            etag: answer.etag,
            part_count: 1,
            upload_id: None,
            proof: proofs,
            whole: WholeProof::NotShown,
            resumed_bytes: 0,
            checksum: self.bytes.checksum,
        }
    }

    fn failed(&self, attempts: u32, error: StoreError) -> Error {
        let object = &self.context.object;
        if error.kind == StoreErrorKind::BadDigest && error.status.is_none() {
            // Every answer reported other bytes than were sent, and the object does contain other
            // bytes.
            return Error::CorruptObject { object: object.clone(), detail: error.message };
        }
        Error::Store { subject: object.into(), part: None, attempts, source: Box::new(error) }
    }
}

fn cancelled(context: &Context) -> Error {
    Error::Cancelled { object: context.object.clone() }
}
