//! Trees at the store in memory: which files are copied, skipped, removed and refused, and which
//! requests that takes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use haul::body::Payload;
use haul::journal::JournalFolder;
use haul::parts::{FilterRule, Key, Limits, NameFilter, ObjectRef};
use haul::remote::{Meter, ObjectAttributes, Operation as O, PutRequest, Store};
use haul::testing::memory::{EtagKind, Fault, Faults, MemoryStore, Quirks, Refusal};
use haul::transfer::tree::{
    CompareBy, DeleteExtra, Filter, TreeBase, TreeOptions, TreeReport, TreeSource, TreeTarget,
};
use haul::{
    Concurrency, Engine, EngineOptions, Error, JournalChoice, JournalOptions, StopRequest,
    UploadOptions,
};

use crate::harness::{bucket, bytes};

/// The size from which a file is sent in parts.
const THRESHOLD: u64 = 4000;

/// A temporary folder of files.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn of(files: &[(&str, usize)]) -> Self {
        let folder = Self::new();
        files.iter().for_each(|(name, size)| folder.write(name, *size));
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file whose bytes depend on its name; its modification time is a minute ago.
    pub(crate) fn write(&self, name: &str, size_bytes: usize) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content(name, size_bytes)).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        file.set_modified(then).unwrap();
    }

    pub(crate) fn read(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        read_below(self.path(), self.path(), &mut files);
        files
    }
}

fn content(name: &str, size_bytes: usize) -> Vec<u8> {
    let first = name.bytes().fold(0_u8, u8::wrapping_add);
    bytes(size_bytes).into_iter().map(|byte| byte.wrapping_add(first)).collect()
}

fn read_below(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_below(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

pub(crate) fn memory_store() -> MemoryStore {
    crate::harness::store(Quirks { page_max: 3, ..Quirks::AWS }, Faults::none())
}

fn object(key: &str) -> ObjectRef {
    ObjectRef { bucket: bucket(), key: Key::new(key).unwrap() }
}

pub(crate) async fn objects(store: &MemoryStore, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut continuation: Option<String> = None;
    loop {
        let page =
            store.list_objects(&bucket(), prefix, None, continuation.as_deref()).await.unwrap();
        for entry in page.entries {
            let content = store.object(&object(entry.name())).unwrap();
            found.insert(entry.name()[prefix.len()..].to_owned(), content.to_vec());
        }
        continuation = page.next;
        if continuation.is_none() {
            return found;
        }
    }
}

async fn put(store: &MemoryStore, key: &str, content: &[u8]) {
    let request = PutRequest {
        payload: Payload::from_bytes(content.to_vec().into()),
        attributes: ObjectAttributes::default(),
        checksum: None,
        md5: None,
        if_none_match: false,
        if_match: None,
        fresh_connection: false,
        wire: Meter::default(),
    };
    store.put_object(&object(key), request).await.unwrap();
}

pub(crate) fn options() -> TreeOptions {
    TreeOptions {
        upload: UploadOptions {
            multipart_threshold_bytes: THRESHOLD,
            part_size_bytes: Some(2000),
            limits: Some(Limits { part_size_min_bytes: 1, ..Limits::AWS }),
            ..UploadOptions::default()
        },
        ..TreeOptions::default()
    }
}

pub(crate) fn journal(folder: &Path) -> Option<JournalOptions> {
    Some(JournalOptions {
        folder: JournalFolder::new(folder.join("journals")),
        store_name: Some("memory".into()),
        connection: serde_json::Value::Null,
        choice: JournalChoice::OfSource,
    })
}

fn sync() -> TreeOptions {
    TreeOptions { compare: CompareBy::SizeAndTime, ..options() }
}

fn deleting() -> TreeOptions {
    TreeOptions { delete: Some(DeleteExtra::default()), ..sync() }
}

pub(crate) fn below(prefix: &str) -> TreeTarget {
    TreeTarget::Prefix(bucket(), prefix.into())
}

pub(crate) fn folder_source(path: &Path) -> Vec<TreeSource> {
    vec![TreeSource::Folder { path: path.to_owned(), before: String::new() }]
}

fn prefix_source(prefix: &str) -> Vec<TreeSource> {
    vec![TreeSource::Prefix { bucket: bucket(), prefix: prefix.into(), before: String::new() }]
}

pub(crate) fn engine(store: &MemoryStore) -> Engine {
    Engine::new(Arc::new(store.clone()), EngineOptions::default())
}

/// An engine that always has at most 16 requests in flight, and so at most [`NARROW_FILES`] files.
fn narrow_engine(store: &MemoryStore) -> Engine {
    let concurrency = Concurrency::Fixed(16);
    Engine::new(Arc::new(store.clone()), EngineOptions { concurrency, ..EngineOptions::default() })
}

/// The short files that [`narrow_engine`] has in flight at most: two for each request.
const NARROW_FILES: u64 = 32;

async fn run(
    store: &MemoryStore,
    sources: Vec<TreeSource>,
    target: TreeTarget,
    options: TreeOptions,
) -> TreeReport {
    engine(store).tree(sources, target, options).await.unwrap()
}

fn clean(report: &TreeReport) -> (u64, u64) {
    let named: Vec<_> = report.failures.iter().map(|failure| failure.error.to_string()).collect();
    assert_eq!(named, Vec::<String>::new());
    assert!(report.ended_by.is_none(), "{:?}", report.ended_by);
    (report.copied.files, report.unchanged.files)
}

const FILES: [(&str, usize); 8] = [
    ("a", 0),
    ("b/c", 1),
    ("b/d e", 3999),
    ("b-", 4000),
    ("long", 30_500),
    (".hidden", 7),
    ("ü/\u{1f600}", 300),
    ("z/y/x/w", 9000),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_comes_back_as_it_was() {
    let (store, folder) = (memory_store(), Folder::of(&FILES));
    fs::create_dir(folder.path().join("empty")).unwrap();
    let report = run(&store, folder_source(folder.path()), below("p/"), options()).await;
    assert_eq!(clean(&report), (8, 0));
    assert_eq!(objects(&store, "p/").await, folder.read());
    assert_eq!(store.open_uploads(), vec![]);
    assert_eq!(store.calls(O::PutObject), 4);
    assert_eq!(store.calls(O::HeadObject), store.calls(O::CompleteMultipartUpload));

    let back = Folder::new();
    let target = TreeTarget::Folder(back.path().join("new/below"));
    let report = run(&store, prefix_source("p/"), target, options()).await;
    assert_eq!(clean(&report), (8, 0));
    let mut expected = folder.read();
    expected = expected.into_iter().map(|(name, is)| (format!("new/below/{name}"), is)).collect();
    assert_eq!(back.read(), expected);
    let time = |path: PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    for (name, _) in FILES {
        let (there, here) = (folder.path().join(name), back.path().join("new/below").join(name));
        assert_eq!(time(there), time(here), "{name}");
    }

    let report = run(&store, prefix_source("p/"), below("q/"), options()).await;
    assert_eq!(clean(&report), (8, 0));
    assert_eq!(objects(&store, "q/").await, folder.read());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sync_sends_and_asks_nothing() {
    let (store, folder) = (memory_store(), Folder::of(&FILES));
    let report = run(&store, folder_source(folder.path()), below(""), sync()).await;
    assert_eq!(clean(&report), (8, 0));
    let (puts, heads) = (store.calls(O::PutObject), store.calls(O::HeadObject));
    let report = run(&store, folder_source(folder.path()), below(""), sync()).await;
    assert_eq!(clean(&report), (0, 8));
    assert_eq!((store.calls(O::PutObject), store.calls(O::HeadObject)), (puts, heads));

    // A download needs a HEAD of an object only if its time differs from that of the file.
    let back = Folder::new();
    let down = || TreeTarget::Folder(back.path().to_owned());
    assert_eq!(clean(&run(&store, prefix_source(""), down(), sync()).await), (8, 0));
    let gets = store.calls(O::GetObject);
    assert_eq!(clean(&run(&store, prefix_source(""), down(), sync()).await), (0, 8));
    assert_eq!(store.calls(O::GetObject), gets);

    // One file was written to, one only has another time, and one is new.
    folder.write("b/c", 2);
    fs::write(folder.path().join("b/d e"), vec![7; 3999]).unwrap();
    folder.write("new", 5);
    let future = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    let touched = fs::File::options().write(true).open(folder.path().join("b/d e")).unwrap();
    touched.set_modified(future).unwrap();
    let report = run(&store, folder_source(folder.path()), below(""), sync()).await;
    assert_eq!(clean(&report), (3, 6));
    assert_eq!(objects(&store, "").await, folder.read());
    let report = run(&store, folder_source(folder.path()), below(""), sync()).await;
    assert_eq!(clean(&report), (0, 9), "its stored time is that of the file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_by_content_finds_what_times_hide() {
    for quirks in
        [Quirks::AWS, Quirks { echo_checksums: false, default_checksum: None, ..Quirks::AWS }]
    {
        let store = crate::harness::store(quirks, Faults::none());
        let folder = Folder::of(&FILES);
        let by_content = || TreeOptions { compare: CompareBy::Content, ..options() };
        run(&store, folder_source(folder.path()), below(""), options()).await;
        let report = run(&store, folder_source(folder.path()), below(""), by_content()).await;
        assert_eq!(clean(&report), (0, 8));
        let path = folder.path().join("long");
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, vec![1; 30_500]).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        let report = run(&store, folder_source(folder.path()), below(""), sync()).await;
        assert_eq!(clean(&report), (0, 8), "its time says nothing");
        let report = run(&store, folder_source(folder.path()), below(""), by_content()).await;
        assert_eq!(clean(&report), (1, 7));
        assert_eq!(objects(&store, "").await, folder.read());
    }
}

/// Composite checksums of any algorithm were not compared, and neither was the ETag of an object
/// whose store does not tell its parts: `haul sync --checksum` sent such files again every time.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_by_content_accepts_the_proofs_of_verify() {
    let unechoed = Quirks { echo_checksums: false, default_checksum: None, ..Quirks::AWS };
    let sha256 = Some(haul::parts::ChecksumAlgorithm::Sha256);
    for (quirks, checksum, part_size) in [
        (Quirks::AWS, sha256, 2000),
        (Quirks { tells_parts: false, ..unechoed.clone() }, None, 5 << 20),
        (unechoed, None, 5 << 20),
    ] {
        let store = crate::harness::store(quirks, Faults::none());
        let folder = Folder::of(&[("short", 10), ("long", 11 << 20)]);
        let by_content = || {
            let mut by = TreeOptions { compare: CompareBy::Content, ..options() };
            (by.upload.checksum, by.upload.part_size_bytes) = (checksum, Some(part_size));
            by
        };
        run(&store, folder_source(folder.path()), below(""), by_content()).await;
        let report = run(&store, folder_source(folder.path()), below(""), by_content()).await;
        assert_eq!(clean(&report), (0, 2), "up");
        let back = Folder::of(&[("short", 10), ("long", 11 << 20)]);
        let down = || TreeTarget::Folder(back.path().to_owned());
        let report = run(&store, prefix_source(""), down(), by_content()).await;
        assert_eq!((clean(&report), store.calls(O::GetObject)), ((0, 2), 0), "down");
    }
}

/// An ETag that is no hash proves nothing, so the file is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_by_content_sends_what_cannot_be_proven() {
    for etags in [EtagKind::Opaque, EtagKind::Encrypted] {
        let quirks = Quirks { echo_checksums: false, default_checksum: None, etags, ..Quirks::AWS };
        let store = crate::harness::store(quirks, Faults::none());
        let folder = Folder::of(&FILES);
        let by_content = || TreeOptions { compare: CompareBy::Content, ..options() };
        for _ in 0..2 {
            let report = run(&store, folder_source(folder.path()), below(""), by_content()).await;
            assert_eq!(clean(&report), (8, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_files_go_only_when_everything_else_succeeded() {
    let (store, folder) = (memory_store(), Folder::of(&FILES));
    for extra in ["0", "b/extra", "zz", "keep/me"] {
        put(&store, extra, b"extra").await;
    }
    let keeping = || TreeOptions {
        filter: Filter {
            names: NameFilter::new([(FilterRule::Exclude, "keep/*")]),
            ..Filter::default()
        },
        ..deleting()
    };
    let refusal = Fault::Answer(Refusal::ACCESS_DENIED);
    store.set_faults(Faults::none().on(O::PutObject, 2, refusal));
    let report = run(&store, folder_source(folder.path()), below(""), keeping()).await;
    assert_eq!((report.failed, report.removed), (1, 0));
    assert!(store.object(&object("zz")).is_some());

    let dry = TreeOptions { dry_run: true, ..keeping() };
    let report = run(&store, folder_source(folder.path()), below(""), dry).await;
    assert_eq!((report.copied.files, report.removed), (1, 3));
    assert!(store.object(&object("zz")).is_some(), "only shown");

    let report = run(&store, folder_source(folder.path()), below(""), keeping()).await;
    assert_eq!((clean(&report), report.removed), ((1, 7), 3));
    assert!(store.object(&object("keep/me")).is_some(), "what is left out is not removed");
    assert_eq!(objects(&store, "").await.len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_source_removes_nothing_unless_that_is_wanted() {
    let (store, empty) = (memory_store(), Folder::new());
    put(&store, "a", b"a").await;
    let report = run(&store, folder_source(empty.path()), below(""), deleting()).await;
    assert!(matches!(report.ended_by, Some(Error::TreeRefused { .. })), "{report:?}");
    assert!(store.object(&object("a")).is_some());
    let missing = folder_source(&empty.path().join("missing"));
    let forced = || TreeOptions {
        delete: Some(DeleteExtra { even_if_source_is_empty: true }),
        ..deleting()
    };
    let report = run(&store, missing, below(""), forced()).await;
    assert!(matches!(report.ended_by, Some(Error::SourceUnreadable { .. })), "{report:?}");
    assert!(store.object(&object("a")).is_some());
    let report = run(&store, folder_source(empty.path()), below(""), forced()).await;
    assert_eq!((clean(&report), report.removed), ((0, 0), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_files_of_a_folder_go_too() {
    let (store, back) = (memory_store(), Folder::of(&[("a", 3), ("b/extra", 3)]));
    put(&store, "a", &content("a", 3)).await;
    let target = TreeTarget::Folder(back.path().to_owned());
    let report = run(&store, prefix_source(""), target, deleting()).await;
    assert_eq!(report.removed, 1);
    assert_eq!(back.read().keys().collect::<Vec<_>>(), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_no_files_fail_one_by_one() {
    let (store, back) = (memory_store(), Folder::new());
    let bad = ["../up", "/root", "a/b", "d//e", "C:/x", "f/../../g"];
    let good = ["a", "a-b", "z"];
    for key in bad.iter().chain(&good) {
        put(&store, key, key.as_bytes()).await;
    }
    // Objects that stand for folders, as consoles create them, are neither copied nor failures.
    put(&store, "folder/", b"").await;
    let target = TreeTarget::Folder(back.path().join("t"));
    let report = run(&store, prefix_source(""), target, options()).await;
    let mut failed: Vec<_> = report.failures.iter().map(|failure| failure.name.as_str()).collect();
    failed.sort_unstable();
    let mut expected = bad.to_vec();
    expected.sort_unstable();
    assert_eq!(failed, expected);
    assert!(report.failures.iter().all(|it| matches!(it.error, Error::UnusableName { .. })));
    assert_eq!(back.read().keys().collect::<Vec<_>>(), ["t/a", "t/a-b", "t/z"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_differ_in_case_collide_where_cases_are_one() {
    let (store, back) = (memory_store(), Folder::new());
    for key in ["README", "Readme", "x"] {
        put(&store, key, key.as_bytes()).await;
    }
    let target = TreeTarget::Folder(back.path().to_owned());
    let folded = TreeOptions { tells_cases_apart: Some(false), ..options() };
    let report = run(&store, prefix_source(""), target, folded).await;
    assert_eq!((report.copied.files, report.failed), (2, 1));
    assert_eq!(back.read().keys().collect::<Vec<_>>(), ["README", "x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_removes_what_is_proven_and_nothing_else() {
    let (store, folder) = (memory_store(), Folder::of(&FILES));
    let moving = || TreeOptions { remove_sources: true, ..options() };
    let before = folder.read();
    let refusal = Fault::Answer(Refusal::ACCESS_DENIED);
    store.set_faults(Faults::none().on(O::PutObject, 1, refusal));
    let report = run(&store, folder_source(folder.path()), below("p/"), moving()).await;
    assert_eq!((report.copied.files, report.failed), (7, 1));
    assert_eq!(folder.read().len(), 1, "what failed stays");
    let report = run(&store, folder_source(folder.path()), below("p/"), moving()).await;
    assert_eq!(clean(&report), (1, 0));
    assert_eq!((objects(&store, "p/").await, folder.read().len()), (before.clone(), 0));

    let report = run(&store, prefix_source("p/"), below("q/"), moving()).await;
    assert_eq!(clean(&report), (8, 0));
    assert_eq!(
        (objects(&store, "q/").await, objects(&store, "p/").await.len()),
        (before.clone(), 0)
    );
    let target = TreeTarget::Folder(folder.path().to_owned());
    let report = run(&store, prefix_source("q/"), target, moving()).await;
    assert_eq!(clean(&report), (8, 0));
    assert_eq!((folder.read(), objects(&store, "").await.len()), (before, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_keeps_sources_whose_copy_is_not_proven() {
    let silent = Quirks {
        echo_checksums: false,
        default_checksum: None,
        etags: EtagKind::Opaque,
        ..Quirks::AWS
    };
    let store = crate::harness::store(silent, Faults::none());
    let folder = Folder::of(&FILES);
    let moving = TreeOptions { remove_sources: true, ..options() };
    let report = run(&store, folder_source(folder.path()), below(""), moving).await;
    assert_eq!((report.failed, folder.read().len()), (8, 8));
    assert!(report.failures.iter().all(|it| matches!(it.error, Error::SourceKept { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exists_is_left_alone() {
    let (store, folder) = (memory_store(), Folder::of(&FILES));
    put(&store, "b/c", b"other").await;
    let absent = || TreeOptions { compare: CompareBy::Absence, ..options() };
    let report = run(&store, folder_source(folder.path()), below(""), absent()).await;
    assert_eq!(clean(&report), (7, 1));
    assert_eq!(store.object(&object("b/c")).unwrap(), &b"other"[..]);
    let one = |name: &str| {
        vec![TreeSource::File { path: folder.path().join(name), name: name.to_owned() }]
    };
    assert_eq!(clean(&run(&store, one("b/c"), below(""), absent()).await), (0, 1));
    assert_eq!(clean(&run(&store, one("a"), below("x/"), absent()).await), (1, 0));
    std::os::unix::fs::symlink("a", folder.path().join("link")).unwrap();
    let plain = TreeOptions { follow_links: false, ..options() };
    assert_eq!(clean(&run(&store, one("link"), below("y/"), plain).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sources_and_lists_are_one_tree() {
    let (store, folder) = (memory_store(), Folder::of(&FILES));
    let sources = vec![
        TreeSource::File { path: folder.path().join("a"), name: "a".into() },
        TreeSource::Folder { path: folder.path().join("b"), before: "b/".into() },
        TreeSource::File { path: folder.path().join("missing"), name: "missing".into() },
        TreeSource::File { path: folder.path().join("z/y/x/w"), name: "a".into() },
    ];
    let report = run(&store, sources, below("p/"), options()).await;
    assert_eq!((report.copied.files, report.failed), (3, 2));
    assert_eq!(objects(&store, "p/").await["a"], Vec::<u8>::new(), "the first of a name stays");

    let names = "a\n./b/c\r\n\n\"b/d e\"\nmissing\n../up\n";
    let listed = |base| vec![TreeSource::Names { base, names: Box::new(names.as_bytes()) }];
    let base = TreeBase::Folder(folder.path().to_owned());
    let report = run(&store, listed(base), below("q/"), options()).await;
    assert_eq!((report.copied.files, report.failed), (3, 2));
    let back = Folder::new();
    let target = TreeTarget::Folder(back.path().to_owned());
    let base = TreeBase::Prefix(bucket(), "q/".into());
    let report = run(&store, listed(base), target, options()).await;
    assert_eq!((report.copied.files, report.failed), (3, 2));
    assert_eq!(back.read().into_keys().collect::<Vec<_>>(), ["a", "b/c", "b/d e"]);

    let pattern = vec![TreeSource::Pattern { bucket: bucket(), pattern: "q/b/*".into() }];
    let report = run(&store, pattern, below("r/"), options()).await;
    assert_eq!(clean(&report), (2, 0));
    assert_eq!(objects(&store, "r/").await.into_keys().collect::<Vec<_>>(), ["c", "d e"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_not_copied_below_itself() {
    let store = memory_store();
    put(&store, "p/a", b"a").await;
    let copy = |to: &'static str| {
        let store = store.clone();
        async move { engine(&store).tree(prefix_source("p/"), below(to), options()).await }
    };
    assert!(matches!(copy("p/q/").await, Err(Error::TreeRefused { .. })));
    assert!(matches!(copy("p/").await, Err(Error::TreeRefused { .. })));
    assert!(copy("p2/").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_failure_ends_a_tree_that_is_to_fail_fast() {
    let store = memory_store();
    let names: Vec<String> = (0..200).map(|number| format!("{number:03}")).collect();
    let files: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 10)).collect();
    let folder = Folder::of(&files);
    store.set_faults(Faults::none().on_every(O::PutObject, Fault::Answer(Refusal::ACCESS_DENIED)));
    let fast = TreeOptions { fail_fast: true, ..options() };
    let report = narrow_engine(&store).tree(folder_source(folder.path()), below(""), fast).await;
    let report = report.unwrap();
    assert!(report.ended_by.is_some() && report.failed <= NARROW_FILES, "{}", report.failed);
    let report = run(&store, folder_source(folder.path()), below(""), options()).await;
    assert_eq!((report.failed, report.ended_by.is_none()), (200, true));
}

/// Regression: after an interruption the same command asked the store about every file again.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_tree_is_continued_without_asking_for_what_is_done() {
    let (store, folder) = (memory_store(), Folder::new());
    for number in 0..200 {
        folder.write(&format!("{number:03}"), 100 + number);
    }
    let state = Folder::new();
    let with_journal = || TreeOptions { journal: journal(state.path()), ..options() };
    store.set_faults(Faults::none().on(O::PutObject, 150, Fault::Stall));
    let tree = narrow_engine(&store).tree(folder_source(folder.path()), below(""), with_journal());
    let stopper = tree.stopper();
    let watched = store.clone();
    tokio::spawn(async move {
        while watched.calls(O::PutObject) < 150 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        stopper.stop(StopRequest::PauseNow);
    });
    let first = tree.await.unwrap();
    assert!(first.stopped && first.copied.files >= 100, "{first:?}");

    store.set_faults(Faults::none());
    let heads = store.calls(O::HeadObject);
    let second = run(&store, folder_source(folder.path()), below(""), with_journal()).await;
    clean(&second);
    assert_eq!(second.resumed.files, first.copied.files);
    let looked = store.calls(O::HeadObject) - heads;
    assert!(looked <= NARROW_FILES, "only what was on its way is asked for: {looked}");
    assert_eq!(objects(&store, "").await, folder.read());
    let left = fs::read_dir(state.path().join("journals")).unwrap().count();
    assert_eq!(left, 0, "nothing is left to remember");
}
