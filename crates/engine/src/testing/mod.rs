//! Test support for the engine and for programs that embed it; not part of the released binary.
//!
//! [`memory`] is a store in memory that fails on demand, [`conformance`] the suite that every store
//! must pass, [`fuzzing`] the entry points of fuzzers.

pub mod conformance;
pub mod fuzzing;
pub mod memory;
