//! Unfinished uploads are aborted when due; bucket settings stay until they are changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use haul_store::{
    BucketOptions, Clock, CorsConfiguration, CorsRule, DiskStore, LifecycleConfiguration,
    LifecycleRule, ObjectOwnership, PublicAccessBlock, RuleStatus, StoreOptions,
};

use crate::fixture::{Fixture, bucket, key, options, try_put_part};
use crate::sim_disk::SimDisk;

const DAY: u64 = 24 * 60 * 60;

/// Creates a store with a clock in seconds that the test moves.
fn store_with_clock() -> (DiskStore, Arc<AtomicU64>, SimDisk) {
    let seconds = Arc::new(AtomicU64::new(100 * DAY));
    let told = Arc::clone(&seconds);
    let clock = Clock::new(move || UNIX_EPOCH + Duration::from_secs(told.load(Ordering::SeqCst)));
    let disk = SimDisk::new();
    let store =
        DiskStore::open_on(Arc::new(disk.clone()), StoreOptions { clock, ..options() }).unwrap();
    store.create_bucket(&bucket("expiry")).unwrap();
    (store, seconds, disk)
}

#[test]
fn old_uploads_expire_and_young_ones_stay() {
    let (store, seconds, disk) = store_with_clock();
    let bucket = bucket("expiry");
    // The aborts need more than one transaction.
    for number in 0..250 {
        let upload = store
            .create_multipart_upload(&bucket, &key(&format!("old-{number}")), Default::default())
            .unwrap();
        if number % 50 == 0 {
            try_put_part(&store, &upload.upload, 1, b"bytes").unwrap();
        }
    }
    seconds.fetch_add(3 * DAY, Ordering::SeqCst);
    let young = store.create_multipart_upload(&bucket, &key("young"), Default::default()).unwrap();
    seconds.fetch_add(DAY, Ordering::SeqCst);
    assert_eq!(store.expire_uploads(Duration::from_secs(5 * DAY)).unwrap(), 0);
    assert_eq!(store.expire_uploads(Duration::from_secs(2 * DAY)).unwrap(), 250);
    store.settle();
    assert!(disk.data_files().is_empty());
    store.head_multipart_upload(&young.upload).unwrap();
}

#[test]
fn a_lifecycle_aborts_by_prefix() {
    let (store, seconds, _) = store_with_clock();
    let bucket = bucket("expiry");
    let tmp =
        store.create_multipart_upload(&bucket, &key("tmp/a"), Default::default()).unwrap().upload;
    let other =
        store.create_multipart_upload(&bucket, &key("a"), Default::default()).unwrap().upload;
    let rule = LifecycleRule {
        id: "tmp".to_owned(),
        status: RuleStatus::Enabled,
        prefix: "tmp/".to_owned(),
        abort_incomplete_after_days: Some(1),
    };
    let lifecycle = LifecycleConfiguration { rules: vec![rule] };
    store.set_bucket_lifecycle(&bucket, Some(lifecycle.clone())).unwrap();
    assert_eq!(store.bucket_lifecycle(&bucket).unwrap(), lifecycle);
    assert_eq!(store.apply_lifecycles().unwrap(), 0);
    seconds.fetch_add(DAY + DAY / 2, Ordering::SeqCst);
    assert_eq!(store.apply_lifecycles().unwrap(), 1);
    assert_eq!(store.head_multipart_upload(&tmp).unwrap_err().s3_code(), "NoSuchUpload");
    store.head_multipart_upload(&other).unwrap();
    store.set_bucket_lifecycle(&bucket, None).unwrap();
    let none = store.bucket_lifecycle(&bucket).unwrap_err();
    assert_eq!(none.s3_code(), "NoSuchLifecycleConfiguration");
}

#[test]
fn settings_survive_and_go_with_their_bucket() {
    let fixture = Fixture::new();
    assert_eq!(
        fixture.store.bucket_cors(&fixture.bucket).unwrap_err().s3_code(),
        "NoSuchCORSConfiguration"
    );
    let rule = CorsRule {
        allowed_origins: vec!["https://*.example".to_owned()],
        allowed_methods: vec!["PUT".to_owned()],
        expose_headers: vec!["ETag".to_owned()],
        max_age_seconds: Some(600),
        ..CorsRule::default()
    };
    let cors = CorsConfiguration { rules: vec![rule] };
    fixture.store.set_bucket_cors(&fixture.bucket, Some(cors.clone())).unwrap();
    let fixture = fixture.reopen();
    assert_eq!(fixture.store.bucket_cors(&fixture.bucket).unwrap(), cors);
    fixture.store.delete_bucket(&fixture.bucket).unwrap();
    fixture.store.create_bucket(&fixture.bucket).unwrap();
    assert!(fixture.store.bucket_cors(&fixture.bucket).is_err());
}

/// A bucket has ownership and public access block from the start; deleting them differs from never
/// setting them.
#[test]
fn settings_that_every_bucket_has_can_be_taken_away() {
    let fixture = Fixture::new();
    let (store, bucket) = (&fixture.store, &fixture.bucket);
    assert_eq!(store.bucket_ownership(bucket).unwrap(), ObjectOwnership::BucketOwnerEnforced);
    assert_eq!(store.bucket_public_access_block(bucket).unwrap(), PublicAccessBlock::default());
    assert_eq!(store.bucket_tags(bucket).unwrap_err().s3_code(), "NoSuchTagSet");
    store.set_bucket_ownership(bucket, None).unwrap();
    let open = PublicAccessBlock { block_public_acls: false, ..PublicAccessBlock::default() };
    store.set_bucket_public_access_block(bucket, Some(open)).unwrap();
    let made = haul_parts::Bucket::new("made-with-more").unwrap();
    let tags = BTreeMap::from([("team".to_owned(), "storage".to_owned())]);
    let options = BucketOptions { ownership: ObjectOwnership::ObjectWriter, tags: tags.clone() };
    store.create_bucket_with(&made, options.clone()).unwrap();

    let fixture = fixture.reopen();
    let (store, bucket) = (&fixture.store, &fixture.bucket);
    let code = store.bucket_ownership(bucket).unwrap_err().s3_code();
    assert_eq!(code, "OwnershipControlsNotFoundError");
    assert_eq!(store.bucket_public_access_block(bucket).unwrap(), open);
    store.set_bucket_public_access_block(bucket, None).unwrap();
    let code = store.bucket_public_access_block(bucket).unwrap_err().s3_code();
    assert_eq!(code, "NoSuchPublicAccessBlockConfiguration");
    assert_eq!(store.bucket_ownership(&made).unwrap(), ObjectOwnership::ObjectWriter);
    assert_eq!(store.bucket_tags(&made).unwrap(), tags);
    store.set_bucket_tags(&made, BTreeMap::new()).unwrap();
    assert_eq!(store.bucket_tags(&made).unwrap_err().s3_code(), "NoSuchTagSet");
    // A recreated bucket has none of its previous settings.
    for bucket in [bucket, &made] {
        store.delete_bucket(bucket).unwrap();
        store.create_bucket(bucket).unwrap();
        assert_eq!(store.bucket_ownership(bucket).unwrap(), ObjectOwnership::default());
    }
}
