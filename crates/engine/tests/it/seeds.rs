//! The seeds of the simulations: which ones run, how a run that fails says which it was, and what
//! all of them must have come to.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;

/// How many seeds ended how.
pub(crate) type Ends = BTreeMap<&'static str, u32>;

/// Runs every fourth of these seeds (a quarter is a test, and tests run at the same time), or of
/// those that `HAUL_SIMULATION_SEEDS` names. Gives how they ended, unless they were too few to
/// tell: among them must be each of `wanted`, or the run proves less than it seems to.
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
