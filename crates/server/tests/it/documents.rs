//! Request documents, in every syntax that XML allows.

use crate::client::Auth;
use crate::fixture::Fixture;

async fn delete(f: &Fixture, key: &str) -> crate::client::Response {
    let body = format!("<Delete><Object><Key>{key}</Key></Object></Delete>");
    f.client.request("POST", "/bkt?delete").body(body).send().await
}

/// Regression: the reader of `s3s` dropped CDATA, and this batch deleted `abcd`.
#[tokio::test]
async fn cdata_in_a_batch_of_deletes_is_part_of_the_key() {
    let f = Fixture::new().await;
    for key in ["abcd", "abxcd", "%3Ca%26b%3E"] {
        f.client.put(&format!("/bkt/{key}"), "x").await;
    }
    let answer = delete(&f, "ab<![CDATA[x]]>cd").await;
    assert_eq!(answer.elements("Key"), ["abxcd"], "{}", answer.text());
    delete(&f, "<![CDATA[<a&b>]]>").await;
    assert_eq!(f.client.get("/bkt?list-type=2").await.elements("Key"), ["abcd"]);
}

/// Regression: minio-py writes non-ASCII characters as references. Those from U+10000 to U+FFFFF
/// were refused, so an object with an emoji could not be deleted.
#[tokio::test]
async fn references_to_all_of_unicode_are_read() {
    let f = Fixture::new().await;
    let characters =
        ['\u{e4}', '\u{fffd}', '\u{10000}', '\u{1f600}', '\u{fffff}', '\u{100000}', '\u{10ffff}'];
    for c in characters {
        for reference in [format!("&#{};", c as u32), format!("&#x{:X};", c as u32), c.to_string()]
        {
            let encoded: String =
                c.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
            f.client.request("PUT", &format!("/bkt/a{encoded}")).body("x").expect(200).await;
            let answer = delete(&f, &format!("a{reference}")).await;
            assert_eq!(
                (answer.status, answer.elements("Key")),
                (200, vec![format!("a{c}")]),
                "{reference}"
            );
            f.client.request("HEAD", &format!("/bkt/a{encoded}")).expect(404).await;
        }
    }
}

#[tokio::test]
async fn every_document_may_have_cdata_comments_and_prefixes() {
    let f = Fixture::new().await;
    let c = &f.client;
    let id = c.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    let etag = c.put(&format!("/bkt/k?partNumber=1&uploadId={id}"), "part").await.etag();
    let complete = format!(
        "<?xml version=\"1.0\"?><!-- list --><s:CompleteMultipartUpload \
         xmlns:s=\"http://s3.amazonaws.com/doc/2006-03-01/\"><s:Part><s:PartNumber>\
             1</s:PartNumber><s:ETag><![CDATA[{etag}]]></s:ETag></s:Part>\
             </s:CompleteMultipartUpload>"
    );
    c.request("POST", &format!("/bkt/k?uploadId={id}")).body(complete).expect(200).await;

    let tags = "<Tagging><TagSet><Tag><Key>a<![CDATA[b]]></Key><Value>&#x41;<!-- no \
        -->c</Value></Tag></TagSet></Tagging>";
    c.request("PUT", "/bkt/k?tagging").body(tags).expect(200).await;
    let shown = c.get("/bkt/k?tagging").await;
    assert_eq!(
        (shown.element("Key").as_deref(), shown.element("Value").as_deref()),
        (Some("ab"), Some("Ac"))
    );

    let cors = "<CORSConfiguration><CORSRule><AllowedOrigin>http://<![CDATA[a.example]]>\
        </AllowedOrigin><AllowedMethod><![CDATA[GET]]></AllowedMethod></CORSRule>\
        </CORSConfiguration>";
    c.request("PUT", "/bkt?cors").body(cors).expect(200).await;
    assert_eq!(
        c.get("/bkt?cors").await.element("AllowedOrigin").as_deref(),
        Some("http://a.example")
    );

    let lifecycle = "<LifecycleConfiguration><Rule><ID>a<![CDATA[&]]>b</ID><Filter><Prefix>&\
        #x1F600;</Prefix></Filter><Status>Enabled</Status><AbortIncompleteMultipartUpload>\
        <DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
        </LifecycleConfiguration>";
    c.request("PUT", "/bkt?lifecycle").body(lifecycle).expect(200).await;
    let shown = c.get("/bkt?lifecycle").await;
    assert_eq!(
        (shown.element("ID").as_deref(), shown.element("Prefix").as_deref()),
        (Some("a&b"), Some("\u{1f600}"))
    );

    let location = "<CreateBucketConfiguration><LocationConstraint><![CDATA[eu-central-1]]>\
        </LocationConstraint></CreateBucketConfiguration>";
    c.request("PUT", "/bkt2").body(location).expect(200).await;
}

#[tokio::test]
async fn a_document_that_is_not_well_formed_changes_nothing() {
    let f = Fixture::new().await;
    f.client.put("/bkt/k", "kept").await;
    let deep = format!("<Delete>{}{}</Delete>", "<a>".repeat(50_000), "</a>".repeat(50_000));
    let many = format!("<Delete>{}</Delete>", "<a/>".repeat(100_000));
    for body in [
        "<!DOCTYPE Delete [<!ENTITY e \"k\">]><Delete><Object><Key>&e;</Key></Object></Delete>",
        "<!DOCTYPE Delete><Delete><Object><Key>k</Key></Object></Delete>",
        "<!DOCTYPE Delete SYSTEM \
         \"file:///etc/passwd\"><Delete><Object><Key>k</Key></Object></Delete>",
        "<Delete><Object><Key>k</Key></Object></Delete><Delete/>",
        "<Delete><Object><Key>k</Key></Object></Delete>x",
        "<Delete><Object><Key>k]]></Key></Object></Delete>",
        "<Delete><Object><Key>k&nbsp;</Key></Object></Delete>",
        "<Delete><Object><Key>k&#1;</Key></Object></Delete>",
        "<Delete><Object><Key>k&#xD800;</Key></Object></Delete>",
        "<Delete><Object><Key>k</Key></Object>",
        "<Delete><Object><Key>k</Object></Key></Delete>",
        "<x:Delete><Object><Key>k</Key></Object></x:Delete>",
        "<Delete a=\"1\" a=\"2\"><Object><Key>k</Key></Object></Delete>",
        "not XML",
        &deep,
        &many,
    ] {
        f.client.request("POST", "/bkt?delete").body(body).refused(400, "MalformedXML").await;
    }
    f.client.request("HEAD", "/bkt/k").expect(200).await;
    // Every character of a number must be a digit.
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    let etag = f.client.put(&format!("/bkt/k?partNumber=1&uploadId={id}"), "part").await.etag();
    for number in ["1x", "", " 1", "1.0", "+1", "0x1"] {
        let list = format!(
            "<CompleteMultipartUpload><Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>\
                </Part></CompleteMultipartUpload>"
        );
        let complete = f.client.request("POST", &format!("/bkt/k?uploadId={id}")).body(list);
        complete.refused(400, "MalformedXML").await;
    }
    assert_eq!(f.client.get("/bkt/k").await.text(), "kept");
    // The document is not parsed before the sender is authenticated.
    f.client
        .request("POST", "/bkt?delete")
        .auth(Auth::None)
        .body("not XML")
        .refused(403, "AccessDenied")
        .await;
}
