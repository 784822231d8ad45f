//! Runs the seeds of `fuzz/`, including inputs that a fuzzer once found.

use haul_testkit::seeds::feed;

#[test]
fn journal() {
    feed("journal", haul::testing::fuzzing::journal).unwrap();
}

#[test]
fn receipt() {
    feed("receipt", haul::testing::fuzzing::receipt).unwrap();
}

#[test]
fn answer() {
    feed("answer", haul::testing::fuzzing::answer).unwrap();
}

#[test]
fn certificate() {
    feed("certificate", haul::testing::fuzzing::certificate).unwrap();
}
