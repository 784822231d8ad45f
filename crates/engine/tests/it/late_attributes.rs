//! Tags and locks that a store drops from CreateMultipartUpload are set after Complete.

use haul::UploadOptions;
use haul::remote::{ObjectAttributes, Operation as O, Store};
use haul::testing::memory::{Faults, MemoryStore, Quirks};
use haul_parts::Protection;

use crate::harness::{arrives_with, object, options, store};

fn asked() -> ObjectAttributes {
    let text = |text: &str| Some(text.to_owned());
    ObjectAttributes {
        tags: [("team".to_owned(), "a".to_owned())].into(),
        protection: Protection {
            lock_mode: text("GOVERNANCE"),
            lock_retain_until: text("2999-01-31T00:00:00Z"),
            legal_hold: text("ON"),
            ..Protection::default()
        },
        ..ObjectAttributes::default()
    }
}

fn late_requests(store: &MemoryStore) -> [u64; 3] {
    [O::PutObjectTagging, O::PutObjectRetention, O::PutObjectLegalHold]
        .map(|operation| store.calls(operation))
}

async fn upload(store: &MemoryStore, attributes: ObjectAttributes) {
    arrives_with(store, UploadOptions { attributes, ..options() }).await;
}

/// Ceph RGW 16.2 drops all three without an error, and an object that looks protected is worse than
/// a failure.
#[tokio::test(start_paused = true)]
async fn dropped_tags_and_locks_are_set_after_complete() {
    let store = store(Quirks { drops_upload_attributes: true, ..Quirks::AWS }, Faults::none());
    upload(&store, asked()).await;
    assert_eq!(late_requests(&store), [1, 1, 1]);
    assert_eq!(store.get_object_tagging(&object()).await.unwrap(), asked().tags);
    let lock = store.head_object(&object()).await.unwrap().lock;
    assert_eq!(lock.mode.as_deref(), Some("GOVERNANCE"));
    assert_eq!(lock.retain_until, "2999-01-31T00:00:00Z".parse().ok());
    assert_eq!(lock.legal_hold.as_deref(), Some("ON"));
}

#[tokio::test(start_paused = true)]
async fn kept_tags_and_locks_cost_no_request() {
    let keeps = store(Quirks::AWS, Faults::none());
    upload(&keeps, asked()).await;
    assert_eq!(late_requests(&keeps), [0, 0, 0]);
    let drops = store(Quirks { drops_upload_attributes: true, ..Quirks::AWS }, Faults::none());
    upload(&drops, ObjectAttributes::default()).await;
    assert_eq!(late_requests(&drops), [0, 0, 0], "nothing was asked for");
}
