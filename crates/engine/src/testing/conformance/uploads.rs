//! Conformance of multipart uploads that succeed, and of the state they leave.

use haul_parts::{ChecksumAlgorithm, ChecksumType, ETag, Hasher, ObjectChecksum, PartNumber};

use super::{
    OrFail, Suite, attributes, complete_request, crc64, ensure, fails, part_number, part_request,
    pattern, same, same_bytes,
};
use crate::remote::{
    CompleteRequest, CreateRequest, ObjectHead, ObjectRef, StoreErrorKind, UploadRef,
};

pub(super) async fn round_trip(suite: &Suite) -> Result<(), String> {
    let object = suite.object("upload")?;
    let bytes = pattern(suite.part_size() + 12_345, 10);
    let pieces = [bytes.slice(..suite.part_size()), bytes.slice(suite.part_size()..)];
    let upload = suite.create(&object).await?;

    // The second part is sent first, because the order of arrival must not matter.
    let mut listed = vec![];
    for number in [2, 1] {
        let number = part_number(number)?;
        let request = part_request(number, &pieces[number.index()]);
        let wire = request.wire.clone();
        let sent = suite.store.upload_part(&upload, request).await.or_fail("UploadPart")?;
        same("what the wire carried", &wire.sent_bytes(), &(pieces[number.index()].len() as u64))?;
        if suite.expectations.checksums {
            same("the echoed checksum", &sent.checksum, &Some(crc64(&pieces[number.index()])))?;
        }
        listed.insert(0, suite.listed(number, &sent));
    }
    let page = suite.store.list_parts(&upload, None).await.or_fail("ListParts")?;
    same("the next page", &page.next, &None)?;
    for (part, (piece, named)) in page.parts.iter().zip(pieces.iter().zip(&listed)) {
        same("the number of a listed part", &part.number, &named.number)?;
        same("the size of a listed part", &part.size_bytes, &(piece.len() as u64))?;
        same("the ETag of a listed part", &part.etag, &named.etag)?;
        if suite.expectations.checksums {
            same("the checksum of a listed part", &part.checksum, &Some(crc64(piece)))?;
        }
    }
    same("how many parts are listed", &page.parts.len(), &2)?;
    fails(
        "HEAD before Complete",
        suite.store.head_object(&object).await,
        StoreErrorKind::NoSuchKey,
    )?;

    let request = CompleteRequest {
        full_object_checksum: suite.expectations.checksums.then(|| crc64(&bytes)),
        object_size_bytes: Some(bytes.len() as u64),
        ..complete_request(listed)
    };
    let completed =
        suite.store.complete_multipart_upload(&upload, &request).await.or_fail("Complete")?;
    let head = suite.store.head_object(&object).await.or_fail("HeadObject")?;
    same("the size", &head.size_bytes, &(bytes.len() as u64))?;
    same("the metadata", &head.attributes.metadata, &attributes().metadata)?;
    same("the content type", &head.attributes.content_type, &attributes().content_type)?;
    if suite.expectations.etag_at_complete {
        same("the ETag of Complete", &completed.etag, &Some(head.etag.clone()))?;
    }
    if suite.expectations.md5_etags {
        let md5s = pieces.iter().filter_map(|piece| md5(piece));
        same("the ETag", &head.etag, &ETag::composite(md5s))?;
    }
    if suite.expectations.checksums {
        let wanted = Some((crc64(&bytes), ChecksumType::FullObject));
        same("the checksum of HEAD", &head.checksum, &wanted)?;
    }
    if suite.expectations.heads_parts {
        let part =
            suite.store.head_part(&object, part_number(2)?).await.or_fail("HEAD of part 2")?;
        let part = part.ok_or("HEAD does not know part 2")?;
        same("the size of part 2", &part.size_bytes, &(pieces[1].len() as u64))?;
        same("the count of parts", &part.part_count, &Some(2))?;
    }
    described(suite, &object, &head).await?;
    same_bytes("the body", &suite.get(&object).await?, &bytes)?;

    gone(suite, &upload).await?;
    suite.delete(&object).await
}

/// HeadObject with every field must agree with the short form, and GetObjectAttributes, if the
/// store supports it, must not contradict the parts.
async fn described(suite: &Suite, object: &ObjectRef, head: &ObjectHead) -> Result<(), String> {
    let described = suite.store.describe_object(object).await.or_fail("HeadObject")?;
    same("the described size", &described.head.size_bytes, &head.size_bytes)?;
    same("the described ETag", &described.head.etag, &head.etag)?;
    if suite.expectations.checksums {
        let full = head.checksum.map(|(checksum, _)| ObjectChecksum::FullObject(checksum));
        same("the described checksum", &described.checksum, &full)?;
    }
    let Ok(page) = suite.store.get_object_attributes(object, None).await else { return Ok(()) };
    let listed: u64 = page.parts.iter().map(|part| part.size_bytes).sum();
    ensure(page.parts.is_empty() || listed == head.size_bytes, || {
        format!("GetObjectAttributes lists parts of {listed} bytes: {:?}", page.parts)
    })?;
    ensure(page.part_count.is_none_or(|count| count == 2), || {
        format!("GetObjectAttributes counts {:?} parts instead of 2", page.part_count)
    })
}

pub(super) async fn one_part(suite: &Suite) -> Result<(), String> {
    let object = suite.object("one-part")?;
    let bytes = pattern(1, 11);
    let upload = suite.create(&object).await?;
    let sent = suite.send(&upload, PartNumber::MIN, &bytes).await.or_fail("UploadPart")?;
    let request = complete_request(vec![suite.listed(PartNumber::MIN, &sent)]);
    suite.store.complete_multipart_upload(&upload, &request).await.or_fail("Complete")?;
    same_bytes("the body", &suite.get(&object).await?, &bytes)?;
    if suite.expectations.md5_etags {
        let head = suite.store.head_object(&object).await.or_fail("HeadObject")?;
        same("the ETag", &head.etag, &ETag::composite(md5(&bytes)))?;
    }
    suite.delete(&object).await
}

pub(super) async fn part_replaced(suite: &Suite) -> Result<(), String> {
    let object = suite.object("replaced")?;
    let (old, new) = (pattern(2000, 12), pattern(3000, 13));
    let upload = suite.create(&object).await?;
    let first = suite.send(&upload, PartNumber::MIN, &old).await.or_fail("UploadPart")?;
    let second = suite.send(&upload, PartNumber::MIN, &new).await.or_fail("UploadPart again")?;
    let page = suite.store.list_parts(&upload, None).await.or_fail("ListParts")?;
    let seen: Vec<_> = page.parts.iter().map(|part| (part.number.get(), part.size_bytes)).collect();
    same("the list of parts", &seen, &vec![(1, 3000)])?;

    let outdated = complete_request(vec![suite.listed(PartNumber::MIN, &first)]);
    let completed = suite.store.complete_multipart_upload(&upload, &outdated).await;
    fails("Complete with the old ETag", completed, StoreErrorKind::InvalidPart)?;
    let current = complete_request(vec![suite.listed(PartNumber::MIN, &second)]);
    suite
        .store
        .complete_multipart_upload(&upload, &current)
        .await
        .or_fail("Complete after a refused one")?;
    same_bytes("the body", &suite.get(&object).await?, &new)?;
    suite.delete(&object).await
}

pub(super) async fn abort(suite: &Suite) -> Result<(), String> {
    let object = suite.object("aborted")?;
    let upload = suite.create(&object).await?;
    let sent =
        suite.send(&upload, PartNumber::MIN, &pattern(1000, 14)).await.or_fail("UploadPart")?;
    suite.store.abort_multipart_upload(&upload).await.or_fail("Abort")?;
    gone(suite, &upload).await?;
    let request = complete_request(vec![suite.listed(PartNumber::MIN, &sent)]);
    let completed = suite.store.complete_multipart_upload(&upload, &request).await;
    fails("Complete after Abort", completed, suite.expectations.complete_of_gone_upload)?;
    fails("HEAD after Abort", suite.store.head_object(&object).await, StoreErrorKind::NoSuchKey)?;
    // AWS answers NoSuchUpload, some stores answer 204.
    match suite.store.abort_multipart_upload(&upload).await {
        Ok(()) => Ok(()),
        error => fails("a second Abort", error, StoreErrorKind::NoSuchUpload),
    }
}

/// The store may answer an identical Complete with success or with NoSuchUpload; in both cases the
/// object stays.
pub(super) async fn complete_repeated(suite: &Suite) -> Result<(), String> {
    let object = suite.object("repeated")?;
    let bytes = pattern(1000, 15);
    let upload = suite.create(&object).await?;
    let sent = suite.send(&upload, PartNumber::MIN, &bytes).await.or_fail("UploadPart")?;
    let request = complete_request(vec![suite.listed(PartNumber::MIN, &sent)]);
    suite.store.complete_multipart_upload(&upload, &request).await.or_fail("Complete")?;
    let head = suite.store.head_object(&object).await.or_fail("HeadObject")?;
    match suite.store.complete_multipart_upload(&upload, &request).await {
        Ok(repeated) => {
            ensure(repeated.etag.as_ref().is_none_or(|etag| *etag == head.etag), || {
                format!(
                    "the repeated Complete gave the ETag {:?} instead of {}",
                    repeated.etag, head.etag
                )
            })?;
        }
        error => fails("a repeated Complete", error, StoreErrorKind::NoSuchUpload)?,
    }
    same_bytes("the body", &suite.get(&object).await?, &bytes)?;
    suite.delete(&object).await
}

pub(super) async fn wrong_checksums(suite: &Suite) -> Result<(), String> {
    let object = suite.object("wrong-part")?;
    let bytes = pattern(1000, 16);
    let upload = suite.create(&object).await?;
    // LocalStack requires a checksum with every part if one was declared, so MD5 is tested with a
    // separate upload.
    let created = suite.store.create_multipart_upload(&object, &CreateRequest::default()).await;
    let upload_id = created.or_fail("Create without a checksum")?.upload_id;
    let undeclared = UploadRef { object: object.clone(), upload_id };
    let mut wrong = vec![(&undeclared, Hasher::checksum(ChecksumAlgorithm::Md5, b"other bytes"))];
    wrong.extend(suite.expectations.checksums.then(|| (&upload, crc64(b"other bytes"))));
    for (to, checksum) in wrong {
        let mut request = part_request(PartNumber::MIN, &bytes);
        request.checksum = Some(checksum);
        let sent = suite.store.upload_part(to, request).await;
        fails(&format!("UploadPart with {checksum}"), sent, StoreErrorKind::BadDigest)?;
        let page = suite.store.list_parts(to, None).await.or_fail("ListParts")?;
        same("the parts after refused ones", &page.parts.len(), &0)?;
    }
    suite.store.abort_multipart_upload(&undeclared).await.or_fail("Abort")?;
    let sent = suite.send(&upload, PartNumber::MIN, &bytes).await.or_fail("UploadPart")?;
    let listed = vec![suite.listed(PartNumber::MIN, &sent)];
    if suite.expectations.checks_object_size {
        let request =
            CompleteRequest { object_size_bytes: Some(999), ..complete_request(listed.clone()) };
        let completed = suite.store.complete_multipart_upload(&upload, &request).await;
        fails("Complete with a wrong size", completed, StoreErrorKind::Rejected)?;
    }
    if suite.expectations.checksums {
        let full_object_checksum = Some(crc64(b"other bytes"));
        let request = CompleteRequest { full_object_checksum, ..complete_request(listed.clone()) };
        let completed = suite.store.complete_multipart_upload(&upload, &request).await;
        fails("Complete with a wrong checksum", completed, StoreErrorKind::BadDigest)?;
    }
    suite.store.abort_multipart_upload(&upload).await.or_fail("Abort")
}

pub(super) async fn conditional_complete(suite: &Suite) -> Result<(), String> {
    if !suite.expectations.conditional_complete {
        return Ok(());
    }
    let object = suite.object("conditional-upload")?;
    let upload = suite.create(&object).await?;
    let sent =
        suite.send(&upload, PartNumber::MIN, &pattern(100, 17)).await.or_fail("UploadPart")?;
    let present = pattern(50, 18);
    let etag = suite.put(&object, &present).await.or_fail("PutObject meanwhile")?.etag;
    let listed = complete_request(vec![suite.listed(PartNumber::MIN, &sent)]);
    let request = CompleteRequest { if_none_match: true, ..listed.clone() };
    let completed = suite.store.complete_multipart_upload(&upload, &request).await;
    fails("If-None-Match over an object", completed, StoreErrorKind::PreconditionFailed)?;
    let request = CompleteRequest { if_match: Some(ETag::from_md5([9; 16])), ..listed };
    let completed = suite.store.complete_multipart_upload(&upload, &request).await;
    fails("If-Match of another version", completed, StoreErrorKind::PreconditionFailed)?;
    same_bytes("the body", &suite.get(&object).await?, &present)?;
    suite.store.abort_multipart_upload(&upload).await.or_fail("Abort")?;

    let upload = suite.create(&object).await?;
    let replacement = pattern(100, 19);
    let sent = suite.send(&upload, PartNumber::MIN, &replacement).await.or_fail("UploadPart")?;
    let listed = complete_request(vec![suite.listed(PartNumber::MIN, &sent)]);
    let request = CompleteRequest { if_match: Some(etag), ..listed };
    suite
        .store
        .complete_multipart_upload(&upload, &request)
        .await
        .or_fail("If-Match of this version")?;
    same_bytes("the body", &suite.get(&object).await?, &replacement)?;
    suite.delete(&object).await
}

/// Asserts that no operation on the upload is possible any more.
async fn gone(suite: &Suite, upload: &UploadRef) -> Result<(), String> {
    let kind = StoreErrorKind::NoSuchUpload;
    fails("ListParts at the end", suite.store.list_parts(upload, None).await, kind)?;
    let sent = suite.send(upload, PartNumber::MIN, &pattern(10, 20)).await;
    fails("UploadPart at the end", sent, kind)
}

fn md5(bytes: &[u8]) -> Option<[u8; 16]> {
    Hasher::checksum(ChecksumAlgorithm::Md5, bytes).as_md5()
}
