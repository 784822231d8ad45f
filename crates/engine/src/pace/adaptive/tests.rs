//! Tests the controller against the best fixed limit of the same simulated link.

use super::simulation::{Limit, Link, run};

const GBIT: f64 = 125_000_000.0;
const MIB: f64 = 1_048_576.0;
const MAX: u32 = 64;
const SEEDS: [u64; 3] = [1, 7, 42];
/// The seconds that the controller has to converge.
const FROM_S: f64 = 5.0;
/// The end of the measurement.
const UNTIL_S: f64 = 12.0;

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
#[test]
fn a_wide_link_is_filled_by_many_connections() {
    let wide = Link { address_rates: vec![90e6], ..link(25.0 * GBIT, 0.001, 4.0 * MIB) };
    let limits = converges(&wide);
    assert!(limits.iter().all(|limit| *limit > 30.0), "{limits:?}");
}

#[test]
fn a_link_of_a_gigabit_is_filled_by_few_connections() {
    let limits = converges(&link(GBIT, 0.02, MIB));
    assert!(limits.iter().all(|limit| *limit < 16.0), "{limits:?}");
}

/// An epoch lasts ten seconds here, so the limit falls slowly.
#[test]
fn a_long_link_is_filled_although_answers_are_late() {
    let limits = converges_until(120.0, &link(0.1 * GBIT, 0.15, 4.0 * MIB));
    assert!(limits.iter().all(|limit| *limit < 16.0), "{limits:?}");
}

#[test]
fn a_store_that_throttles_gets_the_pace_that_it_accepts() {
    let throttling = Link {
        requests_per_s: 100.0,
        part_bytes: MIB,
        store_s: 0.1,
        ..link(25.0 * GBIT, 0.001, 4.0 * MIB)
    };
    converges(&throttling);
}

#[test]
fn one_slow_address_among_eight_costs_little() {
    let mut rates = vec![90e6; 8];
    rates[3] = 9e6;
    converges(&Link { address_rates: rates, ..link(10.0 * GBIT, 0.001, 4.0 * MIB) });
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
    let same = link(GBIT, 0.02, MIB);
    let goodput = || run(&same, &Limit::Adaptive { max: MAX }, 1, 0.0, 5.0).goodput;
    assert_eq!(goodput().to_bits(), goodput().to_bits());
}

/// A transfer that has no more to send must not be taken for a slow link.
#[test]
fn requests_below_the_limit_do_not_move_it() {
    use super::{AT_START, Controller, Sample};
    let mut controller = Controller::new(MAX);
    for second in 0..1000 {
        let started = std::time::Duration::from_secs(second);
        let ended = started + std::time::Duration::from_secs(1);
        controller.succeeded(Sample { bytes: 1 << 20, started, ended, in_flight: 3 });
    }
    assert_eq!(controller.limit(), AT_START);
}
