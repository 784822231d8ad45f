//! The attributes of an object on the wire.

use std::sync::{Arc, Mutex};

use haul::ObjectAttributes;
use haul::body::Payload;
use haul::remote::{CopyRequest, CreateRequest, Meter, PutRequest, Store};
use haul_parts::{GrantPermission, Protection};
use haul_testkit::scripted::{Reply, Request};

use crate::harness::object;
use crate::listings::store_that_answers;

fn all() -> ObjectAttributes {
    let text = |text: &str| Some(text.to_owned());
    ObjectAttributes {
        content_type: text("text/plain"),
        cache_control: text("no-cache"),
        content_disposition: text("inline"),
        content_encoding: text("gzip"),
        content_language: text("de"),
        expires: text("Wed, 21 Oct 2026 07:28:00 GMT"),
        website_redirect_location: text("/elsewhere"),
        storage_class: text("GLACIER"),
        metadata: [("owner".to_owned(), "me".to_owned())].into(),
        tags: [("a b".to_owned(), "1&2".to_owned()), ("c".to_owned(), String::new())].into(),
        protection: Protection {
            acl: text("private"),
            grants: [(GrantPermission::Read, "id=\"1\"".to_owned())].into(),
            encryption: text("aws:kms"),
            kms_key_id: text("key"),
            kms_context: text("e30="),
            bucket_key: Some(true),
            customer_key_md5: None,
            lock_mode: text("GOVERNANCE"),
            lock_retain_until: text("2999-01-31T00:00:00Z"),
            legal_hold: text("ON"),
        },
    }
}

const HEADERS: [(&str, &str); 19] = [
    ("content-type", "text/plain"),
    ("cache-control", "no-cache"),
    ("content-disposition", "inline"),
    ("content-encoding", "gzip"),
    ("content-language", "de"),
    ("expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
    ("x-amz-website-redirect-location", "/elsewhere"),
    ("x-amz-storage-class", "GLACIER"),
    ("x-amz-meta-owner", "me"),
    ("x-amz-tagging", "a%20b=1%262&c="),
    ("x-amz-acl", "private"),
    ("x-amz-grant-read", "id=\"1\""),
    ("x-amz-server-side-encryption", "aws:kms"),
    ("x-amz-server-side-encryption-aws-kms-key-id", "key"),
    ("x-amz-server-side-encryption-context", "e30="),
    ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
    ("x-amz-object-lock-mode", "GOVERNANCE"),
    ("x-amz-object-lock-retain-until-date", "2999-01-31T00:00:00Z"),
    ("x-amz-object-lock-legal-hold", "ON"),
];

/// Both planes send every attribute that is set: an attribute that a caller sets and that never
/// arrives would be a silent loss.
#[tokio::test]
async fn every_attribute_reaches_the_store_and_comes_back() {
    let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
    let requests = Arc::clone(&seen);
    let store = store_that_answers(move |request| {
        requests.lock().unwrap().push(request.clone());
        let named = HEADERS.iter().filter(|(name, _)| *name != "x-amz-tagging");
        match request.method.as_str() {
            "POST" => Reply::xml(
                "<InitiateMultipartUploadResult><UploadId>u</UploadId>\
                 </InitiateMultipartUploadResult>",
            ),
            "HEAD" => {
                let reply = Reply::of("").with("ETag", "\"e\"");
                named.fold(reply, |reply, (name, value)| reply.with(name, value))
            }
            _ if request.header("x-amz-copy-source").is_some() => {
                Reply::xml("<CopyObjectResult><ETag>e</ETag></CopyObjectResult>")
            }
            _ => Reply::of("").with("ETag", "\"e\""),
        }
    })
    .await;
    let create = CreateRequest { attributes: all(), checksum: None };
    store.create_multipart_upload(&object(), &create).await.unwrap();
    let put = PutRequest {
        payload: Payload::from_bytes("bytes".into()),
        attributes: all(),
        checksum: None,
        md5: None,
        if_none_match: false,
        if_match: None,
        fresh_connection: false,
        wire: Meter::default(),
    };
    store.put_object(&object(), put).await.unwrap();
    let copy = CopyRequest {
        source: object(),
        source_if_match: None,
        attributes: Some(all()),
        storage_class: all().storage_class,
        protection: all().protection,
        if_none_match: false,
        if_match: None,
    };
    store.copy_object(&object(), &copy).await.unwrap();
    let seen: Vec<Request> = seen.lock().unwrap().clone();
    assert_eq!(
        seen.iter().map(|request| request.method.as_str()).collect::<Vec<_>>(),
        ["POST", "PUT", "PUT"]
    );
    for request in &seen {
        for (name, value) in HEADERS {
            assert_eq!(request.header(name), Some(value), "{name} of {}", request.method);
        }
    }
    let head = store.head_object(&object()).await.unwrap();
    assert!(head.etag_is_opaque, "the encryption is by KMS");
    let returned =
        ObjectAttributes { tags: Default::default(), protection: Protection::default(), ..all() };
    assert_eq!(head.attributes, returned);
}
