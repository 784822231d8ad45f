//! Buckets, keys and upload ids: kept exactly, or refused with the rule.

use std::collections::BTreeMap;

use haul_parts::limits::{KEY_MAX_BYTES, UPLOAD_ID_MAX_BYTES};
use haul_parts::{Bucket, BucketError, Key, UploadId};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_key_is_any_text_of_1_to_1024_bytes_kept_exactly(
        text in prop_oneof![any::<String>(), "\\PC{300,1100}", "[a./]{1000,1050}"],
    ) {
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
    fn well_formed_buckets_are_taken(
        name in "[a-z0-9]([a-z0-9-]{1,20}[a-z0-9]\\.)?[a-z][a-z0-9-]{0,38}[a-z0-9]",
    ) {
        let bucket = Bucket::new(name.clone()).unwrap();
        prop_assert_eq!(bucket.as_str(), name.as_str());
        let json = serde_json::to_string(&bucket).unwrap();
        prop_assert_eq!(serde_json::from_str::<Bucket>(&json).unwrap(), bucket);
    }

    #[test]
    fn every_accepted_bucket_is_safe_in_a_host_name(
        name in "\\PC{0,70}|[a-z0-9.-]{0,70}|[0-9.]{3,15}",
    ) {
        if let Ok(bucket) = Bucket::new(name) {
            let name = bucket.as_str();
            prop_assert!((3..=63).contains(&name.len()));
            let allowed = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
            prop_assert!(name.bytes().all(allowed));
            prop_assert!(name.split('.').all(|label| !label.is_empty()));
            prop_assert!(name.parse::<std::net::IpAddr>().is_err());
        }
    }
}

#[test]
fn refused_buckets_name_the_rule() {
    let refuse = |name: &str| Bucket::new(name).unwrap_err().to_string();
    insta::assert_snapshot!(refuse("ab"), @"bucket name \"ab\" has 2 bytes; bucket names have 3 \
        to 63");
    let long = "a".repeat(64);
    assert_eq!(
        refuse(&long),
        format!("bucket name \"{long}\" has 64 bytes; bucket names have 3 to 63")
    );
    insta::assert_snapshot!(refuse("My-Bucket"), @"bucket name \"My-Bucket\" contains 'M'; only \
        a-z, 0-9, '.' and '-' are allowed");
    insta::assert_snapshot!(refuse("my_bucket"), @"bucket name \"my_bucket\" contains '_'; only \
        a-z, 0-9, '.' and '-' are allowed");
    insta::assert_snapshot!(refuse("../etc"), @"bucket name \"../etc\" contains '/'; only a-z, \
        0-9, '.' and '-' are allowed");
    insta::assert_snapshot!(refuse("-bucket"), @"bucket name \"-bucket\" must begin and end with \
        a letter or digit");
    insta::assert_snapshot!(refuse("bucket."), @"bucket name \"bucket.\" must begin and end with \
        a letter or digit");
    insta::assert_snapshot!(refuse("my..bucket"), @"bucket name \"my..bucket\" has two dots next \
        to each other");
    insta::assert_snapshot!(refuse("192.168.5.4"), @"bucket name \"192.168.5.4\" is formatted as \
        an IP address");
}

#[test]
fn reserved_buckets_can_be_named_but_say_so() {
    let reserved = |name: &str| Bucket::new(name).unwrap().reserved();
    assert_eq!(reserved("plain-bucket"), None);
    assert_eq!(reserved("xn--bucket"), Some("xn--"));
    assert_eq!(reserved("data--usw2-az1--x-s3"), Some("--x-s3"));
    assert_eq!(reserved("point-abc-s3alias"), Some("-s3alias"));
}

const POINT: &str = "arn:aws:s3:us-west-2:123456789012:accesspoint/my-ap";

#[test]
fn an_access_point_is_a_bucket_only_by_its_own_constructor() {
    for arn in [
        POINT,
        "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/films",
        "arn:aws-us-gov:s3:us-gov-west-1:123456789012:accesspoint/films",
    ] {
        let bucket = Bucket::access_point(arn).unwrap();
        assert_eq!(bucket.as_str(), arn);
        assert_eq!(Bucket::name_or_arn(arn).unwrap(), bucket);
        let text = serde_json::to_string(&bucket).unwrap();
        assert_eq!(serde_json::from_str::<Bucket>(&text).unwrap(), bucket);
        assert!(Bucket::new(arn).is_err() && arn.parse::<Bucket>().is_err());
        assert!(Bucket::try_from(arn.to_owned()).is_err());
    }
    let colon =
        Bucket::access_point("arn:aws:s3:us-west-2:123456789012:accesspoint:my-ap").unwrap();
    assert_eq!(colon.as_str(), POINT, "both spellings are one bucket");
    let point = colon.as_access_point().unwrap();
    assert_eq!((point.partition, point.region), ("aws", "us-west-2"));
    assert_eq!((point.account, point.name), ("123456789012", "my-ap"));
    assert_eq!(Bucket::new("my-ap").unwrap().as_access_point(), None);
    assert!(Bucket::access_point("my-ap").is_err());
}

#[test]
fn refused_arns_name_the_rule() {
    let rule = |arn: &str| match Bucket::name_or_arn(arn).unwrap_err() {
        BucketError::NotAnAccessPoint { arn: given, rule } if given == arn => rule,
        other => panic!("{other}"),
    };
    let service = "its service is not s3";
    let name = "names of access points have 3 to 50 of a-z, 0-9 and '-', and no '-' at either end";
    for (arn, expected) in [
        (
            "arn:other:s3:r-1:123456789012:accesspoint/my-ap",
            "it does not begin with arn:aws, arn:aws-cn or arn:aws-us-gov",
        ),
        ("arn:aws-C@:s3:r-1:123456789012:accesspoint/my-ap", "its partition is none of AWS"),
        ("arn:aws:s3-object-lambda:r-1:123456789012:accesspoint/my-ap", service),
        ("arn:aws:s3-outposts:r-1:123456789012:outpost/op-1/accesspoint/my-ap", service),
        ("arn:aws:s3:::films", "its resource is not accesspoint/NAME"),
        ("arn:aws:s3", "its resource is not accesspoint/NAME"),
        (
            "arn:aws:s3::123456789012:accesspoint:abc.mrap",
            "access points of several Regions need signatures that haul does not make",
        ),
        ("arn:aws:s3::123456789012:accesspoint/my-ap", "it names no Region"),
        ("arn:aws:s3:r-1.evil:123456789012:accesspoint/my-ap", "it names no Region"),
        ("arn:aws:s3:r-1:12345:accesspoint/my-ap", "its account is not a number of 12 digits"),
        ("arn:aws:s3:r-1:123456789012:accesspoint/", name),
        ("arn:aws:s3:r-1:123456789012:accesspoint/my.ap", name),
        ("arn:aws:s3:r-1:123456789012:accesspoint/my-ap-", name),
        ("arn:aws:s3:r-1:123456789012:accesspoint/my-ap/key", name),
    ] {
        assert_eq!(rule(arn), expected, "{arn}");
    }
}

#[test]
fn the_key_begins_behind_the_name_of_an_access_point() {
    let colon = "arn:aws:s3:us-west-2:123456789012:accesspoint:my-ap";
    for bucket in ["films", POINT, colon] {
        assert_eq!(Bucket::split_key(bucket), (bucket, ""));
        for key in ["", "a", "a/b", "/a", "a:b/c"] {
            assert_eq!(Bucket::split_key(&format!("{bucket}/{key}")), (bucket, key));
        }
    }
    assert_eq!(Bucket::split_key("films/arn:aws:s3:::x/y"), ("films", "arn:aws:s3:::x/y"));
    assert_eq!(Bucket::split_key("arn:aws/x"), ("arn:aws/x", ""));
}

#[test]
fn refused_keys_and_upload_ids_name_the_limit() {
    insta::assert_snapshot!(Key::new("").unwrap_err(), @"the object key is empty; S3 keys have 1 \
        to 1024 bytes");
    insta::assert_snapshot!(Key::new("é".repeat(513)).unwrap_err(), @"the object key is 1026 bytes \
        long; S3 keys have 1 to 1024 bytes of UTF-8");
    insta::assert_snapshot!(UploadId::new("").unwrap_err(), @"the upload id is empty");
    insta::assert_snapshot!(UploadId::new("x".repeat(5000)).unwrap_err(), @"the upload id is 5000 \
        bytes long; at most 4096 are taken");
}

#[test]
fn maps_by_key_are_searched_with_plain_text() {
    let by_key = BTreeMap::from([(Key::new("a/1").unwrap(), 1), (Key::new("b").unwrap(), 2)]);
    assert_eq!(by_key.get("b"), Some(&2));
}
