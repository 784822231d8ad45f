//! Bodies in aws-chunked framing, in any pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    haul_server::fuzzing::aws_chunked(input);
});
