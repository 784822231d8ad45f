//! Part numbers of query strings, XML and journals.

#![no_main]

use haul_parts::PartNumber;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(number) = text.parse::<PartNumber>() {
        assert!((1..=10_000).contains(&number.get()));
        assert_eq!(text.trim_start_matches('0'), number.to_string());
        assert_eq!(PartNumber::from_index(number.index()), Ok(number));
    }
    if let Ok(number) = serde_json::from_str::<PartNumber>(text) {
        assert!((1..=10_000).contains(&number.get()));
    }
});
