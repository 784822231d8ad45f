//! Invalid part numbers and upload ids in a query.

use crate::client::Auth;
use crate::fixture::Fixture;

/// Rust parses `+1` as a number, but S3 does not.
#[tokio::test]
async fn a_part_number_is_digits_and_nothing_else() {
    let f = Fixture::new().await;
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    for text in
        ["abc", "", "%2B1", "%201", "1.0", "0x1", "2147483648", "99999999999999999999", "%C3%A4"]
    {
        let target = format!("/bkt/k?partNumber={text}&uploadId={id}");
        let get = f.client.request("GET", &format!("/bkt/k?partNumber={text}"));
        for request in [f.client.request("PUT", &target).body("x"), get] {
            let refused = request.refused(400, "InvalidArgument").await;
            let message = "Part number must be an integer between 1 and 10000, inclusive";
            assert_eq!(refused.element("Message").as_deref(), Some(message), "{text}");
            assert_eq!(refused.element("ArgumentName").as_deref(), Some("partNumber"));
            let given = text.replace("%2B", "+").replace("%20", " ").replace("%C3%A4", "ä");
            assert_eq!(refused.element("ArgumentValue").as_deref(), Some(&*given));
        }
    }
    f.client.put("/bkt/source", "0123456789").await;
    for range in ["bytes=+0-5", "bytes=0-+5"] {
        let copy = f.client.request("PUT", &format!("/bkt/k?partNumber=1&uploadId={id}"));
        let copy = copy
            .header("x-amz-copy-source", "/bkt/source")
            .header("x-amz-copy-source-range", range);
        let refused = copy.refused(400, "InvalidArgument").await;
        assert_eq!(refused.element("ArgumentName").as_deref(), Some("x-amz-copy-source-range"));
    }
    let listed = f.client.get(&format!("/bkt/k?uploadId={id}")).await;
    assert!(listed.elements("PartNumber").is_empty(), "{}", listed.text());
}

#[tokio::test]
async fn an_empty_upload_id_is_that_of_no_upload() {
    let f = Fixture::new().await;
    let etag = f.client.put("/bkt/k", "kept").await.etag();
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
            </CompleteMultipartUpload>"
    );
    for (method, target, body) in [
        ("DELETE", "/bkt/k?uploadId=", ""),
        ("DELETE", "/bkt/k?uploadId", ""),
        ("GET", "/bkt/k?uploadId=", ""),
        ("PUT", "/bkt/k?partNumber=1&uploadId=", "x"),
        ("POST", "/bkt/k?uploadId=", &list),
    ] {
        f.client.request(method, target).body(body).refused(404, "NoSuchUpload").await;
        f.client.request(method, target).auth(Auth::None).refused(403, "AccessDenied").await;
    }
    assert_eq!(f.client.get("/bkt/k").await.text(), "kept");
}
