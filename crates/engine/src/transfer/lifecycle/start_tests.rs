//! Tests the benefits and costs of the slow start: simulates uploads over links with limited rates.

use std::collections::BTreeMap;

use super::tests::lifecycle;
use super::*;
use crate::pace::throttle::{Slot, Throttle};

const MIB: f64 = 1_048_576.0;
/// The default part size of an upload.
const PART_BYTES: f64 = 8.0 * MIB;
const CONCURRENCY: u32 = 16;

/// A link with a total rate and a rate per connection, in bytes per second.
#[derive(Clone, Copy)]
struct Link {
    all: f64,
    connection: f64,
}

/// One upload over a link.
struct Run {
    /// The time when each part arrived, in seconds.
    arrivals: Vec<f64>,
    /// The number of parts that had arrived when all connections were first in use.
    full_after: Option<usize>,
}

fn run(link: Link, part_count: u32) -> Run {
    let mut uploading = Sending::new(part_count);
    let mut actions = uploading.begin();
    let mut left_bytes: BTreeMap<PartNumber, f64> = BTreeMap::new();
    let mut run = Run { arrivals: vec![], full_after: None };
    let mut now = 0.0;
    loop {
        for action in actions.drain(..) {
            match action {
                Action::SendPart(number, _) => {
                    assert!(left_bytes.insert(number, PART_BYTES).is_none());
                }
                Action::Complete => return run,
                other => panic!("{other:?} on a link without faults"),
            }
        }
        if left_bytes.len() == CONCURRENCY as usize {
            run.full_after.get_or_insert(run.arrivals.len());
        }
        #[allow(clippy::cast_precision_loss, reason = "a handful of connections")]
        let rate = link.connection.min(link.all / left_bytes.len() as f64);
        let (next, least_bytes) = left_bytes
            .iter()
            .min_by(|one, other| one.1.total_cmp(other.1))
            .map(|(number, left)| (*number, *left))
            .expect("something is in flight until Complete");
        now += least_bytes / rate;
        left_bytes.values_mut().for_each(|left| *left -= least_bytes);
        left_bytes.remove(&next);
        run.arrivals.push(now);
        actions = uploading.arrived(next);
    }
}

impl Run {
    fn kept_after(&self, seconds: f64) -> usize {
        self.arrivals.iter().filter(|arrival| **arrival <= seconds).count()
    }

    fn took(&self) -> f64 {
        *self.arrivals.last().expect("there were parts")
    }
}

/// With the defaults, a run that was killed within its first second kept no part on any link below
/// a gigabit: its sixteen parts shared the link and would have arrived together.
#[test]
fn a_run_killed_within_its_first_second_keeps_parts() {
    let kept = |mib_a_second: f64| {
        run(Link { all: mib_a_second * MIB, connection: f64::INFINITY }, 128).kept_after(1.0)
    };
    assert_eq!(kept(16.0), 2, "all that the link carried");
    assert_eq!(kept(64.0), 8, "all that the link carried");
    assert_eq!(kept(100.0), 8, "of twelve that it could carry");
    assert!(kept(500.0) >= 40);
}

#[test]
fn all_connections_are_in_use_within_the_first_sixteen_parts() {
    let link = Link { all: 100.0 * MIB, connection: f64::INFINITY };
    assert!(run(link, 128).full_after.expect("it gets there") < 16);
}

/// A link that a few connections fill loses no time. A link that needs all connections loses two
/// rounds, once.
#[test]
fn the_slow_start_costs_at_most_two_rounds() {
    let shared = run(Link { all: 100.0 * MIB, connection: f64::INFINITY }, 128).took();
    assert!((shared - 128.0 * PART_BYTES / (100.0 * MIB)).abs() < 1e-6, "{shared} s");

    let narrow = Link { all: f64::INFINITY, connection: 50.0 * MIB };
    let round = PART_BYTES / narrow.connection;
    let rounds = run(narrow, 128).took() / round;
    assert!(rounds <= 128.0 / f64::from(CONCURRENCY) + 2.0 + 1e-6, "{rounds} rounds instead of 8");
}

/// One refusal among the first parts is not a reason to send a gigabyte with one part in flight.
#[test]
fn a_refusal_at_the_start_slows_it_down_and_does_not_end_it() {
    let mut uploading = Sending::new(1000);
    assert_eq!(uploading.begin().len(), 2);
    let refused = FailedAttempt {
        advice: Advice::Retry { after: None },
        throttled: true,
        reused_connection: false,
        outcome_unknown: false,
        kind: StoreErrorKind::Throttled,
    };
    uploading.throttle.throttled(uploading.places[&PartNumber::MIN]);
    uploading.lifecycle.on(Input::PartFailed(PartNumber::MIN, refused));
    uploading.places.remove(&PartNumber::MIN);
    uploading.throttle.leave();
    uploading.lifecycle.on(Input::Woke(Waiting::Part(PartNumber::MIN)));
    uploading.admit();
    let mut arrived = 0;
    while uploading.lifecycle.in_flight() < CONCURRENCY {
        arrived += 1;
        let next = *uploading.places.keys().next().expect("one part may always be in flight");
        uploading.arrived(next);
        assert!(
            arrived < 20,
            "{} in flight after {arrived} parts",
            uploading.lifecycle.in_flight()
        );
    }
}

/// A lifecycle and the throttle in front of it.
struct Sending {
    lifecycle: Lifecycle,
    throttle: Throttle,
    places: BTreeMap<PartNumber, Slot>,
}

impl Sending {
    fn new(part_count: u32) -> Self {
        Self {
            lifecycle: lifecycle(part_count, CONCURRENCY, 1),
            throttle: Throttle::new(CONCURRENCY),
            places: BTreeMap::new(),
        }
    }

    fn begin(&mut self) -> Vec<Action> {
        self.lifecycle.on(Input::Start);
        self.lifecycle.on(Input::Created);
        self.admit()
    }

    fn arrived(&mut self, number: PartNumber) -> Vec<Action> {
        self.places.remove(&number);
        self.throttle.succeeded();
        self.throttle.leave();
        let mut actions = self.lifecycle.on(Input::PartSent(number));
        actions.extend(self.admit());
        actions
    }

    fn admit(&mut self) -> Vec<Action> {
        let mut actions = vec![];
        while self.lifecycle.wants_pass()
            && let Some(place) = self.throttle.enter()
        {
            let admitted = self.lifecycle.on(Input::Admitted);
            let [Action::SendPart(number, _)] = admitted[..] else {
                panic!("{admitted:?} for a pass")
            };
            self.places.insert(number, place);
            actions.extend(admitted);
        }
        actions
    }
}
