//! Carries out what [`super::schedule`] decides: runs requests as tasks, feeds their ends back as inputs.
//!
//! The driver owns the upload. It ends only when the object is there, when nothing is left at the store, or
//! when it must say that it does not know.

use std::sync::Arc;
use std::time::Duration;

use haul_parts::{ChecksumType, ETag, PartNumber, PartPlan};
use rand::Rng;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::abort::abort_until_gone;
use super::complete::{self, TOKEN_METADATA};
use super::part::{Md5Wish, PartFailure, PartSender, SentPart, check_unchanged};
use super::schedule::{Action, Finding, Input, Outcome, Schedule, Waiting};
use super::{Job, UploadReport};
use crate::buffer::BufferPool;
use crate::error::Error;
use crate::events::Event;
use crate::proof::{Proof, ProofCount};
use crate::retry::Failure;
use crate::store::{CompletedObject, CreateRequest, CreatedUpload, ObjectHead, StoreError, UploadRef};

/// Uploads in parts; returns when the schedule has finished.
pub(super) async fn drive(
    job: Job,
    plan: PartPlan,
    mut cancelled: watch::Receiver<bool>,
) -> Result<UploadReport, Error> {
    job.events.send(Event::Started {
        source: job.source.name(),
        target: job.object.to_string(),
        size_bytes: plan.object_size_bytes(),
        part_size_bytes: plan.part_size_bytes(),
        part_count: plan.part_count().into(),
        multipart: true,
    });
    let mut driver = Driver::new(job, plan);
    let mut actions = driver.schedule.on(Input::Start);
    let mut cancel_seen = false;
    loop {
        for action in actions {
            if let Action::Finish(outcome) = action {
                return driver.finish(outcome);
            }
            driver.act(action).await;
        }
        driver.job.progress.set_parts_in_flight(driver.schedule.in_flight());
        let input = tokio::select! {
            Some(ended) = driver.parts.join_next() => driver.part_ended(ended),
            Some(ended) = driver.requests.join_next() => driver.request_ended(ended)?,
            () = until_cancelled(&mut cancelled), if !cancel_seen => {
                cancel_seen = true;
                Input::Cancel
            }
        };
        actions = driver.schedule.on(input);
    }
}

/// Resolves when the caller has cancelled; never when it can no longer do so.
pub(super) async fn until_cancelled(cancelled: &mut watch::Receiver<bool>) {
    if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending::<()>().await;
    }
}

struct Driver {
    job: Arc<Job>,
    plan: PartPlan,
    schedule: Schedule,
    pool: BufferPool,
    token: String,
    sender: Option<Arc<PartSender>>,
    /// The store echoed our checksum algorithm at Create.
    declared: bool,
    sent: Vec<Option<SentPart>>,
    /// Attempts to send parts: stopped before an abort.
    parts: JoinSet<(PartNumber, u32, Result<SentPart, PartFailure>)>,
    /// Everything else: requests about the upload itself, and waits.
    requests: JoinSet<Ended>,
    etag: Option<ETag>,
    /// Failed tries of the request that is under way.
    tries: u32,
    /// Why it is failing: the first error that could not be repaired.
    cause: Option<Error>,
    cleanup: Option<StoreError>,
}

/// A request or a wait that has ended.
enum Ended {
    Created(Result<CreatedUpload, StoreError>),
    Completed(Result<CompletedObject, StoreError>),
    Examined(Finding, Result<ObjectHead, StoreError>),
    Aborted(Result<(), StoreError>),
    Woke(Waiting),
}

impl Driver {
    fn new(job: Job, plan: PartPlan) -> Self {
        let mut random = rand::rng();
        let options = &job.options;
        let schedule = Schedule::new(
            plan.part_count().into(),
            options.concurrency,
            options.retry.clone(),
            random.random(),
        );
        Self {
            schedule,
            pool: BufferPool::new(options.memory_budget_bytes),
            token: format!("{:032x}", random.random::<u128>()),
            sender: None,
            declared: false,
            sent: vec![None; plan.part_count().into()],
            parts: JoinSet::new(),
            requests: JoinSet::new(),
            etag: None,
            tries: 0,
            cause: None,
            cleanup: None,
            plan,
            job: Arc::new(job),
        }
    }

    async fn act(&mut self, action: Action) {
        let job = Arc::clone(&self.job);
        match action {
            Action::Create => {
                let request = self.create_request();
                self.requests.spawn(async move {
                    Ended::Created(job.store.create_multipart_upload(&job.object, &request).await)
                });
            }
            Action::SendPart(number, attempt) => self.send_part(number, attempt),
            Action::Wait(waiting, attempt, wait) => self.wait(waiting, attempt, wait),
            Action::Complete => self.complete(),
            Action::Examine => {
                let Some(upload) = self.upload() else { return };
                let token = self.token.clone();
                self.requests.spawn(async move {
                    let (finding, head) = complete::examine(job.store.as_ref(), &upload, &token).await;
                    Ended::Examined(finding, head)
                });
            }
            Action::Abort => {
                self.parts.shutdown().await;
                self.requests.shutdown().await;
                let Some(upload) = self.upload() else { return };
                let reason = self.cause.as_ref().map_or("cancelled".into(), ToString::to_string);
                job.events.send(Event::Aborting { reason });
                self.requests.spawn(async move {
                    let patience = job.options.abort_patience;
                    Ended::Aborted(abort_until_gone(job.store.as_ref(), &upload, patience).await)
                });
            }
            Action::Stop => {
                self.parts.shutdown().await;
                self.requests.shutdown().await;
            }
            Action::Finish(_) => unreachable!("the loop of drive() ends with it"),
        }
    }

    fn create_request(&self) -> CreateRequest {
        let options = &self.job.options;
        let mut attributes = options.attributes.clone();
        attributes.metadata.insert(TOKEN_METADATA.into(), self.token.clone());
        // Content-MD5 is not declared: it belongs to single requests, not to the object.
        let declarable =
            options.checksum.filter(|algorithm| *algorithm != haul_parts::ChecksumAlgorithm::Md5);
        let checksum = declarable.map(|algorithm| {
            let kind = if algorithm.combines() { ChecksumType::FullObject } else { ChecksumType::Composite };
            (algorithm, kind)
        });
        CreateRequest { attributes, checksum }
    }

    fn upload(&self) -> Option<UploadRef> {
        self.sender.as_ref().map(|sender| sender.upload.clone())
    }

    fn send_part(&mut self, number: PartNumber, attempt: u32) {
        let part = self.plan.part(number).expect("the schedule has as many parts as the plan");
        let sender = Arc::clone(self.sender.as_ref().expect("parts are sent after Create"));
        self.parts.spawn(async move { (number, attempt, sender.send(part, attempt).await) });
    }

    fn wait(&mut self, waiting: Waiting, attempt: u32, wait: Duration) {
        let reason = self.cause.take().map_or_else(String::new, |cause| match cause {
            Error::Store { source, .. } => source.to_string(),
            other => other.to_string(),
        });
        let part_number = if let Waiting::Part(number) = waiting { Some(number) } else { None };
        self.job.events.send(Event::Retrying { part_number, attempt, wait, reason });
        self.requests.spawn(async move {
            tokio::time::sleep(wait).await;
            Ended::Woke(waiting)
        });
    }

    fn complete(&mut self) {
        let Some(upload) = self.upload() else { return };
        let parts: Vec<_> = self.sent.iter().flatten().cloned().collect();
        assert_eq!(parts.len(), self.sent.len(), "Complete names every part of the plan");
        let request = complete::request(&parts, self.declared, &self.job.options);
        let job = Arc::clone(&self.job);
        job.events.send(Event::Completing);
        self.requests.spawn(async move {
            let mut completed = job.store.complete_multipart_upload(&upload, &request).await;
            // Ceph RGW 16.2 leaves the ETag of its first answer empty.
            if let Ok(object) = &mut completed
                && object.etag.is_none()
                && let Ok(head) = job.store.head_object(&job.object).await
            {
                object.etag = Some(head.etag);
            }
            Ended::Completed(completed)
        });
    }

    fn part_ended(
        &mut self,
        ended: Result<(PartNumber, u32, Result<SentPart, PartFailure>), JoinError>,
    ) -> Input {
        let (number, attempt, result) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                self.cause = Some(Error::Internal(error.to_string()));
                return Input::PartImpossible(PartNumber::MIN);
            }
        };
        match result {
            Ok(part) if part.proof == Proof::Unproven && self.job.options.require_proof => {
                self.cause = Some(Error::Unproven { object: self.job.object.clone(), part: number });
                Input::PartImpossible(number)
            }
            Ok(part) => self.part_sent(part),
            Err(PartFailure::Store(error)) => {
                let failure = Failure::from(&error);
                self.failed(Some(number), attempt, error);
                Input::PartFailed(number, failure)
            }
            Err(PartFailure::Source(error)) => {
                self.cause = Some(error);
                Input::PartImpossible(number)
            }
        }
    }

    fn part_sent(&mut self, part: SentPart) -> Input {
        let number = part.number;
        self.job.progress.arrived(part.size_bytes);
        self.job.events.send(Event::PartSent {
            part_number: number,
            size_bytes: part.size_bytes,
            attempt: part.attempt,
            proof: part.proof,
        });
        self.sent[usize::from(number.get()) - 1] = Some(part);
        // The last look at the source before the object can appear (P4).
        if self.sent.iter().all(Option::is_some)
            && let Err(changed) = check_unchanged(self.job.source.as_ref())
        {
            self.cause = Some(changed);
            return Input::PartImpossible(number);
        }
        Input::PartSent(number)
    }

    fn request_ended(&mut self, ended: Result<Ended, JoinError>) -> Result<Input, Error> {
        Ok(match ended.map_err(|error| Error::Internal(error.to_string()))? {
            Ended::Created(Ok(created)) => self.created(created),
            Ended::Created(Err(error)) => {
                let failure = Failure::from(&error);
                if error.outcome_unknown {
                    let message = "the answer to CreateMultipartUpload was lost: the store may keep an empty upload of this key";
                    self.job.events.send(Event::Warning { message: message.into() });
                }
                self.request_failed(error);
                Input::CreateFailed(failure)
            }
            Ended::Completed(Ok(object)) => {
                self.etag = object.etag;
                Input::Completed
            }
            Ended::Completed(Err(error)) => {
                let failure = Failure::from(&error);
                if failure.outcome_unknown {
                    self.job.events.send(Event::InDoubt { reason: error.to_string() });
                }
                self.request_failed(error);
                Input::CompleteFailed(failure)
            }
            Ended::Examined(finding, head) => {
                match (&finding, head) {
                    (Finding::Ours, Ok(head)) => self.etag = Some(head.etag),
                    (Finding::Unknown(_), head) => self.request_failed(complete::unsettled(head)),
                    _ => {}
                }
                Input::Examined(finding)
            }
            Ended::Aborted(Ok(())) => {
                self.job.events.send(Event::Aborted);
                Input::Aborted
            }
            Ended::Aborted(Err(error)) => {
                self.cleanup = Some(error);
                Input::AbortFailed
            }
            Ended::Woke(waiting) => Input::Woke(waiting),
        })
    }

    fn created(&mut self, created: CreatedUpload) -> Input {
        let job = &self.job;
        self.tries = 0;
        self.declared = created.checksum.is_some();
        let upload_id = created.upload_id;
        job.events.send(Event::UploadCreated { upload_id: upload_id.clone() });
        self.sender = Some(Arc::new(PartSender {
            store: Arc::clone(&job.store),
            source: Arc::clone(&job.source),
            pool: self.pool.clone(),
            upload: UploadRef { object: job.object.clone(), upload_id },
            checksum: job.options.checksum,
            md5: Md5Wish::new(!self.declared),
            wire: job.progress.wire.clone(),
        }));
        Input::Created
    }

    fn request_failed(&mut self, error: StoreError) {
        self.tries += 1;
        self.failed(None, self.tries, error);
    }

    fn failed(&mut self, part: Option<PartNumber>, attempts: u32, source: StoreError) {
        let object = self.job.object.to_string();
        self.cause = Some(Error::Store { object, part, attempts, source: Box::new(source) });
    }

    fn finish(self, outcome: Outcome) -> Result<UploadReport, Error> {
        let object = self.job.object.clone();
        let upload_id = self.upload().map(|upload| upload.upload_id);
        let cause = self.cause;
        let unexplained = || Error::Internal("the upload failed without a reason".into());
        match (outcome, upload_id) {
            (Outcome::Done, upload_id) => {
                let parts: Vec<_> = self.sent.into_iter().flatten().collect();
                let mut proof = ProofCount::default();
                parts.iter().for_each(|part| proof.add(part.proof));
                let size_bytes = self.plan.object_size_bytes();
                let etag = self.etag.unwrap_or_else(|| ETag::new(""));
                let event_etag = etag.unquoted().to_owned();
                self.job.events.send(Event::Completed { etag: event_etag, size_bytes, proof });
                Ok(UploadReport {
                    object,
                    size_bytes,
                    etag,
                    part_count: self.plan.part_count().into(),
                    upload_id,
                    proof,
                    checksum: complete::full_object(&parts),
                })
            }
            (Outcome::Cancelled, _) => Err(Error::Cancelled { object: object.to_string() }),
            (Outcome::UploadGone, Some(upload_id)) => Err(Error::UploadGone { object, upload_id }),
            (Outcome::LeftBehind, Some(upload_id)) => match self.cleanup {
                Some(cleanup) => Err(Error::LeftBehind {
                    object: object.clone(),
                    upload_id,
                    cleanup: Box::new(cleanup),
                    source: Box::new(cause.unwrap_or(Error::Cancelled { object: object.to_string() })),
                }),
                None => Err(cause.unwrap_or_else(unexplained)),
            },
            (Outcome::InDoubt, Some(upload_id)) => match cause {
                Some(Error::Store { source, .. }) => Err(Error::InDoubt { object, upload_id, source }),
                other => Err(other.unwrap_or_else(unexplained)),
            },
            (
                Outcome::Failed
                | Outcome::UploadGone
                | Outcome::LeftBehind
                | Outcome::InDoubt
                | Outcome::Restart
                | Outcome::Paused,
                _,
            ) => Err(cause.unwrap_or_else(unexplained)),
        }
    }
}
