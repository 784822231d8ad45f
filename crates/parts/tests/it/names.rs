//! Buckets, keys and upload ids: kept exactly, or refused with the rule.

use std::collections::BTreeMap;

use haul_parts::limits::{KEY_MAX_BYTES, UPLOAD_ID_MAX_BYTES};
use haul_parts::{Bucket, Key, UploadId};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_key_is_any_text_of_1_to_1024_bytes_kept_exactly(text in prop_oneof![any::<String>(), "\\PC{300,1100}", "[a./]{1000,1050}"]) {
        match Key::new(text.clone()) {
            Ok(key) => {
                prop_assert!((1..=KEY_MAX_BYTES).contains(&text.len()));
                prop_assert_eq!(key.as_str(), text.as_str());
                prop_assert_eq!(key.to_string(), text);
                let json = serde_json::to_string(&key).unwrap();
                prop_assert_eq!(serde_json::from_str::<Key>(&json).unwrap(), key);
            }
            Err(_) => prop_assert!(text.is_empty() || text.len() > KEY_MAX_BYTES),
        }
    }

    #[test]
    fn keys_are_ordered_by_their_bytes(a in "\\PC{1,20}", b in "\\PC{1,20}") {
        let (key_a, key_b) = (Key::new(a.clone()).unwrap(), Key::new(b.clone()).unwrap());
        prop_assert_eq!(key_a.cmp(&key_b), a.as_bytes().cmp(b.as_bytes()));
    }

    #[test]
    fn an_upload_id_is_kept_exactly(text in any::<String>()) {
        if let Ok(id) = UploadId::new(text.clone()) {
            prop_assert_eq!(id.as_str(), text.as_str());
            prop_assert_eq!(id.to_string(), text);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<UploadId>(&json).unwrap(), id);
        } else {
            prop_assert!(text.is_empty() || text.len() > UPLOAD_ID_MAX_BYTES);
        }
    }

    #[test]
    fn well_formed_buckets_are_taken(name in "[a-z0-9]([a-z0-9-]{1,20}[a-z0-9]\\.)?[a-z][a-z0-9-]{0,38}[a-z0-9]") {
        let bucket = Bucket::new(name.clone()).unwrap();
        prop_assert_eq!(bucket.as_str(), name.as_str());
        let json = serde_json::to_string(&bucket).unwrap();
        prop_assert_eq!(serde_json::from_str::<Bucket>(&json).unwrap(), bucket);
    }

    #[test]
    fn whatever_is_taken_as_a_bucket_is_safe_in_a_host_name(name in "\\PC{0,70}|[a-z0-9.-]{0,70}|[0-9.]{3,15}") {
        if let Ok(bucket) = Bucket::new(name) {
            let name = bucket.as_str();
            prop_assert!((3..=63).contains(&name.len()));
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-'));
            prop_assert!(name.split('.').all(|label| !label.is_empty()));
            prop_assert!(name.parse::<std::net::IpAddr>().is_err());
        }
    }
}

#[test]
fn refused_buckets_name_the_rule() {
    let refuse = |name: &str| Bucket::new(name).unwrap_err().to_string();
    insta::assert_snapshot!(refuse("ab"), @r#"bucket name "ab" has 2 bytes; bucket names have 3 to 63"#);
    insta::assert_snapshot!(refuse(&"a".repeat(64)), @r#"bucket name "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" has 64 bytes; bucket names have 3 to 63"#);
    insta::assert_snapshot!(refuse("My-Bucket"), @r#"bucket name "My-Bucket" contains 'M'; only a-z, 0-9, '.' and '-' are allowed"#);
    insta::assert_snapshot!(refuse("my_bucket"), @r#"bucket name "my_bucket" contains '_'; only a-z, 0-9, '.' and '-' are allowed"#);
    insta::assert_snapshot!(refuse("../etc"), @r#"bucket name "../etc" contains '/'; only a-z, 0-9, '.' and '-' are allowed"#);
    insta::assert_snapshot!(refuse("-bucket"), @r#"bucket name "-bucket" must begin and end with a letter or digit"#);
    insta::assert_snapshot!(refuse("bucket."), @r#"bucket name "bucket." must begin and end with a letter or digit"#);
    insta::assert_snapshot!(refuse("my..bucket"), @r#"bucket name "my..bucket" has two dots next to each other"#);
    insta::assert_snapshot!(refuse("192.168.5.4"), @r#"bucket name "192.168.5.4" is formatted as an IP address"#);
}

#[test]
fn reserved_buckets_can_be_named_but_say_so() {
    let reserved = |name: &str| Bucket::new(name).unwrap().reserved();
    assert_eq!(reserved("plain-bucket"), None);
    assert_eq!(reserved("xn--bucket"), Some("xn--"));
    assert_eq!(reserved("data--usw2-az1--x-s3"), Some("--x-s3"));
    assert_eq!(reserved("point-abc-s3alias"), Some("-s3alias"));
}

#[test]
fn refused_keys_and_upload_ids_name_the_limit() {
    insta::assert_snapshot!(Key::new("").unwrap_err(), @"the object key is empty; S3 keys have 1 to 1024 bytes");
    insta::assert_snapshot!(Key::new("é".repeat(513)).unwrap_err(), @"the object key is 1026 bytes long; S3 keys have 1 to 1024 bytes of UTF-8");
    insta::assert_snapshot!(UploadId::new("").unwrap_err(), @"the upload id is empty");
    insta::assert_snapshot!(UploadId::new("x".repeat(5000)).unwrap_err(), @"the upload id is 5000 bytes long; at most 4096 are taken");
}

#[test]
fn maps_by_key_are_searched_with_plain_text() {
    let by_key = BTreeMap::from([(Key::new("a/1").unwrap(), 1), (Key::new("b").unwrap(), 2)]);
    assert_eq!(by_key.get("b"), Some(&2));
}
