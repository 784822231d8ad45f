//! The project's own commands: `cargo xtask test | check | counts | servers | bench | plot | hunt |
//! fuzz`.
//!
//! `test` is what a change must pass and all that CI runs. It sets up everything it needs, in a
//! cache, and fails if something is unavailable: nothing is skipped.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for developers: it talks to them"
)]

mod bench;
mod cache;
mod cargo;
mod check;
mod counts;
mod debian;
mod fuzz;
mod hunt;
mod plot;
mod servers;
mod test;
mod tools;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--full] [-- FILTER…]   everything a change must pass; --full adds Garage (its first build \
  takes 40 minutes);
                               what follows -- goes to cargo nextest run
  check                        the invariants of absence, file lengths, and the tests that \
  docs/semantics.md names
  counts [--bless]             count the instructions of some steps under callgrind and compare them
                               with crates/bench/counts.json; --bless replaces that file
  servers [--full]             start the shared servers, print their variables for a shell, stop \
  them at end of input
  bench client | server | tree | bandwidth
                               measure haul and its peers in one run
  bench links                  compare --concurrency auto with fixed numbers over links between
                               network namespaces (needs root)
  bench endpoint               start the endpoint of bench client alone, for measurements by hand
  plot                         draw docs/concurrency.svg from the simulation of the controller
  hunt [--seeds N] [--from S]  simulate uploads, faults and crashes over other seeds than a test \
  run does
  fuzz [--seconds N] [TARGET…] run the fuzz targets one after the other, 60 seconds each (nightly, \
  cargo-fuzz)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", options @ ..] => test::test(&test::Options::parse(options)?),
        ["check"] => check::check(),
        ["counts"] => counts::compare(),
        ["counts", "--bless"] => counts::bless(),
        ["servers"] => servers::hold(servers::Range::Usual),
        ["servers", "--full"] => servers::hold(servers::Range::Full),
        [
            "bench",
            what @ ("client" | "server" | "tree" | "bandwidth" | "links" | "endpoint"),
            options @ ..,
        ] => bench::bench(what, options),
        ["plot"] => plot::plot(),
        ["hunt", options @ ..] => hunt::hunt(hunt::Options::parse(options)?),
        ["fuzz", options @ ..] => fuzz::fuzz(&fuzz::Options::parse(options)?),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("wrong usage\n{USAGE}"),
    }
}

/// Reports progress on standard error: standard output is for results.
fn say(what: &str) {
    eprintln!("xtask: {what}");
}
