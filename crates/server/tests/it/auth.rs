//! Access control, and the parts of a request that a signature has to cover.

use crate::client::{Auth, Client};
use crate::fixture::Fixture;
use haul_server::{Credentials, Grant, Secret};

#[tokio::test]
async fn requests_without_a_signature_are_refused() {
    let f = Fixture::new().await;
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/bkt"),
        ("PUT", "/bkt/k"),
        ("DELETE", "/bkt"),
        ("POST", "/bkt/k?uploads"),
    ] {
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
async fn a_presigned_url_works_until_it_expires_at_most_7_days() {
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
    // Otherwise the holder of a presigned PUT could copy everything that its signer can read.
    let put = f.client.request("PUT", "/bkt/mine").auth(Auth::Presigned { expires: 60 });
    let refused =
        put.unsigned_header("x-amz-copy-source", "/bkt/secret").refused(403, "AccessDenied").await;
    assert_eq!(refused.element("HeadersNotSigned").as_deref(), Some("x-amz-copy-source"));
    f.client.request("HEAD", "/bkt/mine").expect(404).await;
    let put = f.client.request("PUT", "/bkt/mine").unsigned_header("x-amz-meta-a", "1").body("x");
    put.refused(403, "AccessDenied").await;
}

/// Regression: `s3s` verifies the signature in the query, but an invented one in the header decided
/// which headers were covered. With it, a presigned PUT of one key copied another.
#[tokio::test]
async fn a_request_is_signed_in_one_way_only() {
    let f = Fixture::new().await;
    f.client.put("/bkt/secret", "secret").await;
    let id = f.client.post("/bkt/mine?uploads", "").await.element("UploadId").unwrap();
    let part = format!("/bkt/mine?partNumber=1&uploadId={id}");
    let invented = "AWS4-HMAC-SHA256 Credential=a/20261123/us-east-1/s3/aws4_request, \
        SignedHeaders=host;x-amz-copy-source;x-amz-date, Signature=00";
    for target in ["/bkt/mine", &part] {
        let put = f.client.request("PUT", target).auth(Auth::Presigned { expires: 60 });
        let copying = put.clone().unsigned_header("x-amz-copy-source", "/bkt/secret");
        let refused = copying
            .unsigned_header("authorization", invented)
            .refused(400, "InvalidArgument")
            .await;
        assert!(
            refused.element("Message").unwrap().starts_with("Only one auth mechanism allowed;")
        );
        assert_eq!(refused.element("ArgumentName").as_deref(), Some("Authorization"));
        // Also with a signature in the query, and without any other header.
        put.clone().unsigned_header("authorization", "").refused(400, "InvalidArgument").await;
        for added in
            ["X-Amz-Signature=00", "X-Amz-SignedHeaders=host", "Signature=x", "AWSAccessKeyId=x"]
        {
            let head =
                put.sign().head.replacen("X-Amz-Algorithm", &format!("{added}&X-Amz-Algorithm"), 1);
            let refused = f.client.raw(head.as_bytes()).await;
            assert_eq!(
                (refused.status, refused.element("Code").as_deref()),
                (400, Some("InvalidArgument")),
                "{added}"
            );
        }
        put.body("x").expect(200).await;
    }
    // Two headers do not count as one.
    let signed = f.client.request("GET", "/bkt");
    signed.clone().unsigned_header("authorization", invented).refused(400, "InvalidArgument").await;
    signed.expect(200).await;
    let listed = f.client.get(&format!("/bkt/mine?uploadId={id}")).await;
    assert_eq!(listed.elements("Size"), ["1"]);
}

#[tokio::test]
async fn old_signatures_and_forms_are_refused() {
    let f = Fixture::new().await;
    let old = f
        .client
        .request("GET", "/bkt")
        .auth(Auth::None)
        .unsigned_header("authorization", "AWS AKIA:AAAA");
    old.refused(400, "InvalidRequest").await;
    let form = f
        .client
        .request("POST", "/bkt")
        .auth(Auth::None)
        .header("content-type", "multipart/form-data; boundary=x");
    form.body("--x--").refused(501, "NotImplemented").await;
}

/// Creates a client with keys from a file.
fn with_key(f: &Fixture, id: &str) -> Client {
    let secret_access_key = Secret::new(format!("secret of {id}"));
    Client {
        credentials: Credentials { access_key_id: id.to_owned(), secret_access_key },
        ..f.client.clone()
    }
}

fn grants() -> Vec<Grant> {
    let key = |id: &str, rest: &str| {
        format!(
            "[[keys]]\naccess_key_id = \"{id}\"\nsecret_access_key = \"secret of {id}\"\n{rest}\n"
        )
    };
    let file = key("READER", "access = \"read-only\"")
        + &key("SCOPED", "scopes = [\"bkt/mine/\", \"own\"]");
    Grant::parse_file(&file).unwrap()
}

#[tokio::test]
async fn a_read_only_key_changes_nothing() {
    let f = Fixture::with(|options| options.grants = grants()).await;
    f.client.put("/bkt/k", "x").await;
    let reader = with_key(&f, "READER");
    assert_eq!(reader.request("GET", "/bkt/k").expect(200).await.text(), "x");
    reader.request("GET", "/bkt?list-type=2").expect(200).await;
    reader.request("GET", "/bkt?uploads").expect(200).await;
    for (method, target) in [
        ("PUT", "/bkt/k"),
        ("DELETE", "/bkt/k"),
        ("POST", "/bkt/k?uploads"),
        ("POST", "/bkt?delete"),
        ("PUT", "/new"),
        ("DELETE", "/bkt"),
        ("PUT", "/bkt?cors"),
        ("PUT", "/bkt/k?partNumber=1&uploadId=x"),
        ("DELETE", "/bkt/k?uploadId=x"),
    ] {
        reader.request(method, target).body("<x/>").refused(403, "AccessDenied").await;
    }
}

#[tokio::test]
async fn a_scoped_key_stays_in_its_scope() {
    let f = Fixture::with(|options| options.grants = grants()).await;
    f.client.put("/bkt/mine/a", "a").await;
    f.client.put("/bkt/theirs", "b").await;
    f.client.request("PUT", "/other").expect(200).await;
    let scoped = with_key(&f, "SCOPED");
    scoped.request("GET", "/bkt/mine/a").expect(200).await;
    scoped.request("PUT", "/bkt/mine/b").body("x").expect(200).await;
    scoped.request("GET", "/bkt/theirs").refused(403, "AccessDenied").await;
    scoped.request("PUT", "/bkt/mine").refused(403, "AccessDenied").await;
    scoped.request("GET", "/bkt?list-type=2&prefix=mine%2F").expect(200).await;
    scoped.request("GET", "/bkt?list-type=2").refused(403, "AccessDenied").await;
    scoped.request("GET", "/bkt?list-type=2&prefix=min").refused(403, "AccessDenied").await;
    scoped.request("HEAD", "/bkt").expect(200).await;
    scoped.request("HEAD", "/other").expect(403).await;
    scoped.request("DELETE", "/bkt").refused(403, "AccessDenied").await;
    scoped.request("PUT", "/own").expect(200).await;
    assert_eq!(scoped.get("/").await.elements("Name"), ["bkt", "own"]);

    let copy =
        |source: &str| scoped.request("PUT", "/bkt/mine/copy").header("x-amz-copy-source", source);
    copy("/bkt/theirs").refused(403, "AccessDenied").await;
    copy("/bkt/mine/a").expect(200).await;
    let id = scoped.post("/bkt/mine/up?uploads", "").await.element("UploadId").unwrap();
    let part = format!("/bkt/mine/up?partNumber=1&uploadId={id}");
    scoped
        .request("PUT", &part)
        .header("x-amz-copy-source", "/bkt/theirs")
        .refused(403, "AccessDenied")
        .await;
    let delete = |key: &str| {
        scoped
            .request("POST", "/bkt?delete")
            .body(format!("<Delete><Object><Key>{key}</Key></Object></Delete>"))
    };
    delete("theirs").refused(403, "AccessDenied").await;
    delete("mine/a").expect(200).await;
    f.client.request("HEAD", "/bkt/theirs").expect(200).await;
}

#[tokio::test]
async fn replaced_keys_count_from_the_next_request() {
    let f = Fixture::with(|options| options.grants = grants()).await;
    let reader = with_key(&f, "READER");
    reader.request("GET", "/bkt").expect(200).await;
    f.server.replace_grants(Vec::new()).unwrap();
    reader.request("GET", "/bkt").refused(403, "InvalidAccessKeyId").await;
    f.server.replace_grants(grants()).unwrap();
    reader.request("GET", "/bkt").expect(200).await;
    // The owner's keys cannot be restricted: a file that tries is refused as a whole, and the other
    // keys stay valid.
    let mut owners = grants();
    owners[0].credentials = f.server.credentials().clone();
    let refused = f.server.replace_grants(owners.clone()).unwrap_err().to_string();
    assert!(refused.contains("is the owner's own"), "{refused}");
    reader.request("GET", "/bkt").expect(200).await;
    let dir = f.dir.path().join("store");
    f.server.stop().await;
    let mut options = crate::fixture::options(&f.dir);
    options.grants = owners;
    let error = haul_server::start(options.clone()).await.unwrap_err();
    assert!(matches!(error, haul_server::Error::Grants(_)), "{error:?} in {}", dir.display());
    options.grants = grants();
    let server = haul_server::start(options).await.unwrap();
    let f = Fixture { client: crate::client::Client::new(&server), server, dir: f.dir };
    f.client.request("GET", "/bkt").expect(200).await;
}

#[tokio::test]
async fn a_public_bucket_is_read_by_anybody_and_only_read() {
    let f =
        Fixture::with(|options| options.public_read_buckets = vec!["bkt".parse().unwrap()]).await;
    f.client.put("/bkt/k", "x").await;
    let anybody = |method: &str, target: &str| f.client.request(method, target).auth(Auth::None);
    assert_eq!(anybody("GET", "/bkt/k").expect(200).await.text(), "x");
    anybody("HEAD", "/bkt/k").expect(200).await;
    anybody("GET", "/bkt/absent").refused(404, "NoSuchKey").await;
    for (method, target) in [
        ("GET", "/bkt"),
        ("PUT", "/bkt/k"),
        ("DELETE", "/bkt/k"),
        ("GET", "/"),
        ("GET", "/other/k"),
        ("GET", "/bkt/k?acl"),
    ] {
        anybody(method, target).refused(403, "AccessDenied").await;
    }
}

#[tokio::test]
async fn anybody_reads_a_public_object_as_what_it_is() {
    let f =
        Fixture::with(|options| options.public_read_buckets = vec!["bkt".parse().unwrap()]).await;
    f.client.put("/bkt/k", "<script/>").await;
    for parameter in [
        "content-type=text%2Fhtml",
        "content-disposition=attachment",
        "expires=x",
        "cache-control=",
    ] {
        let target = format!("/bkt/k?response-{parameter}");
        let anybody = f.client.request("GET", &target).auth(Auth::None);
        let refused = anybody.refused(400, "InvalidRequest").await;
        let message =
            "Request specific response headers cannot be used for anonymous GET requests.";
        assert_eq!(refused.element("Message").as_deref(), Some(message));
    }
    let signed = "/bkt/k?response-content-type=text%2Fhtml";
    for auth in [Auth::Header, Auth::Presigned { expires: 60 }] {
        let answer = f.client.request("GET", signed).auth(auth).expect(200).await;
        assert_eq!(answer.header("content-type"), Some("text/html"));
    }
}

#[tokio::test]
async fn parameters_of_a_presigned_url_count_as_headers() {
    let f = Fixture::new().await;
    let put = |query: &str| {
        let request = f.client.request("PUT", &format!("/bkt/k?{query}"));
        request.auth(Auth::Presigned { expires: 60 }).body("bytes")
    };
    put("x-amz-meta-color=blue&X-Amz-Storage-Class=STANDARD_IA").expect(200).await;
    let head = f.client.request("HEAD", "/bkt/k").expect(200).await;
    assert_eq!(head.header("x-amz-meta-color"), Some("blue"));
    assert_eq!(head.header("x-amz-storage-class"), Some("STANDARD_IA"));
}

#[tokio::test]
async fn a_bucket_may_stand_in_the_host_name() {
    let f = Fixture::new().await;
    let host = format!("bkt.localhost:{}", f.client.address.port());
    let ask = |method: &str, target: &str| f.client.request(method, target).header("host", &host);
    // Larger than a document may be: this is an object, although its path has only one part.
    ask("PUT", "/key").body(vec![7; 7_000_000]).expect(200).await;
    assert_eq!(ask("GET", "/key").expect(200).await.body.len(), 7_000_000);
    assert_eq!(f.client.request("GET", "/bkt/key").expect(200).await.body.len(), 7_000_000);
    assert_eq!(ask("GET", "/?list-type=2").expect(200).await.elements("Key"), ["key"]);
    ask("GET", "/key").auth(Auth::Presigned { expires: 60 }).expect(200).await;
    ask("GET", "/key").auth(Auth::None).refused(403, "AccessDenied").await;
}

#[tokio::test]
async fn a_signature_for_any_region_is_taken() {
    // The client of these tests signs for us-east-1.
    let f = Fixture::with(|options| options.region = "eu-central-1".to_owned()).await;
    f.client.request("GET", "/bkt").expect(200).await;
}

/// Regression: `x-amz-expected-bucket-owner` was ignored, so a client that guarded against writing
/// into another account's bucket was not protected.
#[tokio::test]
async fn a_bucket_of_another_account_than_expected_is_denied() {
    let f = Fixture::new().await;
    let c = &f.client;
    c.put("/bkt/source", "x").await;
    let owner = c.request("GET", "/").expect(200).await.element("ID").unwrap();
    let requests = [
        ("GET", "/bkt", "x-amz-expected-bucket-owner", 200),
        ("PUT", "/bkt/k", "x-amz-expected-bucket-owner", 200),
        ("GET", "/bkt/source", "x-amz-expected-bucket-owner", 200),
        ("POST", "/bkt/k?uploads", "x-amz-expected-bucket-owner", 200),
        ("PUT", "/bkt/copy", "x-amz-source-expected-bucket-owner", 200),
        ("DELETE", "/bkt/source", "x-amz-expected-bucket-owner", 204),
    ];
    for (method, target, name, status) in requests {
        let request = |expected: &str| {
            let request = c.request(method, target).header(name, expected);
            if target == "/bkt/copy" {
                request.header("x-amz-copy-source", "/bkt/source")
            } else {
                request
            }
        };
        for other in ["111122223333", ""] {
            request(other).refused(403, "AccessDenied").await;
        }
        request(&owner).expect(status).await;
    }
    c.request("HEAD", "/bkt/source").expect(404).await;
}
