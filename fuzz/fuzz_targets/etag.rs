//! Any text of a store is an ETag, kept as given; what it claims to be must be written in it.

#![no_main]

use haul_parts::ETag;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let tag = ETag::new(text);
    assert_eq!(tag.as_given(), text);
    assert!(text.contains(tag.unquoted()));
    assert_eq!(ETag::new(tag.quoted()), tag, "quoting changes nothing but the frame");
    assert_eq!(tag.is_empty(), tag.unquoted().is_empty());
    if let Some(digest) = tag.as_md5() {
        assert!(ETag::from_md5(digest).unquoted().eq_ignore_ascii_case(tag.unquoted()));
        assert_eq!(tag.part_count(), None);
    }
    if let Some(count) = tag.part_count() {
        assert!((1..=10_000).contains(&count));
        assert!(tag.unquoted().ends_with(&count.to_string()));
    }
    let json = serde_json::to_string(&tag).expect("text is JSON");
    assert_eq!(serde_json::from_str::<ETag>(&json).expect("as written").as_given(), text);
});
