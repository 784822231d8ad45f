//! Carries out what [`super::schedule`] decides: runs requests as tasks, feeds their ends back as inputs.
//!
//! The driver owns the upload. It ends only when the object is there, when nothing is left at the store, when
//! what is left is remembered and can go on, or when it must say that it does not know.

use std::sync::Arc;
use std::time::Duration;

use haul_parts::{ChecksumType, ETag, PartNumber, PartPlan};
use rand::Rng;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::abort::abort_until_gone;
use super::complete::{self, Expected};
use super::ending::Ending;
use super::expiry;
use super::lost_create::{self, LostCreates};
use super::memory::Memory;
use super::part::{Md5Wish, PartFailure, PartSender, SentPart, check_unchanged};
use super::schedule::{Action, Finding, Input, Outcome, Schedule, Waiting, WhenExhausted};
use super::start::create_request;
use super::{Job, Wish};
use crate::advice::Advice;
use crate::body::BufferPool;
use crate::error::Error;
use crate::event::Event;
use crate::pace::Failure;
use crate::proof::Proof;
use crate::remote::{CompletedObject, CreatedUpload, ObjectHead, StoreError, UploadRef};

pub(super) use super::ending::Driven;
pub(super) use super::start::Start;

/// Uploads in parts; returns when the schedule has finished.
pub(super) async fn drive(
    job: &Arc<Job>,
    start: Start,
    memory: Memory,
    mut wishes: watch::Receiver<Wish>,
) -> Result<Driven, Error> {
    job.events.send(Event::Started {
        source: job.source.name(),
        target: job.object.to_string(),
        size_bytes: start.plan.object_size_bytes(),
        part_size_bytes: start.plan.part_size_bytes(),
        part_count: start.plan.part_count().into(),
        multipart: true,
    });
    if start.earlier.is_none() {
        // What an upload had that the store lost has to arrive once more.
        job.progress.set_arrived(0);
    }
    let mut driver = Driver::new(Arc::clone(job), start, memory);
    let mut actions = driver.schedule.on(Input::Start);
    let mut wish = Wish::GoOn;
    loop {
        for action in actions {
            if let Action::Finish(outcome) = action {
                return driver.finish(outcome).await;
            }
            driver.act(action).await;
        }
        job.progress.set_parts_in_flight(driver.schedule.in_flight());
        let input = match driver.impossible.take() {
            Some(input) => input,
            None => tokio::select! {
                Some(ended) = driver.parts.join_next() => driver.part_ended(ended),
                Some(ended) = driver.requests.join_next() => driver.request_ended(ended)?,
                stronger = until_stronger(&mut wishes, wish) => {
                    wish = stronger;
                    driver.wished(wish)
                }
            },
        };
        actions = driver.schedule.on(input);
    }
}

/// Resolves when the caller wants more than `wish`; never when it can no longer say so.
pub(super) async fn until_stronger(wishes: &mut watch::Receiver<Wish>, wish: Wish) -> Wish {
    let wanted = wishes.wait_for(|wanted| *wanted > wish).await.map(|wanted| *wanted);
    match wanted {
        Ok(wanted) => wanted,
        Err(_) => std::future::pending().await,
    }
}

struct Driver {
    job: Arc<Job>,
    plan: PartPlan,
    schedule: Schedule,
    pool: BufferPool,
    memory: Memory,
    token: String,
    sender: Option<Arc<PartSender>>,
    /// The store knows our checksum algorithm since Create.
    declared: Option<ChecksumType>,
    sent: Vec<Option<SentPart>>,
    /// Attempts to send parts: stopped before an abort.
    parts: JoinSet<(PartNumber, u32, Result<SentPart, PartFailure>)>,
    /// Everything else: requests about the upload itself, and waits.
    requests: JoinSet<Ended>,
    /// The upload cannot go on for a reason of ours: told to the schedule before anything else.
    impossible: Option<Input>,
    /// Complete has been sent: the object may be there.
    completing: bool,
    etag: Option<ETag>,
    whole: Option<ObjectHead>,
    /// Failed tries of the request that is under way.
    tries: u32,
    /// Why it is failing: the last error.
    cause: Option<Error>,
    /// The caller wanted it to stop.
    asked_to_stop: bool,
    /// How the Complete failed that is being looked into.
    doubted: Option<Error>,
    cleanup: Option<StoreError>,
    creates: LostCreates,
}

/// A request or a wait that has ended.
enum Ended {
    Created(Result<CreatedUpload, StoreError>),
    Completed(Result<CompletedObject, StoreError>, Option<ObjectHead>),
    Examined(Finding, Result<ObjectHead, StoreError>),
    Aborted(Result<(), StoreError>),
    CompletedAfterAll(ObjectHead),
    Woke(Waiting),
    GraceOver,
}

impl Driver {
    fn new(job: Arc<Job>, start: Start, memory: Memory) -> Self {
        let options = &job.options;
        let (plan, seed) = (start.plan, rand::rng().random());
        let mut schedule =
            Schedule::new(plan.part_count().into(), options.concurrency, options.retry.clone(), seed);
        if memory.id().is_some() {
            // An adopted upload (no token of ours) holds what others have sent: only whoever asks for it removes that.
            let adopted = start.token.is_empty();
            schedule =
                schedule.when_exhausted(if adopted { WhenExhausted::Keep } else { WhenExhausted::Pause });
        }
        let mut driver = Self {
            pool: BufferPool::new(options.memory_budget_bytes),
            memory,
            token: start.token,
            sender: None,
            declared: None,
            sent: vec![None; plan.part_count().into()],
            parts: JoinSet::new(),
            requests: JoinSet::new(),
            impossible: None,
            completing: false,
            etag: None,
            whole: None,
            tries: 0,
            cause: None,
            asked_to_stop: false,
            doubted: None,
            cleanup: None,
            creates: start.creates,
            schedule,
            plan,
            job,
        };
        if let Some(earlier) = start.earlier {
            driver.send_with(earlier.upload, earlier.declared);
            driver.sent = earlier.sent;
            let is_sent = |number: PartNumber| driver.sent[number.index()].is_some();
            driver.schedule = driver.schedule.resumed(is_sent, earlier.completion_possible);
            driver.completing = earlier.completion_possible;
        }
        driver
    }

    fn wished(&mut self, wish: Wish) -> Input {
        if !self.schedule.is_ending() {
            self.asked_to_stop = true;
            // What had gone wrong before was repaired, and is no reason for what happens now.
            self.cause = None;
        }
        match wish {
            // Without a journal nobody could find it again.
            Wish::Pause | Wish::PauseNow if self.memory.id().is_none() => Input::Cancel,
            Wish::Pause => {
                let grace = self.job.options.pause_grace;
                self.requests.spawn(async move {
                    tokio::time::sleep(grace).await;
                    Ended::GraceOver
                });
                Input::Pause
            }
            Wish::PauseNow => Input::PauseNow,
            Wish::Abort | Wish::GoOn => Input::Cancel,
        }
    }

    async fn act(&mut self, action: Action) {
        let job = Arc::clone(&self.job);
        match action {
            Action::Create => {
                self.creates.trying();
                let request = create_request(&job, &self.token);
                self.requests.spawn(async move {
                    Ended::Created(job.store.create_multipart_upload(&job.object, &request).await)
                });
            }
            Action::SendPart(number, attempt) => self.send_part(number, attempt),
            Action::Wait(waiting, attempt, wait) => self.wait(waiting, attempt, wait),
            Action::Complete => self.complete(),
            Action::Examine => {
                let Some(upload) = self.upload() else { return };
                let expected = self.expected();
                self.requests.spawn(async move {
                    let (finding, head) = complete::examine(job.store.as_ref(), &upload, &expected).await;
                    Ended::Examined(finding, head)
                });
            }
            Action::Stop => {
                self.parts.shutdown().await;
                self.requests.shutdown().await;
            }
            Action::Abort => {
                self.parts.shutdown().await;
                self.requests.shutdown().await;
                let Some(upload) = self.upload() else { return };
                let reason = self.cause.as_ref().map_or("cancelled".into(), ToString::to_string);
                job.events.send(Event::Aborting { reason });
                let creates = std::mem::take(&mut self.creates);
                let expected = self.completing.then(|| self.expected());
                self.requests.spawn(async move {
                    if creates.any() {
                        lost_create::sweep(&job, &upload, creates).await;
                    }
                    let patience = job.options.abort_patience;
                    let aborted = abort_until_gone(job.store.as_ref(), &upload, patience).await;
                    // A Complete that was on its way may have been quicker than the abort.
                    if let (Ok(()), Some(expected)) = (&aborted, expected)
                        && let Ok(head) = job.store.head_object(&job.object).await
                        && expected.is(&head)
                    {
                        return Ended::CompletedAfterAll(head);
                    }
                    Ended::Aborted(aborted)
                });
            }
            Action::Finish(_) => unreachable!("the loop of drive() ends with it"),
        }
    }

    fn upload(&self) -> Option<UploadRef> {
        self.sender.as_ref().map(|sender| sender.upload.clone())
    }

    /// By what the finished object is recognised; only the token while parts are missing.
    fn expected(&self) -> Expected {
        let parts: Option<Vec<_>> = self.sent.iter().cloned().collect();
        Expected::new(&self.token, &parts.unwrap_or_default())
    }

    fn send_part(&mut self, number: PartNumber, attempt: u32) {
        let part = self.plan.part(number).expect("the schedule has as many parts as the plan");
        let sender = Arc::clone(self.sender.as_ref().expect("parts are sent after Create"));
        self.parts.spawn(async move { (number, attempt, sender.send(part, attempt).await) });
    }

    fn wait(&mut self, waiting: Waiting, attempt: u32, wait: Duration) {
        let reason = self.cause.as_ref().map_or_else(String::new, |cause| match cause {
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
        // The last look at the source before the object can appear (P4). Once it may be there it is too late for that:
        // then only the list counts, and that is of one version.
        if !std::mem::replace(&mut self.completing, true)
            && let Err(changed) = check_unchanged(self.job.source.as_ref())
        {
            self.completing = false;
            self.impossible = Some(self.source_failed(PartNumber::MIN, changed));
            return;
        }
        if let Err(error) = self.memory.completing() {
            self.job.events.send(Event::Warning { message: error.to_string() });
        }
        let request = complete::request(&parts, self.declared, &self.job.options);
        let job = Arc::clone(&self.job);
        job.events.send(Event::Completing);
        let creates = std::mem::take(&mut self.creates);
        self.requests.spawn(async move {
            if creates.any() {
                lost_create::sweep(&job, &upload, creates).await;
            }
            let completed = job.store.complete_multipart_upload(&upload, &request).await;
            // Closes the chain, and gives the ETag that Ceph RGW 16.2 leaves out of its first answer.
            let head = match &completed {
                Ok(_) => job.store.head_object(&job.object).await.ok(),
                Err(_) => None,
            };
            Ended::Completed(completed, head)
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
                return Input::PartImpossible(PartNumber::MIN, Advice::GiveUp);
            }
        };
        match result {
            Ok(part) if part.proof == Proof::Unproven && self.job.options.require_proof => {
                self.cause = Some(Error::Unproven { object: self.job.object.clone(), part: number });
                Input::PartImpossible(number, Advice::GiveUp)
            }
            Ok(part) => self.part_sent(part),
            Err(PartFailure::Store(error)) => {
                let failure = Failure::from(&error);
                self.failed(Some(number), attempt, error);
                Input::PartFailed(number, failure)
            }
            Err(PartFailure::Source(error)) => self.source_failed(number, error),
        }
    }

    /// What arrived is kept if there is a journal, and of another version compared by the next run: only what differs
    /// has to be sent again. A disk that cannot be read now may be readable then.
    fn source_failed(&mut self, number: PartNumber, error: Error) -> Input {
        let of_the_source = matches!(error, Error::SourceChanged { .. } | Error::SourceUnreadable { .. });
        self.cause = Some(error);
        Input::PartImpossible(number, if of_the_source { Advice::Resume } else { Advice::GiveUp })
    }

    fn part_sent(&mut self, part: SentPart) -> Input {
        let number = part.number;
        self.memory.part(&self.job, &part);
        self.job.progress.arrived(part.size_bytes);
        self.job.events.send(Event::PartSent {
            part_number: number,
            size_bytes: part.size_bytes,
            attempt: part.attempt,
            proof: part.proof,
        });
        self.sent[number.index()] = Some(part);
        Input::PartSent(number)
    }

    fn request_ended(&mut self, ended: Result<Ended, JoinError>) -> Result<Input, Error> {
        Ok(match ended.map_err(|error| Error::Internal(error.to_string()))? {
            Ended::Created(Ok(created)) => self.created(created),
            Ended::Created(Err(error)) => {
                let failure = Failure::from(&error);
                if error.outcome_unknown {
                    self.creates.lost();
                }
                self.request_failed(error);
                Input::CreateFailed(failure)
            }
            Ended::Completed(Ok(object), head) => {
                self.etag = object.etag.or_else(|| Some(head.as_ref()?.etag.clone()));
                self.whole = head;
                Input::Completed
            }
            Ended::Completed(Err(error), _) => {
                let failure = Failure::from(&error);
                if failure.outcome_unknown {
                    self.job.events.send(Event::InDoubt { reason: error.to_string() });
                }
                self.doubted = None;
                self.request_failed(error);
                Input::CompleteFailed(failure)
            }
            Ended::Examined(finding, head) => {
                match (&finding, head) {
                    (Finding::Ours, Ok(head)) => {
                        self.etag = Some(head.etag.clone());
                        self.whole = Some(head);
                    }
                    (Finding::Unknown(_), head) => {
                        self.doubted = self.doubted.take().or(self.cause.take());
                        self.request_failed(complete::unsettled(head));
                    }
                    // Complete was refused after all: that is why, and not that looking was difficult.
                    (Finding::UploadOpen, _) => self.cause = self.doubted.take().or(self.cause.take()),
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
            Ended::CompletedAfterAll(head) => {
                self.etag = Some(head.etag.clone());
                self.whole = Some(head);
                Input::Completed
            }
            Ended::Woke(waiting) => Input::Woke(waiting),
            Ended::GraceOver => Input::PauseNow,
        })
    }

    fn created(&mut self, created: CreatedUpload) -> Input {
        self.tries = 0;
        self.creates.answered();
        let upload = UploadRef { object: self.job.object.clone(), upload_id: created.upload_id };
        let declared = created.checksum.map(complete::own_type);
        // Before the first part leaves: an upload that nobody remembers must not hold any.
        if let Err(error) = self.memory.created(&upload, declared) {
            self.cause = Some(error);
            self.impossible = Some(Input::PartImpossible(PartNumber::MIN, Advice::GiveUp));
        }
        self.job.events.send(Event::UploadCreated { upload_id: upload.upload_id.clone() });
        if let Some(message) = created.abort_date.and_then(|date| expiry::warning(date, self.plan)) {
            self.job.events.send(Event::Warning { message: format!("{}: {message}", self.job.object) });
        }
        self.send_with(upload, declared);
        Input::Created
    }

    fn send_with(&mut self, upload: UploadRef, declared: Option<ChecksumType>) {
        self.declared = declared;
        self.sender = Some(Arc::new(PartSender {
            store: Arc::clone(&self.job.store),
            source: Arc::clone(&self.job.source),
            pool: self.pool.clone(),
            upload,
            checksum: self.job.options.checksum,
            md5: Md5Wish::new(declared.is_none()),
            wire: self.job.progress.wire.clone(),
        }));
    }

    fn request_failed(&mut self, error: StoreError) {
        self.tries += 1;
        self.failed(None, self.tries, error);
    }

    fn failed(&mut self, part: Option<PartNumber>, attempts: u32, source: StoreError) {
        let object = self.job.object.to_string();
        self.cause = Some(Error::Store { object, part, attempts, source: Box::new(source) });
    }

    async fn finish(mut self, outcome: Outcome) -> Result<Driven, Error> {
        // Dropped tasks would be detached; nothing of this upload may go on behind its end.
        self.parts.shutdown().await;
        self.requests.shutdown().await;
        let unheard = self.creates.any();
        if unheard && (self.upload().is_some() || self.memory.id().is_none()) {
            lost_create::say(&self.job);
        }
        let (upload, expected) = (self.upload(), self.expected());
        let parts: Vec<_> = self.sent.into_iter().flatten().collect();
        // The parts in flight may have failed while it was stopping: that is not why it stopped.
        let beside_the_point = outcome == Outcome::Paused && self.asked_to_stop;
        let cause = self.cause.filter(|cause| !(beside_the_point && matches!(cause, Error::Store { .. })));
        let ending = Ending { job: &self.job, upload, memory: self.memory, cause, unheard };
        match outcome {
            Outcome::Done => {
                let whole = match self.whole.map(|head| expected.close(&head)).transpose() {
                    Ok(whole) => whole.unwrap_or_default(),
                    Err(detail) => return Err(ending.corrupt(detail)),
                };
                let etag = self.etag.unwrap_or_else(|| ETag::new(""));
                Ok(Driven::Done(Box::new(ending.done(self.plan, &parts, etag, whole)?)))
            }
            Outcome::Restart => Ok(ending.restart()),
            Outcome::Cancelled if ending.may_be_left() => Err(ending.cancelled_unheard(self.plan).await),
            Outcome::Failed if ending.may_be_left() => Err(ending.paused(self.plan, &parts)),
            Outcome::Paused => Err(ending.paused(self.plan, &parts)),
            outcome => Err(ending.failed(outcome, self.cleanup)),
        }
    }
}
