//! Non-ASCII headers of an object, and others that `s3s` does not read, are stored byte for byte,
//! as on AWS.

use crate::client::{Auth, Client, Request, Response, UNSIGNED};
use crate::fixture::Fixture;

const CACHE: &str = "ÄMÄZÕÑ S3";
const DISPOSITION: &str = "attachment; filename=\"test_—_file%E2%80%94_é_2👑.pdf\"";
const SENT: [(&str, &str); 8] = [
    ("cache-control", CACHE),
    ("content-disposition", DISPOSITION),
    ("content-language", "dé"),
    ("content-encoding", "é"),
    ("content-type", "text/plain; title=ü"),
    ("expires", "whenever it may be"),
    ("x-amz-website-redirect-location", "/ünder"),
    ("x-amz-meta-plain", "a = b_c"),
];

fn with_all(mut request: Request) -> Request {
    for (name, value) in SENT {
        request = request.header(name, value);
    }
    request
}

fn assert_all(answer: &Response) {
    for (name, value) in SENT {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

async fn parts(c: &Client, key: &str, create: Request) {
    let id = create.expect(200).await.element("UploadId").unwrap();
    let part = c
        .request("PUT", &format!("/bkt/{key}?partNumber=1&uploadId={id}"))
        .body("x")
        .expect(200)
        .await;
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
            </CompleteMultipartUpload>",
        part.etag()
    );
    c.request("POST", &format!("/bkt/{key}?uploadId={id}")).body(list).expect(200).await;
}

/// Regression: a file name with an umlaut in Content-Disposition was refused with `invalid header`.
#[tokio::test]
async fn headers_in_utf8_come_back_byte_for_byte() {
    let f = Fixture::new().await;
    let c = &f.client;
    with_all(c.request("PUT", "/bkt/signed")).body("x").expect(200).await;
    let unsigned = with_all(c.request("PUT", "/bkt/unsigned")).payload(UNSIGNED).body("x");
    unsigned.expect(200).await;
    let presigned =
        with_all(c.request("PUT", "/bkt/presigned")).auth(Auth::Presigned { expires: 60 });
    presigned.body("x").expect(200).await;
    parts(c, "parts", with_all(c.request("POST", "/bkt/parts?uploads"))).await;
    let copy = c.request("PUT", "/bkt/replaced").header("x-amz-copy-source", "/bkt/signed");
    with_all(copy.header("x-amz-metadata-directive", "REPLACE")).expect(200).await;
    for key in ["signed", "unsigned", "presigned", "parts", "replaced"] {
        for method in ["GET", "HEAD"] {
            assert_all(&c.request(method, &format!("/bkt/{key}")).expect(200).await);
        }
        assert_eq!(c.get(&format!("/bkt/{key}")).await.text(), "x", "{key}");
    }
}

/// The signature, payload, conditions and sender of such a request are checked as usual.
#[tokio::test]
async fn requests_with_headers_in_utf8_are_checked_like_others() {
    let f = Fixture::new().await;
    let c = &f.client;
    let put = || with_all(c.request("PUT", "/bkt/k")).body("x");
    let mut stranger = c.clone();
    stranger.credentials.access_key_id = "AKIDOFNOBODY".to_owned();
    with_all(stranger.request("PUT", "/bkt/k")).body("x").refused(403, "InvalidAccessKeyId").await;
    put().auth(Auth::None).refused(403, "AccessDenied").await;
    for target in ["/bkt?tagging", "/bkt/k?tagging", "/made"] {
        let anonymous = c.request("PUT", target).auth(Auth::None).body("<Tagging/>");
        anonymous.refused(403, "AccessDenied").await;
    }
    put().unsigned_header("x-amz-meta-added", "ä").refused(403, "AccessDenied").await;
    put().payload(&"0".repeat(64)).refused(400, "XAmzContentSHA256Mismatch").await;
    put().header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==").refused(400, "BadDigest").await;
    put().header("x-amz-checksum-crc32c", "AAAAAA==").refused(400, "BadDigest").await;
    c.request("HEAD", "/bkt/k").expect(404).await;
    put().header("if-none-match", "*").expect(200).await;
    put().header("if-none-match", "*").refused(412, "PreconditionFailed").await;
    with_all(c.request("PUT", "/missing/k")).body("x").refused(404, "NoSuchBucket").await;
    assert_eq!(c.get("/bkt/k").await.text(), "x");
}

#[tokio::test]
async fn user_metadata_in_utf8_comes_back_as_rfc_2047() {
    let f = Fixture::new().await;
    let c = &f.client;
    let long = "é".repeat(60);
    let put = c
        .request("PUT", "/bkt/k")
        .header("x-amz-meta-nonascii", CACHE)
        .header("x-amz-meta-file", "test_—_file%E2%80%94_é_2👑.pdf")
        .header("x-amz-meta-long", &long)
        .header("x-amz-meta-encoded", "=?UTF-8?B?AAECAwQ=?=")
        .header("x-amz-meta-malformed", "=?UTF-8?B?not base64?=")
        .header("x-amz-meta-unknown", "=?x-klingon?Q?abc?=");
    put.body("x").expect(200).await;
    let head = c.request("HEAD", "/bkt/k").expect(200).await;
    for (name, value) in [
        ("nonascii", "=?UTF-8?Q?=C3=84M=C3=84Z=C3=95=C3=91_S3?="),
        ("file", "=?UTF-8?Q?test=5F=E2=80=94=5Ffile%E2%80%94=5F=C3=A9=5F2=F0=9F=91=91.pdf?="),
        ("encoded", "=?UTF-8?B?AAECAwQ=?="),
        ("malformed", "=?UTF-8?B?not base64?="),
        ("unknown", "=?x-klingon?Q?abc?="),
    ] {
        assert_eq!(head.header(&format!("x-amz-meta-{name}")), Some(value));
    }
    let words: Vec<&str> = head.header("x-amz-meta-long").unwrap().split(' ').collect();
    assert!(words.len() > 1 && words.iter().all(|word| word.len() <= 75), "{words:?}");
    // A copy keeps the value as sent, not as returned.
    c.request("PUT", "/bkt/copy").header("x-amz-copy-source", "/bkt/k").expect(200).await;
    let copied = c.request("HEAD", "/bkt/copy").expect(200).await;
    assert_eq!(copied.header("x-amz-meta-nonascii"), head.header("x-amz-meta-nonascii"));
}

/// A repeated name has both values, joined as in the signature.
#[tokio::test]
async fn metadata_that_comes_twice_is_joined() {
    let f = Fixture::new().await;
    let signed = f.client.request("PUT", "/bkt/k").header("x-amz-meta-a", "1,2").sign();
    let twice = signed.head.replace("x-amz-meta-a: 1,2", "x-amz-meta-a: 1\r\nx-amz-meta-a: 2");
    assert_eq!(f.client.raw(twice.as_bytes()).await.status, 200);
    assert_eq!(f.client.get("/bkt/k").await.header("x-amz-meta-a"), Some("1,2"));
}

/// Regression: AWS ignores an invalid Range, or one with several ranges; this server responded 400.
#[tokio::test]
async fn a_range_that_is_none_is_passed_over() {
    let f = Fixture::with(|options| {
        options.public_read_buckets = vec![haul_parts::Bucket::new("bkt").unwrap()];
    })
    .await;
    let c = &f.client;
    c.put("/bkt/k", "0123456789").await;
    for range in [
        "bytes=1-0",
        "bytes=-1-",
        "bytes=0--1",
        "bytes=0-1,3-4",
        "bytes=-",
        "0-8",
        "lines=1-2",
        "bytes=ä-",
    ] {
        for method in ["GET", "HEAD"] {
            let whole = c.request(method, "/bkt/k").header("range", range).expect(200).await;
            assert_eq!(whole.header("content-length"), Some("10"), "{range}");
            assert_eq!(whole.header("content-range"), None, "{range}");
        }
        let anonymous =
            c.request("GET", "/bkt/k").auth(Auth::None).header("range", range).expect(200).await;
        assert_eq!(anonymous.text(), "0123456789", "{range}");
    }
    c.request("GET", "/bkt/k").header("range", "bytes=-0").refused(416, "InvalidRange").await;
    c.request("GET", "/bkt/absent").header("range", "bytes=x").refused(404, "NoSuchKey").await;
}
