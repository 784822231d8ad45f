//! Lifecycle and CORS of a bucket, tags, the list of a Complete.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    haul_server::fuzzing::documents(input);
});
