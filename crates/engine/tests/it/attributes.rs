//! The attributes of an object on the wire.

use std::sync::{Arc, Mutex};

use haul::ObjectAttributes;
use haul::body::Payload;
use haul::remote::{CreateRequest, Meter, PutRequest, Store};
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
    }
}

const HEADERS: [(&str, &str); 10] = [
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
    let seen: Vec<Request> = seen.lock().unwrap().clone();
    assert_eq!(
        seen.iter().map(|request| request.method.as_str()).collect::<Vec<_>>(),
        ["POST", "PUT"]
    );
    for request in &seen {
        for (name, value) in HEADERS {
            assert_eq!(request.header(name), Some(value), "{name} of {}", request.method);
        }
    }
    let head = store.head_object(&object()).await.unwrap();
    assert_eq!(head.attributes, ObjectAttributes { tags: Default::default(), ..all() });
}
