//! Tests the laws of the lifecycle with random walks. A walk answers the actions of a lifecycle as
//! a store and a driver could, in any order, until the lifecycle finishes, and checks the laws at
//! every step. The file is long because the walk shares its answers with the cases that it cannot
//! reach.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use std::time::Duration;

use super::*;
use crate::pace::throttle::{Slot, Throttle};
use crate::pace::{RetryBudget, RetryPolicy};

/// The probabilities of a walk.
#[derive(Clone, Copy, Debug)]
struct Climate {
    /// The failure rate of every request.
    failing: f64,
    /// The cancel rate per step.
    cancelling: f64,
    /// The pause rate per step.
    pausing: f64,
    /// The rate at which stopped attempts and waits still end.
    late: f64,
}

/// A lifecycle, its requests in flight, and its history.
struct Walk {
    lifecycle: Lifecycle,
    throttle: Throttle,
    /// The slots of parts in flight, and of parts that wait for their next attempt.
    places: BTreeMap<PartNumber, Slot>,
    random: StdRng,
    climate: Climate,
    part_count: u32,
    concurrency: u32,
    parts: BTreeSet<PartNumber>,
    waits: Vec<Waiting>,
    request: Option<Action>,
    /// The results of attempts and waits that an abort stopped; they may still be reported late.
    stopped: Vec<Input>,
    sent: BTreeSet<PartNumber>,
    /// Whether Complete was sent and its outcome is still unknown.
    in_doubt: bool,
    finished: Option<Outcome>,
    most_in_flight: usize,
}

fn failure(kind: StoreErrorKind, advice: Advice) -> FailedAttempt {
    let throttled = kind == StoreErrorKind::Throttled;
    FailedAttempt { advice, throttled, reused_connection: false, outcome_unknown: false, kind }
}

const RETRY: Advice = Advice::Retry { after: None };

fn any_failure(random: &mut StdRng) -> FailedAttempt {
    let (kind, advice) = match random.random_range(0..8) {
        0 => (StoreErrorKind::Throttled, Advice::Retry { after: Some(Duration::from_secs(1)) }),
        1 => (StoreErrorKind::Throttled, RETRY),
        2 => (StoreErrorKind::Server, RETRY),
        3 => (StoreErrorKind::Connection, RETRY),
        4 => (StoreErrorKind::Timeout, RETRY),
        5 => (StoreErrorKind::ExpiredCredentials, Advice::Refresh),
        6 if random.random_bool(0.2) => (StoreErrorKind::AccessDenied, Advice::GiveUp),
        7 if random.random_bool(0.2) => (StoreErrorKind::NoSuchUpload, Advice::GiveUp),
        _ => (StoreErrorKind::Server, RETRY),
    };
    let broke = matches!(kind, StoreErrorKind::Connection | StoreErrorKind::Timeout);
    FailedAttempt {
        outcome_unknown: broke && random.random_bool(0.7),
        reused_connection: broke && random.random_bool(0.3),
        ..failure(kind, advice)
    }
}

pub(super) fn lifecycle(part_count: u32, concurrency: u32, seed: u64) -> Lifecycle {
    let policy = RetryPolicy::default();
    let budget = RetryBudget::new(&policy, concurrency);
    Lifecycle::new(Pieces::new(part_count, concurrency), Retries::new(policy, budget, seed))
}

impl Walk {
    fn new(part_count: u32, concurrency: u32, seed: u64, climate: Climate) -> Self {
        Self {
            lifecycle: lifecycle(part_count, concurrency, seed),
            throttle: Throttle::new(concurrency),
            places: BTreeMap::new(),
            random: StdRng::seed_from_u64(seed),
            climate,
            part_count,
            concurrency,
            parts: BTreeSet::new(),
            waits: vec![],
            request: None,
            stopped: vec![],
            sent: BTreeSet::new(),
            in_doubt: false,
            finished: None,
            most_in_flight: 0,
        }
    }

    /// Runs the lifecycle to its end and a few steps further. Panics if a law is broken.
    fn run(mut self) -> Outcome {
        if self.random.random_bool(self.climate.cancelling) {
            self.give(Input::Cancel);
        }
        if self.finished.is_none() {
            self.give(Input::Start);
        }
        // Every attempt, wait and request takes one step; the policy bounds their number.
        let steps_max = 1000 + 40 * self.part_count;
        for _ in 0..steps_max {
            if self.finished.is_some() {
                break;
            }
            let input = self.next();
            self.give(input);
        }
        let outcome = self.finished.unwrap_or_else(|| panic!("no end after {steps_max} steps"));
        for late in
            std::mem::take(&mut self.stopped).into_iter().chain([Input::Cancel, Input::Cancel])
        {
            assert_eq!(self.lifecycle.on(late), vec![], "an action after the end");
        }
        outcome
    }

    /// Picks one of the possible next events.
    fn next(&mut self) -> Input {
        if self.random.random_bool(self.climate.cancelling) {
            return Input::Cancel;
        }
        if self.random.random_bool(self.climate.pausing) {
            return if self.random.random_bool(0.2) { Input::PauseNow } else { Input::Pause };
        }
        if !self.stopped.is_empty() && self.random.random_bool(self.climate.late) {
            let index = self.random.random_range(0..self.stopped.len());
            return self.stopped.swap_remove(index);
        }
        let requests = usize::from(self.request.is_some());
        let choices = self.parts.len() + self.waits.len() + requests;
        assert!(choices > 0, "nothing is under way and it has not finished");
        let index = self.random.random_range(0..choices);
        if index < self.parts.len() {
            let number = *self.parts.iter().nth(index).unwrap();
            self.parts.remove(&number);
            self.part_ends(number)
        } else if index < self.parts.len() + self.waits.len() {
            Input::Woke(self.waits.swap_remove(index - self.parts.len()))
        } else {
            self.request_ends()
        }
    }

    fn fails(&mut self) -> Option<FailedAttempt> {
        if self.random.random_bool(self.climate.failing) {
            Some(any_failure(&mut self.random))
        } else {
            None
        }
    }

    fn part_ends(&mut self, number: PartNumber) -> Input {
        match self.fails() {
            Some(failure) => Input::PartFailed(number, failure),
            None if self.random.random_bool(self.climate.failing / 50.0) => {
                Input::PartImpossible(number, Advice::GiveUp)
            }
            None => {
                self.sent.insert(number);
                Input::PartSent(number)
            }
        }
    }

    fn request_ends(&mut self) -> Input {
        let request = self.request.take().unwrap();
        let failed = self.fails();
        match (request, failed) {
            (Action::Create, None) => Input::Created,
            (Action::Create, Some(failure)) => Input::CreateFailed(failure),
            (Action::Complete, None) => Input::Completed,
            (Action::Complete, Some(failure)) => {
                self.in_doubt = failure.outcome_unknown;
                Input::CompleteFailed(failure)
            }
            (Action::Examine, failed) => {
                let finding = match (failed, self.random.random_range(0..4)) {
                    (Some(failure), _) => Finding::Unknown(failure),
                    (None, 0) => Finding::Ours,
                    (None, 1) => Finding::UploadGone,
                    (None, 2) => Finding::NothingThere,
                    (None, _) => Finding::UploadOpen,
                };
                self.in_doubt = matches!(finding, Finding::Unknown(_));
                Input::Examined(finding)
            }
            (Action::Abort, None) => Input::Aborted,
            (Action::Abort, Some(_)) => Input::AbortFailed,
            (other, _) => panic!("{other:?} is no request"),
        }
    }

    fn give(&mut self, input: Input) {
        let cause = input.clone();
        self.pass_the_gate(&input);
        for action in self.lifecycle.on(input) {
            assert_eq!(self.finished, None, "{action:?} after the end, on {cause:?}");
            self.take(action);
        }
        while self.lifecycle.wants_pass()
            && let Some(place) = self.throttle.enter()
        {
            let actions = self.lifecycle.on(Input::Admitted);
            let [Action::SendPart(number, _)] = actions[..] else {
                panic!("{actions:?} for a pass")
            };
            self.places.insert(number, place);
            actions.into_iter().for_each(|action| self.take(action));
        }
        let in_flight = self.parts.len();
        self.most_in_flight = self.most_in_flight.max(in_flight);
        assert!(in_flight <= self.concurrency as usize, "{in_flight} parts in flight on {cause:?}");
        assert_eq!(self.lifecycle.in_flight() as usize, in_flight, "on {cause:?}");
    }

    /// Starts from an earlier run that sent some parts and may have ended during Complete.
    fn resumed(mut self) -> Self {
        let numbers = (1..=self.part_count).map(|number| PartNumber::new(number).unwrap());
        let completing = self.random.random_bool(0.2);
        let odds = if completing { 1.0 } else { 0.5 };
        self.sent = numbers.filter(|_| self.random.random_bool(odds)).collect();
        let sent = self.sent.clone();
        self.lifecycle = self.lifecycle.resumed(|number| sent.contains(&number), completing);
        self.lifecycle = self.lifecycle.when_exhausted(WhenExhausted::Pause);
        self.in_doubt = completing;
        self
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::SendPart(number, attempt) => {
                assert!(!self.sent.contains(&number), "part {number} is sent again (P2)");
                assert!(self.parts.insert(number), "part {number} is in flight already");
                assert!(attempt <= RetryPolicy::default().attempts_max);
            }
            Action::Wait(waiting, ..) => {
                assert!(!self.waits.contains(&waiting), "it waits twice for {waiting:?}");
                self.waits.push(waiting);
            }
            Action::Finish(outcome) => {
                assert_eq!(self.request, None, "it finishes while {:?} is under way", self.request);
                assert!(self.parts.is_empty(), "it finishes while parts are in flight");
                let may_be_in_doubt = matches!(outcome, Outcome::InDoubt | Outcome::Paused);
                assert!(!self.in_doubt || may_be_in_doubt, "{outcome:?} in doubt");
                self.finished = Some(outcome);
            }
            Action::Complete => {
                assert_eq!(
                    self.sent.len(),
                    self.part_count as usize,
                    "Complete before every part is sent"
                );
                assert!(self.parts.is_empty() && !self.in_doubt);
                self.ask(Action::Complete);
            }
            Action::Abort => {
                assert!(!self.in_doubt, "an abort in doubt (P6)");
                // The driver stops parts and waits before it aborts.
                self.stop();
                self.ask(Action::Abort);
            }
            Action::Stop => {
                self.stop();
                self.request = None;
            }
            request @ (Action::Create | Action::Examine) => self.ask(request),
        }
    }

    /// Reports the input to the gate, as the driver does.
    fn pass_the_gate(&mut self, input: &Input) {
        match input {
            Input::PartSent(number) if self.places.contains_key(number) => {
                self.throttle.succeeded();
                self.leave(*number);
            }
            Input::PartFailed(number, failure) if failure.throttled => {
                self.throttle.throttled(self.places[number]);
            }
            Input::Woke(Waiting::Part(number)) => self.leave(*number),
            _ => {}
        }
    }

    fn leave(&mut self, number: PartNumber) {
        if self.places.remove(&number).is_some() {
            self.throttle.leave();
        }
    }

    /// Stops all parts and waits, as the driver does.
    fn stop(&mut self) {
        self.stopped.extend(std::mem::take(&mut self.parts).into_iter().map(Input::PartSent));
        self.stopped.extend(std::mem::take(&mut self.waits).into_iter().map(Input::Woke));
        std::mem::take(&mut self.places).into_keys().for_each(|_| self.throttle.leave());
    }

    fn ask(&mut self, request: Action) {
        // P6: no other request may be sent while Complete is in flight, in particular no abort.
        assert_eq!(self.request, None, "{request:?} while another request is under way");
        self.request = Some(request);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_walk_keeps_the_laws_and_ends(
        part_count in 1_u32..120,
        concurrency in 1_u32..20,
        seed: u64,
        failing in 0.0..0.6_f64,
        cancelling in prop_oneof![Just(0.0), Just(0.002), Just(0.05)],
        pausing in prop_oneof![Just(0.0), Just(0.002), Just(0.05)],
        late in 0.0..1.0_f64,
    ) {
        let climate = Climate { failing, cancelling, pausing, late };
        let outcome = Walk::new(part_count, concurrency, seed, climate).run();
        if cancelling == 0.0 {
            prop_assert_ne!(outcome, Outcome::Cancelled);
        }
    }
}

/// Pausing, and resuming the upload of an earlier run, keeps every law too.
#[test]
fn resumed_walks_keep_the_laws_and_end() {
    let mut ends: Vec<Outcome> = vec![];
    for seed in 0..3000 {
        let cancelling = if seed % 3 == 0 { 0.01 } else { 0.0 };
        let pausing = if seed % 5 == 0 { 0.02 } else { 0.0 };
        let climate = Climate { failing: 0.3, cancelling, pausing, late: 0.5 };
        let outcome = Walk::new(20, 4, seed, climate).resumed().run();
        if !ends.contains(&outcome) {
            ends.push(outcome);
        }
    }
    for outcome in
        [Outcome::Done, Outcome::Paused, Outcome::Cancelled, Outcome::Restart, Outcome::InDoubt]
    {
        assert!(ends.contains(&outcome), "no resumed walk ends with {outcome:?}");
    }
}

/// The walks reach all outcomes that the laws cover.
#[test]
fn walks_come_to_every_kind_of_end() {
    let mut ends: Vec<Outcome> = vec![];
    for seed in 0..3000 {
        let cancelling = if seed % 3 == 0 { 0.01 } else { 0.0 };
        let outcome =
            Walk::new(10, 4, seed, Climate { failing: 0.3, cancelling, pausing: 0.0, late: 0.5 })
                .run();
        if !ends.contains(&outcome) {
            ends.push(outcome);
        }
    }
    for outcome in [
        Outcome::Done,
        Outcome::Failed,
        Outcome::Cancelled,
        Outcome::LeftBehind,
        Outcome::UploadGone,
        Outcome::InDoubt,
    ] {
        assert!(ends.contains(&outcome), "no walk ends with {outcome:?}");
    }
}

#[test]
fn without_faults_every_part_is_sent_once_on_all_connections() {
    let walk = Walk::sending(100, 16);
    assert_eq!(walk.parts.len(), 16);
    assert_eq!(walk.run_on(), Outcome::Done);
}

impl Walk {
    fn run_on(mut self) -> Outcome {
        while self.finished.is_none() {
            let input = self.next();
            self.give(input);
        }
        self.finished.unwrap()
    }

    /// Creates a lifecycle after its slow start, with the maximum number of parts in flight.
    fn sending(part_count: u32, concurrency: u32) -> Self {
        let calm = Climate { failing: 0.0, cancelling: 0.0, pausing: 0.0, late: 0.0 };
        let mut walk = Self::new(part_count, concurrency, 1, calm);
        walk.give(Input::Start);
        walk.request = None;
        walk.give(Input::Created);
        while walk.parts.len() < concurrency as usize {
            walk.send_one();
        }
        walk
    }

    fn throttle_one(&mut self) {
        let number = *self.parts.first().unwrap();
        self.parts.remove(&number);
        self.give(Input::PartFailed(number, failure(StoreErrorKind::Throttled, RETRY)));
    }

    /// Ends every wait.
    fn wake(&mut self) {
        std::mem::take(&mut self.waits)
            .into_iter()
            .for_each(|waiting| self.give(Input::Woke(waiting)));
    }

    fn send_one(&mut self) {
        let number = *self.parts.first().unwrap();
        self.parts.remove(&number);
        self.sent.insert(number);
        self.give(Input::PartSent(number));
    }
}

/// Trap 32: after throttling, lower the concurrency too, do not only wait.
#[test]
fn throttling_lowers_the_parts_in_flight_until_they_succeed() {
    let mut walk = Walk::sending(1000, 16);
    assert_eq!(walk.parts.len(), 16);
    (0..3).for_each(|_| walk.throttle_one());
    assert_eq!(walk.throttle.allowed(), 16, "three refusals are isolated");
    walk.throttle_one();
    walk.wake();
    assert_eq!(walk.parts.len(), 12, "four of the sixteen were refused");
    (0..7).for_each(|_| walk.send_one());
    assert_eq!(walk.parts.len(), 12);
    walk.send_one();
    assert_eq!(walk.parts.len(), 13, "eight successes in a row earn one more");
    (0..8 * 3).for_each(|_| walk.send_one());
    assert_eq!(walk.parts.len(), 16);
    (0..100).for_each(|_| walk.send_one());
    assert_eq!(walk.parts.len(), 16, "never more than was asked for");
}

/// Sixteen simultaneous refusals used to lower the concurrency to one part in flight, from which it
/// takes 120 successes to recover.
#[test]
fn refusals_of_parts_that_were_under_way_together_halve_once() {
    let mut walk = Walk::sending(1000, 16);
    (0..16).for_each(|_| walk.throttle_one());
    walk.wake();
    assert_eq!(walk.parts.len(), 8);
    // These parts started after the halving: their refusals show that it was not enough.
    (0..8).for_each(|_| walk.throttle_one());
    walk.wake();
    assert_eq!(walk.parts.len(), 4);
    assert_eq!(walk.run_on(), Outcome::Done);
}

#[test]
fn one_part_may_always_be_in_flight() {
    let mut walk = Walk::sending(30, 2);
    for _ in 0..7 {
        (0..walk.parts.len()).for_each(|_| walk.throttle_one());
        walk.wake();
        assert!((1..=2).contains(&walk.parts.len()));
    }
    assert_eq!(walk.parts.len(), 1);
    assert_eq!(walk.run_on(), Outcome::Done);
}

/// Regression: a server was unavailable for four seconds. Each failed part made room for an untried
/// one, which failed at once too: after sixty-four parts the budget of the upload was used up, in
/// less than a tenth of a second.
#[test]
fn a_part_that_waits_keeps_its_place_from_those_never_tried() {
    let mut walk = Walk::sending(1000, 16);
    let waiting = walk.parts.clone();
    for _ in 0..16 {
        let number = *walk.parts.first().unwrap();
        walk.parts.remove(&number);
        walk.give(Input::PartFailed(number, failure(StoreErrorKind::Connection, RETRY)));
    }
    assert_eq!(
        (walk.parts.len(), walk.waits.len()),
        (0, 16),
        "nothing new meets the store that is away"
    );
    walk.wake();
    assert_eq!(walk.parts, waiting, "the same parts again");
    assert_eq!(walk.run_on(), Outcome::Done);
}

/// Lets the next part pass the gate and reports that it has arrived.
fn sent(lifecycle: &mut Lifecycle) -> Vec<Action> {
    let admitted = lifecycle.on(Input::Admitted);
    let [Action::SendPart(number, 1)] = admitted[..] else { panic!("{admitted:?}") };
    lifecycle.on(Input::PartSent(number))
}

#[test]
fn cancelling_before_the_start_ends_it_without_a_request() {
    let mut uploading = lifecycle(3, 2, 1);
    assert_eq!(uploading.on(Input::Cancel), [Action::Finish(Outcome::Cancelled)]);
    assert_eq!(uploading.on(Input::Start), []);
}

/// The answer to Create may be in flight when the caller cancels: the upload that the answer names
/// must be aborted.
#[test]
fn cancelling_during_create_waits_for_its_answer() {
    let mut uploading = lifecycle(3, 2, 1);
    uploading.on(Input::Start);
    assert_eq!(uploading.on(Input::Cancel), []);
    assert_eq!(uploading.on(Input::Created), [Action::Abort]);
    assert_eq!(uploading.on(Input::Aborted), [Action::Finish(Outcome::Cancelled)]);
}

/// P6: Complete is in flight, and an abort could destroy the upload's object.
#[test]
fn cancelling_during_complete_waits_for_its_outcome() {
    let complete = |uploading: &mut Lifecycle| {
        uploading.on(Input::Start);
        uploading.on(Input::Created);
        assert_eq!(sent(uploading), [Action::Complete]);
        assert_eq!(uploading.on(Input::Cancel), []);
    };
    let mut done = lifecycle(1, 1, 1);
    complete(&mut done);
    assert_eq!(done.on(Input::Completed), [Action::Finish(Outcome::Done)]);

    let lost =
        FailedAttempt { outcome_unknown: true, ..failure(StoreErrorKind::Connection, RETRY) };
    let mut doubtful = lifecycle(1, 1, 1);
    complete(&mut doubtful);
    assert_eq!(doubtful.on(Input::CompleteFailed(lost)), [Action::Examine]);
    assert_eq!(doubtful.on(Input::Examined(Finding::UploadOpen)), [Action::Abort]);

    let mut refused = lifecycle(1, 1, 1);
    complete(&mut refused);
    let throttled = failure(StoreErrorKind::Throttled, RETRY);
    assert_eq!(refused.on(Input::CompleteFailed(throttled)), [Action::Abort]);
}

/// Regression: the store had requested a wait of two minutes, and Ctrl-C took effect only after it.
#[test]
fn a_stop_does_not_wait_for_the_next_try_of_a_request() {
    let throttled = || {
        failure(StoreErrorKind::Throttled, Advice::Retry { after: Some(Duration::from_secs(120)) })
    };
    let uploading = || lifecycle(1, 1, 1).when_exhausted(WhenExhausted::Pause);
    for (stop, outcome) in [
        (Input::Pause, Outcome::Paused),
        (Input::PauseNow, Outcome::Paused),
        (Input::Cancel, Outcome::Cancelled),
    ] {
        let mut creating = uploading();
        creating.on(Input::Start);
        assert!(matches!(creating.on(Input::CreateFailed(throttled()))[..], [Action::Wait(..)]));
        assert_eq!(creating.on(stop.clone()), [Action::Finish(outcome)]);

        // While the request itself is in flight its answer is awaited, but no further attempt is
        // made.
        let mut asked = uploading();
        asked.on(Input::Start);
        assert_eq!(asked.on(stop.clone()), []);
        assert_eq!(asked.on(Input::CreateFailed(throttled())), [Action::Finish(outcome)]);

        let mut completing = uploading();
        completing.on(Input::Start);
        completing.on(Input::Created);
        sent(&mut completing);
        assert!(matches!(
            completing.on(Input::CompleteFailed(throttled()))[..],
            [Action::Wait(..)]
        ));
        let stopped = completing.on(stop);
        match outcome {
            Outcome::Cancelled => assert_eq!(stopped, [Action::Abort]),
            _ => assert_eq!(stopped, [Action::Stop, Action::Finish(outcome)]),
        }
    }
}

/// RGW 16.2 answers Complete with 500 if the upload is gone, which is also the case after a
/// Complete that took effect.
#[test]
fn a_500_to_complete_is_examined_before_anything_else() {
    let mut uploading = lifecycle(1, 1, 1);
    uploading.on(Input::Start);
    uploading.on(Input::Created);
    sent(&mut uploading);
    let failed = Input::CompleteFailed(failure(StoreErrorKind::Server, RETRY));
    assert_eq!(uploading.on(failed), [Action::Examine]);
    assert_eq!(uploading.on(Input::Examined(Finding::Ours)), [Action::Finish(Outcome::Done)]);
}

/// P6: an earlier run may have completed the upload, so even a cancel before the start examines
/// first.
#[test]
fn cancelling_a_resumed_upload_first_checks_for_completion() {
    let resumed = || lifecycle(3, 2, 1).resumed(|_| true, true);
    let mut open = resumed();
    assert_eq!(open.on(Input::Cancel), []);
    assert_eq!(open.on(Input::Start), [Action::Examine]);
    assert_eq!(open.on(Input::Examined(Finding::UploadOpen)), [Action::Abort]);
    let mut done = resumed();
    done.on(Input::Cancel);
    done.on(Input::Start);
    assert_eq!(done.on(Input::Examined(Finding::Ours)), [Action::Finish(Outcome::Done)]);
}
