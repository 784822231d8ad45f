//! Unfinished uploads of any tool are all listed, with all their parts, and are removed only if
//! they received nothing for a while.

use haul::body::Payload;
use haul::pace::RetryPolicy;
use haul::parts::{Bucket, Key, PartNumber, UploadId};
use haul::remote::{CreateRequest, ObjectRef, Operation as O, PartRequest, Store, UploadRef};
use haul::sweep::{InventoryOptions, Removal, inventory, remove, remove_if_idle};
use haul::testing::memory::{Fault, Faults, MemoryStore, Refusal};
use jiff::{SignedDuration, Timestamp};

use crate::harness::{aws, bucket};

async fn begin(store: &MemoryStore, key: &str) -> UploadRef {
    let object = ObjectRef { bucket: bucket(), key: Key::new(key).unwrap() };
    let created = store.create_multipart_upload(&object, &CreateRequest::default()).await.unwrap();
    UploadRef { object, upload_id: created.upload_id }
}

async fn send(store: &MemoryStore, upload: &UploadRef, number: u32, size_bytes: usize) {
    let request = PartRequest {
        number: PartNumber::new(number).unwrap(),
        payload: Payload::from_bytes(vec![7; size_bytes].into()),
        checksum: None,
        fresh_connection: false,
        wire: haul::remote::Meter::default(),
    };
    store.upload_part(upload, request).await.unwrap();
}

async fn found(store: &MemoryStore, prefix: &str) -> haul::sweep::Inventory {
    inventory(store, &bucket(), prefix, &InventoryOptions::default()).await.unwrap()
}

/// Pages have three entries here, so ten uploads with seven parts each need several pages of
/// uploads and of parts.
#[tokio::test(start_paused = true)]
async fn every_page_of_uploads_and_of_parts_is_counted() {
    let store = aws(Faults::none());
    for key in 0..10 {
        let upload = begin(&store, &format!("logs/{key}")).await;
        for part in 1..=7 {
            send(&store, &upload, part, 100).await;
        }
    }
    begin(&store, "other").await;
    let logs = found(&store, "logs/").await;
    assert_eq!(logs.uploads.len(), 10);
    assert!(logs.uploads.iter().all(|upload| (upload.part_count, upload.size_bytes) == (7, 700)));
    assert!(logs.uploads.iter().all(|upload| upload.last_active >= upload.initiated));
    assert_eq!(found(&store, "").await.uploads.len(), 11);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_ends_between_the_listings_is_skipped() {
    let store = aws(Faults::none().on(O::ListParts, 2, Fault::ExpireUpload));
    for key in ["a", "b", "c"] {
        begin(&store, key).await;
    }
    let found = found(&store, "").await;
    assert_eq!((found.uploads.len(), found.vanished, found.unlisted.len()), (2, 1, 0));
}

/// An upload whose parts may not be listed may still be billed, so it is reported and not counted
/// as empty.
#[tokio::test(start_paused = true)]
async fn an_upload_whose_parts_are_denied_is_reported() {
    let store =
        aws(Faults::none().on_calls(O::ListParts, 1..=1, Fault::Answer(Refusal::ACCESS_DENIED)));
    begin(&store, "a").await;
    begin(&store, "b").await;
    let found = found(&store, "").await;
    assert_eq!((found.uploads.len(), found.unlisted.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_denied_listing_is_an_error_and_not_an_empty_one() {
    let store =
        aws(Faults::none().on(O::ListMultipartUploads, 1, Fault::Answer(Refusal::ACCESS_DENIED)));
    begin(&store, "a").await;
    assert!(inventory(&store, &bucket(), "", &InventoryOptions::default()).await.is_err());
}

/// AbortMultipartUpload has no condition, so the parts are listed again before the abort is sent,
/// to find a part that arrived after the inventory.
#[tokio::test(start_paused = true)]
async fn an_upload_that_received_a_part_meanwhile_stays() {
    let store = aws(Faults::none());
    let upload = begin(&store, "a").await;
    tokio::time::advance(std::time::Duration::from_secs(3600)).await;
    let idle_since =
        found(&store, "").await.uploads[0].last_active.unwrap() + SignedDuration::from_secs(60);
    send(&store, &upload, 1, 10).await;
    let kept = remove_if_idle(&store, &upload, idle_since, &RetryPolicy::default()).await.unwrap();
    assert!(matches!(kept, Removal::Active { .. }), "{kept:?}");
    assert_eq!(store.calls(O::AbortMultipartUpload), 0);
    assert_eq!(store.open_uploads(), [upload]);
}

#[tokio::test(start_paused = true)]
async fn an_abort_that_fails_twice_is_repeated() {
    let failing = Fault::Answer(Refusal::INTERNAL_ERROR);
    let store = aws(Faults::none().on_calls(O::AbortMultipartUpload, 1..=2, failing));
    let upload = begin(&store, "a").await;
    send(&store, &upload, 1, 10).await;
    let removed = remove(&store, &upload, &RetryPolicy::default()).await.unwrap();
    assert_eq!(removed, Removal::Removed { size_bytes: 10, part_count: 1 });
    assert_eq!(store.open_uploads(), []);
    assert_eq!(remove(&store, &upload, &RetryPolicy::default()).await.unwrap(), Removal::Gone);
}

/// Parts in flight may arrive after an abort, and are billed, so the abort is repeated until
/// ListParts shows that nothing is left.
#[tokio::test(start_paused = true)]
async fn a_part_that_lands_after_the_abort_is_removed_too() {
    let part = PartNumber::new(2).unwrap();
    let store = aws(Faults::none().on_part(part, 1..=1, Fault::LandAfterAbort));
    let upload = begin(&store, "a").await;
    send(&store, &upload, 1, 10).await;
    send(&store, &upload, 2, 10).await;
    remove(&store, &upload, &RetryPolicy::default()).await.unwrap();
    assert!(store.calls(O::AbortMultipartUpload) >= 2);
    assert_eq!(store.open_uploads(), []);
}

/// Removing an upload with an id that the store does not know is no error.
#[tokio::test(start_paused = true)]
async fn an_unknown_upload_is_gone() {
    let store = aws(Faults::none());
    let object = ObjectRef { bucket: Bucket::new("bucket").unwrap(), key: Key::new("a").unwrap() };
    let upload = UploadRef { object, upload_id: UploadId::new("none").unwrap() };
    let idle =
        remove_if_idle(&store, &upload, Timestamp::MAX, &RetryPolicy::default()).await.unwrap();
    assert_eq!(idle, Removal::Gone);
}
