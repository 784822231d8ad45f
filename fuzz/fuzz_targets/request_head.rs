//! The head of a request: target, query, headers, presigned parameters.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    haul_server::fuzzing::request_head(input);
});
