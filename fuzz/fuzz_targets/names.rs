//! Bucket names, keys and upload ids of request lines: kept exactly or refused.

#![no_main]

use haul_parts::{Bucket, Key, UploadId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(bucket) = Bucket::new(text) {
        assert_eq!(bucket.as_str(), text);
        assert!((3..=63).contains(&text.len()));
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
        );
        assert!(
            text.split('.').all(|label| !label.is_empty()),
            "a label of no characters is no host name"
        );
        assert!(text.parse::<std::net::IpAddr>().is_err());
        let _ = bucket.reserved();
    }
    match Key::new(text) {
        Ok(key) => assert_eq!(key.as_str(), text),
        Err(_) => assert!(text.is_empty() || text.len() > 1024),
    }
    if let Ok(id) = UploadId::new(text) {
        assert_eq!(id.as_str(), text);
    }
});
