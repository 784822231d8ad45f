//! Tests that the in-memory store passes the suite with each set of quirks, and that its faults
//! behave as documented.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use haul_parts::{Bucket, ChecksumAlgorithm, Hasher, Key, PartNumber};

use super::*;
use crate::body::Payload;
use crate::remote::{
    CompleteRequest, CompletedPart, CreateRequest, Meter, PartRequest, Store, StoreError,
    StoreErrorKind, UploadedPart,
};
use crate::testing::conformance::{self, Expectations};

fn bucket() -> Bucket {
    Bucket::new("memory").unwrap()
}

fn object() -> ObjectRef {
    ObjectRef { bucket: bucket(), key: Key::new("key").unwrap() }
}

fn store(faults: Faults) -> MemoryStore {
    MemoryStore::new(Quirks { part_size_min_bytes: 1, ..Quirks::AWS })
        .with_bucket(&bucket())
        .with_faults(faults)
}

async fn create(store: &MemoryStore) -> UploadRef {
    let created =
        store.create_multipart_upload(&object(), &CreateRequest::default()).await.unwrap();
    UploadRef { object: object(), upload_id: created.upload_id }
}

async fn send(
    store: &MemoryStore,
    upload: &UploadRef,
    bytes: &'static [u8],
) -> Result<UploadedPart, StoreError> {
    let part = PartRequest {
        number: PartNumber::MIN,
        payload: Payload::from_bytes(Bytes::from_static(bytes)),
        checksum: Some(Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, bytes)),
        fresh_connection: false,
        wire: Meter::default(),
    };
    store.upload_part(upload, part).await
}

fn of(part: &UploadedPart) -> CompleteRequest {
    let part = CompletedPart { number: PartNumber::MIN, etag: part.etag.clone(), checksum: None };
    CompleteRequest { parts: vec![part], ..CompleteRequest::default() }
}

async fn conforms(quirks: Quirks, expectations: Expectations) {
    for (part_size_min_bytes, page_max) in [(10_000, 3), (expectations.part_size_min_bytes, 1000)] {
        let quirks = Quirks {
            part_size_min_bytes: if expectations.enforces_part_size {
                part_size_min_bytes
            } else {
                0
            },
            page_max: usize::from(page_max),
            ..quirks.clone()
        };
        let expectations = Expectations { part_size_min_bytes, page_max, ..expectations.clone() };
        let store = MemoryStore::new(quirks).with_bucket(&bucket());
        conformance::run(Arc::new(store.clone()), &bucket(), &expectations).await.unwrap();
        assert!(store.bytes_received_again() > 0, "the suite sends a part again on purpose");
    }
}

#[tokio::test]
async fn it_conforms_as_aws() {
    conforms(Quirks::AWS, Expectations::AWS).await;
}

#[tokio::test]
async fn it_conforms_as_ceph() {
    let expectations =
        Expectations { conditional_put: true, heads_parts: true, ..Expectations::CEPH_RGW_16 };
    conforms(Quirks::CEPH_RGW_16, expectations).await;
}

/// (Not named after Garage: tests of that name need one that runs.)
#[tokio::test]
async fn it_conforms_as_a_store_that_drops_overwritten_uploads() {
    let expectations =
        Expectations { conditional_put: true, put_is_one_part: false, ..Expectations::GARAGE_2 };
    conforms(Quirks::GARAGE_2, expectations).await;
}

#[tokio::test]
async fn it_conforms_with_etags_that_are_no_md5() {
    let expectations = Expectations { md5_etags: false, ..Expectations::AWS };
    conforms(Quirks { etags: EtagKind::Opaque, ..Quirks::AWS }, expectations.clone()).await;
    conforms(Quirks { etags: EtagKind::Encrypted, ..Quirks::AWS }, expectations).await;
}

/// A suite that cannot fail proves nothing: it must detect every deviation of Ceph when AWS is
/// expected.
#[tokio::test]
async fn the_suite_notices_what_deviates() {
    let ceph = MemoryStore::new(Quirks::CEPH_RGW_16).with_bucket(&bucket());
    let seen = conformance::run(Arc::new(ceph), &bucket(), &Expectations::AWS).await.unwrap_err();
    assert!(seen.starts_with("put, head, get, delete: the echoed checksum"), "{seen}");

    let garage = Expectations {
        complete_of_gone_upload: StoreErrorKind::Server,
        put_is_one_part: false,
        ..Expectations::GARAGE_2
    };
    let store = MemoryStore::new(Quirks::GARAGE_2).with_bucket(&bucket());
    let seen = conformance::run(Arc::new(store), &bucket(), &garage).await.unwrap_err();
    assert!(seen.starts_with("abort: Complete after Abort failed with NoSuchUpload"), "{seen}");
}

#[tokio::test]
async fn a_lost_request_changes_nothing_and_a_lost_answer_does() {
    let faults = Faults::none().on(Operation::CompleteMultipartUpload, 1, Fault::LoseRequest).on(
        Operation::CompleteMultipartUpload,
        2,
        Fault::LoseAnswer,
    );
    let store = store(faults);
    let upload = create(&store).await;
    let part = send(&store, &upload, b"bytes").await.unwrap();

    let lost = store.complete_multipart_upload(&upload, &of(&part)).await.unwrap_err();
    assert!(lost.outcome_unknown && lost.kind == StoreErrorKind::Connection);
    assert_eq!((store.object(&object()), store.open_uploads().len()), (None, 1));

    let lost = store.complete_multipart_upload(&upload, &of(&part)).await.unwrap_err();
    assert!(lost.outcome_unknown && lost.kind == StoreErrorKind::Connection);
    assert_eq!(store.object(&object()).unwrap(), "bytes");
    assert_eq!(store.open_uploads(), vec![]);

    store.complete_multipart_upload(&upload, &of(&part)).await.unwrap();
    assert_eq!(store.calls(Operation::CompleteMultipartUpload), 3);
    let fates: Vec<_> = store.history().into_iter().map(|call| call.fate).collect();
    assert_eq!(
        fates,
        [Fate::Succeeded, Fate::Succeeded, Fate::Unknown, Fate::Unknown, Fate::Succeeded],
        "create, part, and three times Complete"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_lands_late_lands_without_its_client() {
    let fault = Fault::LandLate(Duration::from_secs(3));
    let store = store(Faults::none().on(Operation::CompleteMultipartUpload, 1, fault));
    let upload = create(&store).await;
    let part = send(&store, &upload, b"bytes").await.unwrap();
    store.complete_multipart_upload(&upload, &of(&part)).await.unwrap_err();
    assert_eq!(store.object(&object()), None);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(store.object(&object()).unwrap(), "bytes");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_request_waits_until_its_client_gives_up() {
    let store = store(Faults::none().on(Operation::ListParts, 1, Fault::Stall));
    let upload = create(&store).await;
    let listing = store.list_parts(&upload, None);
    assert!(tokio::time::timeout(Duration::from_secs(3600), listing).await.is_err());
    assert_eq!(store.history().last().unwrap().fate, Fate::Abandoned);
    store.list_parts(&upload, None).await.unwrap();
}

#[tokio::test]
async fn flips_in_transit_are_refused_and_flips_at_rest_echoed() {
    let faults = Faults::none().on(Operation::UploadPart, 1, Fault::FlipInTransit).on(
        Operation::UploadPart,
        2,
        Fault::FlipAtRest,
    );
    let store = store(faults);
    let upload = create(&store).await;
    let refused = send(&store, &upload, b"bytes").await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::BadDigest);
    let damaged = send(&store, &upload, b"bytes").await.unwrap();
    let right = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, b"bytes");
    assert_ne!(damaged.checksum, Some(right));
    let healed = send(&store, &upload, b"bytes").await.unwrap();
    assert_eq!(healed.checksum, Some(right));
    assert_eq!((store.bytes_received(), store.bytes_received_again()), (15, 0));
    send(&store, &upload, b"bytes").await.unwrap();
    assert_eq!(store.bytes_received_again(), 5);
}

#[tokio::test]
async fn a_cut_body_arrives_in_half() {
    let store = store(Faults::none().on(Operation::UploadPart, 1, Fault::CutBody));
    let upload = create(&store).await;
    let cut = send(&store, &upload, b"0123456789").await.unwrap_err();
    assert!(cut.outcome_unknown);
    assert_eq!(store.bytes_received(), 5);
    assert!(store.list_parts(&upload, None).await.unwrap().parts.is_empty());
}

#[tokio::test]
async fn a_part_may_lag_behind_in_listings() {
    let store = store(Faults::none().on(Operation::UploadPart, 1, Fault::LagListing(2)));
    let upload = create(&store).await;
    let part = send(&store, &upload, b"bytes").await.unwrap();
    for shown in [0, 0, 1] {
        assert_eq!(store.list_parts(&upload, None).await.unwrap().parts.len(), shown);
    }
    store.complete_multipart_upload(&upload, &of(&part)).await.unwrap();
}

/// Trap 23: "after Abort, in-flight parts may still succeed: abort again until ListParts gives
/// 404".
#[tokio::test]
async fn a_part_may_land_after_the_first_abort() {
    let store = store(Faults::none().on(Operation::UploadPart, 1, Fault::LandAfterAbort));
    let upload = create(&store).await;
    send(&store, &upload, b"bytes").await.unwrap();
    store.abort_multipart_upload(&upload).await.unwrap();
    assert_eq!(store.list_parts(&upload, None).await.unwrap().parts.len(), 1);
    store.abort_multipart_upload(&upload).await.unwrap();
    let gone = store.list_parts(&upload, None).await.unwrap_err();
    assert_eq!(gone.kind, StoreErrorKind::NoSuchUpload);
}

#[tokio::test]
async fn a_create_that_arrives_twice_leaves_an_unknown_upload() {
    let store = store(Faults::none().on(Operation::CreateMultipartUpload, 1, Fault::Twice));
    let upload = create(&store).await;
    assert_eq!(store.open_uploads().len(), 2);
    assert!(store.open_uploads().contains(&upload));
    assert!(store.expire_upload(&upload.upload_id) && !store.expire_upload(&upload.upload_id));
}

/// A key that is overwritten while its upload is open: AWS keeps the upload, Garage drops it.
#[tokio::test]
async fn overwriting_a_key_drops_its_uploads_where_the_store_does_so() {
    for (quirks, left) in [(Quirks::AWS, 1), (Quirks::GARAGE_2, 0)] {
        let store = MemoryStore::new(quirks).with_bucket(&bucket());
        create(&store).await;
        let put = crate::remote::PutRequest {
            payload: Payload::from_bytes(Bytes::new()),
            attributes: crate::ObjectAttributes::default(),
            checksum: None,
            md5: None,
            if_none_match: false,
            if_match: None,
            fresh_connection: false,
            wire: Meter::default(),
        };
        store.put_object(&object(), put).await.unwrap();
        assert_eq!(store.open_uploads().len(), left);
    }
}
