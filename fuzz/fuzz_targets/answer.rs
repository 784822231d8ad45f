//! What a store answers to a part: never believed further than it says, and never a crash.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    haul::testing::fuzzing::answer(input);
});
