//! Tags of objects: set by the write or after it, and the rules for them.

use crate::fixture::Fixture;

#[tokio::test]
async fn tags_are_given_with_the_write_or_after_it() {
    let f = Fixture::new().await;
    let c = &f.client;
    let tagging = |pairs: &[(&str, &str)]| {
        let tags = pairs
            .iter()
            .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"));
        format!("<Tagging><TagSet>{}</TagSet></Tagging>", tags.collect::<String>())
    };
    let tags = async |key: &str| {
        let shown = c.request("GET", &format!("/bkt/{key}?tagging")).expect(200).await;
        shown.elements("Key").into_iter().zip(shown.elements("Value")).collect::<Vec<_>>()
    };
    // Tags set at Create belong to the object that Complete creates.
    let created = c.request("POST", "/bkt/parts?uploads").header("x-amz-tagging", "team=a%20b&x=");
    let id = created.expect(200).await.element("UploadId").unwrap();
    let part = c
        .request("PUT", &format!("/bkt/parts?partNumber=1&uploadId={id}"))
        .body("x")
        .expect(200)
        .await;
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
            </CompleteMultipartUpload>",
        part.etag()
    );
    c.request("POST", &format!("/bkt/parts?uploadId={id}")).body(list).expect(200).await;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(tags("parts").await, [pair("team", "a b"), pair("x", "")]);

    // Tags set after the write change nothing else of the object.
    let before = c.request("HEAD", "/bkt/parts").expect(200).await;
    c.request("PUT", "/bkt/parts?tagging").body(tagging(&[("only", "this")])).expect(200).await;
    assert_eq!(tags("parts").await, [pair("only", "this")]);
    let after = c.request("HEAD", "/bkt/parts").expect(200).await;
    for name in ["etag", "last-modified", "content-length"] {
        assert_eq!(before.header(name), after.header(name), "{name}");
    }
    assert_eq!(after.header("x-amz-tagging-count"), Some("1"));
    c.request("DELETE", "/bkt/parts?tagging").expect(204).await;
    assert_eq!(tags("parts").await, []);
    assert_eq!(c.get("/bkt/parts").await.text(), "x");

    for (pairs, code) in [
        (vec![("", "v")], "InvalidTag"),
        (vec![("k", "1"), ("k", "2")], "InvalidTag"),
        (
            ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"].map(|key| (key, "")).to_vec(),
            "BadRequest",
        ),
    ] {
        c.request("PUT", "/bkt/parts?tagging").body(tagging(&pairs)).refused(400, code).await;
    }
    c.request("PUT", "/bkt/parts?tagging").body("<Tag").refused(400, "MalformedXML").await;
    c.request("PUT", "/bkt/parts?tagging").body("<Other/>").refused(400, "MalformedXML").await;
    let nameless = "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>";
    c.request("PUT", "/bkt/parts?tagging").body(nameless).refused(400, "MalformedXML").await;
    for method in ["GET", "PUT", "DELETE"] {
        let absent = c.request(method, "/bkt/absent?tagging").body(tagging(&[("k", "v")]));
        absent.refused(404, "NoSuchKey").await;
    }
}

/// `<Tagging/>` removes all tags, like an empty set. Regression: forbidden characters and AWS's own
/// prefix were accepted.
#[tokio::test]
async fn tags_are_held_to_the_rules_of_aws() {
    let f = Fixture::new().await;
    let c = &f.client;
    c.request("PUT", "/bkt/k").header("x-amz-tagging", "kept=1").body("x").expect(200).await;
    let tag = |key: &str, value: &str| {
        let tag = format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
        c.request("PUT", "/bkt/k?tagging")
            .body(format!("<Tagging><TagSet>{tag}</TagSet></Tagging>"))
    };
    for (key, value, message) in [
        ("Key1,Key2", "v", "The TagKey you have provided is invalid"),
        ("k", "a&lt;b", "The TagValue you have provided is invalid"),
        ("aws:prefixed", "v", "Your TagKey cannot be prefixed with aws:"),
    ] {
        let refused = tag(key, value).refused(400, "InvalidTag").await;
        assert_eq!(refused.element("Message").as_deref(), Some(message));
        assert_eq!(refused.element("TagKey").as_deref(), Some(key));
    }
    for header in ["key1=val1,key2=val2", "k=%3C", "a=1&a=1"] {
        let put = c.request("PUT", "/bkt/k").header("x-amz-tagging", header).body("new");
        let refused = put.refused(400, "InvalidArgument").await;
        assert_eq!(refused.element("ArgumentValue").as_deref(), Some(header));
    }
    let put = c.request("PUT", "/bkt/k").header("x-amz-tagging", "aws:k=v").body("new");
    put.refused(400, "InvalidTag").await;
    assert_eq!(c.get("/bkt/k").await.header("x-amz-tagging-count"), Some("1"));
    tag("größe_.:/=+-@", "ein wert").expect(200).await;
    assert_eq!(c.get("/bkt/k").await.header("x-amz-tagging-count"), Some("1"));
    c.request("PUT", "/bkt/k?tagging").body("<Tagging/>").expect(200).await;
    assert_eq!(c.get("/bkt/k").await.header("x-amz-tagging-count"), None);
    c.request("PUT", "/bkt/absent?tagging").body("<Tagging/>").refused(404, "NoSuchKey").await;
}
