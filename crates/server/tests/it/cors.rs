//! CORS: the headers that a browser needs to upload presigned parts from a page.

use crate::client::{Auth, Request, UNSIGNED};
use crate::fixture::Fixture;

const RULES: &str = "<CORSConfiguration><CORSRule><ID>page</ID><AllowedOrigin>\
    https://*.example</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedMethod>\
    GET</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>\
    content-type</AllowedHeader><ExposeHeader>ETag</ExposeHeader><ExposeHeader>\
    x-amz-checksum-crc64nvme</ExposeHeader><MaxAgeSeconds>600</MaxAgeSeconds></CORSRule>\
    </CORSConfiguration>";

fn preflight(f: &Fixture, origin: &str, method: &str, headers: &str) -> Request {
    let request = f.client.request("OPTIONS", "/bkt/k?partNumber=1&uploadId=x").auth(Auth::None);
    let request = request.header("origin", origin).header("access-control-request-method", method);
    if headers.is_empty() {
        request
    } else {
        request.header("access-control-request-headers", headers)
    }
}

#[tokio::test]
async fn cors_rules_are_kept_and_shown() {
    let f = Fixture::new().await;
    let put = |rules: &str| f.client.request("PUT", "/bkt?cors").body(rules);
    put(RULES).expect(200).await;
    let shown = f.client.request("GET", "/bkt?cors").expect(200).await;
    assert_eq!(shown.elements("AllowedMethod"), ["PUT", "GET"]);
    assert_eq!(shown.elements("ExposeHeader"), ["ETag", "x-amz-checksum-crc64nvme"]);
    assert_eq!(shown.element("MaxAgeSeconds").as_deref(), Some("600"));
    put(&RULES.replace("<AllowedMethod>GET", "<AllowedMethod>PATCH"))
        .refused(400, "InvalidRequest")
        .await;
    put(&RULES.replace("https://*.example", "https://*.*.example"))
        .refused(400, "InvalidRequest")
        .await;
    put(&RULES.replace(">ETag<", ">x-*<")).refused(400, "InvalidRequest").await;
    put(&RULES.replace("600", "-1")).refused(400, "MalformedXML").await;
    put(&RULES.replace(">page<", &format!(">{}<", "x".repeat(256))))
        .refused(400, "InvalidRequest")
        .await;
    let rule =
        RULES.trim_start_matches("<CORSConfiguration>").trim_end_matches("</CORSConfiguration>");
    put(&format!("<CORSConfiguration>{rule}{rule}</CORSConfiguration>"))
        .refused(400, "InvalidRequest")
        .await;
    let unnamed = rule.replace("<ID>page</ID>", "");
    put(&format!("<CORSConfiguration>{unnamed}{unnamed}</CORSConfiguration>")).expect(200).await;
    put(RULES).expect(200).await;
    put(RULES).header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==").refused(400, "BadDigest").await;
    f.client.request("DELETE", "/bkt?cors").expect(204).await;
    f.client.request("GET", "/bkt?cors").refused(404, "NoSuchCORSConfiguration").await;
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_rules() {
    let f = Fixture::new().await;
    preflight(&f, "https://a.example", "PUT", "").refused(403, "AccessForbidden").await;
    f.client.request("PUT", "/bkt?cors").body(RULES).expect(200).await;
    let answer =
        preflight(&f, "https://a.example", "PUT", "Content-Type, x-amz-checksum-crc64nvme")
            .expect(200)
            .await;
    for (name, value) in [
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-allow-methods", "PUT, GET"),
        ("access-control-allow-headers", "content-type, x-amz-checksum-crc64nvme"),
        ("access-control-expose-headers", "ETag, x-amz-checksum-crc64nvme"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    preflight(&f, "https://a.other", "PUT", "").refused(403, "AccessForbidden").await;
    preflight(&f, "https://a.example", "DELETE", "").refused(403, "AccessForbidden").await;
    preflight(&f, "https://a.example", "PUT", "authorization")
        .refused(403, "AccessForbidden")
        .await;
}

#[tokio::test]
async fn a_page_can_put_a_presigned_part_and_read_its_etag() {
    let f = Fixture::new().await;
    f.client.request("PUT", "/bkt?cors").body(RULES).expect(200).await;
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    let put =
        f.client.request("PUT", &format!("/bkt/k?partNumber=1&uploadId={id}")).payload(UNSIGNED);
    let put = put.auth(Auth::Presigned { expires: 60 }).body("bytes");
    let answer = put.clone().unsigned_header("origin", "https://a.example").expect(200).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://a.example"));
    assert!(answer.header("access-control-expose-headers").unwrap().contains("ETag"));
    assert!(answer.header("etag").is_some());
    let other = put.unsigned_header("origin", "https://a.other").expect(200).await;
    assert_eq!(other.header("access-control-allow-origin"), None);
    // A script may read the reason of a refusal too.
    let refused =
        f.client.request("GET", "/bkt/absent").unsigned_header("origin", "https://a.example");
    let refused = refused.refused(404, "NoSuchKey").await;
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://a.example"));
}
