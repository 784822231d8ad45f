//! The parts of a request that a signature in a URL covers, in both versions; and the response if
//! the signature does not match.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::client::{Auth, Client, Response, hmac};
use crate::fixture::Fixture;
use haul_server::Secret;

/// A URL signed with version 2, written from the S3 Developer Guide.
struct OldUrl<'a> {
    method: &'a str,
    path: &'a str,
    content_type: &'a str,
    /// `x-amz-` parameters by name, with values that need no encoding.
    amz: &'a [(&'a str, &'a str)],
}

impl OldUrl<'_> {
    fn sign(&self, c: &Client) -> String {
        let expires = jiff::Timestamp::now().as_second() + 60;
        let amz: String =
            self.amz.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let text =
            format!("{}\n\n{}\n{expires}\n{amz}{}", self.method, self.content_type, self.path);
        let mac = hmac_sha1(c.credentials.secret_access_key.expose().as_bytes(), text.as_bytes());
        let signature =
            STANDARD.encode(mac).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let id = &c.credentials.access_key_id;
        let mut url =
            format!("{}?AWSAccessKeyId={id}&Signature={signature}&Expires={expires}", self.path);
        for (name, value) in self.amz {
            url.push_str(&format!("&{name}={value}"));
        }
        if !self.content_type.is_empty() {
            url.push_str(&format!("&content-type={}", self.content_type.replace('/', "%2F")));
        }
        url
    }
}

fn old(method: &str, path: &str, c: &Client) -> String {
    OldUrl { method, path, content_type: "", amz: &[] }.sign(c)
}

/// Computes HMAC-SHA1 (RFC 2104).
fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |pad: u8| block.map(|b| b ^ pad);
    let inner = Sha1::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha1::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

/// Sends a URL unchanged, with only these headers.
async fn send(f: &Fixture, method: &str, url: &str, headers: &str, body: &str) -> Response {
    let length = body.len();
    let head = format!(
        "{method} {url} HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    f.client.raw(head.as_bytes()).await
}

#[track_caller]
fn assert_refused(answer: &Response, status: u16, code: &str) {
    assert_eq!(
        (answer.status, answer.element("Code").as_deref()),
        (status, Some(code)),
        "{}",
        answer.text()
    );
}

const TAGS: &str = "<Tagging><TagSet><Tag><Key>a</Key><Value>new</Value></Tag></TagSet></Tagging>";

/// Regression: `s3s` left repeated parameters out of the signed text, but routed by them. With
/// `&tagging&tagging` appended, a presigned GET read the tags and a presigned PUT replaced them.
/// Version 2 does not cover other sub-resources at all.
#[tokio::test]
async fn a_version_two_url_stays_the_operation_it_was_signed_for() {
    let f = Fixture::new().await;
    let put = f.client.request("PUT", "/bkt/k").header("x-amz-tagging", "a=old").body("kept");
    put.expect(200).await;
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    for (method, body) in [("GET", ""), ("PUT", TAGS), ("DELETE", ""), ("POST", "")] {
        let url = old(method, "/bkt/k", &f.client);
        for name in [
            "tagging",
            "acl",
            "uploads",
            "versionId=null",
            "restore",
            "torrent",
            "response-expires=x",
        ] {
            let twice = send(&f, method, &format!("{url}&{name}&{name}"), "", body).await;
            assert_refused(&twice, 400, "InvalidArgument");
            let once = send(&f, method, &format!("{url}&{name}"), "", body).await;
            assert!(once.status == 403 || once.status == 405, "{method} {name}: {}", once.text());
        }
        for appended in [
            "&%74agging&tagging",
            "&uploadId=U&uploadId=U&partNumber=1",
            "&Expires=9",
            "&AWSAccessKeyId=x",
        ] {
            let appended = appended.replace("=U", &format!("={id}"));
            assert_refused(
                &send(&f, method, &format!("{url}{appended}"), "", body).await,
                400,
                "InvalidArgument",
            );
        }
    }
    let url = old("GET", "/bkt/k", &f.client);
    for open in ["attributes", "legal-hold", "retention", "encryption", "publicAccessBlock"] {
        assert_refused(
            &send(&f, "GET", &format!("{url}&{open}"), "", "").await,
            403,
            "AccessDenied",
        );
    }
    assert_eq!(send(&f, "GET", &url, "", "").await.text(), "kept");
    assert_eq!(f.client.get("/bkt/k?tagging").await.element("Value").as_deref(), Some("old"));
}

/// Version 4 covers the whole query, but of two equal parameters, the code that verifies could read
/// one and the code that routes the other.
#[tokio::test]
async fn a_repeated_parameter_is_refused_however_it_is_signed() {
    let f = Fixture::new().await;
    f.client.put("/bkt/k", "kept").await;
    for auth in [Auth::Header, Auth::Presigned { expires: 60 }, Auth::None] {
        for (method, target) in [
            ("GET", "/bkt/k?tagging=&tagging="),
            ("DELETE", "/bkt/k?uploadId=a&uploadId=b"),
            ("PUT", "/bkt/k?partNumber=1&partNumber=2&uploadId=a"),
            ("GET", "/bkt?list-type=2&list-type=2"),
            ("GET", "/bkt?prefix=a&prefix=b"),
            ("PUT", "/bkt/k?X-Amz-Meta-A=1&x-amz-meta-a=2"),
        ] {
            f.client
                .request(method, target)
                .auth(auth.clone())
                .refused(400, "InvalidArgument")
                .await;
        }
    }
    assert_eq!(f.client.get("/bkt/k").await.text(), "kept");
}

/// Regression: boto3 puts Metadata and ContentType into the query of URLs that it signs with
/// version 2, its default in the older regions. They were in no header and so not in the signed
/// text, and the URL was refused.
#[tokio::test]
async fn metadata_in_a_version_two_url_is_signed_and_kept() {
    let f = Fixture::new().await;
    let amz = [("x-amz-meta-color", "blue"), ("x-amz-storage-class", "STANDARD_IA")];
    let url = OldUrl { method: "PUT", path: "/bkt/k", content_type: "text/plain", amz: &amz }
        .sign(&f.client);
    for (other, code) in [
        (url.replace("blue", "green"), "SignatureDoesNotMatch"),
        (url.replace("&x-amz-storage-class=STANDARD_IA", ""), "SignatureDoesNotMatch"),
        (url.replace("text%2Fplain", "text%2Fhtml"), "SignatureDoesNotMatch"),
        (format!("{url}&x-amz-copy-source=bkt%2Fother"), "SignatureDoesNotMatch"),
        (url.replace("/bkt/k", "/bkt/other"), "SignatureDoesNotMatch"),
    ] {
        assert_refused(&send(&f, "PUT", &other, "", "x").await, 403, code);
    }
    let copying = send(&f, "PUT", &url, "x-amz-copy-source: bkt/other\r\n", "x").await;
    assert_refused(&copying, 403, "SignatureDoesNotMatch");
    let framed = send(
        &f,
        "PUT",
        &url,
        "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n",
        "0\r\n\r\n",
    )
    .await;
    assert_refused(&framed, 501, "NotImplemented");
    f.client.request("HEAD", "/bkt/k").expect(404).await;

    // The hash of the body is a signed `x-amz-` header like any other; it is also compared with the
    // bytes.
    let other = hex::encode(Sha256::digest(b"other"));
    let amz_and_hash = [("x-amz-content-sha256", &*other), amz[0], amz[1]];
    let hashed = OldUrl { method: "PUT", path: "/bkt/k", content_type: "", amz: &amz_and_hash }
        .sign(&f.client);
    let hashed = hashed.replace(&format!("&x-amz-content-sha256={other}"), "");
    let header = format!("x-amz-content-sha256: {other}\r\n");
    assert_refused(
        &send(&f, "PUT", &hashed, &header, "sent").await,
        400,
        "XAmzContentSHA256Mismatch",
    );
    f.client.request("HEAD", "/bkt/k").expect(404).await;
    assert_eq!(send(&f, "PUT", &hashed, &header, "other").await.status, 200);

    assert_eq!(send(&f, "PUT", &url, "", "sent").await.status, 200);
    let head = f.client.request("HEAD", "/bkt/k").expect(200).await;
    assert_eq!(head.header("x-amz-meta-color"), Some("blue"));
    assert_eq!(head.header("x-amz-storage-class"), Some("STANDARD_IA"));
    assert_eq!(head.header("content-type"), Some("text/plain"));
    // The same from a client that also sends the header.
    assert_eq!(send(&f, "PUT", &url, "content-type: text/plain\r\n", "sent").await.status, 200);
}

/// The scopes of a key pair also apply to its version 2 URLs.
#[tokio::test]
async fn a_version_two_url_can_do_what_its_key_can() {
    let f = Fixture::with(|options| {
        options.grants = haul_server::Grant::parse_file(
            "[[keys]]\naccess_key_id = \"READER\"\nsecret_access_key = \"s\"\naccess = \
             \"read-only\"\nscopes = [\"bkt/a\"]\n",
        )
        .unwrap();
    })
    .await;
    f.client.put("/bkt/a1", "a").await;
    f.client.put("/bkt/b1", "b").await;
    let mut reader = f.client.clone();
    reader.credentials.access_key_id = "READER".to_owned();
    reader.credentials.secret_access_key = Secret::new("s");
    assert_eq!(send(&f, "GET", &old("GET", "/bkt/a1", &reader), "", "").await.text(), "a");
    assert_refused(
        &send(&f, "GET", &old("GET", "/bkt/b1", &reader), "", "").await,
        403,
        "AccessDenied",
    );
    assert_refused(
        &send(&f, "PUT", &old("PUT", "/bkt/a1", &reader), "", "x").await,
        403,
        "AccessDenied",
    );
    reader.credentials.access_key_id = "STRANGER".to_owned();
    assert_refused(
        &send(&f, "GET", &old("GET", "/bkt/a1", &reader), "", "").await,
        403,
        "InvalidAccessKeyId",
    );
}

/// Converts a string such as `41 57 53` to text.
fn text_of(bytes: &str) -> String {
    let bytes = bytes.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_mismatch_shows_what_was_computed_and_no_secret() {
    let f = Fixture::new().await;
    let mut forger = f.client.clone();
    forger.credentials.secret_access_key = Secret::new("guess");
    for auth in [Auth::Header, Auth::Presigned { expires: 60 }] {
        let request = forger
            .request("GET", "/bkt/a%20b?prefix=%2B&x=")
            .header("x-amz-meta-a", " 1  2 ")
            .auth(auth);
        let signed = request.sign();
        let refused = f.client.raw(signed.head.as_bytes()).await;
        assert_refused(&refused, 403, "SignatureDoesNotMatch");
        assert_eq!(
            refused.element("AWSAccessKeyId").as_deref(),
            Some(&*f.client.credentials.access_key_id)
        );
        assert_eq!(refused.element("SignatureProvided").as_deref(), Some(&*signed.signature));
        let canonical = refused.element("CanonicalRequest").unwrap();
        let lines: Vec<&str> = canonical.lines().collect();
        assert_eq!(lines[..2], ["GET", "/bkt/a%20b"], "{canonical}");
        assert!(lines[2].ends_with("prefix=%2B&x="), "{canonical}");
        assert!(canonical.contains("\nx-amz-meta-a:1 2\n"), "{canonical}");
        let to_sign = refused.element("StringToSign").unwrap();
        let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
        assert_eq!(
            to_sign,
            format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", signed.timestamp, signed.scope)
        );
        assert_eq!(text_of(&refused.element("StringToSignBytes").unwrap()), to_sign);
        assert_eq!(text_of(&refused.element("CanonicalRequestBytes").unwrap()), canonical);
        assert!(!refused.text().contains(f.client.credentials.secret_access_key.expose()));
        // This request has no header with repeated blanks, which the client does not collapse: the
        // text is exactly the one that the client signed.
        let request = forger.request("GET", "/bkt/a%20b?x=").sign();
        let refused = f.client.raw(request.head.as_bytes()).await;
        let to_sign = refused.element("StringToSign").unwrap();
        assert_eq!(hex::encode(hmac(&request.signing_key, to_sign.as_bytes())), request.signature);
    }
    let refused = send(&f, "GET", &old("GET", "/bkt/k", &forger), "", "").await;
    assert_refused(&refused, 403, "SignatureDoesNotMatch");
    let to_sign = refused.element("StringToSign").unwrap();
    assert!(to_sign.starts_with("GET\n\n\n") && to_sign.ends_with("\n/bkt/k"), "{to_sign}");
    assert_eq!(text_of(&refused.element("StringToSignBytes").unwrap()), to_sign);
    assert_eq!(refused.element("CanonicalRequest"), None);
}

/// Regression: a presigned PUT overwrote an object although its signer had forbidden that, because
/// the condition in the query was not read.
#[tokio::test]
async fn a_condition_in_a_presigned_url_holds() {
    let f = Fixture::new().await;
    let put = |query: &str| {
        let request = f.client.request("PUT", &format!("/bkt/k?{query}"));
        request.auth(Auth::Presigned { expires: 60 }).body("bytes")
    };
    let etag = put("If-None-Match=%2A").expect(200).await.etag();
    let refused = put("If-None-Match=%2A").refused(412, "PreconditionFailed").await;
    assert_eq!(refused.element("Condition").as_deref(), Some("If-None-Match"));
    put("if-none-match=%2A").refused(412, "PreconditionFailed").await;
    put("If-Match=%22other%22").refused(412, "PreconditionFailed").await;
    put(&format!("If-Match={}", etag.replace('"', "%22"))).expect(200).await;

    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    let part = f.client.put(&format!("/bkt/k?partNumber=1&uploadId={id}"), "part").await.etag();
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part}</ETag></Part>\
            </CompleteMultipartUpload>"
    );
    let complete = |query: &str| {
        let request = f.client.request("POST", &format!("/bkt/k?uploadId={id}{query}"));
        request.auth(Auth::Presigned { expires: 60 }).body(list.as_str())
    };
    complete("&If-None-Match=%2A").refused(412, "PreconditionFailed").await;
    complete("&If-Match=%22other%22").refused(412, "PreconditionFailed").await;
    assert_eq!(f.client.get("/bkt/k").await.text(), "bytes");
    complete("").expect(200).await;
}

/// The SDK for JavaScript presigns a URL with a checksum before it has the body. Browsers upload
/// with such URLs.
#[tokio::test]
async fn a_checksum_in_a_presigned_url_is_signed_and_ignored() {
    let f = Fixture::new().await;
    let id = f.client.post("/bkt/k?uploads", "").await.element("UploadId").unwrap();
    let query =
        "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject";
    for target in [format!("/bkt/k?{query}"), format!("/bkt/k?partNumber=1&uploadId={id}&{query}")]
    {
        let put =
            f.client.request("PUT", &target).auth(Auth::Presigned { expires: 60 }).body("bytes");
        let answer = put.clone().expect(200).await;
        assert_eq!(answer.header("x-amz-checksum-crc32"), None);
        assert!(answer.header("x-amz-checksum-crc64nvme").is_some());
        let changed = put.sign().head.replace("AAAAAA%3D%3D", "AAAAAQ%3D%3D");
        assert_refused(
            &f.client.raw(format!("{changed}bytes").as_bytes()).await,
            403,
            "SignatureDoesNotMatch",
        );
        // A header, unlike a parameter, declares the checksum of this body.
        let put =
            f.client.request("PUT", &target).auth(Auth::Presigned { expires: 60 }).body("bytes");
        put.header("x-amz-checksum-crc32", "AAAAAA==").refused(400, "BadDigest").await;
    }
    assert_eq!(f.client.get("/bkt/k").await.text(), "bytes");
}

/// On AWS a plus sign in a path is a blank; clients have to write `%2B` for the sign itself.
#[tokio::test]
async fn a_plus_in_a_path_and_a_copy_source_is_a_blank() {
    let f =
        Fixture::with(|options| options.public_read_buckets = vec!["bkt".parse().unwrap()]).await;
    f.client.put("/bkt/a%2Bb", "plus").await;
    f.client.put("/bkt/a%20b", "blank").await;
    let get = |auth: Auth| f.client.request("GET", "/bkt/a+b").auth(auth);
    for auth in [Auth::Header, Auth::Presigned { expires: 60 }, Auth::None] {
        assert_eq!(get(auth.clone()).expect(200).await.text(), "blank");
        assert_eq!(
            f.client.request("GET", "/bkt/a%2Bb").auth(auth).expect(200).await.text(),
            "plus"
        );
    }
    assert_eq!(send(&f, "GET", &old("GET", "/bkt/a+b", &f.client), "", "").await.text(), "blank");
    for (source, expected) in [("bkt/a+b", "blank"), ("/bkt/a%2Bb", "plus"), ("bkt/a%20b", "blank")]
    {
        f.client.request("PUT", "/bkt/copy").header("x-amz-copy-source", source).expect(200).await;
        assert_eq!(f.client.get("/bkt/copy").await.text(), expected, "{source}");
    }
    f.client.request("PUT", "/bkt/c+d").body("x").expect(200).await;
    assert_eq!(f.client.get("/bkt?list-type=2&prefix=c%20").await.elements("Key"), ["c d"]);
}

/// The scope of a key pair is checked with the decoded key.
#[tokio::test]
async fn a_plus_in_a_path_does_not_leave_a_scope() {
    let f = Fixture::with(|options| {
        let file =
            "[[keys]]\naccess_key_id = \"K\"\nsecret_access_key = \"s\"\nscopes = [\"bkt/a+\"]\n";
        options.grants = haul_server::Grant::parse_file(file).unwrap();
    })
    .await;
    f.client.put("/bkt/a%20b", "blank").await;
    let mut scoped = f.client.clone();
    scoped.credentials.access_key_id = "K".to_owned();
    scoped.credentials.secret_access_key = Secret::new("s");
    scoped.request("GET", "/bkt/a+b").refused(403, "AccessDenied").await;
    scoped.request("PUT", "/bkt/a%2Bb").body("x").expect(200).await;
    let copy = scoped.request("PUT", "/bkt/a%2Bc").header("x-amz-copy-source", "bkt/a+b");
    copy.refused(403, "AccessDenied").await;
}
