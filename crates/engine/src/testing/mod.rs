//! Test support for the engine and for programs that embed it; not part of the released binary.
//!
//! [`memory`] is a store in memory that fails on demand, [`conformance`] the suite that every store
//! must pass, [`fuzzing`] and [`counting`] the entry points of fuzzers and of the count of
//! instructions.

pub mod conformance;
pub mod counting;
pub mod fuzzing;
pub mod memory;
