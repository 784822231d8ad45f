//! Multipart uploads, case by case as AWS responds. The file is long because it lists these cases.

use haul_parts::{Checksum, ChecksumAlgorithm, CompositeChecksum, ETag, Hasher};

use crate::client::{Client, Response};
use crate::fixture::{Fixture, bytes};

pub(crate) const MIN: usize = 5 * 1024 * 1024;

/// One upload under the key `k`.
pub(crate) struct Upload {
    pub(crate) client: Client,
    pub(crate) id: String,
}

impl Upload {
    pub(crate) async fn create(client: &Client, headers: &[(&str, &str)]) -> Self {
        let mut request = client.request("POST", "/bkt/k?uploads");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let id = request.expect(200).await.element("UploadId").unwrap();
        Self { client: client.clone(), id }
    }

    pub(crate) fn part(&self, number: i32, body: impl Into<Vec<u8>>) -> crate::client::Request {
        self.client
            .request("PUT", &format!("/bkt/k?partNumber={number}&uploadId={}", self.id))
            .body(body)
    }

    /// Returns a Complete of these parts: `(number, ETag, more XML)`.
    pub(crate) fn complete(&self, parts: &[(i32, &str, &str)]) -> crate::client::Request {
        let mut list = String::from("<CompleteMultipartUpload>");
        for (number, etag, more) in parts {
            list.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{more}</Part>"
            ));
        }
        list.push_str("</CompleteMultipartUpload>");
        self.client.request("POST", &format!("/bkt/k?uploadId={}", self.id)).body(list)
    }

    pub(crate) fn list(&self, more: &str) -> crate::client::Request {
        self.client.request("GET", &format!("/bkt/k?uploadId={}{more}", self.id))
    }
}

pub(crate) fn sum(algorithm: ChecksumAlgorithm, data: &[u8]) -> Checksum {
    Hasher::checksum(algorithm, data)
}

#[tokio::test]
async fn two_parts_become_an_object() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[("content-type", "x/y"), ("x-amz-meta-a", "1")]).await;
    let (one, two) = (bytes(MIN), bytes(1000));
    let first = upload.part(1, one.clone()).expect(200).await.etag();
    let second = upload.part(2, two.clone()).expect(200).await.etag();
    assert_eq!(f.client.get("/bkt/k").await.status, 404);
    let done = upload.complete(&[(1, &first, ""), (2, &second, "")]).expect(200).await;
    let expected = ETag::composite([&one, &two].map(|part| {
        let md5 = sum(ChecksumAlgorithm::Md5, part);
        <[u8; 16]>::try_from(md5.bytes()).unwrap()
    }));
    assert_eq!(done.element("ETag"), Some(expected.quoted()));
    assert_eq!(
        (done.element("Bucket"), done.element("Key")),
        (Some("bkt".into()), Some("k".into()))
    );
    assert!(done.element("Location").unwrap().ends_with("/bkt/k"));
    let whole = [one, two].concat();
    let crc = sum(ChecksumAlgorithm::Crc64Nvme, &whole).to_base64();
    assert_eq!(done.element("ChecksumCRC64NVME"), Some(crc.clone()));
    assert_eq!(done.element("ChecksumType").as_deref(), Some("FULL_OBJECT"));
    let get = f
        .client
        .request("GET", "/bkt/k")
        .header("x-amz-checksum-mode", "ENABLED")
        .expect(200)
        .await;
    assert!(get.body == whole);
    assert_eq!(get.header("x-amz-checksum-crc64nvme"), Some(crc.as_str()));
    assert_eq!((get.header("content-type"), get.header("x-amz-meta-a")), (Some("x/y"), Some("1")));
    upload.part(3, "late").refused(404, "NoSuchUpload").await;
    upload.list("").refused(404, "NoSuchUpload").await;
}

#[tokio::test]
async fn an_unknown_upload_is_no_upload() {
    let f = Fixture::new().await;
    let c = &f.client;
    let upload = Upload::create(c, &[]).await;
    let unknown = Upload { client: c.clone(), id: "unknown".into() };
    let refused = unknown.part(1, "x").refused(404, "NoSuchUpload").await;
    assert_eq!(refused.element("UploadId").as_deref(), Some("unknown"));
    unknown.complete(&[(1, "x", "")]).refused(404, "NoSuchUpload").await;
    // The same without a list, which is an error of its own only for an existing upload.
    let without_list = c.request("POST", "/bkt/k?uploadId=unknown");
    let refused = without_list.refused(404, "NoSuchUpload").await;
    assert_eq!(refused.element("UploadId").as_deref(), Some("unknown"));
    unknown.list("").refused(404, "NoSuchUpload").await;
    c.request("DELETE", "/bkt/k?uploadId=unknown").refused(404, "NoSuchUpload").await;
    // The id belongs to another key.
    for (method, target) in [("PUT", "partNumber=1&"), ("POST", ""), ("GET", ""), ("DELETE", "")] {
        let target = format!("/bkt/other?{target}uploadId={}", upload.id);
        let body = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag>\
            </Part></CompleteMultipartUpload>";
        c.request(method, &target).body(body).refused(404, "NoSuchUpload").await;
    }
    // The key is the same, but in another bucket.
    c.request("PUT", "/bkt2").expect(200).await;
    c.request("GET", &format!("/bkt2/k?uploadId={}", upload.id)).refused(404, "NoSuchUpload").await;
    upload.part(1, "x").expect(200).await;
}

#[tokio::test]
async fn abort_ends_an_upload_once() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[]).await;
    upload.part(1, "x").expect(200).await;
    f.client.request("DELETE", &format!("/bkt/k?uploadId={}", upload.id)).expect(204).await;
    f.client
        .request("DELETE", &format!("/bkt/k?uploadId={}", upload.id))
        .refused(404, "NoSuchUpload")
        .await;
    upload.part(1, "x").refused(404, "NoSuchUpload").await;
}

#[tokio::test]
async fn part_numbers_are_one_to_ten_thousand() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[]).await;
    for number in [-1, 0, 10_001, 99_999] {
        let refused = upload.part(number, "x").refused(400, "InvalidArgument").await;
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        assert_eq!(refused.element("Message").as_deref(), Some(message));
        assert_eq!(refused.element("ArgumentName").as_deref(), Some("partNumber"));
        upload.complete(&[(number, "x", "")]).refused(400, "InvalidArgument").await;
    }
    let etag = upload.part(10_000, "x").expect(200).await.etag();
    upload.complete(&[(10_000, &etag, "")]).expect(200).await;
}

#[tokio::test]
async fn the_last_writer_of_a_part_wins_and_the_old_etag_is_not_its() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[]).await;
    let old = upload.part(1, "old").expect(200).await.etag();
    let new = upload.part(1, "new").expect(200).await.etag();
    let refused = upload.complete(&[(1, &old, "")]).refused(400, "InvalidPart").await;
    assert_eq!(refused.element("PartNumber").as_deref(), Some("1"));
    assert_eq!(refused.element("UploadId").as_deref(), Some(upload.id.as_str()));
    upload.complete(&[(1, &new, ""), (2, &new, "")]).refused(400, "InvalidPart").await;
    // The ETag has no quotes; the upload was refused twice before.
    upload.complete(&[(1, new.trim_matches('"'), "")]).expect(200).await;
    assert_eq!(f.client.get("/bkt/k").await.text(), "new");
}

#[tokio::test]
async fn concurrent_senders_of_one_part_leave_one_of_them() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[]).await;
    let senders: Vec<_> = (0..12_u8)
        .map(|sender| tokio::spawn(upload.part(1, vec![sender; 300_000]).send()))
        .collect();
    for sender in senders {
        assert_eq!(sender.await.unwrap().status, 200);
    }
    let etag = upload.list("").expect(200).await.element("ETag").unwrap();
    upload.complete(&[(1, &etag, "")]).expect(200).await;
    let body = f.client.get("/bkt/k").await.body;
    assert_eq!(body.len(), 300_000);
    assert!(body.iter().all(|byte| *byte == body[0]));
    assert_eq!(
        ETag::from_md5(sum(ChecksumAlgorithm::Md5, &body).bytes().try_into().unwrap()).quoted(),
        etag
    );
}

#[tokio::test]
async fn a_wrong_list_is_refused_and_leaves_the_upload() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[]).await;
    let mut etags = Vec::new();
    for number in 1..=3 {
        etags.push(upload.part(number, bytes(MIN)).expect(200).await.etag());
    }
    let e = &etags[0];
    upload.complete(&[(2, e, ""), (1, e, "")]).refused(400, "InvalidPartOrder").await;
    upload.complete(&[(1, e, ""), (1, e, "")]).refused(400, "InvalidPartOrder").await;
    let id = &upload.id;
    let complete =
        |body: &str| f.client.request("POST", &format!("/bkt/k?uploadId={id}")).body(body);
    let refused = complete("").refused(400, "InvalidRequest").await;
    assert_eq!(refused.element("Message").as_deref(), Some("You must specify at least one part"));
    complete("<CompleteMultipartUpload></CompleteMultipartUpload>")
        .refused(400, "MalformedXML")
        .await;
    complete(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part>\
        </CompleteMultipartUpload>",
    )
    .refused(400, "MalformedXML")
    .await;
    complete("nonsense").refused(400, "MalformedXML").await;
    // The list has fewer parts than were uploaded, with a gap.
    let done = upload.complete(&[(1, e, ""), (3, e, "")]).expect(200).await;
    assert!(done.element("ETag").unwrap().ends_with("-2\""));
    assert_eq!(
        f.client.request("HEAD", "/bkt/k").expect(200).await.header("content-length"),
        Some("10485760")
    );
}

#[tokio::test]
async fn a_small_part_before_the_last_is_refused_by_name() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[]).await;
    let small = upload.part(1, bytes(MIN - 1)).expect(200).await.etag();
    let last = upload.part(2, "x").expect(200).await.etag();
    let refused =
        upload.complete(&[(1, &small, ""), (2, &last, "")]).refused(400, "EntityTooSmall").await;
    assert_eq!(refused.element("ProposedSize").as_deref(), Some("5242879"));
    assert_eq!(refused.element("MinSizeAllowed").as_deref(), Some("5242880"));
    assert_eq!(refused.element("PartNumber").as_deref(), Some("1"));
    let right = upload.part(1, bytes(MIN)).expect(200).await.etag();
    upload.complete(&[(1, &right, ""), (2, &last, "")]).expect(200).await;
}

#[tokio::test]
async fn the_object_size_is_compared() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[]).await;
    let etag = upload.part(1, "1234").expect(200).await.etag();
    let complete =
        |size: &str| upload.complete(&[(1, &etag, "")]).header("x-amz-mp-object-size", size);
    let refused = complete("5").refused(400, "InvalidRequest").await;
    assert_eq!(
        refused.element("Message").as_deref(),
        Some(
            "The provided 'x-amz-mp-object-size' header value 5 does not match what was computed: 4"
        )
    );
    complete("4").expect(200).await;
}

#[tokio::test]
async fn completing_again_answers_the_same_while_it_is_the_object() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[]).await;
    let etag = upload.part(1, "x").expect(200).await.etag();
    let first = upload.complete(&[(1, &etag, "")]).expect(200).await.element("ETag");
    assert_eq!(upload.complete(&[(1, &etag, "")]).expect(200).await.element("ETag"), first);
    // A repeated Complete is recognised by the numbers and ETags of its list; everything else was
    // decided the first time.
    let again =
        upload.complete(&[(1, etag.trim_matches('"'), "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>")]);
    let again = again.header("x-amz-mp-object-size", "7").header("if-none-match", "*");
    assert_eq!(
        again.header("x-amz-checksum-crc32", "AAAAAA==").expect(200).await.element("ETag"),
        first
    );
    upload.complete(&[(1, "\"0\"", "")]).refused(404, "NoSuchUpload").await;
    upload.complete(&[(1, &etag, ""), (2, &etag, "")]).refused(404, "NoSuchUpload").await;
    f.client.put("/bkt/k", "another").await;
    upload.complete(&[(1, &etag, "")]).refused(404, "NoSuchUpload").await;
}

#[tokio::test]
async fn concurrent_completes_all_succeed_with_one_etag() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[]).await;
    let etag = upload.part(1, "x").expect(200).await.etag();
    let completes: Vec<_> =
        (0..8).map(|_| tokio::spawn(upload.complete(&[(1, &etag, "")]).send())).collect();
    let mut answers: Vec<Response> = Vec::new();
    for complete in completes {
        answers.push(complete.await.unwrap());
    }
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.element("ETag") == answers[0].element("ETag")));
}

#[tokio::test]
async fn complete_against_abort_has_one_winner() {
    let f = Fixture::new().await;
    for _ in 0..10 {
        f.client.request("DELETE", "/bkt/k").expect(204).await;
        let upload = Upload::create(&f.client, &[]).await;
        let etag = upload.part(1, "x").expect(200).await.etag();
        let complete = tokio::spawn(upload.complete(&[(1, &etag, "")]).send());
        let abort =
            f.client.request("DELETE", &format!("/bkt/k?uploadId={}", upload.id)).send().await;
        let complete = complete.await.unwrap();
        let there = f.client.get("/bkt/k").await.status;
        assert!(
            matches!((complete.status, abort.status, there), (200, 404, 200) | (404, 204, 404)),
            "{} {} {there}",
            complete.text(),
            abort.text()
        );
    }
}

#[tokio::test]
async fn conditions_are_decided_at_complete() {
    let f = Fixture::new().await;
    let c = &f.client;
    let upload = Upload::create(c, &[]).await;
    let etag = upload.part(1, "x").expect(200).await.etag();
    let complete = |upload: &Upload| upload.complete(&[(1, &etag, "")]);
    complete(&upload).header("if-match", "\"0\"").refused(404, "NoSuchKey").await;
    complete(&upload).header("if-none-match", "\"0\"").refused(501, "NotImplemented").await;
    let there = c.put("/bkt/k", "there").await.etag();
    complete(&upload).header("if-none-match", "*").refused(412, "PreconditionFailed").await;
    complete(&upload).header("if-match", "\"0\"").refused(412, "PreconditionFailed").await;

    // The upload is created after the object, so the object has not changed since.
    let upload = Upload::create(c, &[]).await;
    upload.part(1, "x").expect(200).await;
    complete(&upload).header("if-match", &there).expect(200).await;

    c.request("DELETE", "/bkt/k").expect(204).await;
    let upload = Upload::create(c, &[]).await;
    upload.part(1, "x").expect(200).await;
    complete(&upload).header("if-none-match", "*").expect(200).await;
}

#[tokio::test]
async fn a_key_that_changed_since_create_is_a_conflict() {
    let f = Fixture::new().await;
    let c = &f.client;
    let first = c.put("/bkt/k", "first").await.etag();
    let upload = Upload::create(c, &[]).await;
    let etag = upload.part(1, "x").expect(200).await.etag();
    c.request("DELETE", "/bkt/k").expect(204).await;
    let complete = |upload: &Upload| upload.complete(&[(1, &etag, "")]);
    complete(&upload).header("if-none-match", "*").refused(409, "ConditionalRequestConflict").await;
    complete(&upload).header("if-match", &first).refused(404, "NoSuchKey").await;

    let second = c.put("/bkt/k", "second").await.etag();
    let refused = complete(&upload)
        .header("if-match", &second)
        .refused(409, "ConditionalRequestConflict")
        .await;
    assert_eq!(refused.element("Condition").as_deref(), Some("If-Match"));
    complete(&upload).header("if-match", &first).refused(412, "PreconditionFailed").await;
    complete(&upload).expect(200).await;
}

#[tokio::test]
async fn parts_are_listed_in_order_page_by_page() {
    let f = Fixture::new().await;
    let created =
        [("x-amz-storage-class", "STANDARD_IA"), ("x-amz-checksum-algorithm", "CRC64NVME")];
    let upload = Upload::create(&f.client, &created).await;
    let empty = upload.list("").expect(200).await;
    assert_eq!(empty.element("NextPartNumberMarker").as_deref(), Some("0"));
    for number in [3, 1, 10, 2, 7] {
        upload.part(number, vec![b'x'; usize::try_from(number).unwrap()]).expect(200).await;
    }
    let (mut marker, mut numbers, mut pages) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let page =
            upload.list(&format!("&max-parts=2&part-number-marker={marker}")).expect(200).await;
        assert_eq!(page.element("StorageClass").as_deref(), Some("STANDARD_IA"));
        assert_eq!(page.element("MaxParts").as_deref(), Some("2"));
        numbers.extend(page.elements("PartNumber"));
        pages += 1;
        if page.element("IsTruncated").as_deref() == Some("false") {
            break;
        }
        marker = page.element("NextPartNumberMarker").unwrap();
    }
    assert_eq!((numbers.join(","), pages), ("1,2,3,7,10".to_owned(), 3));
    let all = upload.list("").expect(200).await;
    assert_eq!(all.elements("Size"), ["1", "2", "3", "7", "10"]);
    assert_eq!(all.element("ID").map(|id| id.len()), Some(64));
    let crc = sum(ChecksumAlgorithm::Crc64Nvme, b"x").to_base64();
    assert_eq!(all.element("ChecksumCRC64NVME"), Some(crc));
}

#[tokio::test]
async fn uploads_are_listed_by_key_and_time_with_all_markers() {
    let f = Fixture::new().await;
    let c = &f.client;
    let mut created = Vec::new();
    for key in ["b", "a", "dir/x", "dir/y", "b"] {
        let id = c
            .request("POST", &format!("/bkt/{key}?uploads"))
            .expect(200)
            .await
            .element("UploadId")
            .unwrap();
        created.push((key.to_owned(), id));
    }
    let [b1, a, x, y, b2] = &created[..] else { unreachable!() };
    let expected: Vec<String> = [a, b1, b2, x, y].iter().map(|(_, id)| id.clone()).collect();
    let all = c.get("/bkt?uploads").await;
    assert_eq!(all.elements("UploadId"), expected);
    let rolled = c.get("/bkt?uploads&delimiter=%2F").await;
    assert_eq!(rolled.elements("UploadId"), expected[..3]);
    assert!(
        rolled.text().contains("<CommonPrefixes><Prefix>dir/</Prefix></CommonPrefixes>"),
        "{}",
        rolled.text()
    );
    assert_eq!(c.get("/bkt?uploads&prefix=dir%2F").await.elements("UploadId"), expected[3..]);

    let (mut markers, mut ids) = (String::new(), Vec::new());
    loop {
        let page = c.get(&format!("/bkt?uploads&max-uploads=2{markers}")).await;
        ids.extend(page.elements("UploadId"));
        if page.element("IsTruncated").as_deref() == Some("false") {
            break;
        }
        let key = page.element("NextKeyMarker").unwrap().replace('/', "%2F");
        let id = page.element("NextUploadIdMarker").unwrap();
        markers = format!("&key-marker={key}&upload-id-marker={id}");
    }
    assert_eq!(ids, expected);
    assert_eq!(
        c.get("/bkt?uploads&upload-id-marker=nonsense").await.elements("UploadId"),
        expected
    );
    let wrong = format!("/bkt?uploads&key-marker=a&upload-id-marker={}", x.1);
    let refused = c.request("GET", &wrong).refused(400, "InvalidArgument").await;
    assert_eq!(refused.element("Message").as_deref(), Some("Invalid uploadId marker"));
}

#[tokio::test]
async fn objects_are_read_back_part_by_part() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let parts = [bytes(MIN), bytes(MIN + 1), bytes(10)];
    let mut list = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let number = i32::try_from(index).unwrap() + 1;
        let value = sum(ChecksumAlgorithm::Sha256, part).to_base64();
        let answer = upload
            .part(number, part.clone())
            .header("x-amz-checksum-sha256", &value)
            .expect(200)
            .await;
        assert_eq!(answer.header("x-amz-checksum-sha256"), Some(value.as_str()));
        list.push((number, answer.etag(), format!("<ChecksumSHA256>{value}</ChecksumSHA256>")));
    }
    let list: Vec<_> =
        list.iter().map(|(number, etag, sum)| (*number, etag.as_str(), sum.as_str())).collect();
    let done = upload.complete(&list).expect(200).await;
    let composite = CompositeChecksum::from_parts(
        parts.iter().map(|part| sum(ChecksumAlgorithm::Sha256, part)),
    )
    .unwrap();
    assert_eq!(done.element("ChecksumSHA256"), Some(composite.to_string()));
    assert_eq!(done.element("ChecksumType").as_deref(), Some("COMPOSITE"));

    let second = f
        .client
        .request("GET", "/bkt/k?partNumber=2")
        .header("x-amz-checksum-mode", "ENABLED")
        .expect(206)
        .await;
    let value = sum(ChecksumAlgorithm::Sha256, &parts[1]).to_base64();
    assert_eq!(second.header("x-amz-checksum-sha256"), Some(value.as_str()));
    assert!(second.body == parts[1]);
    assert_eq!(second.header("x-amz-mp-parts-count"), Some("3"));
    let range = format!("bytes {MIN}-{}/{}", 2 * MIN, 2 * MIN + 11);
    assert_eq!(second.header("content-range"), Some(range.as_str()));
    let head = f.client.request("HEAD", "/bkt/k?partNumber=3").expect(206).await;
    assert_eq!(
        (head.header("content-length"), head.header("x-amz-mp-parts-count")),
        (Some("10"), Some("3"))
    );
    let past =
        f.client.request("GET", "/bkt/k?partNumber=4").refused(416, "InvalidPartNumber").await;
    assert_eq!(past.element("ActualPartCount").as_deref(), Some("3"));

    let attributes = |more: &str| {
        let request = f.client.request("GET", &format!("/bkt/k?attributes{more}"));
        request
            .header("x-amz-object-attributes", "ETag,Checksum,ObjectParts,ObjectSize,StorageClass")
    };
    let all = attributes("").expect(200).await;
    assert_eq!(all.element("ObjectSize"), Some((2 * MIN + 11).to_string()));
    assert_eq!(all.elements("PartNumber"), ["1", "2", "3"]);
    assert_eq!(all.element("ChecksumSHA256"), Some(composite.checksum().to_base64()));
    assert_eq!(
        all.element("ETag").as_deref(),
        Some(done.element("ETag").unwrap().trim_matches('"'))
    );
    assert_eq!(all.element("PartsCount").as_deref(), Some("3"), "{}", all.text());
    let page = f
        .client
        .request("GET", "/bkt/k?attributes")
        .header("x-amz-object-attributes", "ObjectParts")
        .header("x-amz-max-parts", "1")
        .header("x-amz-part-number-marker", "1")
        .expect(200)
        .await;
    assert_eq!(page.elements("PartNumber"), ["2"]);
    assert_eq!(page.element("NextPartNumberMarker").as_deref(), Some("2"));
}

#[tokio::test]
async fn a_part_is_copied_whole_or_by_range() {
    let f = Fixture::new().await;
    let data = bytes(MIN + 10);
    f.client.request("PUT", "/bkt/source").body(data.clone()).expect(200).await;
    let upload = Upload::create(&f.client, &[]).await;
    let copy = |number: i32, range: &str| {
        let mut request = upload.part(number, "").header("x-amz-copy-source", "/bkt/source");
        if !range.is_empty() {
            request = request.header("x-amz-copy-source-range", range);
        }
        request
    };
    let one = copy(1, "").expect(200).await.element("ETag").unwrap();
    let two = copy(2, "bytes=5-9").expect(200).await.element("ETag").unwrap();
    assert_eq!(
        ETag::from_md5(sum(ChecksumAlgorithm::Md5, &data[5..10]).bytes().try_into().unwrap())
            .quoted(),
        two
    );
    let past = copy(3, &format!("bytes=0-{}", data.len())).refused(400, "InvalidArgument").await;
    let message = format!("Range specified is not valid for source object of size: {}", data.len());
    assert_eq!(past.element("Message"), Some(message));
    copy(3, "bytes=99999999-999999999").refused(400, "InvalidRequest").await;
    copy(3, "bytes=5-").refused(400, "InvalidArgument").await;
    copy(3, "bytes=9-5").refused(400, "InvalidArgument").await;
    copy(3, "")
        .header("x-amz-copy-source-if-match", "\"0\"")
        .refused(412, "PreconditionFailed")
        .await;
    upload.complete(&[(1, &one, ""), (2, &two, "")]).expect(200).await;
    let body = f.client.get("/bkt/k").await.body;
    assert!(body == [&data[..], &data[5..10]].concat());
}

/// Regression: GetObjectAttributes refused markers that ListParts accepts.
#[tokio::test]
async fn part_markers_past_the_last_number_leave_nothing() {
    let f = Fixture::new().await;
    let upload = Upload::create(&f.client, &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let value = sum(ChecksumAlgorithm::Sha256, b"x").to_base64();
    let etag = upload.part(1, "x").header("x-amz-checksum-sha256", &value).expect(200).await.etag();
    let attributes = |marker: &str| {
        let request = f.client.request("GET", "/bkt/k?attributes");
        request
            .header("x-amz-object-attributes", "ObjectParts")
            .header("x-amz-part-number-marker", marker)
    };
    for marker in ["10000", "10001", "2147483647"] {
        let page = upload.list(&format!("&part-number-marker={marker}")).expect(200).await;
        assert!(page.elements("PartNumber").is_empty(), "{}", page.text());
    }
    let named = format!("<ChecksumSHA256>{value}</ChecksumSHA256>");
    upload.complete(&[(1, &etag, &named)]).expect(200).await;
    for marker in ["10000", "10001", "2147483647"] {
        let page = attributes(marker).expect(200).await;
        assert!(page.elements("PartNumber").is_empty(), "{}", page.text());
        assert_eq!(page.element("PartNumberMarker").as_deref(), Some(marker));
    }
    let page = attributes("0").expect(200).await;
    assert_eq!(page.elements("PartNumber"), ["1"]);
}

/// Regression: GetObjectAttributes wrote the ETag in quotes, `-N` after composite checksums, and
/// the parts of every upload. A client that compares the ETag with its own found a difference.
#[tokio::test]
async fn attributes_have_a_bare_etag_and_parts_of_composites() {
    let f = Fixture::new().await;
    let attributes = || {
        let request = f.client.request("GET", "/bkt/k?attributes");
        request
            .header("x-amz-object-attributes", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize")
    };
    let etag = f.client.put("/bkt/k", "in one piece").await.etag();
    let whole = attributes().expect(200).await;
    assert_eq!(whole.element("ETag").as_deref(), Some(etag.trim_matches('"')));
    assert!(!whole.text().contains("<ObjectParts>"), "{}", whole.text());
    for (algorithm, checksum_type, parts) in [
        (None, None, 0),
        (Some("CRC32C"), Some("FULL_OBJECT"), 0),
        (Some("CRC32C"), Some("COMPOSITE"), 1),
        (Some("CRC64NVME"), None, 0),
    ] {
        let mut created = Vec::new();
        created.extend(algorithm.map(|name| ("x-amz-checksum-algorithm", name)));
        created.extend(checksum_type.map(|name| ("x-amz-checksum-type", name)));
        let upload = Upload::create(&f.client, &created).await;
        let crc = sum(ChecksumAlgorithm::Crc32c, b"x").to_base64();
        let part = upload.part(1, "x");
        let part = if algorithm == Some("CRC32C") {
            part.header("x-amz-checksum-crc32c", &crc)
        } else {
            part
        };
        let etag = part.expect(200).await.etag();
        let named = format!("<ChecksumCRC32C>{crc}</ChecksumCRC32C>");
        let named = if algorithm == Some("CRC32C") { named.as_str() } else { "" };
        let done = upload.complete(&[(1, &etag, named)]).expect(200).await;
        let shown = attributes().expect(200).await;
        assert_eq!(shown.element("ETag"), Some(done.element("ETag").unwrap().replace('"', "")));
        assert_eq!(shown.elements("PartNumber").len(), parts, "{created:?}: {}", shown.text());
        assert_eq!(shown.element("MaxParts").is_some(), parts > 0, "{created:?}: {}", shown.text());
        assert_eq!(
            shown.element("PartsCount").as_deref(),
            Some("1"),
            "{created:?}: {}",
            shown.text()
        );
        let name = if algorithm == Some("CRC32C") { "ChecksumCRC32C" } else { "ChecksumCRC64NVME" };
        let value = done.element(name).unwrap();
        assert_eq!(shown.element(name).as_deref(), value.split('-').next(), "{created:?}");
    }
}
