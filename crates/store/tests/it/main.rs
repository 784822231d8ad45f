//! Tests the store through its public API: real files in real folders, and a simulated disk with
//! power cuts and bit rot.

// Tests look at files and variables, not the library.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod basics;
mod complete;
mod damage;
mod expiry;
mod fixture;
mod fuzz_seeds;
mod kill;
mod listing;
mod lost_metadata;
mod model;
mod not_followed;
mod power;
mod races;
mod scale;
mod sim_disk;
mod verified_reads;
