//! The seeds of the simulations: which ones run, how a failing run prints its seed, and which
//! outcomes must occur among them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;

/// The number of seeds with each outcome.
pub(crate) type Ends = BTreeMap<&'static str, u32>;

/// Runs every fourth of these seeds, or of those that `HAUL_SIMULATION_SEEDS` names. (Each quarter
/// is a test, and tests run at the same time.) Returns the outcomes; `None` if too few seeds ran.
/// Panics if one of `wanted` is not among the outcomes, because the seeds then prove less than they
/// seem to.
pub(crate) fn quarter(
    index: u64,
    usual: Range<u64>,
    simulate: fn(u64) -> &'static str,
    wanted: &[&str],
) -> Option<Ends> {
    let mut ends = Ends::new();
    let seeds = seeds_or(&usual);
    let many = seeds.end - seeds.start >= usual.end;
    for seed in seeds.filter(|seed| seed % 4 == index) {
        *ends.entry(simulate(seed)).or_default() += 1;
    }
    println!("{ends:?}");
    if !many {
        return None;
    }
    for end in wanted {
        assert!(ends.contains_key(end), "no seed ended so: {end}; they ended {ends:?}");
    }
    Some(ends)
}

fn seeds_or(usual: &Range<u64>) -> Range<u64> {
    let Ok(wanted) = std::env::var("HAUL_SIMULATION_SEEDS") else { return usual.clone() };
    let (first, end) = wanted.split_once("..").expect("HAUL_SIMULATION_SEEDS is FIRST..END");
    first.parse().unwrap()..end.parse().unwrap()
}

/// Runs a scenario, and prints it when a check panics.
pub(crate) fn said<End>(scenario: &dyn Display, run: impl FnOnce() -> End) -> End {
    let said = Said(scenario);
    let end = run();
    std::mem::forget(said);
    end
}

struct Said<'a>(&'a dyn Display);

impl Drop for Said<'_> {
    fn drop(&mut self) {
        eprintln!("\n{}\n", self.0);
    }
}
