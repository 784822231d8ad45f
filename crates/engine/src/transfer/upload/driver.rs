//! Carries out the actions that [`Lifecycle`] decides on: runs requests as tasks, and feeds their
//! results back as inputs.
//!
//! This file is long because it handles every input and every action exactly once.
//!
//! The driver owns the upload. It ends only when the object exists, when nothing is left at the
//! store, when the sent parts are recorded and can be resumed, or when it has to report an unknown
//! outcome.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use haul_parts::{ChecksumType, ETag, PartNumber, PlannedPart};
use rand::Rng;
use tokio::task::{JoinError, JoinSet};

use super::abort::abort_until_gone;
use super::complete::{self, Expected};
use super::context::Context;
use super::dropped;
use super::expiry;
use super::finisher::Finisher;
use super::hedged;
use super::journal_handle::JournalHandle;
use super::layout::PartsLayout;
use super::lost_create::{self, LostCreates};
use super::part::{PartSender, check_unchanged};
use super::start::{check_condition_now, create_request};
use super::stream::{ReadAhead, enter, part_read};
use crate::advice::Advice;
use crate::error::Error;
use crate::event::Event;
use crate::pace::{FailedAttempt, Pass, Refusal, Retries, Success, Turn};
use crate::proof::Proof;
use crate::remote::{CompletedObject, CreatedUpload, ObjectHead, StoreError, Support, UploadRef};
use crate::source::Change;
use crate::transfer::hedge::Hedging;
use crate::transfer::lifecycle::{
    Action, Finding, Input, Lifecycle, Outcome, Waiting, WhenExhausted,
};
use crate::transfer::mover::{Mover, PartFailure, SentPart};
use crate::transfer::{StopRequest, StopSignal};

pub(super) use super::{finisher::RunOutcome, start::Start};

/// Uploads in parts; returns when the lifecycle has finished.
pub(super) async fn drive(
    context: &Arc<Context>,
    start: Start,
    journal: JournalHandle,
    mut stop: StopSignal,
) -> Result<RunOutcome, Error> {
    context.events.send(start.event(context));
    if start.earlier.is_none() {
        // If the store lost the upload, all parts have to be sent again.
        context.progress.set_arrived(0);
    }
    let mut driver = Driver::new(Arc::clone(context), start, journal);
    let mut actions = driver.lifecycle.on(Input::Start);
    loop {
        for action in actions {
            if let Action::Finish(outcome) = action {
                return driver.finish(outcome).await;
            }
            driver.act(action).await;
        }
        context.progress.set_in_flight(driver.lifecycle.in_flight());
        driver.hedging.set_most(driver.lifecycle.hedges_max());
        driver.ask_for_pass();
        driver.read_ahead();
        let input = match driver.impossible.take() {
            Some(input) => input,
            None => tokio::select! {
                Some(ended) = driver.parts.join_next() => driver.part_ended(ended),
                Some(ended) = driver.requests.join_next() => driver.request_ended(ended)?,
                read = part_read(&mut driver.stream) => driver.part_read(read),
                pass = driver.turn.pass() => {
                    driver.pass = Some(pass);
                    Input::Admitted
                }
                request = stop.stronger() => driver.asked(request),
            },
        };
        actions = driver.lifecycle.on(input);
        // An unused pass is returned at once.
        if actions.is_empty() {
            driver.pass = None;
        }
    }
}

struct Driver {
    context: Arc<Context>,
    layout: PartsLayout,
    /// The stream whose parts are read while others are sent.
    stream: Option<ReadAhead>,
    lifecycle: Lifecycle,
    /// The place in the queue at the gate, while a part could be sent.
    turn: Turn,
    /// The pass of the part that is sent next.
    pass: Option<Pass>,
    /// Passes of parts in flight, and of parts that wait for their next attempt.
    passes: HashMap<PartNumber, Pass>,
    hedging: Hedging,
    journal: JournalHandle,
    token: String,
    upload: Option<UploadRef>,
    mover: Option<Arc<dyn Mover>>,
    /// The checksum type that was declared to the store at Create, if any.
    declared: Option<ChecksumType>,
    sent: Vec<Option<SentPart>>,
    /// Attempts to send parts; they are stopped before an abort.
    parts: JoinSet<(PartNumber, u32, Result<SentPart, PartFailure>)>,
    /// All other tasks: requests about the upload itself, and waits.
    requests: JoinSet<Ended>,
    /// Set if the upload cannot continue for a local reason; the lifecycle gets this input before
    /// any other.
    impossible: Option<Input>,
    /// Whether Complete has been sent, so that the object may exist.
    completing: bool,
    etag: Option<ETag>,
    whole: Option<ObjectHead>,
    /// Failed attempts of the current request.
    tries: u32,
    /// The last error of the current request.
    cause: Option<Error>,
    /// Whether the caller requested a stop.
    asked_to_stop: bool,
    /// The error of the Complete request whose outcome is being determined.
    doubted: Option<Error>,
    cleanup: Option<StoreError>,
    creates: LostCreates,
}

/// A request or a wait that has ended.
enum Ended {
    Created(Result<CreatedUpload, StoreError>),
    Completed(Result<CompletedObject, StoreError>, Option<ObjectHead>),
    /// The parts do not form the intended object, so Complete was not sent.
    Unfit(Error),
    Examined(Finding, Result<ObjectHead, StoreError>),
    Aborted(Result<(), StoreError>),
    CompletedAfterAll(ObjectHead),
    Woke(Waiting),
    GraceOver,
}

impl Driver {
    fn new(context: Arc<Context>, start: Start, journal: JournalHandle) -> Self {
        let options = &context.options;
        let seed = rand::rng().random();
        let resources = &context.resources;
        let pieces = start.pieces(options.concurrency.unwrap_or(u32::MAX));
        let retries = Retries::new(resources.retry.clone(), resources.budget.clone(), seed);
        let mut lifecycle = Lifecycle::new(pieces, retries);
        if journal.id().is_some() {
            // An adopted upload (without our token) contains parts of other clients: it is removed
            // only on an explicit request.
            let adopted = start.token.is_empty();
            lifecycle = lifecycle.when_exhausted(if adopted {
                WhenExhausted::Keep
            } else {
                WhenExhausted::Pause
            });
        }
        let mut driver = Self {
            turn: Turn::default(),
            pass: None,
            passes: HashMap::new(),
            hedging: Hedging::new(&resources.gate, resources.meter.bandwidth()),
            journal,
            token: start.token,
            upload: None,
            mover: None,
            declared: None,
            sent: vec![None; start.layout.part_count() as usize],
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
            lifecycle,
            layout: start.layout,
            stream: start.stream,
            context,
        };
        if let Some(earlier) = start.earlier {
            driver.send_with(earlier.upload, earlier.declared);
            driver.sent = earlier.sent;
            let is_sent = |number: PartNumber| driver.sent[number.index()].is_some();
            driver.lifecycle = driver.lifecycle.resumed(is_sent, earlier.completion_possible);
            driver.completing = earlier.completion_possible;
        }
        driver
    }

    /// Joins the queue at the gate if the upload could send a part now.
    fn ask_for_pass(&mut self) {
        if !self.lifecycle.wants_pass() {
            self.turn.leave();
            return;
        }
        let gate = self.context.resources.gate.clone();
        self.turn.join(|| enter(&mut self.stream, gate));
    }

    /// Reads the next part of a stream if the upload could send it now.
    fn read_ahead(&mut self) {
        if let Some(stream) = &mut self.stream
            && self.lifecycle.wants_part()
        {
            stream.start_reading(&self.context.resources.gate);
        }
    }

    fn part_read(&mut self, read: Result<Option<PlannedPart>, Error>) -> Input {
        match read {
            Ok(Some(part)) => {
                self.layout.push(part);
                self.sent.push(None);
                Input::PartRead
            }
            Ok(None) if self.stream.as_ref().is_some_and(|it| it.ended_early(&self.layout)) => {
                let source_name = self.context.source.name();
                self.cause = Some(Error::StreamShorter { source_name });
                Input::PartImpossible(PartNumber::MIN, Advice::GiveUp)
            }
            Ok(None) => {
                self.context.progress.set_size(self.layout.size_bytes());
                Input::StreamEnded
            }
            Err(error) => {
                // The next run of the producer may give the whole stream.
                let advice = match &error {
                    Error::StreamLength { read_bytes: None, .. } | Error::StreamTooLong { .. } => {
                        Advice::GiveUp
                    }
                    _ => Advice::Resume,
                };
                self.cause = Some(error);
                Input::PartImpossible(PartNumber::MIN, advice)
            }
        }
    }

    fn asked(&mut self, request: StopRequest) -> Input {
        if !self.lifecycle.is_ending() {
            self.asked_to_stop = true;
            // The earlier error was resolved, and does not explain later events.
            self.cause = None;
        }
        match request {
            // Without a journal no later run could find the upload.
            StopRequest::Pause | StopRequest::PauseNow if self.journal.id().is_none() => {
                Input::Cancel
            }
            StopRequest::Pause => {
                let grace = self.context.options.pause_grace;
                self.requests.spawn(async move {
                    tokio::time::sleep(grace).await;
                    Ended::GraceOver
                });
                Input::Pause
            }
            StopRequest::PauseNow => Input::PauseNow,
            StopRequest::Cancel => Input::Cancel,
        }
    }

    async fn act(&mut self, action: Action) {
        let context = Arc::clone(&self.context);
        match action {
            Action::Create => {
                self.creates.trying();
                let request = create_request(&context, &self.token);
                self.requests.spawn(async move {
                    Ended::Created(
                        context.store().create_multipart_upload(&context.object, &request).await,
                    )
                });
            }
            Action::SendPart(number, attempt) => self.send_part(number, attempt),
            Action::Wait(waiting, attempt, wait) => self.wait(waiting, attempt, wait),
            Action::Complete => self.complete(),
            Action::Examine => {
                let Some(upload) = self.upload.clone() else { return };
                let expected = self.expected();
                self.requests.spawn(async move {
                    let (finding, head) =
                        complete::examine(context.store().as_ref(), &upload, &expected).await;
                    Ended::Examined(finding, head)
                });
            }
            Action::Stop => self.stop_all().await,
            Action::Abort => {
                self.stop_all().await;
                let Some(upload) = self.upload.clone() else { return };
                let reason = self.cause.as_ref().map_or("cancelled".into(), ToString::to_string);
                context.events.send(Event::Aborting { reason });
                let creates = std::mem::take(&mut self.creates);
                let expected = self.completing.then(|| self.expected());
                self.requests.spawn(async move {
                    if creates.any() {
                        lost_create::sweep(&context, &upload, creates).await;
                    }
                    let patience = context.options.abort_patience;
                    let aborted =
                        abort_until_gone(context.store().as_ref(), &upload, patience).await;
                    // A Complete that was in flight may have been carried out before the abort.
                    if let (Ok(()), Some(expected)) = (&aborted, expected)
                        && let Ok(head) = context.store().head_object(&context.object).await
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

    /// Stops parts, requests and waits, and returns all passes.
    async fn stop_all(&mut self) {
        self.turn.leave();
        self.stream.iter_mut().for_each(ReadAhead::stop);
        self.parts.shutdown().await;
        self.requests.shutdown().await;
        self.passes.clear();
    }

    /// Returns the properties that identify the finished object; only the token if parts are
    /// missing.
    fn expected(&self) -> Expected {
        let parts: Option<Vec<_>> = self.sent.iter().cloned().collect();
        Expected::new(&self.token, &parts.unwrap_or_default())
    }

    fn send_part(&mut self, number: PartNumber, attempt: u32) {
        let part = self.layout.part(number).expect("the schedule has as many parts as the layout");
        let mover = Arc::clone(self.mover.as_ref().expect("parts are sent after Create"));
        if let Some(mut pass) = self.pass.take() {
            // A part of a stream was read under its pass, or took that of the part before it.
            if let Some(stream) = &mut self.stream {
                pass.restart();
                stream.sending(number);
            }
            self.passes.insert(number, pass);
        }
        self.parts.spawn(async move { (number, attempt, mover.attempt(part, attempt).await) });
    }

    fn wait(&mut self, waiting: Waiting, attempt: u32, wait: Duration) {
        let reason = self.cause.as_ref().map_or_else(String::new, |cause| match cause {
            Error::Store { source, .. } => source.to_string(),
            other => other.to_string(),
        });
        let part_number = if let Waiting::Part(number) = waiting { Some(number) } else { None };
        self.context.events.send(Event::Retrying { part_number, attempt, wait, reason });
        self.requests.spawn(async move {
            tokio::time::sleep(wait).await;
            Ended::Woke(waiting)
        });
    }

    fn complete(&mut self) {
        let Some(upload) = self.upload.clone() else { return };
        let parts: Vec<_> = self.sent.iter().flatten().cloned().collect();
        assert_eq!(parts.len(), self.sent.len(), "Complete names every part of the plan");
        // The last check of the source before the object can appear (P4). Once the object may
        // exist, this check comes too late; the list of parts then guarantees that all are of one
        // version.
        let is_first = !std::mem::replace(&mut self.completing, true);
        if is_first && let Err(changed) = check_unchanged(self.context.source.as_ref()) {
            self.completing = false;
            self.impossible = Some(self.source_failed(PartNumber::MIN, changed));
            return;
        }
        if let Err(error) = self.journal.completing() {
            self.context.events.send(Event::Warning { message: error.to_string() });
        }
        let support = self.context.options.condition_on_complete(&self.context.store().profile());
        let mut request = complete::request(&parts, self.declared, &self.context.options);
        if support == Support::No {
            (request.if_none_match, request.if_match) = (false, None);
        }
        let context = Arc::clone(&self.context);
        let creates = std::mem::take(&mut self.creates);
        self.requests.spawn(async move {
            if creates.any() {
                lost_create::sweep(&context, &upload, creates).await;
            }
            if let Some(maker) = context.maker.as_ref().filter(|_| is_first)
                && let Err(error) = maker.check(&parts).await
            {
                return Ended::Unfit(error);
            }
            // The store would overwrite the object in spite of the condition.
            if is_first
                && support.is_missing()
                && let Err(error) = check_condition_now(&context).await
            {
                return Ended::Unfit(error);
            }
            context.events.send(Event::Completing);
            let completed = context.store().complete_multipart_upload(&upload, &request).await;
            // HEAD verifies the object, and returns the ETag that Ceph RGW 16.2 omits in its first
            // answer.
            let head = match &completed {
                Ok(_) => context.store().head_object(&context.object).await.ok(),
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
            Ok(part) if part.proof == Proof::Unproven && self.context.demands_proof() => {
                self.cause =
                    Some(Error::Unproven { object: self.context.object.clone(), part: number });
                Input::PartImpossible(number, Advice::GiveUp)
            }
            Ok(part) => self.part_sent(part),
            Err(PartFailure::Store(error)) => {
                let failure = FailedAttempt::from(&error);
                if failure.throttled {
                    self.throttled(number);
                }
                self.failed(Some(number), attempt, error);
                Input::PartFailed(number, failure)
            }
            Err(PartFailure::Source(error)) => self.source_failed(number, error),
        }
    }

    /// Reports a throttled part to the gate. After an isolated refusal, others send meanwhile; a
    /// part of a stream keeps its pass, because it keeps its memory too.
    fn throttled(&mut self, number: PartNumber) {
        let Some(pass) = self.passes.get(&number) else { return };
        if pass.throttled() == Refusal::Isolated && self.stream.is_none() {
            self.passes.remove(&number);
        }
        self.hedging.throttled();
    }

    /// Handles a source that cannot be read. With a journal the parts stay: the next run compares
    /// parts of another version and sends only those that differ. A disk that is unreadable now may
    /// be readable by then.
    fn source_failed(&mut self, number: PartNumber, error: Error) -> Input {
        let of_the_source = match &error {
            // A copy of another version cannot use any part of the upload.
            Error::SourceChanged { change, .. } => !matches!(change, Change::Version(_)),
            error => matches!(error, Error::SourceUnreadable { .. }),
        };
        self.cause = Some(error);
        Input::PartImpossible(number, if of_the_source { Advice::Resume } else { Advice::GiveUp })
    }

    fn part_sent(&mut self, part: SentPart) -> Input {
        let number = part.number;
        if let Some(pass) = self.passes.remove(&number) {
            pass.succeeded(Success::Part { attempt: part.attempt });
            // The pass is kept if another part of the stream is in memory without a pass.
            if let Some(stream) = self.stream.as_mut().filter(|_| self.lifecycle.any_part_ready()) {
                stream.keep(pass);
            }
        }
        if let (Some(stream), Some(planned)) = (&mut self.stream, self.layout.part(number)) {
            stream.acknowledged(planned, part.attempt);
        }
        self.journal.part(&self.context, &part);
        self.context.progress.arrived(part.size_bytes);
        self.context.events.send(Event::PartSent {
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
                let failure = FailedAttempt::from(&error);
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
            Ended::Unfit(error) => {
                self.completing = false;
                self.source_failed(PartNumber::MIN, error)
            }
            Ended::Completed(Err(error), _) => {
                let failure = FailedAttempt::from(&error);
                if failure.outcome_unknown {
                    self.context.events.send(Event::InDoubt { reason: error.to_string() });
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
                    // The store did refuse Complete: report that refusal as the cause, not the
                    // failed checks.
                    (Finding::UploadOpen, _) => {
                        self.cause = self.doubted.take().or(self.cause.take());
                    }
                    _ => {}
                }
                Input::Examined(finding)
            }
            Ended::Aborted(Ok(())) => {
                self.context.events.send(Event::Aborted);
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
            Ended::Woke(waiting) => {
                if let Waiting::Part(number) = waiting {
                    // The part joins the queue again, like every part; a part of a stream still
                    // holds its memory.
                    let pass = self.passes.remove(&number);
                    if let (Some(stream), Some(pass)) = (&mut self.stream, pass) {
                        stream.keep(pass);
                    }
                }
                Input::Woke(waiting)
            }
            Ended::GraceOver => Input::PauseNow,
        })
    }

    fn created(&mut self, created: CreatedUpload) -> Input {
        self.tries = 0;
        self.creates.answered();
        let upload =
            UploadRef { object: self.context.object.clone(), upload_id: created.upload_id };
        let declared = created.checksum.map(complete::own_type);
        // This precedes the first part: an upload without a record must not contain any.
        if let Err(error) = self.journal.created(&upload, declared) {
            self.cause = Some(error);
            self.impossible = Some(Input::PartImpossible(PartNumber::MIN, Advice::GiveUp));
        }
        self.context.events.send(Event::UploadCreated { upload_id: upload.upload_id.clone() });
        if let Some(message) =
            created.abort_date.and_then(|date| expiry::warning(date, self.layout.size_bytes()))
        {
            self.context
                .events
                .send(Event::Warning { message: format!("{}: {message}", self.context.object) });
        }
        self.send_with(upload, declared);
        Input::Created
    }

    fn send_with(&mut self, upload: UploadRef, declared: Option<ChecksumType>) {
        self.declared = declared;
        self.upload = Some(upload.clone());
        let made = self.context.maker.as_ref().and_then(|maker| maker.mover(&upload));
        self.mover = Some(made.unwrap_or_else(|| {
            let sender = PartSender::new(&self.context, upload, declared.is_none());
            hedged::mover(&self.context, &self.hedging, sender, self.stream.as_ref())
        }));
    }

    fn request_failed(&mut self, error: StoreError) {
        self.tries += 1;
        self.failed(None, self.tries, error);
    }

    fn failed(&mut self, part: Option<PartNumber>, attempts: u32, source: StoreError) {
        let subject = (&self.context.object).into();
        self.cause = Some(Error::Store { subject, part, attempts, source: Box::new(source) });
    }

    async fn finish(mut self, outcome: Outcome) -> Result<RunOutcome, Error> {
        // A dropped handle would only detach its task, but no task of this upload may outlive it.
        self.stop_all().await;
        let unheard = self.creates.any();
        if unheard && (self.upload.is_some() || self.journal.id().is_none()) {
            lost_create::warn_of_leftovers(&self.context);
        }
        let (upload, expected) = (self.upload.clone(), self.expected());
        let mut parts: Vec<_> = self.sent.into_iter().flatten().collect();
        if let Some(proof) = self.context.maker.as_ref().and_then(|maker| maker.proof()) {
            parts.iter_mut().for_each(|part| part.proof = proof);
        }
        // Parts in flight may have failed while the upload was stopping: those failures are not the
        // cause of the stop.
        let beside_the_point = outcome == Outcome::Paused && self.asked_to_stop;
        let cause =
            self.cause.filter(|cause| !(beside_the_point && matches!(cause, Error::Store { .. })));
        let finisher =
            Finisher { context: &self.context, upload, journal: self.journal, cause, unheard };
        match outcome {
            Outcome::Done => {
                let head = self.whole;
                let is_replaced = head.as_ref().is_some_and(|head| !expected.is(head));
                let ours = head.clone();
                let whole = match head
                    .map(|head| expected.close(&head, &self.context.store().profile()))
                    .transpose()
                {
                    Ok(whole) => whole.unwrap_or_default(),
                    Err(detail) => return Err(finisher.corrupt(detail)),
                };
                // Another client's object gets no attributes of ours.
                if !is_replaced {
                    dropped::restore(&self.context, ours.as_ref()).await;
                }
                let etag = self.etag.unwrap_or_else(|| ETag::new(""));
                Ok(RunOutcome::Done(Box::new(finisher.done(&self.layout, &parts, etag, whole)?)))
            }
            Outcome::Restart => Ok(finisher.restart()),
            Outcome::Cancelled if finisher.may_be_left() => {
                Err(finisher.cancelled_unheard(&self.layout).await)
            }
            Outcome::Failed if finisher.may_be_left() => Err(finisher.paused(&self.layout, &parts)),
            Outcome::Paused => Err(finisher.paused(&self.layout, &parts)),
            outcome => Err(finisher.failed(outcome, self.cleanup)),
        }
    }
}
