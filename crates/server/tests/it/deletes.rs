//! DeleteObject and DeleteObjects: their responses and conditions.

use crate::fixture::Fixture;

#[tokio::test]
async fn deleting_is_idempotent_and_batches_say_what_they_did() {
    let f = Fixture::new().await;
    let c = &f.client;
    f.client.request("DELETE", "/bkt/nothing").expect(204).await;
    for key in ["one", "two%20words", "three"] {
        c.put(&format!("/bkt/{key}"), "x").await;
    }
    let list = |extra: &str| {
        format!(
            "<Delete>{extra}<Object><Key>one</Key></Object><Object><Key>two \
             words</Key></Object><Object><Key>absent</Key></Object></Delete>"
        )
    };
    let answer = c.request("POST", "/bkt?delete").body(list("")).expect(200).await;
    assert_eq!(answer.elements("Key"), ["one", "two words", "absent"]);
    let quiet =
        c.request("POST", "/bkt?delete").body(list("<Quiet>true</Quiet>")).expect(200).await;
    assert!(quiet.elements("Key").is_empty(), "{}", quiet.text());
    assert_eq!(c.get("/bkt").await.elements("Key"), ["three"]);
    let many = |count: usize| {
        format!("<Delete>{}</Delete>", "<Object><Key>x</Key></Object>".repeat(count))
    };
    c.request("POST", "/bkt?delete").body(many(1000)).expect(200).await;
    c.request("POST", "/bkt?delete").body(many(1001)).refused(400, "MalformedXML").await;
    let other_md5 = c
        .request("POST", "/bkt?delete")
        .body(list(""))
        .header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==");
    other_md5.refused(400, "BadDigest").await;
}

/// Regression: the ETag of an entry was ignored, and any object deleted.
#[tokio::test]
async fn an_etag_in_a_batch_of_deletes_is_a_condition() {
    let f = Fixture::new().await;
    let c = &f.client;
    let etag = c.put("/bkt/right", "one").await.etag();
    c.put("/bkt/wrong", "two").await;
    let entry = |key: &str, more: &str| format!("<Object><Key>{key}</Key>{more}</Object>");
    let if_match = format!("<ETag>{}</ETag>", etag.replace('"', "&quot;"));
    let batch = |entries: &[String]| {
        let quiet = "<Quiet>true</Quiet>";
        c.request("POST", "/bkt?delete")
            .body(format!("<Delete>{quiet}{}</Delete>", entries.concat()))
    };
    let told = batch(&[
        entry("wrong", &if_match),
        entry("right", &if_match),
        entry("absent", &if_match),
        entry("absent", "<ETag>*</ETag>"),
        entry("wrong", "<VersionId>HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD</VersionId>"),
        entry("wrong", "<Size>3</Size>"),
        entry("wrong", "<LastModifiedTime>Wed, 21 Oct 2015 07:28:00 GMT</LastModifiedTime>"),
    ])
    .expect(200)
    .await;
    let mut refused: Vec<_> = told.elements("Key").into_iter().zip(told.elements("Code")).collect();
    refused.sort();
    let expected = [
        ("absent", "NoSuchKey"),
        ("absent", "NoSuchKey"),
        ("wrong", "NoSuchVersion"),
        ("wrong", "NotImplemented"),
        ("wrong", "NotImplemented"),
        ("wrong", "PreconditionFailed"),
    ];
    assert_eq!(
        refused,
        expected.map(|(key, code)| (key.to_owned(), code.to_owned())),
        "{}",
        told.text()
    );
    assert!(told.elements("Message").iter().all(|message| !message.is_empty()), "{}", told.text());
    assert_eq!(c.get("/bkt").await.elements("Key"), ["wrong"]);
    // The same ETag is sent without quotes.
    let bare = format!(
        "<ETag>{}</ETag>",
        c.request("HEAD", "/bkt/wrong").expect(200).await.etag().trim_matches('"')
    );
    batch(&[entry("wrong", &bare)]).expect(200).await;
    assert!(c.get("/bkt").await.elements("Key").is_empty());
}

/// Regression: deletes (and only deletes) accept `*` for any ETag, but the response to `DELETE`
/// with it was 501.
#[tokio::test]
async fn a_delete_may_ask_for_any_object_to_be_there() {
    let f = Fixture::new().await;
    let c = &f.client;
    let delete = || c.request("DELETE", "/bkt/k").header("if-match", "*");
    delete().refused(404, "NoSuchKey").await;
    c.put("/bkt/k", "x").await;
    delete().expect(204).await;
    c.request("HEAD", "/bkt/k").expect(404).await;
    c.put("/bkt/k", "x").await;
    let batch = "<Delete><Object><Key>k</Key><ETag>*</ETag></Object></Delete>";
    let answer = c.request("POST", "/bkt?delete").body(batch).expect(200).await;
    assert_eq!(answer.elements("Code"), Vec::<String>::new(), "{}", answer.text());
    c.request("HEAD", "/bkt/k").expect(404).await;
    for (headers, header, more) in [
        (
            &["if-match"][..],
            "If-Match",
            "We don't accept the provided value of If-Match header for this API",
        ),
        (
            &["if-match", "if-none-match"],
            "If-Match,If-None-Match",
            "Multiple conditional request headers present in the request",
        ),
    ] {
        let mut put = c.request("PUT", "/bkt/k").body("x");
        for name in headers {
            put = put.header(name, "*");
        }
        let refused = put.refused(501, "NotImplemented").await;
        assert_eq!(refused.element("Header").as_deref(), Some(header));
        assert_eq!(refused.element("additionalMessage").as_deref(), Some(more));
    }
}
