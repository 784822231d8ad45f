//! `x-amz-server-side-encryption`, for a volume that the operator has declared to be encrypted and
//! for one without that declaration.

use crate::fixture::Fixture;

const SSE: &str = "x-amz-server-side-encryption";
const RULE: &str = "<ServerSideEncryptionConfiguration><Rule>\
    <ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
    </ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";

/// Regression: s3cmd, rclone and Hadoop are often configured to request AES256. The response was
/// 501, so they retried again and again.
#[tokio::test]
async fn aes256_is_refused_for_good_unless_the_volume_is_encrypted() {
    let f = Fixture::new().await;
    let c = &f.client;
    for request in [
        c.request("PUT", "/bkt/k").body("x"),
        c.request("POST", "/bkt/k?uploads"),
        c.request("PUT", "/bkt/k").header("x-amz-copy-source", "/bkt/source"),
    ] {
        let refused = request.header(SSE, "AES256").refused(400, "InvalidRequest").await;
        let message = refused.element("Message").unwrap();
        assert!(message.contains("--volume-is-encrypted"), "{message}");
    }
    c.request("PUT", "/bkt?encryption").body(RULE).refused(400, "InvalidRequest").await;
    let none = c.request("GET", "/bkt?encryption");
    none.refused(404, "ServerSideEncryptionConfigurationNotFoundError").await;
    let put = c.request("PUT", "/bkt/k").body("x").expect(200).await;
    assert_eq!(put.header(SSE), None);
    assert_eq!(c.get("/bkt/k").await.header(SSE), None);
}

#[tokio::test]
async fn aes256_is_taken_and_answered_where_the_volume_is_encrypted() {
    let f = Fixture::with(|options| options.volume_is_encrypted = true).await;
    let c = &f.client;
    let created = c.request("POST", "/bkt/parts?uploads").header(SSE, "AES256").expect(200).await;
    let id = created.element("UploadId").unwrap();
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
    let completed =
        c.request("POST", &format!("/bkt/parts?uploadId={id}")).body(list).expect(200).await;
    // As on AWS, the header is returned for every object, whether the client asked for it or not.
    let answers = [
        created,
        part,
        completed,
        c.request("PUT", "/bkt/k").header(SSE, "AES256").body("x").expect(200).await,
        c.request("PUT", "/bkt/plain").body("x").expect(200).await,
        c.request("PUT", "/bkt/copy").header("x-amz-copy-source", "/bkt/k").expect(200).await,
        c.request("PUT", "/bkt/k")
            .header("x-amz-copy-source", "/bkt/k")
            .header(SSE, "AES256")
            .expect(200)
            .await,
        c.request("GET", "/bkt/plain").expect(200).await,
        c.request("GET", "/bkt/k").header("range", "bytes=0-0").expect(206).await,
        c.request("HEAD", "/bkt/parts").expect(200).await,
    ];
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(answer.header(SSE), Some("AES256"), "answer {index}: {answer:?}");
    }
    let shown = c.request("GET", "/bkt?encryption").expect(200).await;
    assert_eq!(shown.element("SSEAlgorithm").as_deref(), Some("AES256"));
    assert_eq!(shown.element("BucketKeyEnabled").as_deref(), Some("false"));
    c.request("PUT", "/bkt?encryption").body(RULE).expect(200).await;
    c.request("PUT", "/bkt?encryption")
        .body(RULE.replace("AES256", "aws:kms"))
        .refused(400, "InvalidRequest")
        .await;
    let two = RULE.replace("</Rule>", "</Rule><Rule></Rule>");
    c.request("PUT", "/bkt?encryption").body(two).refused(400, "MalformedXML").await;
}

/// Unsupported encryption is refused with or without the declaration, and never with 501.
#[tokio::test]
async fn other_encryption_is_refused_on_writes_and_reads() {
    let customer = "x-amz-server-side-encryption-customer-algorithm";
    for declared in [false, true] {
        let f = Fixture::with(|options| options.volume_is_encrypted = declared).await;
        let c = &f.client;
        c.put("/bkt/k", "kept").await;
        for (name, value, code) in [
            (SSE, "aws:kms", "InvalidRequest"),
            (SSE, "rot13", "InvalidArgument"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "key", "InvalidRequest"),
            (customer, "AES256", "InvalidRequest"),
        ] {
            c.request("PUT", "/bkt/k").header(name, value).body("new").refused(400, code).await;
            c.request("POST", "/bkt/k?uploads").header(name, value).refused(400, code).await;
        }
        c.request("GET", "/bkt/k").header(customer, "AES256").refused(400, "InvalidRequest").await;
        c.request("GET", "/bkt/k").header(SSE, "AES256").refused(400, "InvalidArgument").await;
        c.request("HEAD", "/bkt/k").header(SSE, "AES256").expect(400).await;
        let copy = c.request("PUT", "/bkt/copy").header("x-amz-copy-source", "/bkt/k");
        let keyed = "x-amz-copy-source-server-side-encryption-customer-algorithm";
        copy.header(keyed, "AES256").refused(400, "InvalidRequest").await;
        assert_eq!(c.get("/bkt/k").await.text(), "kept");
    }
}
