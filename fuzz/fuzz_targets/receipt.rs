//! A receipt that others edited: refused, or read as what it says, and never a crash.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    haul::testing::fuzzing::receipt(input);
});
