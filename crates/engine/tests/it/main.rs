//! The engine against the in-memory store, under a paused clock: every fault ends in success with
//! the right bytes, or in a clear error with nothing left behind.

#![allow(clippy::disallowed_methods)]
// tests look at files and variables, not the library

// A test that fails panics with the observed value; helpers of tests do the same.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod adoption;
mod attributes;
mod budget;
mod cancelling;
mod copying;
mod copying_crashes;
mod copying_simulation;
mod crashes;
mod doubt;
mod fetching;
mod fuzz_seeds;
mod given;
mod harness;
mod hedging;
mod in_order;
mod late_attributes;
mod links;
mod listings;
mod machine;
mod promises;
mod put_doubt;
mod refusals;
mod removing;
mod resumed_copies;
mod resumed_streams;
mod resuming;
mod round_trips;
mod scaling;
mod second_run;
mod seeds;
mod sharing;
mod simulation;
mod source;
mod stores;
mod streaming;
mod sweeping;
mod trees;
mod trees_asking;
mod trees_away;
mod trees_killed;
mod trees_links;
mod trees_million;
mod unheard;
mod verifying;
mod versions;
