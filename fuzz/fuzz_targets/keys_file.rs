//! Files of keys.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    haul_server::fuzzing::keys_file(input);
});
