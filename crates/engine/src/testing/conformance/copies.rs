//! Conformance of copies inside a store: CopyObject and UploadPartCopy.

use bytes::Bytes;
use haul_parts::{ChecksumAlgorithm, ETag, Hasher, Protection};

use super::{
    OrFail, Suite, attributes, complete_request, crc64, ensure, fails, part_number, pattern, same,
    same_bytes,
};
use crate::remote::{
    CopyRequest, ObjectAttributes, ObjectRef, PartCopyRequest, StoreError, StoreErrorKind,
    UploadRef, UploadedPart,
};

fn copy_of(source: &ObjectRef) -> CopyRequest {
    CopyRequest {
        source: source.clone(),
        source_if_match: None,
        attributes: None,
        storage_class: None,
        protection: Protection::default(),
        if_none_match: false,
        if_match: None,
    }
}

pub(super) async fn object(suite: &Suite) -> Result<(), String> {
    // Every character that a header could change in transit.
    let source = suite.object("copy source/+%25 \u{fc}?#&=")?;
    let (target, bytes) = (suite.object("copied")?, pattern(100_003, 61));
    let put = suite.put(&source, &bytes).await.or_fail("PutObject")?;
    let request = CopyRequest { source_if_match: Some(put.etag.clone()), ..copy_of(&source) };
    let copied = suite.store.copy_object(&target, &request).await.or_fail("CopyObject")?;
    if suite.expectations.md5_etags {
        same("the ETag of the copy", &copied.etag, &put.etag)?;
    }
    let crc =
        copied.checksum.filter(|checksum| checksum.algorithm() == ChecksumAlgorithm::Crc64Nvme);
    ensure(crc.is_none_or(|crc| crc == crc64(&bytes)), || {
        format!("the checksum of the copy is {crc:?}")
    })?;
    same_bytes("the copy", &suite.get(&target).await?, &bytes)?;
    let head = suite.store.head_object(&target).await.or_fail("HEAD of the copy")?;
    same("the ETag in HEAD", &head.etag, &copied.etag)?;
    same("the content type", &head.attributes.content_type, &attributes().content_type)?;
    same("the metadata", &head.attributes.metadata, &attributes().metadata)?;
    suite.delete(&target).await?;
    same_bytes("the source after its copy was deleted", &suite.get(&source).await?, &bytes)?;
    suite.delete(&source).await
}

pub(super) async fn attributes_of_a_copy(suite: &Suite) -> Result<(), String> {
    let (source, bytes) = (suite.object("described")?, pattern(1000, 62));
    suite.put(&source, &bytes).await.or_fail("PutObject")?;
    let others = ObjectAttributes {
        content_type: Some("text/x-other".into()),
        content_language: Some("fr".into()),
        metadata: [("other".to_owned(), "one".to_owned())].into(),
        ..ObjectAttributes::default()
    };
    // A copy onto itself: only its attributes change.
    let request = CopyRequest { attributes: Some(others.clone()), ..copy_of(&source) };
    suite.store.copy_object(&source, &request).await.or_fail("CopyObject onto itself")?;
    let head = suite.store.head_object(&source).await.or_fail("HeadObject")?;
    same("the content type", &head.attributes.content_type, &others.content_type)?;
    same("the content language", &head.attributes.content_language, &others.content_language)?;
    same("the cache control", &head.attributes.cache_control, &None)?;
    same("the metadata", &head.attributes.metadata, &others.metadata)?;
    same_bytes("the bytes", &suite.get(&source).await?, &bytes)?;
    suite.delete(&source).await
}

/// Two parts of one object in reverse order, and the whole of another as the last.
pub(super) async fn parts(suite: &Suite) -> Result<(), String> {
    let part = suite.part_size();
    let (long, short) = (pattern(2 * part + 1000, 63), short_source(suite, 64));
    let (first, second) = (suite.object("long source")?, suite.object("short source")?);
    suite.put(&first, &long).await.or_fail("PutObject")?;
    suite.put(&second, &short).await.or_fail("PutObject")?;
    let target = suite.object("composed")?;
    let upload = suite.create(&target).await?;
    let ranges =
        [(1, &first, Some(part..2 * part)), (2, &first, Some(0..part)), (3, &second, None)];
    let mut listed = vec![];
    let mut wanted = vec![];
    for (number, source, range) in ranges {
        let bytes = match (&range, source == &first) {
            (Some(range), _) => long.slice(range.clone()),
            (None, _) => short.clone(),
        };
        let request = PartCopyRequest {
            number: part_number(number)?,
            source: source.clone(),
            source_if_match: None,
            range: range.map(|range| range.start as u64..range.end as u64),
        };
        let copied =
            suite.store.upload_part_copy(&upload, &request).await.or_fail("UploadPartCopy")?;
        check_part(suite, &copied, &bytes)?;
        listed.push(suite.listed(request.number, &copied));
        wanted.extend_from_slice(&bytes);
    }
    let page = suite.store.list_parts(&upload, None).await.or_fail("ListParts")?;
    let sizes: Vec<_> = page.parts.iter().map(|part| part.size_bytes).collect();
    same("the sizes of the parts", &sizes, &vec![part as u64, part as u64, short.len() as u64])?;
    let request = complete_request(listed);
    suite.store.complete_multipart_upload(&upload, &request).await.or_fail("Complete")?;
    same_bytes("what was composed", &suite.get(&target).await?, &Bytes::from(wanted))?;
    for object in [&target, &first, &second] {
        suite.delete(object).await?;
    }
    Ok(())
}

/// Returns a short object that UploadPartCopy takes.
fn short_source(suite: &Suite, seed: u64) -> Bytes {
    pattern(777.max(suite.expectations.part_source_min_bytes), seed)
}

fn check_part(suite: &Suite, copied: &UploadedPart, bytes: &Bytes) -> Result<(), String> {
    if suite.expectations.md5_etags {
        let md5 = Hasher::checksum(ChecksumAlgorithm::Md5, bytes).as_md5();
        same("the MD5 of a copied part", &copied.etag.as_md5(), &md5)?;
    }
    if suite.expectations.copies_have_checksums {
        same("the checksum of a copied part", &copied.checksum, &Some(crc64(bytes)))?;
    }
    Ok(())
}

pub(super) async fn conditional(suite: &Suite) -> Result<(), String> {
    let (source, target) = (suite.object("conditional source")?, suite.object("conditional copy")?);
    suite.put(&source, &short_source(suite, 65)).await.or_fail("PutObject")?;
    let other = Some(ETag::new("\"0123456789abcdef0123456789abcdef\""));
    let request = CopyRequest { source_if_match: other.clone(), ..copy_of(&source) };
    let copied = suite.store.copy_object(&target, &request).await;
    refused(suite, "CopyObject of another version", copied)?;
    let seen = suite.store.head_object(&target).await;
    if suite.expectations.conditional_copies {
        fails("HEAD of what was not copied", seen, StoreErrorKind::NoSuchKey)?;
    }
    let upload = suite.create(&target).await?;
    let request = part_of(&source, other)?;
    let copied = suite.store.upload_part_copy(&upload, &request).await;
    refused(suite, "UploadPartCopy of another version", copied)?;
    abort(suite, &upload).await?;
    suite.delete(&target).await?;
    suite.delete(&source).await
}

/// Asserts the refusal by a store that obeys the condition, and success at any other.
fn refused(
    suite: &Suite,
    what: &str,
    copied: Result<UploadedPart, StoreError>,
) -> Result<(), String> {
    if suite.expectations.conditional_copies {
        return fails(what, copied, StoreErrorKind::PreconditionFailed);
    }
    ensure(copied.is_ok(), || format!("{what} is refused after all: {copied:?}"))
}

pub(super) async fn missing(suite: &Suite) -> Result<(), String> {
    let (nothing, target) = (suite.object("nothing here")?, suite.object("copy of nothing")?);
    let copied = suite.store.copy_object(&target, &copy_of(&nothing)).await;
    fails("CopyObject of nothing", copied, StoreErrorKind::NoSuchKey)?;
    let upload = suite.create(&target).await?;
    let copied = suite.store.upload_part_copy(&upload, &part_of(&nothing, None)?).await;
    fails("UploadPartCopy of nothing", copied, StoreErrorKind::NoSuchKey)?;
    abort(suite, &upload).await?;
    suite.put(&nothing, &short_source(suite, 66)).await.or_fail("PutObject")?;
    let copied = suite.store.upload_part_copy(&upload, &part_of(&nothing, None)?).await;
    fails("UploadPartCopy into an aborted upload", copied, StoreErrorKind::NoSuchUpload)?;
    suite.delete(&nothing).await
}

fn part_of(source: &ObjectRef, source_if_match: Option<ETag>) -> Result<PartCopyRequest, String> {
    Ok(PartCopyRequest {
        number: part_number(1)?,
        source: source.clone(),
        source_if_match,
        range: None,
    })
}

async fn abort(suite: &Suite, upload: &UploadRef) -> Result<(), String> {
    suite.store.abort_multipart_upload(upload).await.or_fail("Abort")
}
