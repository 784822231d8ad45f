//! Who may come in, and what a signature has to cover.

use crate::client::{Auth, Client};
use crate::fixture::Fixture;
use haul_server::Secret;

#[tokio::test]
async fn nobody_comes_in_without_a_signature() {
    let f = Fixture::new().await;
    for (method, target) in
        [("GET", "/"), ("GET", "/bkt"), ("PUT", "/bkt/k"), ("DELETE", "/bkt"), ("POST", "/bkt/k?uploads")]
    {
        f.client.request(method, target).auth(Auth::None).refused(403, "AccessDenied").await;
    }
}

#[tokio::test]
async fn wrong_keys_are_told_apart() {
    let f = Fixture::new().await;
    let mut stranger: Client = f.client.clone();
    stranger.credentials.access_key_id = "AKIASTRANGER".to_owned();
    let refused = stranger.request("GET", "/").refused(403, "InvalidAccessKeyId").await;
    assert_eq!(refused.element("AWSAccessKeyId").as_deref(), Some("AKIASTRANGER"));
    let mut forger = f.client.clone();
    forger.credentials.secret_access_key = Secret::new("guess");
    let refused = forger.request("GET", "/").refused(403, "SignatureDoesNotMatch").await;
    assert!(!refused.text().contains(f.client.credentials.secret_access_key.expose()));
}

#[tokio::test]
async fn a_clock_fifteen_minutes_off_is_refused() {
    let f = Fixture::new().await;
    f.client.request("GET", "/bkt").aged(14 * 60).expect(200).await;
    f.client.request("GET", "/bkt").aged(16 * 60).refused(403, "RequestTimeTooSkewed").await;
    f.client.request("GET", "/bkt").aged(-16 * 60).refused(403, "RequestTimeTooSkewed").await;
}

#[tokio::test]
async fn a_presigned_url_works_until_it_expires_and_seven_days_at_most() {
    let f = Fixture::new().await;
    let presigned = |method: &str, target: &str, expires: i64| {
        f.client.request(method, target).auth(Auth::Presigned { expires })
    };
    presigned("PUT", "/bkt/k", 60).body("bytes").expect(200).await;
    assert_eq!(presigned("GET", "/bkt/k", 60).expect(200).await.text(), "bytes");
    let refused = presigned("GET", "/bkt/k", 60).aged(61).refused(403, "AccessDenied").await;
    assert_eq!(refused.element("Message").as_deref(), Some("Request has expired"));
    presigned("GET", "/bkt/k", 604_800).expect(200).await;
    presigned("GET", "/bkt/k", 604_801).refused(400, "AuthorizationQueryParametersError").await;
    presigned("GET", "/bkt/k", -1).refused(400, "AuthorizationQueryParametersError").await;
}

#[tokio::test]
async fn a_presigned_part_is_that_part_only() {
    let f = Fixture::new().await;
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    let part = f
        .client
        .request("PUT", &format!("/bkt/k?partNumber=1&uploadId={id}"))
        .auth(Auth::Presigned { expires: 60 });
    let head = part.clone().body("bytes").sign().head.replace("partNumber=1", "partNumber=2");
    let changed = f.client.raw(&[head.as_bytes(), b"bytes"].concat()).await;
    assert_eq!(changed.element("Code").as_deref(), Some("SignatureDoesNotMatch"));
    part.body("bytes").expect(200).await;
}

#[tokio::test]
async fn headers_of_s3_have_to_be_signed() {
    let f = Fixture::new().await;
    f.client.put("/bkt/secret", "secret").await;
    // Whoever holds a presigned PUT could otherwise copy what its signer can read.
    let put = f.client.request("PUT", "/bkt/mine").auth(Auth::Presigned { expires: 60 });
    let refused = put.unsigned_header("x-amz-copy-source", "/bkt/secret").refused(403, "AccessDenied").await;
    assert_eq!(refused.element("HeadersNotSigned").as_deref(), Some("x-amz-copy-source"));
    f.client.request("HEAD", "/bkt/mine").expect(404).await;
    let put = f.client.request("PUT", "/bkt/mine").unsigned_header("x-amz-meta-a", "1").body("x");
    put.refused(403, "AccessDenied").await;
}

#[tokio::test]
async fn old_signatures_and_forms_are_refused() {
    let f = Fixture::new().await;
    let old =
        f.client.request("GET", "/bkt").auth(Auth::None).unsigned_header("authorization", "AWS AKIA:AAAA");
    old.refused(400, "InvalidRequest").await;
    let form = f
        .client
        .request("POST", "/bkt")
        .auth(Auth::None)
        .header("content-type", "multipart/form-data; boundary=x");
    form.body("--x--").refused(501, "NotImplemented").await;
}
