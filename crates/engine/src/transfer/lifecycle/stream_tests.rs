//! Tests the laws of the lifecycle for streams, whose parts become known while others are sent:
//! random walks read, send, fail and wait in any order, along the growing plan, up to the maximum
//! object size.

use std::collections::BTreeSet;

use haul_parts::limits::{GIB, MIB, OBJECT_SIZE_MAX_BYTES, TIB};
use haul_parts::{GrowingPlan, Limits, PlannedPart};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::pace::{RetryBudget, RetryPolicy};

struct Walk {
    lifecycle: Lifecycle,
    random: StdRng,
    concurrency: u32,
    failing: f64,
    plan: GrowingPlan,
    stream_bytes: u64,
    read: Vec<PlannedPart>,
    reading: bool,
    ended: bool,
    in_flight: BTreeSet<PartNumber>,
    waiting: BTreeSet<PartNumber>,
    sent: BTreeSet<PartNumber>,
    /// The maximum number of bytes that were read but not acknowledged by the store.
    most_kept_bytes: u64,
}

impl Walk {
    fn new(
        plan: GrowingPlan,
        stream_bytes: u64,
        concurrency: u32,
        failing: f64,
        seed: u64,
    ) -> Self {
        let policy = RetryPolicy::default();
        let budget = RetryBudget::new(&policy, concurrency);
        let retries = Retries::new(policy, budget, seed);
        Self {
            lifecycle: Lifecycle::new(Pieces::growing(concurrency), retries),
            random: StdRng::seed_from_u64(seed),
            concurrency,
            failing,
            plan,
            stream_bytes,
            read: vec![],
            reading: false,
            ended: false,
            in_flight: BTreeSet::new(),
            waiting: BTreeSet::new(),
            sent: BTreeSet::new(),
            most_kept_bytes: 0,
        }
    }

    /// Runs until Complete or Abort; returns the bytes that Complete names, if it is sent.
    fn run(&mut self) -> Option<u64> {
        assert_eq!(self.lifecycle.on(Input::Start), vec![Action::Create]);
        assert_eq!(self.lifecycle.on(Input::Created), vec![]);
        loop {
            self.pass_the_gate();
            let input = self.next();
            for action in self.lifecycle.on(input) {
                match action {
                    Action::Wait(Waiting::Part(number), ..) => assert!(self.waiting.insert(number)),
                    Action::Complete => {
                        assert!(self.ended, "Complete before the end of the stream");
                        assert_eq!(
                            self.sent.len(),
                            self.read.len(),
                            "Complete before every part is sent"
                        );
                        return Some(self.read.iter().map(|part| part.size_bytes).sum());
                    }
                    Action::Abort => return None,
                    other => panic!("{other:?} while a stream is sent"),
                }
            }
        }
    }

    fn pass_the_gate(&mut self) {
        while self.lifecycle.wants_pass() {
            let actions = self.lifecycle.on(Input::Admitted);
            let [Action::SendPart(number, _)] = actions[..] else {
                panic!("{actions:?} for a pass")
            };
            assert!(!self.sent.contains(&number), "part {number} is sent again (P2)");
            assert!(number.index() < self.read.len(), "part {number} is sent before it was read");
            assert!(self.in_flight.insert(number));
        }
        self.reading |= self.lifecycle.wants_part();
        let busy = self.in_flight.len() + self.waiting.len() + usize::from(self.reading);
        assert!(busy <= self.concurrency as usize, "{busy} parts hold memory");
        let kept = self.read.iter().filter(|part| !self.sent.contains(&part.number));
        self.most_kept_bytes = self.most_kept_bytes.max(kept.map(|part| part.size_bytes).sum());
    }

    fn next(&mut self) -> Input {
        let choices = self.in_flight.len() + self.waiting.len() + usize::from(self.reading);
        assert!(choices > 0, "nothing is under way and it has not finished");
        let choice = self.random.random_range(0..choices);
        if let Some(number) = self.in_flight.iter().nth(choice).copied() {
            self.in_flight.remove(&number);
            if self.random.random_bool(self.failing) {
                let (kind, advice) = (StoreErrorKind::Server, Advice::Retry { after: None });
                let failure = FailedAttempt {
                    advice,
                    throttled: false,
                    reused_connection: false,
                    outcome_unknown: false,
                    kind,
                };
                return Input::PartFailed(number, failure);
            }
            self.sent.insert(number);
            return Input::PartSent(number);
        }
        if let Some(number) = self.waiting.iter().nth(choice - self.in_flight.len()).copied() {
            self.waiting.remove(&number);
            return Input::Woke(Waiting::Part(number));
        }
        self.reading = false;
        self.read_part()
    }

    fn read_part(&mut self) -> Input {
        assert!(!self.ended, "it reads behind the end");
        let offset_bytes = self.read.last().map_or(0, |last| last.offset_bytes + last.size_bytes);
        let left_bytes = self.stream_bytes - offset_bytes;
        let before = u16::try_from(self.read.len()).unwrap();
        match self.plan.part(before, offset_bytes) {
            Some(part) if left_bytes > 0 => {
                self.read.push(PlannedPart { size_bytes: part.size_bytes.min(left_bytes), ..part });
                Input::PartRead
            }
            _ => {
                assert_eq!(left_bytes, 0, "the parts hold the stream");
                self.ended = true;
                Input::StreamEnded
            }
        }
    }
}

fn drive(expected_bytes: Option<u64>, stream_bytes: u64, failing: f64, seed: u64) -> Option<Walk> {
    let plan = GrowingPlan::new(&Limits::AWS, expected_bytes, None).unwrap();
    let mut walk = Walk::new(plan, stream_bytes, 16, failing, seed);
    let completed = walk.run()?;
    assert_eq!(completed, stream_bytes, "every byte is in one part");
    Some(walk)
}

#[test]
fn streams_are_sent_part_by_part_and_completed_at_their_end() {
    let mut completed = 0;
    for seed in 0..500 {
        let stream_bytes = StdRng::seed_from_u64(seed).random_range(1..4 * GIB);
        completed += u32::from(drive(None, stream_bytes, 0.2, seed).is_some());
    }
    assert!(completed > 450, "{completed} of 500");
}

/// A stream up to the store's limit, with every part at its maximum, needs an expected length.
#[test]
fn an_expected_stream_of_48_8_tib_takes_10_000_parts() {
    let walk = drive(Some(OBJECT_SIZE_MAX_BYTES), OBJECT_SIZE_MAX_BYTES, 0.05, 1).unwrap();
    assert_eq!(walk.read.len(), 10_000);
}

#[test]
fn an_unexpected_stream_of_45_8_tib_arrives() {
    let stream_bytes = GrowingPlan::new(&Limits::AWS, None, None).unwrap().capacity_bytes();
    assert!(stream_bytes > 45 * TIB + 800 * GIB);
    let walk = drive(None, stream_bytes, 0.05, 2).unwrap();
    assert_eq!((walk.read.len(), walk.read[0].size_bytes), (10_000, 8 * MIB));
}
