//! Buckets: creating, finding and removing them, and the requests that clients send by habit.

use crate::fixture::Fixture;
use haul_server::AutoCreateBuckets;

#[tokio::test]
async fn buckets_are_made_found_listed_and_removed() {
    let f = Fixture::new().await;
    let c = &f.client;
    let head = c.request("HEAD", "/bkt").expect(200).await;
    assert_eq!(head.header("x-amz-bucket-region"), Some("us-east-1"));
    c.request("HEAD", "/missing").expect(404).await;
    c.request("PUT", "/another.one").expect(200).await;
    let list = c.request("GET", "/").expect(200).await;
    assert_eq!(
        list.elements("Name"),
        ["another.one", "bkt"].map(str::to_owned).to_vec().as_slice()
    );
    let page = c.request("GET", "/?max-buckets=1").expect(200).await;
    assert_eq!(page.elements("Name"), ["another.one"]);
    let token = page.element("ContinuationToken").unwrap();
    let page =
        c.request("GET", &format!("/?continuation-token={token}&max-buckets=1")).expect(200).await;
    assert_eq!(page.elements("Name"), ["bkt"]);
    assert_eq!(page.element("ContinuationToken"), None);
    for (region, names) in [("us-east-1", vec!["another.one", "bkt"]), ("eu-west-1", vec![])] {
        let there = c.request("GET", &format!("/?bucket-region={region}")).expect(200).await;
        assert_eq!(there.elements("Name"), names, "{region}");
    }
    c.request("DELETE", "/another.one").expect(204).await;
    c.request("DELETE", "/another.one").refused(404, "NoSuchBucket").await;
}

#[tokio::test]
async fn a_bucket_made_again_is_no_error_in_us_east_1_only() {
    let f = Fixture::new().await;
    f.client.request("PUT", "/bkt").expect(200).await;
    let f = Fixture::with(|options| options.region = "eu-west-1".to_owned()).await;
    f.client.request("PUT", "/bkt").refused(409, "BucketAlreadyOwnedByYou").await;
    let location = f.client.request("GET", "/bkt?location").expect(200).await;
    assert!(location.text().contains(">eu-west-1</LocationConstraint>"), "{}", location.text());
}

#[tokio::test]
async fn any_location_constraint_is_taken() {
    let f = Fixture::new().await;
    let body = "<CreateBucketConfiguration \
        xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>\
            eu-west-3</LocationConstraint></CreateBucketConfiguration>";
    f.client.request("PUT", "/there").body(body).expect(200).await;
    let location = f.client.request("GET", "/there?location").expect(200).await;
    assert!(location.text().contains("LocationConstraint"), "{}", location.text());
    assert!(!location.text().contains("eu-west-3"));
}

#[tokio::test]
async fn bad_bucket_names_are_refused() {
    let f = Fixture::new().await;
    for name in ["ab", "Upper", "a..b", "192.168.0.1", "xn--x", "-a-", "x-s3alias", "sthree-x"] {
        f.client.request("PUT", &format!("/{name}")).refused(400, "InvalidBucketName").await;
    }
}

#[tokio::test]
async fn a_bucket_with_objects_is_not_deleted_one_with_uploads_is() {
    let f = Fixture::new().await;
    let c = &f.client;
    c.request("PUT", "/bkt/k").body("x").expect(200).await;
    c.request("DELETE", "/bkt").refused(409, "BucketNotEmpty").await;
    c.request("DELETE", "/bkt/k").expect(204).await;
    c.request("POST", "/bkt/k?uploads").expect(200).await;
    c.request("DELETE", "/bkt").expect(204).await;
}

#[tokio::test]
async fn a_missing_bucket_is_refused_before_the_body_or_created() {
    let f = Fixture::new().await;
    f.client.request("PUT", "/missing/k").body("x").refused(404, "NoSuchBucket").await;
    f.client.request("POST", "/missing/k?uploads").refused(404, "NoSuchBucket").await;
    f.client.request("GET", "/missing?list-type=2").refused(404, "NoSuchBucket").await;

    let f = Fixture::with(|options| options.auto_create_buckets = AutoCreateBuckets::OnFirstWrite)
        .await;
    f.client.request("PUT", "/first/k").body("x").expect(200).await;
    f.client.request("POST", "/second/k?uploads").expect(200).await;
    f.client.request("GET", "/third/k").refused(404, "NoSuchBucket").await;
    f.client.request("HEAD", "/third").expect(404).await;
    assert_eq!(f.client.get("/").await.elements("Name"), ["bkt", "first", "second"]);
}

#[tokio::test]
async fn habitual_requests_are_answered_as_if_unconfigured() {
    let f = Fixture::new().await;
    let c = &f.client;
    c.request("PUT", "/bkt/k")
        .header("x-amz-tagging", "a=1&b=two%20words")
        .body("x")
        .expect(200)
        .await;
    for (query, status, code) in [
        ("acl", 200, None),
        ("versioning", 200, None),
        ("logging", 200, None),
        ("notification", 200, None),
        ("accelerate", 200, None),
        ("requestPayment", 200, None),
        ("policy", 404, Some("NoSuchBucketPolicy")),
        ("policyStatus", 404, Some("NoSuchBucketPolicy")),
        ("tagging", 404, Some("NoSuchTagSet")),
        ("encryption", 404, Some("ServerSideEncryptionConfigurationNotFoundError")),
        ("publicAccessBlock", 200, None),
        ("website", 404, Some("NoSuchWebsiteConfiguration")),
        ("replication", 404, Some("ReplicationConfigurationNotFoundError")),
        ("ownershipControls", 200, None),
        ("object-lock", 404, Some("ObjectLockConfigurationNotFoundError")),
        ("lifecycle", 404, Some("NoSuchLifecycleConfiguration")),
        ("cors", 404, Some("NoSuchCORSConfiguration")),
        ("inventory", 501, Some("NotImplemented")),
    ] {
        let answer = c.request("GET", &format!("/bkt?{query}")).expect(status).await;
        assert_eq!(answer.element("Code").as_deref(), code, "{query}");
        let missing = c.request("GET", &format!("/missing?{query}")).send().await;
        assert!(missing.status == 404 || missing.status == 501, "{query}: {}", missing.text());
    }
    let acl = c.request("GET", "/bkt/k?acl").expect(200).await;
    assert_eq!(acl.element("Permission").as_deref(), Some("FULL_CONTROL"));
    let tagging = c.request("GET", "/bkt/k?tagging").expect(200).await;
    assert_eq!(tagging.elements("Value"), ["1", "two words"]);
    assert_eq!(
        c.request("HEAD", "/bkt/k").expect(200).await.header("x-amz-tagging-count"),
        Some("2")
    );
}

/// Every sub-resource with every method gets AWS's response, or one that it does not exist; never
/// an internal error.
///
/// Regression: `DELETE /bucket/key?acl` removed the object, and `PUT /bucket?location` created a
/// bucket. The sub-resource was known, but not with that method, and the rest of the request was
/// another operation.
#[tokio::test]
async fn no_sub_resource_fails_and_none_harms() {
    let f = Fixture::new().await;
    let c = &f.client;
    c.put("/bkt/k", "kept").await;
    let sub_resources = [
        "accelerate",
        "acl",
        "analytics",
        "attributes",
        "cors",
        "delete",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "location",
        "logging",
        "metadataTable",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "session",
        "tagging",
        "torrent",
        "uploads",
        "versioning",
        "versions",
        "website",
    ];
    let bodies = [
        "",
        "{}",
        "<X/>",
        "<Tagging><TagSet></TagSet></Tagging>",
        "<AccessControlPolicy></AccessControlPolicy>",
    ];
    for name in sub_resources {
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
            for target in ["/bkt", "/bkt/k", "/bkt/absent", "/missing"] {
                for body in bodies.iter().take(if method == "PUT" || method == "POST" {
                    bodies.len()
                } else {
                    1
                }) {
                    let answer =
                        c.request(method, &format!("{target}?{name}")).body(*body).send().await;
                    assert_ne!(
                        answer.status,
                        500,
                        "{method} {target}?{name} {body}: {}",
                        answer.text()
                    );
                    assert_ne!(
                        answer.status,
                        503,
                        "{method} {target}?{name} {body}: {}",
                        answer.text()
                    );
                }
            }
        }
    }
    // A part number without an upload id is no request for an object, nor is the reverse.
    c.request("PUT", "/bkt/k?partNumber=1").body("part").refused(400, "InvalidArgument").await;
    c.request("PUT", "/bkt/k?uploadId=u").body("part").refused(400, "InvalidArgument").await;
    assert_eq!(c.get("/bkt/k").await.text(), "kept");
    c.request("HEAD", "/missing").expect(404).await;
    c.request("HEAD", "/bkt/absent").expect(404).await;
}

#[tokio::test]
async fn an_unknown_sub_resource_changes_nothing() {
    let f = Fixture::new().await;
    let c = &f.client;
    c.request("PUT", "/new-bucket?somethingNew").refused(501, "NotImplemented").await;
    c.request("HEAD", "/new-bucket").expect(404).await;
    c.request("PUT", "/bkt/k").body("x").expect(200).await;
    c.request("DELETE", "/bkt/k?somethingNew").refused(501, "NotImplemented").await;
    c.request("DELETE", "/bkt/k?versionId=other").refused(400, "InvalidArgument").await;
    c.request("HEAD", "/bkt/k").expect(200).await;
}

/// Regression: a rule of 2,147,483,647 days is due after the last possible date. Converting it
/// panicked, and the connection ended without a response although the upload was created.
#[tokio::test]
async fn an_abort_date_after_the_last_year_is_not_shown() {
    let f = Fixture::new().await;
    for (days, shown) in [("2147483647", false), ("2913000", false), ("2000000", true)] {
        let rule = format!(
            "<LifecycleConfiguration><Rule><ID>r</ID><Filter><Prefix></Prefix></Filter><Status>\
                Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>\
                {days}</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
                </LifecycleConfiguration>"
        );
        f.client.request("PUT", "/bkt?lifecycle").body(rule).expect(200).await;
        let created = f.client.request("POST", "/bkt/k?uploads").expect(200).await;
        let upload = created.element("UploadId").unwrap();
        let listed =
            f.client.request("GET", &format!("/bkt/k?uploadId={upload}")).expect(200).await;
        for answer in [created, listed] {
            assert_eq!(answer.header("x-amz-abort-date").is_some(), shown, "{days}: {answer:?}");
            assert_eq!(answer.header("x-amz-abort-rule-id").is_some(), shown, "{days}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_lifecycle_is_kept_and_shown_as_far_as_it_is_executed() {
    let f = Fixture::new().await;
    let c = &f.client;
    let rule = |id: &str, prefix: &str, days: &str| {
        format!(
            "<Rule><ID>{id}</ID><Filter><Prefix>{prefix}</Prefix></Filter><Status>\
                Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>\
                {days}</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>"
        )
    };
    let document =
        |rules: &str| format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
    let two = document(&(rule("all", "", "7") + &rule("tmp", "tmp/", "2")));
    c.request("PUT", "/bkt?lifecycle").body(two).expect(200).await;
    let shown = c.request("GET", "/bkt?lifecycle").expect(200).await;
    assert_eq!(shown.elements("ID"), ["all", "tmp"]);
    assert_eq!(shown.elements("DaysAfterInitiation"), ["7", "2"]);

    let created = c.request("POST", "/bkt/tmp/x?uploads").expect(200).await;
    assert_eq!(created.header("x-amz-abort-rule-id"), Some("tmp"));
    assert!(created.header("x-amz-abort-date").unwrap().ends_with(" 00:00:00 GMT"), "{created:?}");
    let created = c.request("POST", "/bkt/x?uploads").expect(200).await;
    assert_eq!(created.header("x-amz-abort-rule-id"), Some("all"));

    c.request("PUT", "/bkt?lifecycle")
        .body(document(&rule("zero", "", "0")))
        .refused(400, "InvalidArgument")
        .await;
    // Exactly one of Filter and, in the old style, Prefix names the keys.
    let filter = "<Filter><Prefix>tmp/</Prefix></Filter>";
    let put = |place: &str| {
        let body = document(&rule("r", "tmp/", "1").replace(filter, place));
        c.request("PUT", "/bkt?lifecycle").body(body)
    };
    put(&format!("{filter}<Prefix>tmp/</Prefix>")).refused(400, "MalformedXML").await;
    put("<Filter></Filter><Prefix></Prefix>").refused(400, "MalformedXML").await;
    put("").refused(400, "MalformedXML").await;
    for place in ["<Prefix>tmp/</Prefix>", "<Prefix></Prefix>", "<Filter></Filter>", filter] {
        put(place).expect(200).await;
    }
    let twice = document(&(rule("same", "", "1") + &rule("same", "x", "1")));
    c.request("PUT", "/bkt?lifecycle").body(twice).refused(400, "InvalidArgument").await;
    let expiration = document(
        "<Rule><ID>e</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status><Expiration>\
            <Days>1</Days></Expiration></Rule>",
    );
    c.request("PUT", "/bkt?lifecycle").body(expiration).refused(501, "NotImplemented").await;
    c.request("PUT", "/bkt?lifecycle").body("<Lifecycle").refused(400, "MalformedXML").await;
    c.request("DELETE", "/bkt?lifecycle").expect(204).await;
    c.request("GET", "/bkt?lifecycle").refused(404, "NoSuchLifecycleConfiguration").await;
    let created = c.request("POST", "/bkt/x?uploads").expect(200).await;
    assert_eq!(created.header("x-amz-abort-rule-id"), None);
}
