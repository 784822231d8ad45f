//! A certificate that a server sent, or bytes that are none: read for display, and never a crash.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    haul::testing::fuzzing::certificate(input);
});
