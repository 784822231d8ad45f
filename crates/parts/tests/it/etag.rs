//! ETags: kept as received, equal without their quotes, never interpreted beyond what they spell.

use std::collections::HashSet;

use haul_parts::ETag;
use md5::{Digest, Md5};
use proptest::prelude::*;

fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

proptest! {
    #[test]
    fn any_text_is_an_etag_and_comes_back_as_given(text in any::<String>()) {
        let tag = ETag::new(text.clone());
        prop_assert_eq!(tag.as_given(), text.as_str());
        let json = serde_json::to_string(&tag).unwrap();
        let read: ETag = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read.as_given(), text.as_str());
    }

    #[test]
    fn quotes_do_not_matter(text in "[^\"]{0,50}") {
        let (bare, quoted) = (ETag::new(text.clone()), ETag::new(format!("\"{text}\"")));
        prop_assert_eq!(&bare, &quoted);
        prop_assert_eq!(bare.unquoted(), quoted.unquoted());
        prop_assert_eq!(bare.quoted(), quoted.quoted());
        prop_assert_eq!(HashSet::from([bare, quoted]).len(), 1);
    }

    #[test]
    fn an_md5_comes_back(digest in any::<[u8; 16]>()) {
        let tag = ETag::from_md5(digest);
        prop_assert_eq!(tag.as_md5(), Some(digest));
        prop_assert_eq!(ETag::new(tag.unquoted().to_uppercase()).as_md5(), Some(digest));
        prop_assert_eq!(tag.part_count(), None);
    }

    #[test]
    fn a_composite_is_the_md5_of_the_md5s(parts in prop::collection::vec(any::<Vec<u8>>(), 1..20)) {
        let digests: Vec<[u8; 16]> = parts.iter().map(|part| md5(part)).collect();
        let tag = ETag::composite(digests.iter().copied());
        let expected = format!("{:x}-{}", u128::from_be_bytes(md5(&digests.concat())), parts.len());
        prop_assert_eq!(tag.unquoted().trim_start_matches('0'), expected.trim_start_matches('0'));
        prop_assert_eq!(tag.part_count().map(usize::from), Some(parts.len()));
        prop_assert_eq!(tag.as_md5(), None);
    }
}

/// Two parts of 5 MiB of zeros; the values are from Python's hashlib.
#[test]
fn the_composite_of_two_parts_of_zeros() {
    let part = md5(&vec![0; 5 << 20]);
    assert_eq!(hex::encode(part), "5f363e0e58a95f06cbe9bbc662c5dfb6");
    assert_eq!(ETag::composite([part, part]).as_given(), "\"a7d414b9133d6483d9a1c4e04e856e3b-2\"");
}

#[test]
fn what_is_not_an_md5_does_not_pass_for_one() {
    for text in [
        "",
        "\"\"",
        "\"",
        "abc",
        "W/\"d41d8cd98f00b204e9800998ecf8427e\"",
        "d41d8cd98f00b204e9800998ecf8427",
        "d41d8cd98f00b204e9800998ecf8427e-1",
        "zz1d8cd98f00b204e9800998ecf8427e",
    ] {
        assert_eq!(ETag::new(text).as_md5(), None, "{text}");
    }
    for text in ["x-0", "x-10001", "x-", "x", "-", "x-+1", "x-1 "] {
        assert_eq!(ETag::new(text).part_count(), None, "{text}");
    }
    assert_eq!(ETag::new("\"x-10000\"").part_count(), Some(10_000));
}

#[test]
fn an_empty_etag_is_noticed_in_every_form() {
    assert!(ETag::new("").is_empty());
    assert!(ETag::new("\"\"").is_empty());
    assert!(!ETag::new("\"").is_empty());
}

/// A proxy that changed the body (compression) makes weak tags: one must not equal the strong tag.
#[test]
fn a_weak_etag_stays_whole() {
    let weak = ETag::new("W/\"abc\"");
    assert_ne!(weak, ETag::new("\"abc\""));
    assert_eq!(weak.quoted(), "W/\"abc\"");
    assert_eq!(ETag::new("W/\"").quoted(), "\"W/\"\"");
}
