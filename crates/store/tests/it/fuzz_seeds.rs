//! Runs the seeds of `fuzz/`, including inputs that a fuzzer once found.

use haul_testkit::seeds::feed;

#[test]
fn store_records() {
    feed("store_records", haul_store::fuzzing::store_records).unwrap();
}
