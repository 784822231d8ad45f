//! The seeds of `fuzz/`, and what a fuzzer once found, run here too.

use haul_testkit::seeds::feed;

#[test]
fn store_records() {
    feed("store_records", haul_store::fuzzing::store_records).unwrap();
}
