//! Tests the controller against the best fixed limit of the same simulated link.

use std::time::Duration;

use super::simulation::{Limit, Link, run};
use super::{Controller, Reading, Sample};

const GBIT: f64 = 125_000_000.0;
const MIB: f64 = 1_048_576.0;
pub(super) const MAX: u32 = 64;
const SEEDS: [u64; 3] = [1, 7, 42];
/// The seconds that the controller has to converge.
const FROM_S: f64 = 5.0;
/// The end of the measurement.
const UNTIL_S: f64 = 20.0;

fn link(rate: f64, round_trip_s: f64, window_bytes: f64) -> Link {
    Link {
        rate,
        round_trip_s,
        window_bytes,
        address_rates: vec![f64::INFINITY],
        store_s: 0.03,
        requests_per_s: f64::INFINITY,
        part_bytes: 8.0 * MIB,
    }
}

/// Returns the mean limit, after comparing the goodput with that of every fixed limit.
fn converges(link: &Link) -> Vec<f64> {
    converges_until(UNTIL_S, link)
}

fn converges_until(until_s: f64, link: &Link) -> Vec<f64> {
    let of_seed = |seed| {
        let fixed = [1, 2, 4, 8, 10, 12, 14, 16, 24, 32, 40, 48, 64];
        let goodput = |limit| run(link, &Limit::Fixed(limit), seed, FROM_S, until_s).goodput;
        let best = fixed.map(goodput).into_iter().fold(0.0, f64::max);
        let found = run(link, &Limit::Adaptive { max: MAX }, seed, FROM_S, until_s);
        let share = found.goodput / best;
        assert!(share >= 0.9, "seed {seed}: {share:.3} of the best, {:.1} in flight", found.limit);
        found.limit
    };
    SEEDS.map(of_seed).to_vec()
}

/// One connection to the store is limited to 90 MB/s, so that the link needs 35 of them.
fn wide() -> Link {
    Link { address_rates: vec![90e6], ..link(25.0 * GBIT, 0.001, 4.0 * MIB) }
}

fn gigabit() -> Link {
    link(GBIT, 0.02, MIB)
}

fn long() -> Link {
    link(0.1 * GBIT, 0.15, 4.0 * MIB)
}

fn throttling() -> Link {
    Link {
        requests_per_s: 100.0,
        part_bytes: MIB,
        store_s: 0.1,
        ..link(25.0 * GBIT, 0.001, 4.0 * MIB)
    }
}

fn one_slow_address() -> Link {
    let mut rates = vec![90e6; 8];
    rates[3] = 9e6;
    Link { address_rates: rates, ..link(10.0 * GBIT, 0.001, 4.0 * MIB) }
}

/// Returns the links that the documentation shows, and their titles.
pub(super) fn links_of_the_plot() -> Vec<(&'static str, Link)> {
    vec![
        ("25 Gbit/s, 1 ms, 90 MB/s per connection", wide()),
        ("1 Gbit/s, 20 ms", gigabit()),
        ("100 Mbit/s, 150 ms", long()),
        ("a store that accepts 100 requests per second", throttling()),
        ("10 Gbit/s, one slow address among eight", one_slow_address()),
    ]
}

#[test]
fn a_wide_link_is_filled_by_many_connections() {
    let limits = converges(&wide());
    assert!(limits.iter().all(|limit| *limit > 30.0), "{limits:?}");
}

#[test]
fn a_link_of_a_gigabit_is_filled_by_few_connections() {
    let limits = converges(&gigabit());
    assert!(limits.iter().all(|limit| *limit < 16.0), "{limits:?}");
}

/// An epoch lasts twenty seconds here, so the limit falls slowly.
#[test]
fn a_long_link_is_filled_although_answers_are_late() {
    let limits = converges_until(600.0, &long());
    assert!(limits.iter().all(|limit| *limit < 16.0), "{limits:?}");
}

#[test]
fn a_store_that_throttles_gets_the_pace_that_it_accepts() {
    converges(&throttling());
}

#[test]
fn one_slow_address_among_eight_costs_little() {
    converges(&one_slow_address());
}

/// More connections than one gain nothing here, and each of them takes memory.
#[test]
fn a_fast_loopback_does_not_run_up_to_the_maximum() {
    let loopback = Link { store_s: 0.0001, ..link(16.0 * GBIT, 0.000_05, 4.0 * MIB) };
    let limits = converges(&loopback);
    assert!(limits.iter().all(|limit| *limit <= 8.0), "{limits:?}");
}

#[test]
fn a_run_repeats_exactly() {
    let same = gigabit();
    let goodput = || run(&same, &Limit::Adaptive { max: MAX }, 1, 0.0, 5.0).goodput;
    assert_eq!(goodput().to_bits(), goodput().to_bits());
}

/// A link whose requests take the time that the test sets.
struct Clock {
    now: Reading,
}

impl Clock {
    fn new() -> Self {
        Self { now: Reading { at: Duration::ZERO, moved_bytes: 0 } }
    }

    /// Ends as many parts as an epoch has, `in_flight` at a time; each takes `latency`.
    fn epoch(&mut self, controller: &mut Controller, in_flight: u32, latency: Duration) {
        for _ in 0..16_u32.div_ceil(in_flight).max(2) {
            let started = self.now;
            self.now.at += latency;
            self.now.moved_bytes += u64::from(in_flight) << 23;
            for _ in 0..in_flight {
                controller.succeeded(Sample { started, ended: self.now, in_flight });
            }
        }
    }
}

/// A transfer that has no more to send must not be taken for a slow link.
#[test]
fn requests_below_the_limit_do_not_move_it() {
    let (mut controller, mut clock) = (Controller::new(16, MAX), Clock::new());
    for _ in 0..1000 {
        clock.epoch(&mut controller, 3, Duration::from_secs(1));
    }
    assert_eq!(controller.limit(), 16);
}

/// Between two transfers nothing moves. The epoch in which the first one ended lasted until the
/// second one had begun, and its goodput was next to nothing.
#[test]
fn a_pause_between_transfers_does_not_move_the_limit() {
    let (mut controller, mut clock) = (Controller::new(16, 16), Clock::new());
    let run_until = |controller: &mut Controller, clock: &mut Clock, limit| {
        while controller.limit() != limit {
            let in_flight = controller.limit();
            clock.epoch(controller, in_flight, Duration::from_secs(1));
        }
    };
    // A probe found less, and the limit is held from now on.
    run_until(&mut controller, &mut clock, 12);
    run_until(&mut controller, &mut clock, 16);
    let before = controller.limit();
    let half = |controller: &mut Controller, clock: &mut Clock, in_flight| {
        let started = clock.now;
        clock.now.at += Duration::from_secs(1);
        clock.now.moved_bytes += 8 << 23;
        controller.succeeded(Sample { started, ended: clock.now, in_flight });
    };
    half(&mut controller, &mut clock, before);
    clock.now.at += Duration::from_secs(3600);
    half(&mut controller, &mut clock, 1);
    for _ in 0..3 {
        clock.epoch(&mut controller, before, Duration::from_secs(1));
        assert_eq!(controller.limit(), before);
    }
}

/// A store that copies parts itself moves no bytes through this machine.
#[test]
fn parts_without_bytes_do_not_move_the_limit() {
    let (mut controller, mut clock) = (Controller::new(16, MAX), Clock::new());
    for _ in 0..1000 {
        clock.epoch(&mut controller, 16, Duration::from_secs(1));
        clock.now.moved_bytes = 0;
    }
    let started = clock.now;
    let ended = Reading { at: started.at + Duration::from_secs(1), ..started };
    let before = controller.limit();
    (0..1000).for_each(|_| controller.succeeded(Sample { started, ended, in_flight: before }));
    assert_eq!(controller.limit(), before);
}

/// Parts had filled a link with few requests. Ten thousand short files followed, and each of them
/// waited for one of four slots.
#[test]
fn short_requests_return_to_the_start() {
    let (mut controller, mut clock) = (Controller::new(16, MAX), Clock::new());
    while controller.limit() > 8 {
        // The link is full: the latency grows with the requests.
        let limit = controller.limit();
        clock.epoch(&mut controller, limit, Duration::from_millis(10) * limit);
        assert!(clock.now.at < Duration::from_secs(60), "{limit} in flight");
    }
    (0..16).for_each(|_| controller.short_succeeded(clock.now.at));
    assert_eq!(controller.limit(), 16);
}

#[test]
fn memory_bounds_the_limit_above_the_start() {
    let (mut controller, mut clock) = (Controller::new(16, MAX), Clock::new());
    let mut run = |controller: &mut Controller, requests, epochs| {
        controller.bound(requests, clock.now.at);
        for _ in 0..epochs {
            let limit = controller.limit();
            clock.epoch(controller, limit, Duration::from_millis(100));
        }
        controller.limit()
    };
    assert!((17..=20).contains(&run(&mut controller, 20, 1)));
    assert!(run(&mut controller, 20, 20) <= 20);
    assert_eq!(run(&mut controller, 64, 400), 64);
    assert_eq!(run(&mut controller, 2, 0), 16, "the start is what a fixed limit allows");
}

/// Measures one epoch by the clock, at this goodput, and returns the limit that follows.
fn limit_after(controller: &mut Controller, now: &mut Reading, bytes_per_s: u64) -> u32 {
    let (limit, known) = (controller.limit(), controller.known.to_bits());
    while controller.limit() == limit && controller.known.to_bits() == known {
        now.at += Duration::from_millis(250);
        now.moved_bytes += bytes_per_s / 4;
        controller.waiting(*now, limit);
    }
    controller.limit()
}

/// Measures limits by the clock at these goodputs, and returns the limits that follow each.
fn limits_after(megabytes_per_s: &[u64]) -> Vec<u32> {
    let mut controller = Controller::new(16, 64);
    let mut now = Reading { at: Duration::ZERO, moved_bytes: 0 };
    let limit = |megabytes: &u64| limit_after(&mut controller, &mut now, megabytes * 1_000_000);
    megabytes_per_s.iter().map(limit).collect()
}

/// Over 100 Mbit/s with 0.1 % of loss, sixteen connections moved 72 Mbit/s until they had all lost
/// packets a few times, 32 moved too little more, and the limit stayed at sixteen, which then moved
/// 48.
#[test]
fn a_limit_that_was_measured_too_high_is_probed_again_once() {
    assert_eq!(limits_after(&[72, 90, 60, 96]), [32, 16, 32, 64]);
    assert_eq!(limits_after(&[72, 90, 64, 84, 66, 57]), [32, 16, 32, 21, 16, 16]);
}

#[test]
fn a_limit_between_is_measured_after_the_lower_one_is_confirmed() {
    assert_eq!(limits_after(&[72, 90, 72, 84]), [32, 16, 20, 40]);
}

/// 32 had moved as much as 64 while its connections were new, and 85 Mbit/s of 96 later. Limits
/// that are reached from above have no new connections.
#[test]
fn after_a_climb_by_the_clock_the_limit_is_found_from_above() {
    assert_eq!(limits_after(&[48, 96, 96, 96, 96, 84]), [32, 64, 48, 36, 27, 36]);
}
