//! A sync of a million objects on both sides, at a store that generates its listings: memory stays
//! within a limit, whatever is listed, joined and removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use haul::parts::{Bucket, ETag};
use haul::remote::{DeleteEntry, DeleteResults, Listing, ListingEntry, Store, StoreError};
use haul::transfer::tree::{
    CompareBy, DeleteExtra, TreeOptions, TreeReport, TreeSource, TreeTarget,
};
use haul::{Engine, EngineOptions};
use jiff::Timestamp;

use crate::harness::bucket;

const OBJECTS: u64 = 1_000_000;
/// The target has an extra object after every tenth one.
const EXTRA_EVERY: u64 = 10;
const PAGE: u64 = 1000;
/// The memory limit of the whole process, code and runtime included.
const PEAK_MIB_MAX: u64 = 96;

#[derive(Default)]
struct Generated {
    lists: AtomicU64,
    deletes: AtomicU64,
    removed: AtomicU64,
}

#[async_trait]
impl Store for Generated {
    async fn list_objects(
        &self,
        _: &Bucket,
        prefix: &str,
        _: Option<&str>,
        continuation: Option<&str>,
    ) -> Result<Listing, StoreError> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        let first: u64 = continuation.map_or(0, |token| token.parse().unwrap());
        let object = |key: String| ListingEntry::Object {
            key,
            size_bytes: 1,
            last_modified: Some(Timestamp::UNIX_EPOCH),
            etag: Some(ETag::new("\"0cc175b9c0f1b6a831c399e269772661\"")),
            storage_class: None,
        };
        let mut entries = vec![];
        for number in first..(first + PAGE).min(OBJECTS) {
            let key = format!("{prefix}{:03}/a rather long name {number:07}", number / 1000);
            entries.push(object(key.clone()));
            if prefix == "target/" && number % EXTRA_EVERY == 0 {
                entries.push(object(key + "+"));
            }
        }
        let next = Some(first + PAGE).filter(|next| *next < OBJECTS);
        Ok(Listing { entries, next: next.map(|next| next.to_string()) })
    }

    async fn delete_objects(
        &self,
        _: &Bucket,
        entries: &[DeleteEntry],
    ) -> Result<DeleteResults, StoreError> {
        assert!(entries.iter().all(|entry| entry.key.as_str().ends_with('+')));
        self.deletes.fetch_add(1, Ordering::Relaxed);
        self.removed.fetch_add(entries.len() as u64, Ordering::Relaxed);
        Ok(entries.iter().map(|_| Ok(haul::remote::DeletedObject::default())).collect())
    }

    fn endpoint(&self) -> String {
        "generated".into()
    }
}

/// Returns the peak memory of this process; each test has its own process.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_objects_are_compared_in_bounded_memory() {
    let store = Arc::new(Generated::default());
    let engine = Engine::new(Arc::clone(&store) as Arc<dyn Store>, EngineOptions::default());
    let source = vec![TreeSource::Prefix {
        bucket: bucket(),
        prefix: "source/".into(),
        before: String::new(),
    }];
    let options = TreeOptions {
        compare: CompareBy::SizeAndTime,
        delete: Some(DeleteExtra::default()),
        ..TreeOptions::default()
    };
    let target = TreeTarget::Prefix(bucket(), "target/".into());
    let report: TreeReport = engine.tree(source, target, options).await.unwrap();
    assert!(report.ended_by.is_none() && report.failed == 0, "{report:?}");
    assert_eq!((report.copied.files, report.unchanged.files), (0, OBJECTS));
    assert_eq!(report.removed, OBJECTS / EXTRA_EVERY);
    assert_eq!(store.removed.load(Ordering::Relaxed), OBJECTS / EXTRA_EVERY);
    // A page of each side has 1,000 of the source's objects, and a request removes 1,000.
    assert_eq!(store.lists.load(Ordering::Relaxed), 2 * OBJECTS / PAGE);
    assert_eq!(store.deletes.load(Ordering::Relaxed), OBJECTS / EXTRA_EVERY / PAGE);
    let peak = peak_mib();
    println!("peak memory: {peak} MiB");
    assert!(peak <= PEAK_MIB_MAX, "{peak} MiB");
}

/// A million files on this machine, 300,000 of them in one folder: more names than fit into memory,
/// which are sorted on disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_million_files_are_walked_in_bounded_memory() {
    const IN_ONE_FOLDER: u64 = 300_000;
    let memory = std::path::Path::new("/dev/shm");
    let root = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let mut original = root.path().join("original");
    std::fs::write(&original, "").unwrap();
    for number in 1..OBJECTS {
        let folder = match number <= IN_ONE_FOLDER {
            true => "large".to_owned(),
            false => format!("{:03}/b", number % 997),
        };
        // A prime above the number of files, so that no two numbers have one name.
        let name = number * 7_919 % 1_000_003;
        let path = root.path().join(folder).join(format!("{name:07}"));
        // Links to one file, because a million inodes take a gigabyte of a file system in memory.
        match std::fs::hard_link(&original, &path) {
            Ok(()) => continue,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::hard_link(&original, &path).unwrap();
            }
            // The file system allows no further link to this file.
            Err(error) if error.kind() == std::io::ErrorKind::TooManyLinks => {
                std::fs::write(&path, "").unwrap();
                original = path;
            }
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
    let store: Arc<dyn Store> = Arc::new(Generated::default());
    let engine = Engine::new(store, EngineOptions::default());
    let source = vec![TreeSource::Folder { path: root.path().to_owned(), before: String::new() }];
    let options = TreeOptions { dry_run: true, ..TreeOptions::default() };
    let target = TreeTarget::Prefix(bucket(), "none/".into());
    let report = engine.tree(source, target, options).await.unwrap();
    assert_eq!((report.copied.files, report.failed), (OBJECTS, 0));
    let peak = peak_mib();
    assert!(peak <= PEAK_MIB_MAX, "{peak} MiB");
}
