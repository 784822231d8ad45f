//! A source below the threshold: one PutObject, which is whole or nothing by itself.
//!
//! It cannot be taken back. Once its bytes have left, a request whose answer is lost, or not waited for, may have
//! replaced the object or may still do so: then the object is looked at (P6, [`landed`](super::landed)), and what that
//! does not settle is reported as a doubt.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use haul_parts::ChecksumAlgorithm;
use tokio::sync::watch;

use super::complete::TOKEN_METADATA;
use super::driver::until_stronger;
use super::landed::{self, Landed};
use super::part::{PartFailure, ReadBytes, blame, prove, read};
use super::{Job, UploadReport, Wish};
use crate::body::BufferPool;
use crate::body::Range;
use crate::error::Error;
use crate::event::Event;
use crate::pace::Failure;
use crate::proof::{Proof, ProofCount, WholeProof};
use crate::remote::{Meter, Operation, PutRequest, StoreError, StoreErrorKind, Tap, UploadedPart};

/// Uploads the source in one request.
pub(super) async fn put(job: &Job, mut wishes: watch::Receiver<Wish>) -> Result<UploadReport, Error> {
    let size_bytes = job.source.size_bytes();
    job.events.send(Event::Started {
        source: job.source.name(),
        target: job.object.to_string(),
        size_bytes,
        part_size_bytes: size_bytes,
        part_count: 1,
        multipart: false,
    });
    let pool = BufferPool::new(job.options.memory_budget_bytes);
    let range = Range { source: Arc::clone(&job.source), offset_bytes: 0, size_bytes };
    let bytes = tokio::select! {
        // A put object is visible before its answer can be judged: the store must refuse wrong bytes itself.
        bytes = read(range, &pool, job.options.checksum, true) => bytes?,
        _ = until_stronger(&mut wishes, Wish::GoOn) => return Err(cancelled(job)),
    };
    let token = format!("{:032x}", rand::random::<u128>());
    Put { job, bytes, token, outcome: Outcome::Known }.run(&mut wishes).await
}

/// What is known of the attempts so far, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// None was carried out.
    Known,
    /// The store has ended with each of them; the object shows what it did.
    Visible,
    /// One was never answered: it may be carried out at any time.
    Open,
}

struct Put<'a> {
    job: &'a Job,
    bytes: ReadBytes,
    token: String,
    outcome: Outcome,
}

type Answer = Result<UploadedPart, StoreError>;
type Sending<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

impl Put<'_> {
    /// Attempt after attempt, until one is answered well or no more shall be made.
    async fn run(mut self, wishes: &mut watch::Receiver<Wish>) -> Result<UploadReport, Error> {
        for attempt in 1.. {
            let (wire, tap) = self.job.progress.wire.tapped();
            let mut sending = self.job.store.put_object(&self.job.object, self.request(wire, attempt));
            let (answer, stopped) = tokio::select! {
                answer = &mut sending => (Some(answer), false),
                wish = until_stronger(wishes, Wish::GoOn) => {
                    (self.stop(sending, &tap, wish, wishes).await, true)
                }
            };
            let Some(answer) = answer else { return self.settle(cancelled(self.job)).await };
            let error = match self.judge(answer).await {
                Ok((answer, proof)) => return Ok(self.report(answer, proof)),
                Err(PartFailure::Source(error)) => return Err(error),
                Err(PartFailure::Store(error)) => error,
            };
            self.outcome = self.outcome.max(self.outcome_of(&error, &tap));
            if stopped {
                return self.settle(cancelled(self.job)).await;
            }
            let failure = Failure::from(&error);
            let Some(wait) = self.job.options.retry.wait(attempt, &failure, &mut rand::rng()) else {
                return self.settle(self.failed(attempt, error)).await;
            };
            let reason = error.to_string();
            self.job.events.send(Event::Retrying { part_number: None, attempt, wait, reason });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = until_stronger(wishes, Wish::GoOn) => return self.settle(cancelled(self.job)).await,
            }
        }
        unreachable!("the loop ends only by returning")
    }

    fn request(&self, wire: Meter, attempt: u32) -> PutRequest {
        let options = &self.job.options;
        let mut attributes = options.attributes.clone();
        attributes.metadata.insert(TOKEN_METADATA.to_owned(), self.token.clone());
        PutRequest {
            payload: self.bytes.payload.clone(),
            attributes,
            checksum: self.bytes.checksum,
            md5: self.bytes.md5.filter(|_| options.checksum != Some(ChecksumAlgorithm::Md5)),
            if_none_match: options.if_none_match,
            if_match: options.if_match.clone(),
            fresh_connection: attempt > 1,
            wire,
        }
    }

    /// Stops a request that is under way. If its bytes have left, its answer is waited for as long as a pause waits for
    /// parts in flight; `None`: there is none.
    async fn stop(
        &mut self,
        mut sending: Sending<'_>,
        tap: &Tap,
        wish: Wish,
        wishes: &mut watch::Receiver<Wish>,
    ) -> Option<Answer> {
        if !tap.stop(self.bytes.payload.size_bytes()) {
            // Cut off in the middle, it can never be carried out.
            return None;
        }
        let now = wish == Wish::PauseNow;
        let grace = if now { Duration::ZERO } else { self.job.options.pause_grace };
        let answer = tokio::select! {
            biased;
            answer = &mut sending => Some(answer),
            () = tokio::time::sleep(grace) => None,
            _ = until_stronger(wishes, wish) => None,
        };
        if answer.is_none() {
            self.outcome = Outcome::Open;
        }
        answer
    }

    async fn judge(&self, answer: Answer) -> Result<(UploadedPart, Proof), PartFailure> {
        let source = self.job.source.as_ref();
        let answer = answer.map_err(|error| blame(source, PartFailure::Store(error)))?;
        let proof = prove(&answer, &self.bytes, Operation::PutObject).await;
        let proof = proof.map_err(|failure| blame(source, failure))?;
        if proof == Proof::Unproven && self.job.options.require_proof {
            return Err(PartFailure::Source(Error::Unproven {
                object: self.job.object.clone(),
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
            // A gateway says so that has lost the store behind it.
            StoreErrorKind::Server if error.code.is_none() => Outcome::Open,
            // A condition that our own lost attempt has made untrue is met again by the next one, or by what a proxy
            // repeats: 412 on our own object.
            StoreErrorKind::Server
            | StoreErrorKind::Malformed
            | StoreErrorKind::PreconditionFailed
            | StoreErrorKind::ConditionalConflict => Outcome::Visible,
            _ => Outcome::Known,
        }
    }

    /// Nothing more is sent. `end` is how it ends if no attempt was carried out.
    async fn settle(&self, end: Error) -> Result<UploadReport, Error> {
        if self.outcome == Outcome::Known {
            return Err(end);
        }
        if self.outcome == Outcome::Open {
            let reason = match &end {
                // Its own text would already claim that nothing was left.
                Error::Cancelled { .. } => "the request was stopped on its way".to_owned(),
                other => other.to_string(),
            };
            self.job.events.send(Event::InDoubt { reason });
        }
        let open = self.outcome == Outcome::Open;
        match landed::look(self.job, &self.bytes, &self.token).await {
            Landed::Ours(answer) => match prove(&answer, &self.bytes, Operation::HeadObject).await {
                Ok(proof) => Ok(self.report(answer, proof)),
                Err(PartFailure::Source(error)) => Err(error),
                Err(PartFailure::Store(error)) => {
                    Err(Error::CorruptObject { object: self.job.object.clone(), detail: error.message })
                }
            },
            Landed::Never => Err(end),
            Landed::NotYet(_) | Landed::Unknown(_) if !open => Err(end),
            Landed::NotYet(source) | Landed::Unknown(source) => {
                Err(Error::PutInDoubt { object: self.job.object.clone(), source })
            }
        }
    }

    fn report(&self, answer: UploadedPart, proof: Proof) -> UploadReport {
        let size_bytes = self.bytes.payload.size_bytes();
        let mut proofs = ProofCount::default();
        proofs.add(proof);
        self.job.progress.arrived(size_bytes);
        let etag = answer.etag.unquoted().to_owned();
        self.job.events.send(Event::Completed { etag, size_bytes, proof: proofs });
        UploadReport {
            object: self.job.object.clone(),
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
        let object = &self.job.object;
        if error.kind == StoreErrorKind::BadDigest && error.status.is_none() {
            // Every answer said that other bytes are there than were sent, and there they are.
            return Error::CorruptObject { object: object.clone(), detail: error.message };
        }
        Error::Store { object: object.to_string(), part: None, attempts, source: Box::new(error) }
    }
}

fn cancelled(job: &Job) -> Error {
    Error::Cancelled { object: job.object.to_string() }
}
