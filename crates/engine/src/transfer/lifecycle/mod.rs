//! Decides what an upload does next. A state machine without I/O, clock or tasks: events in,
//! actions out, so that any course of events can be replayed from a seed.
//!
//! ```text
//! Planned → Creating → Sending → Completing → Done
//!    └─ resumed ──────────┘│ │       ├→ InDoubt → Done | Completing | ended in doubt
//!                          │ └→ Pausing → Paused
//!                          └─────────┴→ Aborting → Failed | Cancelled | Restart
//! ```
//!
//! Guarantees: a proven part is never sent again; Complete only when every part is proven; Abort
//! never while the outcome of Complete is in doubt (P6), and never before the parts in flight have
//! been stopped. Which part is next, and when it is tried again, is decided by [`Pieces`].
//! Deliberately unaware of bytes, ETags and stores. Laws are tested in `lifecycle/tests.rs`.

use std::time::Duration;

use haul_parts::PartNumber;

use super::pieces::Pieces;

use crate::advice::Advice;
use crate::pace::{FailedAttempt, Retries};
use crate::remote::StoreErrorKind;

mod steps;

#[cfg(test)]
mod start_tests;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;

pub use steps::{Action, Finding, Input, Outcome, Waiting, WhenExhausted};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LifecycleState {
    Planned,
    Creating,
    Sending,
    Pausing,
    Completing,
    InDoubt,
    Aborting,
    Ended,
}

/// The wait before Complete is sent again if an earlier run sent it: this run has no failure to
/// derive a wait from.
const COMPLETE_UNHEARD: Duration = Duration::from_secs(1);

/// The state of one upload.
#[derive(Debug)]
pub struct Lifecycle {
    state: LifecycleState,
    pieces: Pieces,
    retries: Retries,
    /// Failed attempts of the current request: Create, Complete, Examine.
    tries: u32,
    /// Whether that request waits for its next attempt: then no answer is pending.
    backing_off: bool,
    /// Whether Complete was sent and may have taken effect.
    completion_possible: bool,
    /// The refusal of the Complete that is being examined, if its answer was not lost.
    refusal: Option<FailedAttempt>,
    /// The last failure of Complete, and how often an examination found that Complete had no
    /// effect.
    unheard: (Option<FailedAttempt>, u32),
    cancelled: bool,
    paused: bool,
    /// Whether to restart after the abort instead of failing.
    restart: bool,
    /// Whether an earlier run created the upload.
    resumed: bool,
    when_exhausted: WhenExhausted,
}

impl Lifecycle {
    /// Creates the state of an upload that has not started.
    pub fn new(pieces: Pieces, retries: Retries) -> Self {
        Self {
            state: LifecycleState::Planned,
            pieces,
            retries,
            tries: 0,
            backing_off: false,
            completion_possible: false,
            refusal: None,
            unheard: (None, 0),
            cancelled: false,
            paused: false,
            restart: false,
            resumed: false,
            when_exhausted: WhenExhausted::Abort,
        }
    }

    /// Resumes an upload of an earlier run; `is_sent` returns true for the parts that arrived. If
    /// Complete may have been sent, the first action is to examine the object.
    #[must_use]
    pub fn resumed(
        mut self,
        is_sent: impl Fn(PartNumber) -> bool,
        completion_possible: bool,
    ) -> Self {
        self.resumed = true;
        self.completion_possible = completion_possible;
        self.pieces.leave_out(is_sent);
        self
    }

    /// Sets what to do when all attempts are used up; the default is to abort.
    #[must_use]
    pub fn when_exhausted(mut self, when: WhenExhausted) -> Self {
        self.when_exhausted = when;
        self
    }

    /// Returns the number of parts being sent.
    pub fn in_flight(&self) -> u32 {
        self.pieces.in_flight()
    }

    /// Returns whether a part could be sent now. The driver gets a pass of the gate for it and
    /// reports [`Input::Admitted`].
    pub fn wants_pass(&self) -> bool {
        self.state == LifecycleState::Sending && self.pieces.has_next()
    }

    /// Returns whether the next part of a stream could be read now. The driver reads it and reports
    /// [`Input::PartRead`] or [`Input::StreamEnded`].
    pub fn wants_part(&self) -> bool {
        self.state == LifecycleState::Sending && self.pieces.wants_more()
    }

    /// Returns whether a known part waits for its turn.
    pub fn any_part_ready(&self) -> bool {
        self.pieces.any_ready()
    }

    /// Returns how many parts may be sent twice at once.
    pub fn hedges_max(&self) -> u32 {
        if self.state == LifecycleState::Sending { self.pieces.hedges_max() } else { 0 }
    }

    /// Returns true once the upload has decided to end: later events are not the cause of its end.
    pub fn is_ending(&self) -> bool {
        matches!(self.state, LifecycleState::Aborting | LifecycleState::Ended)
    }

    /// Takes one event and returns the next actions, in order.
    pub fn on(&mut self, input: Input) -> Vec<Action> {
        match (self.state, input) {
            (LifecycleState::Planned, Input::Start) if self.completion_possible => {
                self.enter(LifecycleState::InDoubt, Action::Examine)
            }
            (LifecycleState::Planned, Input::Start) if self.resumed => self.send(),
            (LifecycleState::Planned, Input::Start) => {
                self.enter(LifecycleState::Creating, Action::Create)
            }
            (LifecycleState::Planned, Input::Cancel) if self.resumed => {
                self.cancelled = true;
                // While the outcome is in doubt the object must be examined first, which `Start`
                // does.
                if self.completion_possible { vec![] } else { self.abort() }
            }
            (LifecycleState::Planned, Input::Cancel) => {
                self.cancelled = true;
                self.finish_without_upload()
            }
            (LifecycleState::Planned, Input::Pause | Input::PauseNow) => {
                self.finish(Outcome::Paused)
            }
            (LifecycleState::Creating, Input::Created) => {
                self.tries = 0;
                match (self.cancelled, self.paused) {
                    (true, _) => self.abort(),
                    (false, true) => self.finish(Outcome::Paused),
                    (false, false) => self.send(),
                }
            }
            (LifecycleState::Creating, Input::CreateFailed(_)) if self.cancelled || self.paused => {
                self.finish_without_upload()
            }
            (LifecycleState::Creating, Input::CreateFailed(failure)) => self
                .again(Waiting::Create, &failure)
                .unwrap_or_else(|| self.finish_without_upload()),
            (LifecycleState::Creating, Input::Woke(Waiting::Create)) => self.retry(Action::Create),
            (
                LifecycleState::Creating,
                input @ (Input::Pause | Input::PauseNow | Input::Cancel),
            ) => {
                self.cancelled |= input == Input::Cancel;
                self.paused |= input != Input::Cancel;
                // The answer to Create may be in flight: it names an upload that must be aborted.
                if self.backing_off { self.finish_without_upload() } else { vec![] }
            }

            (LifecycleState::Sending, Input::Admitted) => self
                .pieces
                .start_next()
                .map_or_else(Vec::new, |(number, attempt)| vec![Action::SendPart(number, attempt)]),
            (LifecycleState::Sending, Input::PartRead) => {
                self.pieces.add();
                vec![]
            }
            (LifecycleState::Sending, Input::StreamEnded) => {
                self.pieces.close();
                self.send()
            }
            (LifecycleState::Sending, Input::PartSent(_)) => self.part_sent(),
            (LifecycleState::Sending, Input::PartFailed(number, failure)) => {
                self.part_failed(number, &failure)
            }
            (
                LifecycleState::Sending | LifecycleState::Pausing | LifecycleState::Completing,
                Input::PartImpossible(_, advice),
            ) => self.end(advice != Advice::GiveUp),
            (LifecycleState::Sending, Input::Woke(Waiting::Part(number))) => {
                self.pieces.woke(number);
                vec![]
            }
            (LifecycleState::Sending, Input::Cancel) => {
                self.cancelled = true;
                self.abort()
            }

            (LifecycleState::Sending, Input::Pause) => self.pause(),
            (LifecycleState::Sending, Input::PauseNow) => self.pause_now(),
            (LifecycleState::Pausing, Input::PartSent(_)) => {
                self.pieces.moved();
                self.pause()
            }
            (LifecycleState::Pausing, Input::PartFailed(number, _)) => {
                self.pieces.gave_up(number);
                self.pause()
            }
            (LifecycleState::Pausing, Input::PauseNow) => self.pause_now(),
            (LifecycleState::Pausing, Input::Cancel) => {
                self.cancelled = true;
                self.abort()
            }

            (LifecycleState::Completing, Input::Completed) => self.finish(Outcome::Done),
            (LifecycleState::Completing, Input::CompleteFailed(failure)) => {
                self.complete_failed(&failure)
            }
            (LifecycleState::Completing, Input::Woke(Waiting::Complete)) => {
                self.retry(Action::Complete)
            }
            (LifecycleState::InDoubt, Input::Examined(finding)) => self.examined(&finding),
            (LifecycleState::InDoubt, Input::Woke(Waiting::Examine)) => self.retry(Action::Examine),
            // Complete was refused or found without effect, so there is no answer to wait for.
            (LifecycleState::Completing, Input::Cancel) if self.backing_off => {
                self.cancelled = true;
                self.abort()
            }
            (LifecycleState::Completing | LifecycleState::InDoubt, Input::Cancel) => {
                // Complete is in flight: an abort now could destroy the upload's object, so the
                // outcome of Complete decides.
                self.cancelled = true;
                vec![]
            }
            (LifecycleState::Completing | LifecycleState::InDoubt, Input::Pause)
                if !self.backing_off =>
            {
                self.paused = true;
                vec![]
            }
            // Either no request is in flight, or the caller does not wait for it: the next run
            // determines the outcome.
            (
                LifecycleState::Completing | LifecycleState::InDoubt,
                Input::Pause | Input::PauseNow,
            ) => self.pause_now(),

            (LifecycleState::Aborting, Input::Aborted) => {
                self.finish(match (self.cancelled, self.restart) {
                    (true, _) => Outcome::Cancelled,
                    (false, true) => Outcome::Restart,
                    (false, false) => Outcome::Failed,
                })
            }
            (LifecycleState::Aborting, Input::AbortFailed) => self.finish(Outcome::LeftBehind),
            // The Complete whose object could not be found was carried out before the abort.
            (LifecycleState::Aborting, Input::Completed) => self.finish(Outcome::Done),
            // Results of requests that were in flight when the abort was decided change nothing.
            (
                LifecycleState::Planned
                | LifecycleState::Sending
                | LifecycleState::Pausing
                | LifecycleState::Aborting
                | LifecycleState::Ended,
                _,
            )
            | (
                LifecycleState::Creating | LifecycleState::Completing | LifecycleState::InDoubt,
                Input::Woke(_) | Input::Admitted,
            ) => {
                vec![]
            }
            (state, input) => unreachable!("{input:?} cannot happen in {state:?}"),
        }
    }

    fn enter(&mut self, state: LifecycleState, action: Action) -> Vec<Action> {
        self.state = state;
        self.tries = 0;
        self.backing_off = false;
        vec![action]
    }

    fn finish(&mut self, outcome: Outcome) -> Vec<Action> {
        self.enter(LifecycleState::Ended, Action::Finish(outcome))
    }

    fn finish_without_upload(&mut self) -> Vec<Action> {
        self.finish(match (self.cancelled, self.paused) {
            (true, _) => Outcome::Cancelled,
            (false, true) => Outcome::Paused,
            (false, false) => Outcome::Failed,
        })
    }

    fn abort(&mut self) -> Vec<Action> {
        self.pieces.stopped();
        self.enter(LifecycleState::Aborting, Action::Abort)
    }

    /// Sends the remaining parts; sends Complete when every part is proven.
    fn send(&mut self) -> Vec<Action> {
        if self.pieces.all_moved() {
            return self.enter(LifecycleState::Completing, Action::Complete);
        }
        self.state = LifecycleState::Sending;
        vec![]
    }

    /// Starts no further request; ends with the last part in flight.
    fn pause(&mut self) -> Vec<Action> {
        self.state = LifecycleState::Pausing;
        if self.pieces.in_flight() == 0 { self.pause_now() } else { vec![] }
    }

    fn pause_now(&mut self) -> Vec<Action> {
        self.pieces.stopped();
        self.state = LifecycleState::Ended;
        vec![Action::Stop, Action::Finish(Outcome::Paused)]
    }

    /// Ends after the last attempt, or before the first. Parts that arrived are kept, because the
    /// user may be able to remove the cause of the refusal. An upload without such parts is kept
    /// only if the store refuses the caller: the store allowed Create, so the refusal may be
    /// temporary.
    fn give_up(&mut self, failure: &FailedAttempt) -> Vec<Action> {
        let some_arrived = self.pieces.some_moved();
        let may_pass = failure.advice != Advice::GiveUp || failure.kind.concerns_the_caller();
        self.end((some_arrived || may_pass) && !failure.kind.ends_the_upload())
    }

    /// Ends before Complete: keeps the parts that arrived if another run can resume, and if the
    /// options want that.
    fn end(&mut self, resumable: bool) -> Vec<Action> {
        let keep = match self.when_exhausted {
            WhenExhausted::Abort => false,
            WhenExhausted::Pause => resumable,
            WhenExhausted::Keep => true,
        };
        // Parts in flight would meet the same failure, so waiting for them would only take longer.
        if keep && !self.cancelled { self.pause_now() } else { self.abort() }
    }

    fn part_sent(&mut self) -> Vec<Action> {
        self.pieces.moved();
        self.retries.earn();
        if self.pieces.all_moved() {
            self.completion_possible = false;
            return self.enter(LifecycleState::Completing, Action::Complete);
        }
        vec![]
    }

    fn part_failed(&mut self, number: PartNumber, failure: &FailedAttempt) -> Vec<Action> {
        if failure.kind == StoreErrorKind::NoSuchUpload {
            self.restart = true;
            return self.abort();
        }
        match self.pieces.failed(number, failure, &mut self.retries) {
            Some((attempt, wait)) => vec![Action::Wait(Waiting::Part(number), attempt, wait)],
            None => self.give_up(failure),
        }
    }

    /// Retries the current request if the retry policy allows it.
    fn again(&mut self, waiting: Waiting, failure: &FailedAttempt) -> Option<Vec<Action>> {
        self.tries += 1;
        let wait = self.retries.wait(self.tries, failure)?;
        self.backing_off = true;
        Some(vec![Action::Wait(waiting, self.tries, wait)])
    }

    /// Repeats the request when the wait is over.
    fn retry(&mut self, action: Action) -> Vec<Action> {
        self.backing_off = false;
        vec![action]
    }

    fn complete_failed(&mut self, failure: &FailedAttempt) -> Vec<Action> {
        // RGW 16.2 answers Complete with 500 if the upload is gone, which is also the case after a
        // Complete that took effect.
        let lost = failure.outcome_unknown || failure.kind == StoreErrorKind::Server;
        self.unheard.0 = Some(*failure);
        self.completion_possible |= lost;
        // If a proxy repeats a request, the second one gets NoSuchUpload. After a lost Complete
        // even a refusal proves nothing: the lost request may have taken effect since the last
        // examination.
        if self.completion_possible || failure.kind == StoreErrorKind::NoSuchUpload {
            self.refusal = Some(*failure).filter(|_| !lost);
            return self.enter(LifecycleState::InDoubt, Action::Examine);
        }
        self.complete_refused(failure)
    }

    /// Handles a Complete that certainly had no effect.
    fn complete_refused(&mut self, failure: &FailedAttempt) -> Vec<Action> {
        // 409 ConditionalRequestConflict: AWS requires a new upload with all its parts (trap 5).
        if matches!(
            failure.kind,
            StoreErrorKind::NoSuchUpload | StoreErrorKind::ConditionalConflict
        ) {
            self.restart = true;
            return self.abort();
        }
        // S3 gives this answer to If-Match if there is no object: the condition does not hold.
        if failure.kind == StoreErrorKind::NoSuchKey {
            return self.end(false);
        }
        match self.again(Waiting::Complete, failure) {
            Some(_) if self.cancelled => self.abort(),
            Some(_) if self.paused => self.pause_now(),
            Some(actions) => actions,
            None => self.give_up(failure),
        }
    }

    fn examined(&mut self, finding: &Finding) -> Vec<Action> {
        match finding {
            Finding::Ours => self.finish(Outcome::Done),
            // The object was completed and overwritten since, or the upload has expired. Sending it
            // again might overwrite a newer object of another client, so the user has to decide.
            Finding::UploadGone if self.completion_possible => self.finish(Outcome::UploadGone),
            // There is no object to overwrite. RGW 16.2 answers 500 to a Complete of an aborted
            // upload: without this case the whole upload would fail although the refusal leaves no
            // doubt.
            Finding::UploadGone | Finding::NothingThere => {
                self.restart = true;
                self.abort()
            }
            Finding::UploadOpen if self.cancelled => self.abort(),
            Finding::UploadOpen if !self.pieces.all_moved() => {
                self.completion_possible = false;
                self.send()
            }
            Finding::UploadOpen
                if self.refusal.is_some_and(|refusal| refusal.advice == Advice::GiveUp) =>
            {
                let refusal = self.refusal.take().expect("it was just looked at");
                self.complete_refused(&refusal)
            }
            Finding::UploadOpen => {
                self.unheard.1 += 1;
                let (failure, tries) = self.unheard;
                let wait = match failure {
                    Some(failure) => self.retries.wait(tries, &failure),
                    None => Some(COMPLETE_UNHEARD),
                };
                let Some(wait) = wait.filter(|_| self.retries.pay()) else {
                    return self.end(true);
                };
                if self.paused {
                    return self.pause_now();
                }
                self.state = LifecycleState::Completing;
                self.backing_off = true;
                vec![Action::Wait(Waiting::Complete, tries, wait)]
            }
            Finding::Unknown(failure) => self
                .again(Waiting::Examine, failure)
                .unwrap_or_else(|| self.finish(Outcome::InDoubt)),
        }
    }
}
