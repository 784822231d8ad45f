//! Journals: whatever is in the file, what is taken comes out of its own encoding as it is.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    haul::testing::fuzzing::journal(input);
});
