//! Checksum texts of headers, XML and journals: what is taken comes out as it went in.

#![no_main]

use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, CompositeChecksum};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for algorithm in ChecksumAlgorithm::ALL {
        if let Ok(value) = Checksum::from_base64(algorithm, text) {
            assert_eq!(value.bytes().len(), algorithm.digest_len());
            assert_eq!(value.to_base64(), text, "one value has one text");
        }
        if let Ok(composite) = CompositeChecksum::parse(algorithm, text) {
            assert!((1..=10_000).contains(&composite.part_count()));
            assert_eq!(CompositeChecksum::parse(algorithm, &composite.to_string()), Ok(composite));
        }
    }
    if let Ok(algorithm) = text.parse::<ChecksumAlgorithm>() {
        assert!(algorithm.s3_name().eq_ignore_ascii_case(text));
    }
    if let Ok(checksum_type) = text.parse::<ChecksumType>() {
        assert!(checksum_type.s3_name().eq_ignore_ascii_case(text));
    }
    if let Ok(value) = serde_json::from_str::<Checksum>(text) {
        let json = serde_json::to_string(&value).expect("a checksum is JSON");
        assert_eq!(serde_json::from_str::<Checksum>(&json).expect("as written"), value);
    }
});
