//! Objects of a single request: writing, reading, ranges, conditions, copies, keys, deletions.

use haul_parts::{Checksum, ChecksumAlgorithm, Hasher};

use crate::client::Client;
use crate::fixture::{Fixture, bytes};

fn crc64(data: &[u8]) -> Checksum {
    Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, data)
}

#[tokio::test]
async fn an_object_comes_back_with_what_was_said_about_it() {
    let f = Fixture::new().await;
    let data = bytes(3_000_000);
    let put = f
        .client
        .request("PUT", "/bkt/dir/an%20object%2Bplus")
        .header("content-type", "text/plain")
        .header("cache-control", "no-store")
        .header("content-encoding", "gzip")
        .header("content-disposition", "attachment")
        .header("x-amz-meta-color", "blue")
        .header("x-amz-storage-class", "STANDARD_IA")
        .body(data.clone())
        .expect(200)
        .await;
    assert_eq!(put.header("x-amz-checksum-crc64nvme"), Some(crc64(&data).to_base64().as_str()));
    let get = f.client.get("/bkt/dir/an%20object%2Bplus").await;
    assert_eq!(get.status, 200);
    assert!(get.body == data);
    for (name, value) in [
        ("content-type", "text/plain"),
        ("cache-control", "no-store"),
        ("content-encoding", "gzip"),
        ("content-disposition", "attachment"),
        ("x-amz-meta-color", "blue"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("accept-ranges", "bytes"),
        ("etag", &put.etag()),
    ] {
        assert_eq!(get.header(name), Some(value), "{name}");
    }
    assert_eq!(get.header("x-amz-checksum-crc64nvme"), None);
    let head = f
        .client
        .request("HEAD", "/bkt/dir/an%20object%2Bplus")
        .header("x-amz-checksum-mode", "ENABLED")
        .expect(200)
        .await;
    assert_eq!(head.header("content-length"), Some("3000000"));
    assert_eq!(head.header("x-amz-checksum-crc64nvme"), Some(crc64(&data).to_base64().as_str()));
    assert_eq!(head.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
    let changed = f
        .client
        .get(
            "/bkt/dir/an%20object%2Bplus?response-content-type=x%2Fy&\
            response-cache-control=max-age%3D1",
        )
        .await;
    assert_eq!(changed.header("content-type"), Some("x/y"));
    assert_eq!(changed.header("cache-control"), Some("max-age=1"));
}

#[tokio::test]
async fn an_empty_object_is_an_object() {
    let f = Fixture::new().await;
    let put = f.client.request("PUT", "/bkt/empty").expect(200).await;
    assert_eq!(put.etag(), "\"d41d8cd98f00b204e9800998ecf8427e\"");
    let get = f.client.request("GET", "/bkt/empty").expect(200).await;
    assert!(get.body.is_empty());
    assert_eq!(get.header("content-length"), Some("0"));
    assert_eq!(get.header("content-type"), Some("binary/octet-stream"));
    f.client
        .request("GET", "/bkt/empty")
        .header("range", "bytes=0-0")
        .refused(416, "InvalidRange")
        .await;
}

#[tokio::test]
async fn ranges_are_cut_from_the_object() {
    let f = Fixture::new().await;
    let data = bytes(1_000_000);
    f.client.request("PUT", "/bkt/k").body(data.clone()).expect(200).await;
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=999990-", 999_990, 1_000_000),
        ("bytes=999990-2000000", 999_990, 1_000_000),
        ("bytes=-5", 999_995, 1_000_000),
        ("bytes=-5000000", 0, 1_000_000),
        ("bytes=262143-524288", 262_143, 524_289),
    ] {
        let get = f.client.request("GET", "/bkt/k").header("range", range).expect(206).await;
        assert!(get.body == data[from..to], "{range}");
        let expected = format!("bytes {from}-{}/1000000", to - 1);
        assert_eq!(get.header("content-range"), Some(expected.as_str()));
        let head = f.client.request("HEAD", "/bkt/k").header("range", range).expect(206).await;
        assert_eq!(head.header("content-length"), Some((to - from).to_string().as_str()));
    }
    let past = f
        .client
        .request("GET", "/bkt/k")
        .header("range", "bytes=1000000-")
        .refused(416, "InvalidRange")
        .await;
    assert_eq!(past.element("ActualObjectSize").as_deref(), Some("1000000"));
    assert_eq!(past.element("RangeRequested").as_deref(), Some("bytes=1000000-"));
    f.client
        .request("GET", "/bkt/k")
        .header("range", "bytes=-0")
        .refused(416, "InvalidRange")
        .await;
    f.client
        .request("GET", "/bkt/k?partNumber=1")
        .header("range", "bytes=0-1")
        .refused(400, "InvalidRequest")
        .await;
}

#[tokio::test]
async fn reads_obey_their_conditions() {
    let f = Fixture::new().await;
    let etag = f.client.put("/bkt/k", "x").await.etag();
    let modified = f
        .client
        .request("HEAD", "/bkt/k")
        .expect(200)
        .await
        .header("last-modified")
        .unwrap()
        .to_owned();
    let (past, future) = ("Thu, 01 Jan 1998 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT");
    let other = "\"00000000000000000000000000000000\"";
    let cases: [(&[(&str, &str)], u16); 14] = [
        (&[("if-match", &etag)], 200),
        (&[("if-match", other)], 412),
        (&[("if-match", "*")], 200),
        (&[("if-none-match", &etag)], 304),
        (&[("if-none-match", other)], 200),
        (&[("if-none-match", "*")], 304),
        (&[("if-modified-since", past)], 200),
        (&[("if-modified-since", &modified)], 304),
        // A date in the future is ignored.
        (&[("if-modified-since", future)], 200),
        (&[("if-unmodified-since", past)], 412),
        (&[("if-unmodified-since", future)], 200),
        (&[("if-match", &etag), ("if-unmodified-since", past)], 200),
        (&[("if-none-match", &etag), ("if-modified-since", past)], 304),
        (&[("if-none-match", other), ("if-modified-since", future)], 200),
    ];
    for (headers, status) in cases {
        for method in ["GET", "HEAD"] {
            let mut request = f.client.request(method, "/bkt/k");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let answer = request.expect(status).await;
            if status == 304 {
                assert_eq!(answer.etag(), etag);
                assert!(answer.body.is_empty());
            }
        }
    }
}

/// Regression: a client that had the beginning of the old object received the rest of the new one,
/// and joined them.
#[tokio::test]
async fn the_rest_of_another_object_is_not_sent() {
    let f = Fixture::new().await;
    let old = f.client.put("/bkt/k", "the old bytes").await.etag();
    let etag = f.client.put("/bkt/k", "new bytes").await.etag();
    let head = f.client.request("HEAD", "/bkt/k").expect(200).await;
    let modified = head.header("last-modified").unwrap().to_owned();
    let weak = format!("W/{etag}");
    let (past, future) = ("Thu, 01 Jan 1998 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT");
    for (validator, still) in [
        (&*etag, true),
        (&*modified, true),
        (&*old, false),
        (&*weak, false),
        (past, false),
        (future, false),
        ("*", false),
    ] {
        let ask = |range: &str| {
            f.client.request("GET", "/bkt/k").header("range", range).header("if-range", validator)
        };
        let answer = ask("bytes=4-").send().await;
        let expected = if still { (206, "bytes") } else { (200, "new bytes") };
        assert_eq!((answer.status, &*answer.text()), expected, "{validator}");
        assert_eq!(answer.header("content-range").is_some(), still, "{validator}");
        // The range begins inside the old object and outside the new one.
        let answer = ask("bytes=10-").send().await;
        assert_eq!(answer.status, if still { 416 } else { 200 }, "{validator}: {}", answer.text());
    }
    // Without a range the header has no effect.
    let whole = f.client.request("GET", "/bkt/k").header("if-range", &etag).expect(200).await;
    assert_eq!(whole.text(), "new bytes");
    f.client
        .request("GET", "/bkt/absent")
        .header("range", "bytes=1-")
        .header("if-range", &etag)
        .refused(404, "NoSuchKey")
        .await;
}

#[tokio::test]
async fn writes_obey_their_conditions() {
    let f = Fixture::new().await;
    let c = &f.client;
    let put = |name: &'static str, value: &str| {
        c.request("PUT", "/bkt/k").header(name, value).body("new")
    };
    put("if-match", "\"00000000000000000000000000000000\"").refused(404, "NoSuchKey").await;
    let etag = put("if-none-match", "*").expect(200).await.etag();
    let refused = put("if-none-match", "*").refused(412, "PreconditionFailed").await;
    assert_eq!(refused.element("Condition").as_deref(), Some("If-None-Match"));
    put("if-match", "\"00000000000000000000000000000000\"")
        .refused(412, "PreconditionFailed")
        .await;
    put("if-match", &etag).expect(200).await;
    put("if-none-match", &etag).refused(501, "NotImplemented").await;
    let delete = |value: &str| c.request("DELETE", "/bkt/k").header("if-match", value);
    delete("\"00000000000000000000000000000000\"").refused(412, "PreconditionFailed").await;
    delete(&etag).expect(204).await;
}

#[tokio::test]
async fn of_many_writers_who_want_to_be_first_one_is() {
    let f = Fixture::new().await;
    let writers = (0..12).map(|writer: u8| {
        let client = f.client.clone();
        tokio::spawn(async move {
            client
                .request("PUT", "/bkt/lock")
                .header("if-none-match", "*")
                .body(vec![writer; 100_000])
                .send()
                .await
                .status
        })
    });
    let mut statuses = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        statuses.push(writer.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 409, 412].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn what_cannot_be_promised_is_refused() {
    let f = Fixture::new().await;
    let put =
        |name: &str, value: &str| f.client.request("PUT", "/bkt/k").header(name, value).body("x");
    put("x-amz-object-lock-mode", "GOVERNANCE").refused(400, "InvalidRequest").await;
    for value in ["true", "false"] {
        let bypass = |method, target| {
            let request = f.client.request(method, target);
            request.header("x-amz-bypass-governance-retention", value)
        };
        bypass("DELETE", "/bkt/k").refused(400, "InvalidArgument").await;
        let batch =
            bypass("POST", "/bkt?delete").body("<Delete><Object><Key>k</Key></Object></Delete>");
        batch.refused(400, "InvalidArgument").await;
    }
    for class in ["BOGUS", "standard", "OUTPOSTS"] {
        put("x-amz-storage-class", class).refused(400, "InvalidStorageClass").await;
        let create =
            f.client.request("POST", "/bkt/k?uploads").header("x-amz-storage-class", class);
        let refused = create.refused(400, "InvalidStorageClass").await;
        assert_eq!(refused.element("StorageClassRequested").as_deref(), Some(class));
    }
    put("x-amz-storage-class", "GLACIER_IR").expect(200).await;
    // The server archives nothing: objects of such a class are read like the others.
    put("x-amz-storage-class", "DEEP_ARCHIVE").expect(200).await;
    f.client.request("GET", "/bkt/k").expect(200).await;
    for (sub_resource, document) in [
        ("retention", "<Retention><Mode>GOVERNANCE</Mode></Retention>"),
        ("legal-hold", "<LegalHold><Status>ON</Status></LegalHold>"),
    ] {
        for (target, status, code) in
            [("/bkt/k", 400, "InvalidRequest"), ("/bkt/absent", 404, "NoSuchKey")]
        {
            let target = format!("{target}?{sub_resource}");
            f.client.request("GET", &target).refused(status, code).await;
            f.client.request("PUT", &target).body(document).refused(status, code).await;
        }
    }
    let lock = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>\
        </ObjectLockConfiguration>";
    f.client.request("PUT", "/bkt?object-lock").body(lock).refused(409, "InvalidBucketState").await;
    put("x-amz-meta-big", &"x".repeat(2100)).refused(400, "MetadataTooLarge").await;
    put("x-amz-tagging", "a=1&a=2").refused(400, "InvalidArgument").await;
    put("x-amz-website-redirect-location", "elsewhere")
        .refused(400, "InvalidRedirectLocation")
        .await;
}

/// Regression: only lists that begin with `public-` were checked; other grants were accepted and
/// had no effect.
#[tokio::test]
async fn access_control_lists_that_give_something_away_are_refused() {
    let f = Fixture::new().await;
    let c = &f.client;
    let everybody = "uri=http://acs.amazonaws.com/groups/global/AllUsers";
    let copied = |key: &str| c.request("PUT", key).header("x-amz-copy-source", "/bkt/source");
    c.put("/bkt/source", "x").await;
    for (name, value, code) in [
        ("x-amz-acl", "public-read", "AccessControlListNotSupported"),
        ("x-amz-acl", "authenticated-read", "AccessControlListNotSupported"),
        ("x-amz-grant-read", everybody, "AccessControlListNotSupported"),
        ("x-amz-grant-full-control", "id=another", "AccessControlListNotSupported"),
        ("x-amz-acl", "bogus", "InvalidArgument"),
    ] {
        c.request("PUT", "/bkt/k").header(name, value).body("x").refused(400, code).await;
        c.request("POST", "/bkt/k?uploads").header(name, value).refused(400, code).await;
        copied("/bkt/k").header(name, value).refused(400, code).await;
        let of_bucket =
            if code == "InvalidArgument" { code } else { "InvalidBucketAclWithObjectOwnership" };
        c.request("PUT", "/given-away").header(name, value).refused(400, of_bucket).await;
    }
    c.request("HEAD", "/bkt/k").expect(404).await;
    c.request("HEAD", "/given-away").expect(404).await;
    for value in ["private", "bucket-owner-full-control"] {
        c.request("PUT", "/bkt/k").header("x-amz-acl", value).body("x").expect(200).await;
    }
    c.request("PUT", "/kept-private").header("x-amz-acl", "private").expect(200).await;
}

#[tokio::test]
async fn keys_are_bytes_and_never_paths() {
    let f = Fixture::new().await;
    let long = "%C3%A4".repeat(512);
    let keys = [
        "../../etc/passwd",
        "a//b",
        "/leading",
        "trailing/",
        "%00",
        "%01%7F",
        "a%20b%2Bc%25d%26e%3Df",
        "%F0%9F%9A%9A",
        "%3Cxml%3E%26",
        "a/./b/../c",
        "con",
        "%5C..%5C",
        &long,
    ];
    for (index, key) in keys.iter().enumerate() {
        f.client.request("PUT", &format!("/bkt/{key}")).body(format!("{index}")).expect(200).await;
    }
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(f.client.get(&format!("/bkt/{key}")).await.text(), index.to_string(), "{key}");
    }
    let list = f.client.request("GET", "/bkt?list-type=2&encoding-type=url").expect(200).await;
    let mut expected: Vec<Vec<u8>> = keys.iter().map(|key| decode(key)).collect();
    expected.sort();
    let listed: Vec<Vec<u8>> = list.elements("Key").iter().map(|key| decode(key)).collect();
    assert_eq!(listed, expected);
    f.client
        .request("PUT", &format!("/bkt/{}", "x".repeat(1025)))
        .refused(400, "KeyTooLongError")
        .await;
    f.client.request("PUT", "/bkt/%FF").refused(400, "InvalidURI").await;
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    bytes
}

#[tokio::test]
async fn a_copy_is_the_same_bytes() {
    let f = Fixture::new().await;
    let c = &f.client;
    let data = bytes(700_000);
    let put = c
        .request("PUT", "/bkt/from%20here")
        .header("x-amz-meta-a", "1")
        .header("content-type", "x/y")
        .body(data.clone());
    let etag = put.expect(200).await.etag();
    let copy = |source: &str| c.request("PUT", "/bkt/copy").header("x-amz-copy-source", source);
    let answer = copy("/bkt/from%20here").expect(200).await;
    assert_eq!(answer.element("ETag").unwrap(), etag);
    let get = c.get("/bkt/copy").await;
    assert!(get.body == data);
    assert_eq!((get.header("x-amz-meta-a"), get.header("content-type")), (Some("1"), Some("x/y")));

    copy("bkt/from%20here")
        .header("x-amz-metadata-directive", "REPLACE")
        .header("x-amz-meta-b", "2")
        .expect(200)
        .await;
    let get = c.get("/bkt/copy").await;
    assert_eq!((get.header("x-amz-meta-a"), get.header("x-amz-meta-b")), (None, Some("2")));

    copy("/bkt/absent").refused(404, "NoSuchKey").await;
    copy("/absent/x").refused(404, "NoSuchBucket").await;
    copy("/bkt/from%20here")
        .header("x-amz-copy-source-if-match", "\"0\"")
        .refused(412, "PreconditionFailed")
        .await;
    copy("/bkt/from%20here")
        .header("x-amz-copy-source-if-none-match", &etag)
        .refused(412, "PreconditionFailed")
        .await;
    copy("/bkt/from%20here").header("if-none-match", "*").refused(412, "PreconditionFailed").await;
    let since =
        |date: &str| copy("/bkt/from%20here").header("x-amz-copy-source-if-modified-since", date);
    let modified = c.request("HEAD", "/bkt/from%20here").expect(200).await;
    since(modified.header("last-modified").unwrap()).refused(412, "PreconditionFailed").await;
    since("Fri, 01 Jan 2100 00:00:00 GMT").expect(200).await;
    let onto_itself =
        |c: &Client| c.request("PUT", "/bkt/copy").header("x-amz-copy-source", "/bkt/copy");
    onto_itself(c).refused(400, "InvalidRequest").await;
    onto_itself(c)
        .header("x-amz-metadata-directive", "REPLACE")
        .header("content-type", "z/z")
        .expect(200)
        .await;
    assert_eq!(
        c.request("HEAD", "/bkt/copy").expect(200).await.header("content-type"),
        Some("z/z")
    );
    assert!(c.get("/bkt/copy").await.body == data);
}

/// Regression: a copy onto itself must name an attribute, but not a new value. A client that sets
/// the class of every object was refused where the object already had that class.
#[tokio::test]
async fn a_copy_onto_itself_may_say_what_is_so_already() {
    let f = Fixture::new().await;
    let c = &f.client;
    for (name, value) in
        [("x-amz-storage-class", "STANDARD_IA"), ("x-amz-website-redirect-location", "/there")]
    {
        c.request("PUT", "/bkt/k")
            .header(name, value)
            .header("x-amz-meta-a", "1")
            .body("x")
            .expect(200)
            .await;
        let copy = || c.request("PUT", "/bkt/k").header("x-amz-copy-source", "/bkt/k");
        copy().header(name, value).expect(200).await;
        let head = c.request("HEAD", "/bkt/k").expect(200).await;
        assert_eq!((head.header(name), head.header("x-amz-meta-a")), (Some(value), Some("1")));
        copy().refused(400, "InvalidRequest").await;
        // A copy that names neither attribute does not inherit them.
        c.request("PUT", "/bkt/other").header("x-amz-copy-source", "/bkt/k").expect(200).await;
        assert_eq!(c.request("HEAD", "/bkt/other").expect(200).await.header(name), None);
    }
    c.request("PUT", "/bkt/k")
        .header("x-amz-copy-source", "/bkt/k")
        .header("x-amz-storage-class", "STANDARD")
        .expect(200)
        .await;
}

/// Regression: a copy was pinned to the version that was first looked up. With a concurrent writer,
/// one CopyObject of six failed with a condition that the client had not sent.
#[tokio::test]
async fn a_source_overwritten_meanwhile_is_copied_in_one_version() {
    let f = Fixture::new().await;
    let c = &f.client;
    let versions = [bytes(30_000), bytes(70_000)];
    c.put("/bkt/source", versions[0].clone()).await;
    let upload = c.post("/bkt/parts?uploads", "").await.element("UploadId").unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = tokio::spawn({
        let (client, versions) = (c.clone(), versions.clone());
        async move {
            let mut written = 0;
            while stopped.is_empty() {
                client
                    .request("PUT", "/bkt/source")
                    .body(versions[written % 2].clone())
                    .expect(200)
                    .await;
                written += 1;
            }
            written
        }
    });
    for round in 0..60 {
        let copy = c
            .request("PUT", "/bkt/copy")
            .header("x-amz-copy-source", "/bkt/source")
            .expect(200)
            .await;
        let got = c.get("/bkt/copy").await;
        assert_eq!(copy.element("ETag"), Some(got.etag()));
        assert!(versions.contains(&got.body), "round {round}: {} bytes of neither", got.body.len());
        let part = c.request("PUT", &format!("/bkt/parts?partNumber=1&uploadId={upload}"));
        let part = part.header("x-amz-copy-source", "/bkt/source");
        part.header("x-amz-copy-source-range", "bytes=100-29999").expect(200).await;
        // A condition that the client did send applies to every version.
        let never = c.request("PUT", "/bkt/copy").header("x-amz-copy-source", "/bkt/source");
        never
            .header("x-amz-copy-source-if-match", "\"0\"")
            .refused(412, "PreconditionFailed")
            .await;
    }
    stop.send(()).unwrap();
    let written = writer.await.unwrap();
    assert!(written > 20, "the source was written {written} times only");
}

/// AWS computes the ETag of a copy from its bytes; here no byte is read, so the copy has the ETag
/// and the checksum of its source. Clients that compare an ETag of that form with an MD5 would fail
/// on the source too.
#[tokio::test]
async fn a_copy_of_an_object_in_parts_keeps_its_etag_and_checksum() {
    let f = Fixture::new().await;
    let c = &f.client;
    let created =
        c.request("POST", "/bkt/parts?uploads").header("x-amz-checksum-algorithm", "SHA256");
    let id = created.expect(200).await.element("UploadId").unwrap();
    let data = bytes(5 * 1024 * 1024 + 17);
    let mut list = String::new();
    for (number, body) in [(1, &data[..5 * 1024 * 1024]), (2, &data[5 * 1024 * 1024..])] {
        let sha256 = Hasher::checksum(ChecksumAlgorithm::Sha256, body).to_base64();
        let part = c
            .request("PUT", &format!("/bkt/parts?partNumber={number}&uploadId={id}"))
            .header("x-amz-checksum-sha256", &sha256)
            .body(body)
            .expect(200)
            .await;
        let etag = part.etag();
        list += &format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><ChecksumSHA256>\
                {sha256}</ChecksumSHA256></Part>"
        );
    }
    let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    c.request("POST", &format!("/bkt/parts?uploadId={id}")).body(list).expect(200).await;
    let head =
        |key: &str| c.request("HEAD", key).header("x-amz-checksum-mode", "ENABLED").expect(200);
    let source = head("/bkt/parts").await;
    assert!(source.etag().ends_with("-2\""), "{}", source.etag());

    let copied =
        c.request("PUT", "/bkt/copy").header("x-amz-copy-source", "/bkt/parts").expect(200).await;
    assert_eq!(copied.element("ETag").unwrap(), source.etag());
    let copy = head("/bkt/copy").await;
    for name in ["etag", "content-length", "x-amz-checksum-sha256", "x-amz-checksum-type"] {
        assert!(source.header(name).is_some(), "{name}");
        assert_eq!(copy.header(name), source.header(name), "{name}");
    }
    assert!(c.get("/bkt/copy").await.body == data);
    // The parts can be read individually from the copy too.
    assert!(c.get("/bkt/copy?partNumber=2").await.body == data[5 * 1024 * 1024..]);
}

#[tokio::test]
async fn errors_say_what_where_and_which_request() {
    let f = Fixture::new().await;
    let answer = f.client.request("GET", "/bkt/not%20there").refused(404, "NoSuchKey").await;
    assert_eq!(answer.element("Message").as_deref(), Some("The specified key does not exist."));
    assert_eq!(answer.element("Key").as_deref(), Some("not there"));
    assert_eq!(answer.element("Resource").as_deref(), Some("/bkt/not%20there"));
    assert_eq!(answer.element("RequestId").as_deref(), answer.header("x-amz-request-id"));
    assert_eq!(answer.header("content-type"), Some("application/xml"));
    let head = f.client.request("HEAD", "/bkt/absent").expect(404).await;
    assert!(head.header("x-amz-request-id").is_some());
    f.client.request("POST", "/bkt/k").refused(501, "NotImplemented").await;
}
