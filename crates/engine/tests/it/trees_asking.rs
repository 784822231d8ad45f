//! HeadObject in a sync: how many requests it sends, and how many of them at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use haul::parts::{Bucket, ETag, ObjectRef};
use haul::remote::{Listing, ListingEntry, ObjectAttributes, ObjectHead, Store, StoreError};
use haul::transfer::tree::{CompareBy, TreeOptions, TreeSource, TreeTarget};
use haul::{Engine, EngineOptions};
use jiff::Timestamp;
use tokio::sync::Barrier;

use crate::harness::bucket;

const FILES: u64 = 96;
/// The first requests are answered at once: an engine begins with few and adds more with every
/// success.
const AT_START: u64 = 16;
/// The number of requests that the store lets wait for each other.
const AT_ONCE: usize = 8;
const FILE_SECOND: i64 = 1_700_000_000;

/// A store that soon answers HeadObject only while several of them are in flight.
struct Patient {
    heads: AtomicU64,
    together: Barrier,
}

fn etag() -> ETag {
    ETag::new("\"0cc175b9c0f1b6a831c399e269772661\"")
}

#[async_trait]
impl Store for Patient {
    async fn list_objects(
        &self,
        _: &Bucket,
        prefix: &str,
        _: Option<&str>,
        _: Option<&str>,
    ) -> Result<Listing, StoreError> {
        let object = |number: u64| ListingEntry::Object {
            key: format!("{prefix}{number:03}"),
            // Every third object has another length, every third one the time of its file.
            size_bytes: if number.is_multiple_of(3) { 2 } else { 1 },
            last_modified: Timestamp::from_second(
                FILE_SECOND + i64::try_from(number % 3).unwrap() - 1,
            )
            .ok(),
            etag: Some(etag()),
            storage_class: None,
        };
        Ok(Listing { entries: (0..FILES).map(object).collect(), next: None })
    }

    async fn head_object(&self, _: &ObjectRef) -> Result<ObjectHead, StoreError> {
        if self.heads.fetch_add(1, Ordering::Relaxed) >= AT_START {
            self.together.wait().await;
        }
        let mut attributes = ObjectAttributes::default();
        attributes.metadata.insert("mtime".into(), FILE_SECOND.to_string());
        Ok(ObjectHead {
            etag_is_opaque: false,
            tag_count: None,
            lock: Default::default(),
            size_bytes: 1,
            etag: etag(),
            checksum: None,
            composite: None,
            last_modified: Timestamp::from_second(FILE_SECOND + 1).ok(),
            attributes,
        })
    }

    fn endpoint(&self) -> String {
        "patient".into()
    }
}

/// Objects that were uploaded have a LastModified of their own, so a sync down has to ask for the
/// stored time of each whose size agrees. One after the other, that would cost a round trip each.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_down_asks_only_where_times_differ_and_many_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        let path = folder.path().join(format!("{number:03}"));
        std::fs::write(&path, "a").unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(FILE_SECOND.unsigned_abs());
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
    let store = Arc::new(Patient { heads: AtomicU64::new(0), together: Barrier::new(AT_ONCE) });
    let engine = Engine::new(Arc::clone(&store) as Arc<dyn Store>, EngineOptions::default());
    let source =
        vec![TreeSource::Prefix { bucket: bucket(), prefix: "p/".into(), before: String::new() }];
    let options =
        TreeOptions { compare: CompareBy::SizeAndTime, dry_run: true, ..TreeOptions::default() };
    let tree = engine.tree(source, TreeTarget::Folder(folder.path().to_owned()), options);
    let report = tokio::time::timeout(Duration::from_secs(30), tree).await;
    let report = report.expect("fewer requests at once than the gate allows").unwrap();
    let third = FILES / 3;
    assert_eq!((report.copied.files, report.unchanged.files, report.failed), (third, 2 * third, 0));
    assert_eq!(store.heads.load(Ordering::Relaxed), third);
}
