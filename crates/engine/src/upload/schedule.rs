//! Decides what an upload does next. A state machine without I/O, clock or tasks: events in, actions out, so
//! that any schedule can be replayed from a seed.
//!
//! ```text
//! Planned → Creating → Sending → Completing → Done
//!               │          │         ├→ InDoubt → Done | Completing | ended in doubt
//!               └──────────┴─────────┴→ Aborting → Failed
//! ```
//!
//! Guarantees: at most `concurrency` parts in flight, fewer while the store throttles; a proven part is never
//! sent again; Complete only when every part is proven; Abort never while the outcome of Complete is in
//! doubt (P6), and never before the parts in flight have been stopped. Deliberately unaware of bytes,
//! ETags and stores. Laws are tested in `schedule/tests.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use haul_parts::PartNumber;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::retry::{Failure, RetryBudget, RetryPolicy};
use crate::store::StoreErrorKind;

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
    /// A part can never be sent: the source is unreadable or changed, or proof was required.
    PartImpossible(PartNumber),
    /// A wait is over.
    Woke(Waiting),
    /// Complete was answered.
    Completed,
    /// Complete failed.
    CompleteFailed(Failure),
    /// The object was examined after a lost answer.
    Examined(Finding),
    /// The caller wants it to end.
    Cancel,
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
    /// The store lost the upload; there is nothing to remove.
    UploadGone,
    /// It is not known whether Complete was carried out.
    InDoubt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Planned,
    Creating,
    Sending,
    Completing,
    InDoubt,
    Aborting,
    Ended,
}

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
    concurrency_max: u32,
    /// How many may be in flight now: halved when the store throttles, earned back by successes.
    allowed: u32,
    streak: u32,
    /// Attempts begun so far, of all parts.
    begun: u64,
    /// `begun` when each part's last attempt began, by part index.
    begun_at: Vec<u64>,
    /// `begun` when `allowed` was last halved.
    halved_at: u64,
    /// Failed tries of the request that the state is about: Create, Complete, Examine.
    tries: u32,
    /// Complete was sent and may have been carried out.
    completion_possible: bool,
    cancelled: bool,
}

impl Schedule {
    /// A schedule of `part_count` parts, at most `concurrency` in flight; `seed` decides the waits.
    pub fn new(part_count: u32, concurrency: u32, policy: RetryPolicy, seed: u64) -> Self {
        let numbers = (1..=part_count).map(|number| {
            PartNumber::new(number).expect("a plan has no more parts than there are part numbers")
        });
        Self {
            state: State::Planned,
            budget: RetryBudget::new(&policy),
            policy,
            random: StdRng::seed_from_u64(seed),
            ready: numbers.collect(),
            attempts: vec![0; part_count as usize],
            left: part_count as usize,
            in_flight: 0,
            concurrency_max: concurrency.max(1),
            allowed: concurrency.max(1),
            streak: 0,
            begun: 0,
            begun_at: vec![0; part_count as usize],
            halved_at: 0,
            tries: 0,
            completion_possible: false,
            cancelled: false,
        }
    }

    /// Parts being sent now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Takes one event; the answer is what to do next, in order.
    pub fn on(&mut self, input: Input) -> Vec<Action> {
        match (self.state, input) {
            (State::Planned, Input::Start) => self.enter(State::Creating, Action::Create),
            (State::Planned, Input::Cancel) => {
                self.cancelled = true;
                self.finish_without_upload()
            }
            (State::Creating, Input::Created) => {
                self.state = State::Sending;
                self.tries = 0;
                if self.cancelled { self.abort() } else { self.fill() }
            }
            (State::Creating, Input::CreateFailed(failure)) => {
                self.again(Waiting::Create, &failure).unwrap_or_else(|| self.finish_without_upload())
            }
            (State::Creating, Input::Woke(Waiting::Create)) if self.cancelled => self.finish_without_upload(),
            (State::Creating, Input::Woke(Waiting::Create)) => vec![Action::Create],
            (State::Creating, Input::Cancel) => {
                // The answer to Create may be on its way: it names an upload that must not be forgotten.
                self.cancelled = true;
                vec![]
            }

            (State::Sending, Input::PartSent(_)) => self.part_sent(),
            (State::Sending, Input::PartFailed(number, failure)) => self.part_failed(number, &failure),
            (State::Sending, Input::PartImpossible(_)) => self.abort(),
            (State::Sending, Input::Woke(Waiting::Part(number))) => {
                // Before the untried ones: its neighbours are done, and the end is nearer.
                self.ready.push_front(number);
                self.fill()
            }
            (State::Sending, Input::Cancel) => {
                self.cancelled = true;
                self.abort()
            }

            (State::Completing, Input::Completed) => self.finish(Outcome::Done),
            (State::Completing, Input::CompleteFailed(failure)) => self.complete_failed(&failure),
            (State::Completing, Input::Woke(Waiting::Complete)) if self.cancelled => self.abort(),
            (State::Completing, Input::Woke(Waiting::Complete)) => vec![Action::Complete],
            (State::InDoubt, Input::Examined(finding)) => self.examined(&finding),
            (State::InDoubt, Input::Woke(Waiting::Examine)) => vec![Action::Examine],
            (State::Completing | State::InDoubt, Input::Cancel) => {
                // Complete is under way: aborting now could destroy what it is making. Its outcome decides.
                self.cancelled = true;
                vec![]
            }

            (State::Aborting, Input::Aborted) => {
                let outcome = if self.cancelled { Outcome::Cancelled } else { Outcome::Failed };
                self.finish(outcome)
            }
            (State::Aborting, Input::AbortFailed) => self.finish(Outcome::LeftBehind),
            // What was under way when the abort was decided comes in late and changes nothing.
            (State::Planned | State::Sending | State::Aborting | State::Ended, _)
            | (State::Creating | State::Completing | State::InDoubt, Input::Woke(_)) => vec![],
            (state, input) => unreachable!("{input:?} cannot happen in {state:?}"),
        }
    }

    fn enter(&mut self, state: State, action: Action) -> Vec<Action> {
        self.state = state;
        self.tries = 0;
        vec![action]
    }

    fn finish(&mut self, outcome: Outcome) -> Vec<Action> {
        self.enter(State::Ended, Action::Finish(outcome))
    }

    fn finish_without_upload(&mut self) -> Vec<Action> {
        self.finish(if self.cancelled { Outcome::Cancelled } else { Outcome::Failed })
    }

    fn abort(&mut self) -> Vec<Action> {
        self.in_flight = 0;
        self.enter(State::Aborting, Action::Abort)
    }

    /// Sends as many parts as may be in flight.
    fn fill(&mut self) -> Vec<Action> {
        let mut actions = vec![];
        while self.in_flight < self.allowed
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
        self.streak += 1;
        if self.streak >= RECOVERY_STREAK && self.allowed < self.concurrency_max {
            self.allowed += 1;
            self.streak = 0;
        }
        if self.left == 0 {
            self.completion_possible = false;
            return self.enter(State::Completing, Action::Complete);
        }
        self.fill()
    }

    fn part_failed(&mut self, number: PartNumber, failure: &Failure) -> Vec<Action> {
        self.in_flight -= 1;
        if failure.throttled {
            self.throttled(number);
        }
        let attempt = self.attempts[number.index()];
        let Some(wait) = self.policy.wait(attempt, failure, &mut self.random) else { return self.abort() };
        if !self.budget.pay() {
            return self.abort();
        }
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
            self.halved_at = self.begun;
        }
    }

    /// One more try of the request that the state is about, if the policy allows one.
    fn again(&mut self, waiting: Waiting, failure: &Failure) -> Option<Vec<Action>> {
        self.tries += 1;
        let wait = self.policy.wait(self.tries, failure, &mut self.random)?;
        Some(vec![Action::Wait(waiting, self.tries, wait)])
    }

    fn complete_failed(&mut self, failure: &Failure) -> Vec<Action> {
        let perhaps_done = failure.outcome_unknown
            // RGW 16.2 answers 500 to an upload that is gone; a Complete that was carried out makes it so.
            || failure.kind == StoreErrorKind::Server
            || (failure.kind == StoreErrorKind::NoSuchUpload && self.completion_possible);
        if perhaps_done {
            self.completion_possible = true;
            return self.enter(State::InDoubt, Action::Examine);
        }
        if failure.kind == StoreErrorKind::NoSuchUpload {
            return self.finish(Outcome::UploadGone);
        }
        match self.again(Waiting::Complete, failure) {
            Some(actions) if !self.cancelled => actions,
            _ => self.abort(),
        }
    }

    fn examined(&mut self, finding: &Finding) -> Vec<Action> {
        match finding {
            Finding::Ours => self.finish(Outcome::Done),
            Finding::UploadGone => self.finish(Outcome::UploadGone),
            Finding::UploadOpen if self.cancelled => self.abort(),
            Finding::UploadOpen => {
                if !self.budget.pay() {
                    return self.abort();
                }
                self.state = State::Completing;
                let wait = self.policy.throttled_base;
                vec![Action::Wait(Waiting::Complete, 1, wait)]
            }
            Finding::Unknown(failure) => {
                self.again(Waiting::Examine, failure).unwrap_or_else(|| self.finish(Outcome::InDoubt))
            }
        }
    }
}
