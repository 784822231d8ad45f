//! Conformance of requests that must be refused, each with the kind of error that the engine acts
//! on.

use haul_parts::{Bucket, ETag, PartNumber, UploadId};

use super::{
    OrFail, Suite, complete_request, fails, part_number, pattern, put_request, same_bytes,
};
use crate::remote::{CompletedPart, CreateRequest, ObjectRef, StoreErrorKind, UploadRef};

/// Lists with wrong parts; after each refusal the upload can still be completed.
pub(super) async fn part_lists(suite: &Suite) -> Result<(), String> {
    let object = suite.object("refused-lists")?;
    let (first, second) = (pattern(suite.part_size(), 30), pattern(100, 31));
    let upload = suite.create(&object).await?;
    let (one, two, three) = (PartNumber::MIN, part_number(2)?, part_number(3)?);
    let sent_first = suite.send(&upload, one, &first).await.or_fail("UploadPart 1")?;
    let sent_second = suite.send(&upload, two, &second).await.or_fail("UploadPart 2")?;
    let (listed_first, listed_second) =
        (suite.listed(one, &sent_first), suite.listed(two, &sent_second));
    let never_sent = CompletedPart { number: three, etag: ETag::from_md5([3; 16]), checksum: None };
    let wrong_etag = CompletedPart { etag: ETag::from_md5([1; 16]), ..listed_first.clone() };

    let mut lists = vec![
        ("a part that was never sent", vec![listed_first.clone(), never_sent]),
        ("a wrong ETag", vec![wrong_etag, listed_second.clone()]),
    ];
    if suite.expectations.enforces_part_order {
        lists.push(("descending order", vec![listed_second.clone(), listed_first.clone()]));
    }
    for (what, list) in lists {
        let completed =
            suite.store.complete_multipart_upload(&upload, &complete_request(list)).await;
        fails(what, completed, StoreErrorKind::InvalidPart)?;
    }
    let whole = complete_request(vec![listed_first, listed_second]);
    suite
        .store
        .complete_multipart_upload(&upload, &whole)
        .await
        .or_fail("Complete after refused ones")?;
    let wanted = [first, second].concat().into();
    same_bytes("the body", &suite.get(&object).await?, &wanted)?;
    suite.delete(&object).await?;

    if suite.expectations.enforces_part_size {
        too_small(suite).await?;
    }
    Ok(())
}

async fn too_small(suite: &Suite) -> Result<(), String> {
    let upload = suite.create(&suite.object("too-small")?).await?;
    let mut list = vec![];
    for number in [1, 2] {
        let number = part_number(number)?;
        let bytes = pattern(suite.part_size() - 1, 32);
        let sent = suite.send(&upload, number, &bytes).await.or_fail("UploadPart")?;
        list.push(suite.listed(number, &sent));
    }
    let completed = suite.store.complete_multipart_upload(&upload, &complete_request(list)).await;
    fails("a first part that is too small", completed, StoreErrorKind::EntityTooSmall)?;
    suite.store.abort_multipart_upload(&upload).await.or_fail("Abort")
}

pub(super) async fn unknown_uploads(suite: &Suite) -> Result<(), String> {
    let (here, there) = (suite.object("known")?, suite.object("other")?);
    let known = suite.create(&here).await?;
    let of_another_key = UploadRef { object: there, upload_id: known.upload_id.clone() };
    let kind = StoreErrorKind::NoSuchUpload;
    let sent = suite.send(&of_another_key, PartNumber::MIN, &pattern(10, 33)).await;
    fails("UploadPart with the id of another key", sent, kind)?;
    fails(
        "ListParts with the id of another key",
        suite.store.list_parts(&of_another_key, None).await,
        kind,
    )?;
    suite.store.abort_multipart_upload(&known).await.or_fail("Abort")?;

    // An id in the format of this store that it does not know (any more).
    fails("ListParts of an unknown id", suite.store.list_parts(&known, None).await, kind)?;
    let invented = UploadId::new("bm90IGFuIHVwbG9hZCBpZA").map_err(|error| error.to_string())?;
    let invented = UploadRef { object: here, upload_id: invented };
    let listed = suite.store.list_parts(&invented, None).await;
    fails("ListParts of an invented id", listed, kind)
}

pub(super) async fn missing_bucket(suite: &Suite) -> Result<(), String> {
    let name = format!("{:.50}-missing", suite.bucket.as_str());
    let bucket = Bucket::new(name).map_err(|error| error.to_string())?;
    let object = ObjectRef { bucket: bucket.clone(), key: suite.object("nowhere")?.key };
    let kind = StoreErrorKind::NoSuchBucket;
    let created = suite.store.create_multipart_upload(&object, &CreateRequest::default()).await;
    fails("Create", created, kind)?;
    let put = suite.store.put_object(&object, put_request(&pattern(10, 34))).await;
    fails("PutObject", put, kind)?;
    let listed = suite.store.list_objects(&bucket, "", None, None).await;
    fails("ListObjectsV2", listed, kind)
}
