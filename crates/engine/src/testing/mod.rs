//! For tests of the engine and of programs that embed it; in no user's binary.
//!
//! [`memory`] is a store in memory that fails on demand, [`conformance`] the suite that every store
//! must pass, [`fuzzing`] what fuzzers feed.

pub mod conformance;
pub mod fuzzing;
pub mod memory;
