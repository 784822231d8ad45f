//! Records of the metadata of a store.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    haul_store::fuzzing::store_records(input);
});
