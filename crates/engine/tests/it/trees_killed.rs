//! The process is killed at any moment of a tree, and the same command runs again: no file is lost,
//! none is sent again after its answer was received, nothing is removed before its copy.
//!
//! Killing a process means dropping its runtime. Each seed kills a tree a few times, at a store
//! that delays every request, and lets the last run finish.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use haul::Engine;
use haul::parts::{Bucket, Key, ObjectRef, UploadMarker};
use haul::remote::{
    CompleteRequest, CompletedObject, CopyRequest, CreateRequest, CreatedUpload, DeleteEntry,
    DeleteResults, GetRequest, Listing, ObjectBody, ObjectHead, PartRequest, PartsPage, PutRequest,
    Store, StoreError, UploadRef, UploadedPart, UploadsPage,
};
use haul::testing::memory::{Faults, MemoryStore, Weather};
use haul::transfer::tree::{CompareBy, DeleteExtra, TreeOptions, TreeReport, TreeSource};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::harness::bucket;
use crate::seeds::said;
use crate::trees::{Folder, below, folder_source, journal, memory_store, objects, options};

const SEEDS: std::ops::Range<u64> = 0..120;

/// A store that records violations: files sent again, and objects removed too early.
struct Watched {
    store: MemoryStore,
    /// Objects whose writing was acknowledged to the client.
    answered: Mutex<HashSet<Key>>,
    sent_again: Mutex<Vec<Key>>,
    /// Keys that must exist before anything is removed, each below the prefix of the target.
    copies: Vec<Key>,
    removed_early: Mutex<Vec<String>>,
}

impl Watched {
    fn sends(&self, key: &Key) {
        if self.answered.lock().unwrap().contains(key) {
            self.sent_again.lock().unwrap().push(key.clone());
        }
    }

    fn heard(&self, key: &Key) {
        self.answered.lock().unwrap().insert(key.clone());
    }

    fn removes(&self, key: &str) {
        let missing = self.copies.iter().any(|copy| {
            let object = ObjectRef { bucket: bucket(), key: copy.clone() };
            self.store.object(&object).is_none()
        });
        if missing {
            self.removed_early.lock().unwrap().push(key.to_owned());
        }
    }
}

#[async_trait]
impl Store for Watched {
    async fn create_multipart_upload(
        &self,
        object: &ObjectRef,
        request: &CreateRequest,
    ) -> Result<CreatedUpload, StoreError> {
        self.sends(&object.key);
        self.store.create_multipart_upload(object, request).await
    }

    async fn upload_part(
        &self,
        upload: &UploadRef,
        part: PartRequest,
    ) -> Result<UploadedPart, StoreError> {
        self.store.upload_part(upload, part).await
    }

    async fn list_parts(
        &self,
        upload: &UploadRef,
        after: Option<haul::parts::PartNumber>,
    ) -> Result<PartsPage, StoreError> {
        self.store.list_parts(upload, after).await
    }

    async fn complete_multipart_upload(
        &self,
        upload: &UploadRef,
        request: &CompleteRequest,
    ) -> Result<CompletedObject, StoreError> {
        let completed = self.store.complete_multipart_upload(upload, request).await?;
        self.heard(&upload.object.key);
        Ok(completed)
    }

    async fn abort_multipart_upload(&self, upload: &UploadRef) -> Result<(), StoreError> {
        self.store.abort_multipart_upload(upload).await
    }

    async fn list_multipart_uploads(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Result<UploadsPage, StoreError> {
        self.store.list_multipart_uploads(bucket, prefix, after).await
    }

    async fn put_object(
        &self,
        object: &ObjectRef,
        request: PutRequest,
    ) -> Result<UploadedPart, StoreError> {
        self.sends(&object.key);
        let answer = self.store.put_object(object, request).await?;
        self.heard(&object.key);
        Ok(answer)
    }

    async fn copy_object(
        &self,
        object: &ObjectRef,
        request: &CopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        self.store.copy_object(object, request).await
    }

    async fn head_object(&self, object: &ObjectRef) -> Result<ObjectHead, StoreError> {
        self.store.head_object(object).await
    }

    async fn get_object(
        &self,
        object: &ObjectRef,
        request: &GetRequest,
    ) -> Result<ObjectBody, StoreError> {
        self.store.get_object(object, request).await
    }

    async fn list_objects(
        &self,
        bucket: &Bucket,
        prefix: &str,
        delimiter: Option<&str>,
        continuation: Option<&str>,
    ) -> Result<Listing, StoreError> {
        self.store.list_objects(bucket, prefix, delimiter, continuation).await
    }

    async fn delete_object(&self, object: &ObjectRef) -> Result<(), StoreError> {
        self.removes(object.key.as_str());
        self.store.delete_object(object).await
    }

    async fn delete_objects(
        &self,
        bucket: &Bucket,
        entries: &[DeleteEntry],
    ) -> Result<DeleteResults, StoreError> {
        entries.iter().for_each(|entry| self.removes(entry.key.as_str()));
        self.store.delete_objects(bucket, entries).await
    }

    fn profile(&self) -> haul::remote::StoreProfile {
        self.store.profile()
    }

    fn endpoint(&self) -> String {
        self.store.endpoint()
    }
}

/// Runs one process. Returns `None` if it was killed.
fn one_run(
    watched: &Arc<Watched>,
    source: Vec<TreeSource>,
    target: haul::transfer::tree::TreeTarget,
    options: TreeOptions,
    killed_after: Option<Duration>,
) -> Option<TreeReport> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let engine = Engine::new(Arc::clone(watched) as Arc<dyn Store>, haul::EngineOptions::default());
    let report = runtime.block_on(async {
        let mut tree = engine.tree(source, target, options);
        let Some(after) = killed_after else { return Some(tree.await.unwrap()) };
        let ended = tokio::time::timeout(after, &mut tree).await.ok();
        // A killed process runs no destructors.
        std::mem::forget(tree);
        ended.map(Result::unwrap)
    });
    runtime.shutdown_background();
    report
}

struct Scene {
    folder: Folder,
    before: BTreeMap<String, Vec<u8>>,
    watched: Arc<Watched>,
    state: Folder,
    kills: Vec<Duration>,
}

impl Scene {
    /// Creates a folder of short and long files, and a store that delays every request.
    fn new(seed: u64, prefix: &str) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let folder = Folder::new();
        for number in 0..random.random_range(1..40) {
            let size_bytes = match random.random_range(0..8) {
                0 => 0,
                1 => random.random_range(4000..12_000),
                _ => random.random_range(1..2000),
            };
            folder.write(&format!("{}/{number}", number % 3), size_bytes);
        }
        let before = folder.read();
        let store = memory_store();
        let weather = Weather { delay: 0.5, delayed_answer: 0.5, ..Weather::default() };
        store.set_faults(Faults::seeded(seed, weather));
        let copies = before.keys().map(|name| Key::new(format!("{prefix}{name}")).unwrap());
        let watched = Arc::new(Watched {
            store,
            answered: Mutex::default(),
            sent_again: Mutex::default(),
            copies: copies.collect(),
            removed_early: Mutex::default(),
        });
        let kills = (0..random.random_range(1..5))
            .map(|_| Duration::from_millis(random.random_range(0..8000)))
            .collect();
        Self { folder, before, watched, state: Folder::new(), kills }
    }

    fn options(&self) -> TreeOptions {
        TreeOptions { journal: journal(self.state.path()), ..options() }
    }

    /// Kills the tree as often as the scene asks for, then runs it to its end.
    fn run(&self, prefix: &str, options: impl Fn() -> TreeOptions) -> TreeReport {
        let source = || folder_source(self.folder.path());
        for after in &self.kills {
            let ended = one_run(&self.watched, source(), below(prefix), options(), Some(*after));
            if let Some(report) = ended {
                return report;
            }
        }
        one_run(&self.watched, source(), below(prefix), options(), None).unwrap()
    }

    fn check(&self, report: &TreeReport) {
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert!(report.ended_by.is_none() && !report.stopped, "{report:?}");
        assert_eq!(*self.watched.sent_again.lock().unwrap(), Vec::<Key>::new(), "sent twice");
        assert_eq!(*self.watched.removed_early.lock().unwrap(), Vec::<String>::new());
        assert_eq!(left_in(&self.state.path().join("journals")), Vec::<String>::new());
    }

    fn objects(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        self.watched.store.set_faults(Faults::none());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(objects(&self.watched.store, prefix))
    }
}

fn left_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn each_seed(run: impl Fn(u64)) {
    for seed in SEEDS {
        said(&format!("seed {seed}"), || run(seed));
    }
}

#[test]
fn a_killed_tree_loses_nothing_and_sends_nothing_twice() {
    each_seed(|seed| {
        let scene = Scene::new(seed, "p/");
        let report = scene.run("p/", || scene.options());
        scene.check(&report);
        assert_eq!(scene.objects("p/"), scene.before);
    });
}

#[test]
fn a_killed_sync_removes_nothing_before_its_copies() {
    each_seed(|seed| {
        let scene = Scene::new(seed, "");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        scene.watched.store.set_faults(Faults::none());
        for extra in ["extra/1", "2/x", "zz"] {
            runtime.block_on(put(&scene.watched.store, extra));
        }
        let weather = Weather { delay: 0.5, delayed_answer: 0.5, ..Weather::default() };
        scene.watched.store.set_faults(Faults::seeded(seed, weather));
        let report = scene.run("", || TreeOptions {
            compare: CompareBy::SizeAndTime,
            delete: Some(DeleteExtra::default()),
            ..scene.options()
        });
        scene.check(&report);
        assert_eq!(scene.objects(""), scene.before);
    });
}

async fn put(store: &MemoryStore, key: &str) {
    let request = PutRequest {
        payload: haul::body::Payload::from_bytes(b"extra".to_vec().into()),
        attributes: haul::ObjectAttributes::default(),
        checksum: None,
        md5: None,
        if_none_match: false,
        if_match: None,
        fresh_connection: false,
        wire: haul::remote::Meter::default(),
    };
    let object = ObjectRef { bucket: bucket(), key: Key::new(key).unwrap() };
    store.put_object(&object, request).await.unwrap();
}

#[test]
fn a_killed_move_has_every_file_at_one_side_at_least() {
    each_seed(|seed| {
        let scene = Scene::new(seed, "p/");
        let options = || TreeOptions { remove_sources: true, ..scene.options() };
        for after in &scene.kills {
            let source = folder_source(scene.folder.path());
            let ended = one_run(&scene.watched, source, below("p/"), options(), Some(*after));
            let there = scene.folder.read();
            let copied = |name: &String| {
                let key = Key::new(format!("p/{name}")).unwrap();
                scene.watched.store.object(&ObjectRef { bucket: bucket(), key })
            };
            for (name, content) in &scene.before {
                let whole = copied(name).is_some_and(|copy| copy == content[..]);
                assert!(whole || there.get(name) == Some(content), "{name} is lost");
            }
            if ended.is_some() {
                break;
            }
        }
        let source = folder_source(scene.folder.path());
        let report = one_run(&scene.watched, source, below("p/"), options(), None).unwrap();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert_eq!(scene.objects("p/"), scene.before);
        assert_eq!(scene.folder.read().len(), 0);
    });
}
