//! The attributes of an object, and their JSON in journals and in the store.

use haul_parts::ObjectAttributes;

fn of(json: &str) -> ObjectAttributes {
    serde_json::from_str(json).expect("attributes as JSON")
}

/// Client and store once had a type each. Records of both read back: journals called the metadata
/// `metadata` and wrote every field, store records left out empty fields.
#[test]
fn journals_and_records_from_before_read_back() {
    let journal = of(r#"{
        "content_type": "a/b", "cache_control": null, "content_disposition": null,
        "content_encoding": null, "storage_class": null, "metadata": {"owner": "me"}
    }"#);
    let record = of(r#"{"content_type":"a/b","user_metadata":{"owner":"me"}}"#);
    assert_eq!(journal, record);
    assert_eq!(journal.metadata["owner"], "me");
    assert_eq!(of("{}"), ObjectAttributes::default());
}

/// An older Haul that opens the store finds the metadata in the place it expects.
#[test]
fn the_store_record_keeps_its_form() {
    let attributes = ObjectAttributes {
        content_language: Some("de".into()),
        metadata: [("owner".to_owned(), "me".to_owned())].into(),
        ..ObjectAttributes::default()
    };
    let json = serde_json::to_string(&attributes).unwrap();
    assert_eq!(json, r#"{"content_language":"de","user_metadata":{"owner":"me"}}"#);
    assert_eq!(of(&json), attributes);
}

#[test]
fn metadata_names_that_no_header_carries_are_found() {
    for (name, is_possible) in [
        ("owner", true),
        ("a.b-c_d", true),
        ("", false),
        ("a b", false),
        ("a:b", false),
        ("ä", false),
    ] {
        let attributes = ObjectAttributes {
            metadata: [(name.to_owned(), String::new())].into(),
            ..ObjectAttributes::default()
        };
        assert_eq!(attributes.impossible_name(), (!is_possible).then_some(name), "{name:?}");
    }
}
