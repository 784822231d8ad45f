//! Decides what an upload does next. A state machine without I/O, clock or tasks: events in, actions out, so
//! that any schedule can be replayed from a seed.
//!
//! ```text
//! Planned → Creating → Sending → Completing → Done
//!    └─ resumed ──────────┘│ │       ├→ InDoubt → Done | Completing | ended in doubt
//!                          │ └→ Pausing → Paused
//!                          └─────────┴→ Aborting → Failed | Cancelled | Restart
//! ```
//!
//! Guarantees: at most `concurrency` parts in flight, fewer at the start and while the store throttles; a proven
//! part is never sent again; Complete only when every part is proven; Abort never while the outcome of Complete is in
//! doubt (P6), and never before the parts in flight have been stopped. Deliberately unaware of bytes,
//! ETags and stores. Laws are tested in `schedule/tests.rs`. Long because it is one state machine.

use std::collections::VecDeque;
use std::time::Duration;

use haul_parts::PartNumber;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::advice::Advice;
use crate::pace::{Failure, RetryBudget, RetryPolicy};
use crate::remote::StoreErrorKind;

#[cfg(test)]
mod start_tests;
#[cfg(test)]
mod tests;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Begin.
    Start,
    /// CreateMultipartUpload was answered.
    Created,
    /// CreateMultipartUpload failed.
    CreateFailed(Failure),
    /// A part is at the store, judged.
    PartSent(PartNumber),
    /// An attempt to send a part failed.
    PartFailed(PartNumber, Failure),
    /// A part can never be sent by this run: proof was required; or, with [`Advice::Resume`], the source has
    /// changed or cannot be read, and another run can go on. Also instead of Complete, which was not sent then.
    PartImpossible(PartNumber, Advice),
    /// A wait is over.
    Woke(Waiting),
    /// Complete was answered.
    Completed,
    /// Complete failed.
    CompleteFailed(Failure),
    /// The object was examined after a lost answer.
    Examined(Finding),
    /// The caller wants it to end with nothing left at the store.
    Cancel,
    /// The caller wants it to stop and be resumable: parts in flight may still arrive.
    Pause,
    /// The caller waits no longer for the parts in flight.
    PauseNow,
    /// The abort is confirmed.
    Aborted,
    /// The abort could not be confirmed within its own patience.
    AbortFailed,
}

/// What an examination of the object and the upload showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The object is ours.
    Ours,
    /// The object is not ours and the upload is still open: Complete was never carried out.
    UploadOpen,
    /// The object is not ours and the upload is gone.
    UploadGone,
    /// The upload is gone and there is no object of this key: it was aborted or has expired.
    NothingThere,
    /// The store would not say.
    Unknown(Failure),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// To create again.
    Create,
    /// To send this part again.
    Part(PartNumber),
    /// To complete again.
    Complete,
    /// To examine again.
    Examine,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// CreateMultipartUpload.
    Create,
    /// Read, hash and send a part. Attempts count from 1.
    SendPart(PartNumber, u32),
    /// Give `Input::Woke` after this long; `u32` is the attempt that failed.
    Wait(Waiting, u32, Duration),
    /// CompleteMultipartUpload with every part.
    Complete,
    /// HEAD the object, then ListParts: whose is it, and is the upload still open?
    Examine,
    /// Stop the parts in flight, wait until they have stopped, then abort until ListParts says it is gone.
    Abort,
    /// Stop the parts in flight and the waits; nothing is told to the store.
    Stop,
    /// The end.
    Finish(Outcome),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The object is there.
    Done,
    /// It failed; nothing is left at the store.
    Failed,
    /// It was cancelled; nothing is left at the store.
    Cancelled,
    /// It failed, and what is at the store could not be removed.
    LeftBehind,
    /// It stopped and can go on later; what arrived stays at the store.
    Paused,
    /// The store lost the upload before Complete, or wants a new one (409): nothing is left, all parts must
    /// be sent again.
    Restart,
    /// After a doubt: the upload is gone, and the object is not ours.
    UploadGone,
    /// It is not known whether Complete was carried out.
    InDoubt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Planned,
    Creating,
    Sending,
    Pausing,
    Completing,
    InDoubt,
    Aborting,
    Ended,
}

/// What to do when the store cannot be reached or will not take parts, however often they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenExhausted {
    /// Remove what is there: nobody could find it again.
    Abort,
    /// Keep it: a journal remembers it. Removed is only what can never complete, and an upload of which nothing has
    /// arrived and nothing will.
    Pause,
    /// Keep it whatever happens: a journal remembers it, and somebody else had begun it.
    Keep,
}

/// Parts in flight when a run begins. Sixteen that share a link arrive all at once and late: a run that was killed
/// within its first second kept nothing. Two arrive in an eighth of that time.
const IN_FLIGHT_AT_START: u32 = 2;

/// More parts that each one that arrives earns at the start: two, then six, then all of the default sixteen.
const EARNED_AT_START: u32 = 2;

/// Successes in a row after which one more part may be in flight again.
const RECOVERY_STREAK: u32 = 8;

/// The state of one upload.
#[derive(Debug)]
pub struct Schedule {
    state: State,
    policy: RetryPolicy,
    budget: RetryBudget,
    random: StdRng,
    /// Parts nobody has tried yet, and parts whose wait is over.
    ready: VecDeque<PartNumber>,
    /// Attempts so far, by part index.
    attempts: Vec<u32>,
    left: usize,
    in_flight: u32,
    /// Parts that wait for their next try. They keep their place among those in flight: in a store that is away,
    /// the untried parts behind them would fail in no time, one after the other, and use up the budget of all.
    waiting: u32,
    concurrency_max: u32,
    /// How many may be in flight now: few at the start, halved when the store throttles, earned by successes.
    allowed: u32,
    /// What each success adds to it at the start; halved by throttling too. 0: the start is over.
    earned_at_start: u32,
    streak: u32,
    /// Attempts begun so far, of all parts.
    begun: u64,
    /// `begun` when each part's last attempt began, by part index.
    begun_at: Vec<u64>,
    /// `begun` when `allowed` was last halved.
    halved_at: u64,
    /// Failed tries of the request that the state is about: Create, Complete, Examine.
    tries: u32,
    /// That request waits for its next try: nothing is under way whose answer would count.
    backing_off: bool,
    /// Complete was sent and may have been carried out.
    completion_possible: bool,
    /// The refusal of the Complete that is being looked into, when its answer was not lost.
    refusal: Option<Failure>,
    /// How Complete failed last, and how often it was found not to have been carried out.
    unheard: (Option<Failure>, u32),
    cancelled: bool,
    paused: bool,
    /// After the abort: begin anew instead of failing.
    restart: bool,
    /// Sent in an earlier run, whose upload goes on.
    resumed: bool,
    when_exhausted: WhenExhausted,
}

impl Schedule {
    /// A schedule of `part_count` parts, at most `concurrency` in flight; `seed` decides the waits.
    pub fn new(part_count: u32, concurrency: u32, policy: RetryPolicy, seed: u64) -> Self {
        let concurrency = concurrency.max(1);
        let numbers = (1..=part_count).map(|number| {
            PartNumber::new(number).expect("a plan has no more parts than there are part numbers")
        });
        Self {
            state: State::Planned,
            budget: RetryBudget::new(&policy, concurrency),
            policy,
            random: StdRng::seed_from_u64(seed),
            ready: numbers.collect(),
            attempts: vec![0; part_count as usize],
            left: part_count as usize,
            in_flight: 0,
            waiting: 0,
            concurrency_max: concurrency,
            allowed: concurrency.min(IN_FLIGHT_AT_START),
            earned_at_start: EARNED_AT_START,
            streak: 0,
            begun: 0,
            begun_at: vec![0; part_count as usize],
            halved_at: 0,
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

    /// Goes on with an upload of which `is_sent` tells the parts that arrived. If Complete may have been
    /// sent, the first thing is to look.
    #[must_use]
    pub fn resumed(mut self, is_sent: impl Fn(PartNumber) -> bool, completion_possible: bool) -> Self {
        self.resumed = true;
        self.completion_possible = completion_possible;
        self.ready.retain(|number| !is_sent(*number));
        self.left = self.ready.len();
        self
    }

    /// What to do when trying again has come to its end; to abort unless said otherwise.
    #[must_use]
    pub fn when_exhausted(mut self, when: WhenExhausted) -> Self {
        self.when_exhausted = when;
        self
    }

    /// Parts being sent now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// True from the decision to end on: what comes later is no reason for it.
    pub fn is_ending(&self) -> bool {
        matches!(self.state, State::Aborting | State::Ended)
    }

    /// Takes one event; the answer is what to do next, in order.
    pub fn on(&mut self, input: Input) -> Vec<Action> {
        match (self.state, input) {
            (State::Planned, Input::Start) if self.completion_possible => {
                self.enter(State::InDoubt, Action::Examine)
            }
            (State::Planned, Input::Start) if self.resumed => self.send(),
            (State::Planned, Input::Start) => self.enter(State::Creating, Action::Create),
            (State::Planned, Input::Cancel) if self.resumed => {
                self.cancelled = true;
                // In doubt it must be examined first: that is what Start does.
                if self.completion_possible { vec![] } else { self.abort() }
            }
            (State::Planned, Input::Cancel) => {
                self.cancelled = true;
                self.finish_without_upload()
            }
            (State::Planned, Input::Pause | Input::PauseNow) => self.finish(Outcome::Paused),
            (State::Creating, Input::Created) => {
                self.tries = 0;
                match (self.cancelled, self.paused) {
                    (true, _) => self.abort(),
                    (false, true) => self.finish(Outcome::Paused),
                    (false, false) => self.send(),
                }
            }
            (State::Creating, Input::CreateFailed(_)) if self.cancelled || self.paused => {
                self.finish_without_upload()
            }
            (State::Creating, Input::CreateFailed(failure)) => {
                self.again(Waiting::Create, &failure).unwrap_or_else(|| self.finish_without_upload())
            }
            (State::Creating, Input::Woke(Waiting::Create)) => self.retry(Action::Create),
            (State::Creating, input @ (Input::Pause | Input::PauseNow | Input::Cancel)) => {
                self.cancelled |= input == Input::Cancel;
                self.paused |= input != Input::Cancel;
                // The answer to Create may be on its way: it names an upload that must not be forgotten.
                if self.backing_off { self.finish_without_upload() } else { vec![] }
            }

            (State::Sending, Input::PartSent(_)) => self.part_sent(),
            (State::Sending, Input::PartFailed(number, failure)) => self.part_failed(number, &failure),
            (State::Sending | State::Pausing | State::Completing, Input::PartImpossible(_, advice)) => {
                self.end(advice != Advice::GiveUp)
            }
            (State::Sending, Input::Woke(Waiting::Part(number))) => {
                // Before the untried ones: its neighbours are done, and the end is nearer.
                self.waiting -= 1;
                self.ready.push_front(number);
                self.fill()
            }
            (State::Sending, Input::Cancel) => {
                self.cancelled = true;
                self.abort()
            }

            (State::Sending, Input::Pause) => self.pause(),
            (State::Sending, Input::PauseNow) => self.pause_now(),
            (State::Pausing, Input::PartSent(_)) => {
                self.left -= 1;
                self.in_flight -= 1;
                self.pause()
            }
            (State::Pausing, Input::PartFailed(number, _)) => {
                self.ready.push_front(number);
                self.in_flight -= 1;
                self.pause()
            }
            (State::Pausing, Input::PauseNow) => self.pause_now(),
            (State::Pausing, Input::Cancel) => {
                self.cancelled = true;
                self.abort()
            }

            (State::Completing, Input::Completed) => self.finish(Outcome::Done),
            (State::Completing, Input::CompleteFailed(failure)) => self.complete_failed(&failure),
            (State::Completing, Input::Woke(Waiting::Complete)) => self.retry(Action::Complete),
            (State::InDoubt, Input::Examined(finding)) => self.examined(&finding),
            (State::InDoubt, Input::Woke(Waiting::Examine)) => self.retry(Action::Examine),
            // It was refused, or found not to have been carried out: there is nothing to wait for.
            (State::Completing, Input::Cancel) if self.backing_off => {
                self.cancelled = true;
                self.abort()
            }
            (State::Completing | State::InDoubt, Input::Cancel) => {
                // Complete is under way: aborting now could destroy what it is making. Its outcome decides.
                self.cancelled = true;
                vec![]
            }
            (State::Completing | State::InDoubt, Input::Pause) if !self.backing_off => {
                self.paused = true;
                vec![]
            }
            // Nothing is under way, or the caller does not wait for it: the next run finds out.
            (State::Completing | State::InDoubt, Input::Pause | Input::PauseNow) => self.pause_now(),

            (State::Aborting, Input::Aborted) => self.finish(match (self.cancelled, self.restart) {
                (true, _) => Outcome::Cancelled,
                (false, true) => Outcome::Restart,
                (false, false) => Outcome::Failed,
            }),
            (State::Aborting, Input::AbortFailed) => self.finish(Outcome::LeftBehind),
            // The Complete that had been looked for in vain landed before the abort.
            (State::Aborting, Input::Completed) => self.finish(Outcome::Done),
            // What was under way when the abort was decided comes in late and changes nothing.
            (State::Planned | State::Sending | State::Pausing | State::Aborting | State::Ended, _)
            | (State::Creating | State::Completing | State::InDoubt, Input::Woke(_)) => vec![],
            (state, input) => unreachable!("{input:?} cannot happen in {state:?}"),
        }
    }

    fn enter(&mut self, state: State, action: Action) -> Vec<Action> {
        self.state = state;
        self.tries = 0;
        self.backing_off = false;
        vec![action]
    }

    fn finish(&mut self, outcome: Outcome) -> Vec<Action> {
        self.enter(State::Ended, Action::Finish(outcome))
    }

    fn finish_without_upload(&mut self) -> Vec<Action> {
        self.finish(match (self.cancelled, self.paused) {
            (true, _) => Outcome::Cancelled,
            (false, true) => Outcome::Paused,
            (false, false) => Outcome::Failed,
        })
    }

    fn abort(&mut self) -> Vec<Action> {
        self.in_flight = 0;
        self.enter(State::Aborting, Action::Abort)
    }

    /// Sends what is left; completes when nothing is.
    fn send(&mut self) -> Vec<Action> {
        if self.left == 0 {
            return self.enter(State::Completing, Action::Complete);
        }
        self.state = State::Sending;
        self.fill()
    }

    /// Starts nothing more; ends with the last part in flight.
    fn pause(&mut self) -> Vec<Action> {
        self.state = State::Pausing;
        if self.in_flight == 0 { self.pause_now() } else { vec![] }
    }

    fn pause_now(&mut self) -> Vec<Action> {
        self.in_flight = 0;
        self.state = State::Ended;
        vec![Action::Stop, Action::Finish(Outcome::Paused)]
    }

    /// Trying again has come to its end, or must not begin. What has arrived is kept for whatever a person may do about
    /// the refusal. An upload that the store takes nothing of is not worth keeping, unless it is the caller whom it
    /// refuses: Create was allowed, so that may pass.
    fn give_up(&mut self, failure: &Failure) -> Vec<Action> {
        let some_arrived = self.left < self.attempts.len();
        let may_pass = failure.advice != Advice::GiveUp || failure.kind.concerns_the_caller();
        self.end((some_arrived || may_pass) && !failure.kind.ends_the_upload())
    }

    /// Ends before Complete: keeps what is there if another run may go on, and is wanted to.
    fn end(&mut self, resumable: bool) -> Vec<Action> {
        let keep = match self.when_exhausted {
            WhenExhausted::Abort => false,
            WhenExhausted::Pause => resumable,
            WhenExhausted::Keep => true,
        };
        // What is in flight meets the same store: waiting for it would only take longer.
        if keep && !self.cancelled { self.pause_now() } else { self.abort() }
    }

    /// Sends as many parts as may be in flight.
    fn fill(&mut self) -> Vec<Action> {
        let mut actions = vec![];
        while self.in_flight + self.waiting < self.allowed
            && let Some(number) = self.ready.pop_front()
        {
            self.in_flight += 1;
            self.begun += 1;
            self.begun_at[number.index()] = self.begun;
            let attempts = &mut self.attempts[number.index()];
            *attempts += 1;
            actions.push(Action::SendPart(number, *attempts));
        }
        actions
    }

    fn part_sent(&mut self) -> Vec<Action> {
        self.in_flight -= 1;
        self.left -= 1;
        self.budget.earn();
        self.allow_more();
        if self.left == 0 {
            self.completion_possible = false;
            return self.enter(State::Completing, Action::Complete);
        }
        self.fill()
    }

    /// A part has arrived: more may be in flight. Quickly at the start, then only where throttling took them away.
    fn allow_more(&mut self) {
        self.streak += 1;
        self.allowed = self.allowed.saturating_add(self.earned_at_start).min(self.concurrency_max);
        if self.allowed == self.concurrency_max {
            self.earned_at_start = 0;
        } else if self.streak >= RECOVERY_STREAK {
            self.allowed += 1;
            self.streak = 0;
        }
    }

    fn part_failed(&mut self, number: PartNumber, failure: &Failure) -> Vec<Action> {
        self.in_flight -= 1;
        if failure.throttled {
            self.throttled(number);
        }
        if failure.kind == StoreErrorKind::NoSuchUpload {
            self.restart = true;
            return self.abort();
        }
        let attempt = self.attempts[number.index()];
        let wait = self.policy.wait(attempt, failure, &mut self.random);
        let Some(wait) = wait.filter(|_| self.budget.pay()) else {
            return self.give_up(failure);
        };
        self.waiting += 1;
        let mut actions = vec![Action::Wait(Waiting::Part(number), attempt, wait)];
        actions.append(&mut self.fill());
        actions
    }

    /// Halves what may be in flight: once for all attempts that were under way together. They meet the same
    /// full store, and sixteen refusals in one breath are no reason to go on with a single part.
    fn throttled(&mut self, number: PartNumber) {
        self.streak = 0;
        if self.begun_at[number.index()] > self.halved_at {
            self.allowed = (self.allowed / 2).max(1);
            self.earned_at_start /= 2;
            self.halved_at = self.begun;
        }
    }

    /// One more try of the request that the state is about, if the policy allows one.
    fn again(&mut self, waiting: Waiting, failure: &Failure) -> Option<Vec<Action>> {
        self.tries += 1;
        let wait = self.policy.wait(self.tries, failure, &mut self.random)?;
        self.backing_off = true;
        Some(vec![Action::Wait(waiting, self.tries, wait)])
    }

    /// The wait is over.
    fn retry(&mut self, action: Action) -> Vec<Action> {
        self.backing_off = false;
        vec![action]
    }

    fn complete_failed(&mut self, failure: &Failure) -> Vec<Action> {
        // RGW 16.2 answers 500 to an upload that is gone; a Complete that was carried out makes it so.
        let lost = failure.outcome_unknown || failure.kind == StoreErrorKind::Server;
        self.unheard.0 = Some(*failure);
        self.completion_possible |= lost;
        // A proxy that repeats a request gets NoSuchUpload for the second, and after a lost Complete even a
        // refusal proves nothing: the lost one may have been carried out since it was looked for.
        if self.completion_possible || failure.kind == StoreErrorKind::NoSuchUpload {
            self.refusal = Some(*failure).filter(|_| !lost);
            return self.enter(State::InDoubt, Action::Examine);
        }
        self.complete_refused(failure)
    }

    /// Complete was certainly not carried out.
    fn complete_refused(&mut self, failure: &Failure) -> Vec<Action> {
        // 409 ConditionalRequestConflict: AWS wants a new upload with all its parts (trap 5).
        if matches!(failure.kind, StoreErrorKind::NoSuchUpload | StoreErrorKind::ConditionalConflict) {
            self.restart = true;
            return self.abort();
        }
        // S3's answer to If-Match where there is no object: the condition does not hold.
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
            // Completed and overwritten since, or expired: sending it again might overwrite somebody's newer
            // object, so that is for a person to decide.
            Finding::UploadGone if self.completion_possible => self.finish(Outcome::UploadGone),
            // Nobody's object can be overwritten. RGW 16.2 says 500 to a Complete of an upload that somebody aborted:
            // without this the whole upload would fail for a refusal that is no doubt at all.
            Finding::UploadGone | Finding::NothingThere => {
                self.restart = true;
                self.abort()
            }
            Finding::UploadOpen if self.cancelled => self.abort(),
            Finding::UploadOpen if self.left > 0 => {
                self.completion_possible = false;
                self.send()
            }
            Finding::UploadOpen if self.refusal.is_some_and(|refusal| refusal.advice == Advice::GiveUp) => {
                let refusal = self.refusal.take().expect("it was just looked at");
                self.complete_refused(&refusal)
            }
            Finding::UploadOpen => {
                self.unheard.1 += 1;
                let (failure, tries) = self.unheard;
                let wait = match failure {
                    Some(failure) => self.policy.wait(tries, &failure, &mut self.random),
                    // It was an earlier run's.
                    None => Some(self.policy.throttled_base),
                };
                let Some(wait) = wait.filter(|_| self.budget.pay()) else {
                    return self.end(true);
                };
                if self.paused {
                    return self.pause_now();
                }
                self.state = State::Completing;
                self.backing_off = true;
                vec![Action::Wait(Waiting::Complete, tries, wait)]
            }
            Finding::Unknown(failure) => {
                self.again(Waiting::Examine, failure).unwrap_or_else(|| self.finish(Outcome::InDoubt))
            }
        }
    }
}
