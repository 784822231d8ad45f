//! Conformance of objects that are put in one request.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use haul_parts::{Checksum, ChecksumAlgorithm, ChecksumType, ETag, Hasher, PartNumber};

use super::{
    OrFail, Suite, attributes, complete_request, crc64, ensure, fails, pattern, put_request, same,
    same_bytes,
};
use crate::remote::{GetRequest, ListingEntry, ObjectRef, StoreErrorKind};

/// Reads an object to its end.
pub(super) async fn read(
    suite: &Suite,
    object: &ObjectRef,
    request: &GetRequest,
) -> Result<Bytes, String> {
    let mut body = suite.store.get_object(object, request).await.or_fail("GetObject")?;
    let mut bytes = BytesMut::new();
    while let Some(slice) = body.bytes.next().await {
        bytes.extend_from_slice(&slice.or_fail("the body of GetObject")?);
    }
    Ok(bytes.freeze())
}

pub(super) async fn round_trip(suite: &Suite) -> Result<(), String> {
    let object = suite.object("put")?;
    let bytes = pattern(300_001, 1);
    let request = put_request(&bytes);
    let wire = request.wire.clone();
    let put = suite.store.put_object(&object, request).await.or_fail("PutObject")?;
    same("what the wire carried", &wire.sent_bytes(), &(bytes.len() as u64))?;
    if suite.expectations.md5_etags {
        let md5 = Hasher::checksum(ChecksumAlgorithm::Md5, &bytes).as_md5();
        same("the MD5 in the ETag", &put.etag.as_md5(), &md5)?;
    }
    if suite.expectations.checksums {
        same("the echoed checksum", &put.checksum, &Some(crc64(&bytes)))?;
    }

    let head = suite.store.head_object(&object).await.or_fail("HeadObject")?;
    same("the size", &head.size_bytes, &(bytes.len() as u64))?;
    same("the ETag of HEAD", &head.etag, &put.etag)?;
    same("the content type", &head.attributes.content_type, &attributes().content_type)?;
    same("the cache control", &head.attributes.cache_control, &attributes().cache_control)?;
    same("the metadata", &head.attributes.metadata, &attributes().metadata)?;
    ensure(head.last_modified.is_some(), || "HEAD gave no Last-Modified".into())?;
    if suite.expectations.checksums {
        let wanted = Some((crc64(&bytes), ChecksumType::FullObject));
        same("the checksum of HEAD", &head.checksum, &wanted)?;
    }
    let part = suite.store.head_part(&object, PartNumber::MIN).await.or_fail("HEAD of part 1")?;
    if suite.expectations.put_is_one_part {
        let seen = part.map(|part| (part.size_bytes, part.part_count));
        same(
            "the one part of an object put in one piece",
            &seen,
            &Some((bytes.len() as u64, Some(1))),
        )?;
    } else {
        ensure(part.is_none(), || format!("an object put in one piece has a part: {part:?}"))?;
    }

    same_bytes("the body", &suite.get(&object).await?, &bytes)?;
    let other = pattern(1000, 2);
    suite.put(&object, &other).await.or_fail("PutObject over an object")?;
    same_bytes("the body after it was overwritten", &suite.get(&object).await?, &other)?;

    suite.delete(&object).await?;
    fails("HEAD after delete", suite.store.head_object(&object).await, StoreErrorKind::NoSuchKey)?;
    let got = suite.store.get_object(&object, &GetRequest::default()).await;
    fails("GET after delete", got, StoreErrorKind::NoSuchKey)?;
    suite.delete(&object).await.map_err(|error| format!("a second time: {error}"))
}

pub(super) async fn empty(suite: &Suite) -> Result<(), String> {
    let object = suite.object("empty")?;
    suite.put(&object, &Bytes::new()).await.or_fail("PutObject")?;
    let head = suite.store.head_object(&object).await.or_fail("HeadObject")?;
    same("the size", &head.size_bytes, &0)?;
    same_bytes("the body", &suite.get(&object).await?, &Bytes::new())?;
    suite.delete(&object).await
}

pub(super) async fn ranges(suite: &Suite) -> Result<(), String> {
    let object = suite.object("range")?;
    let bytes = pattern(200_000, 3);
    let etag = suite.put(&object, &bytes).await.or_fail("PutObject")?.etag;
    for offset_bytes in [0_usize, 1, 99_999, 199_999] {
        let request = GetRequest {
            offset_bytes: offset_bytes as u64,
            if_match: Some(etag.clone()),
            size_bytes: None,
        };
        let body = suite.store.get_object(&object, &request).await.or_fail("GetObject")?;
        same("the size of the whole in a ranged GET", &body.head.size_bytes, &200_000)?;
        let read = read(suite, &object, &request).await?;
        same_bytes(&format!("the body from {offset_bytes}"), &read, &bytes.slice(offset_bytes..))?;
    }
    for (offset, size) in [(0_usize, 1_usize), (0, 200_000), (99_999, 100_001), (150_000, 10)] {
        let request = GetRequest {
            offset_bytes: offset as u64,
            size_bytes: Some(size as u64),
            if_match: Some(etag.clone()),
        };
        let body = suite.store.get_object(&object, &request).await.or_fail("GetObject")?;
        same("the size of the whole in a limited GET", &body.head.size_bytes, &200_000)?;
        let read = read(suite, &object, &request).await?;
        same_bytes(
            &format!("{size} bytes from {offset}"),
            &read,
            &bytes.slice(offset..offset + size),
        )?;
    }
    let behind = GetRequest { offset_bytes: 200_000, ..GetRequest::default() };
    fails(
        "GET behind the end",
        suite.store.get_object(&object, &behind).await,
        StoreErrorKind::Rejected,
    )?;
    let other = GetRequest { if_match: Some(ETag::from_md5([7; 16])), ..GetRequest::default() };
    let got = suite.store.get_object(&object, &other).await;
    fails("GET of another version", got, StoreErrorKind::PreconditionFailed)?;
    suite.delete(&object).await
}

/// Keys that path handling, URL encoding or XML could damage.
pub(super) const ODD_KEYS: [&str; 14] = [
    "odd/with space",
    "odd/plus+sign",
    "odd/per%cent",
    "odd/encoded%2Fslash",
    "odd/double//slash",
    "odd/dots/../up",
    "odd/dot/./here",
    "odd/ends with slash/",
    "odd/ümläut/日本語/🚚",
    "odd/query?and=this&that#fragment",
    "odd/<xml> & \"quotes\" 'single'",
    "odd/tilde~!*()",
    "odd/semi;colon:at@comma,",
    "odd/back\\slash^|`",
];

/// Each key is put, found by name, listed under exactly that name, and written again as a multipart
/// upload.
pub(super) async fn odd_keys(suite: &Suite) -> Result<(), String> {
    for (seed, name) in ODD_KEYS.into_iter().enumerate() {
        if !suite.expectations.refused_keys.contains(&name) {
            odd_key(suite, name, seed as u64).await.map_err(|seen| format!("{name:?}: {seen}"))?;
        }
    }
    Ok(())
}

async fn odd_key(suite: &Suite, name: &str, seed: u64) -> Result<(), String> {
    let object = suite.object(name)?;
    let bytes = pattern(100, seed);
    suite.put(&object, &bytes).await.or_fail("PutObject")?;
    same_bytes("the body", &suite.get(&object).await?, &bytes)?;
    let listing = suite.store.list_objects(&suite.bucket, object.key.as_str(), None, None).await;
    let listing = listing.or_fail("ListObjectsV2")?;
    let found = listing.entries.iter().any(|entry| match entry {
        ListingEntry::Object { key, size_bytes: 100, .. } => key == object.key.as_str(),
        _ => false,
    });
    ensure(found, || format!("the listing shows {:?}", listing.entries))?;

    let other = pattern(200, seed);
    let upload = suite.create(&object).await?;
    let uploads =
        suite.store.list_multipart_uploads(&suite.bucket, object.key.as_str(), None).await;
    let uploads = uploads.or_fail("ListMultipartUploads")?.uploads;
    ensure(uploads.iter().any(|summary| summary.key == object.key.as_str()), || {
        format!("the listing of uploads shows {uploads:?}")
    })?;
    let sent = suite.send(&upload, PartNumber::MIN, &other).await.or_fail("UploadPart")?;
    let request = complete_request(vec![suite.listed(PartNumber::MIN, &sent)]);
    suite.store.complete_multipart_upload(&upload, &request).await.or_fail("Complete")?;
    same_bytes("the body made of parts", &suite.get(&object).await?, &other)?;
    suite.delete(&object).await
}

pub(super) async fn wrong_checksums(suite: &Suite) -> Result<(), String> {
    let object = suite.object("wrong-checksum")?;
    let bytes = pattern(1000, 5);
    let mut wrong: Vec<Checksum> = vec![Hasher::checksum(ChecksumAlgorithm::Md5, b"other bytes")];
    if suite.expectations.checksums {
        wrong.push(crc64(b"other bytes"));
        wrong.push(Hasher::checksum(ChecksumAlgorithm::Sha256, b"other bytes"));
    }
    for checksum in wrong {
        let mut request = put_request(&bytes);
        request.md5 = None;
        request.checksum = Some(checksum);
        let put = suite.store.put_object(&object, request).await;
        fails(&format!("PutObject with {checksum}"), put, StoreErrorKind::BadDigest)?;
        fails("HEAD of it", suite.store.head_object(&object).await, StoreErrorKind::NoSuchKey)?;
    }
    let mut request = put_request(&bytes);
    request.md5 = Some(Hasher::checksum(ChecksumAlgorithm::Md5, b"other bytes"));
    let put = suite.store.put_object(&object, request).await;
    fails("PutObject with a right checksum and a wrong MD5", put, StoreErrorKind::BadDigest)?;
    fails("HEAD of it", suite.store.head_object(&object).await, StoreErrorKind::NoSuchKey)
}

pub(super) async fn conditional_put(suite: &Suite) -> Result<(), String> {
    if !suite.expectations.conditional_put {
        return Ok(());
    }
    let object = suite.object("conditional")?;
    let (first, second) = (pattern(10, 6), pattern(20, 7));
    let mut request = put_request(&first);
    request.if_none_match = true;
    suite.store.put_object(&object, request).await.or_fail("the first If-None-Match")?;
    let mut request = put_request(&second);
    request.if_none_match = true;
    let put = suite.store.put_object(&object, request).await;
    fails("the second If-None-Match", put, StoreErrorKind::PreconditionFailed)?;
    same_bytes("the body", &suite.get(&object).await?, &first)?;
    suite.delete(&object).await
}
