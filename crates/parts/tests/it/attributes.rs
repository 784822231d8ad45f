//! The attributes of an object, and their JSON in journals and in the store.

use haul_parts::{GrantPermission, ObjectAttributes, Protection};

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

#[test]
fn protection_becomes_headers_and_json_without_empty_fields() {
    let protection = Protection {
        encryption: Some("aws:kms".into()),
        bucket_key: Some(false),
        customer_key_md5: Some("md5".into()),
        grants: [(GrantPermission::ReadAcp, "id=\"1\"".to_owned())].into(),
        ..Protection::default()
    };
    let names: Vec<_> = protection.headers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-bucket-key-enabled",
            "x-amz-grant-read-acp",
        ],
        "the store adds the headers of a customer's key"
    );
    let attributes = ObjectAttributes { protection, ..ObjectAttributes::default() };
    let json = serde_json::to_string(&attributes).unwrap();
    assert_eq!(
        json,
        concat!(
            r#"{"protection":{"grants":{"read-acp":"id=\"1\""},"encryption":"aws:kms","#,
            r#""bucket_key":false,"customer_key_md5":"md5"}}"#,
        )
    );
    assert_eq!(of(&json), attributes);
}

#[test]
fn only_requested_attributes_contradict_those_of_an_upload() {
    let with = |change: fn(&mut ObjectAttributes)| {
        let mut attributes = ObjectAttributes::default();
        change(&mut attributes);
        attributes
    };
    let begun = with(|it| {
        it.content_language = Some("de".into());
        it.metadata = [("owner", "me"), ("mtime", "7")].map(|(n, v)| (n.into(), v.into())).into();
        it.protection.acl = Some("private".into());
    });
    let contradiction = |asked: &ObjectAttributes| asked.contradiction(&begun, &["mtime"]);
    assert_eq!(contradiction(&ObjectAttributes::default()), None);
    assert_eq!(contradiction(&begun), None);
    let own = with(|it| it.metadata = [("mtime".to_owned(), "8".to_owned())].into());
    assert_eq!(contradiction(&own), None, "clients add it by themselves");
    let metadata = with(|it| it.metadata = [("owner".to_owned(), "you".to_owned())].into());
    assert_eq!(contradiction(&metadata), Some("metadata"));
    let language = with(|it| it.content_language = Some("fr".into()));
    assert_eq!(contradiction(&language), Some("content-language"));
    let locked = with(|it| it.protection.lock_mode = Some("COMPLIANCE".into()));
    assert_eq!(contradiction(&locked), Some("object-lock-mode"));
    let key = with(|it| it.protection.customer_key_md5 = Some("md5".into()));
    assert_eq!(contradiction(&key), Some("sse-c-key-file"));
    let open = ObjectAttributes::default();
    assert_eq!(open.contradiction(&key, &[]), Some("sse-c-key-file"), "nothing goes without it");
}
