//! The simulations and measurements behind `docs/scaling.md`: the largest object that S3 allows,
//! and the journal of a tree.
//!
//! A copy inside the store goes through the same plan, schedule, journal and Complete as an upload,
//! and no bytes pass through this machine: so an object of 48.8 TiB can be simulated part by part.
//! Each answer takes the time that the bytes of its part would, by a clock that does not wait.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use haul::journal::{Fingerprint, JournalFolder, TreeBeginning, TreeFileState};
use haul::parts::limits::{GIB, MIB, OBJECT_SIZE_MAX_BYTES};
use haul::parts::{ETag, Key, ObjectRef, UploadId};
use haul::remote::{
    CompleteRequest, CompletedObject, CreateRequest, CreatedUpload, ObjectAttributes, ObjectHead,
    PartCopyRequest, Store, StoreError, UploadRef, UploadedPart,
};
use haul::{CopyOptions, CopyReport, Engine, EngineOptions, JournalChoice, JournalOptions};

use crate::harness::bucket;

/// What one connection to S3 carries, according to AWS: 85 to 90 MB/s.
const CONNECTION_BYTES_PER_S: u64 = 89_000_000;
/// So many of them fill 100 Gbit/s, which are 12.5 GB/s.
const CONNECTIONS: u32 = 140;

/// A store that copies parts of any size without bytes, each in the time of its bytes.
struct Vast {
    size_bytes: u64,
    part_count: u32,
    journals: JournalFolder,
    requests: AtomicU32,
    in_flight: AtomicU32,
    in_flight_most: AtomicU32,
    /// The bytes of all journals when Complete was sent.
    journal_bytes: AtomicU64,
}

impl Vast {
    fn new(size_bytes: u64, part_count: u32, folder: &Path) -> Self {
        Self {
            size_bytes,
            part_count,
            journals: JournalFolder::new(folder),
            requests: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            in_flight_most: AtomicU32::new(0),
            journal_bytes: AtomicU64::new(0),
        }
    }
}

/// The MD5 of a part, which no bytes have.
fn md5_of(number: u32) -> [u8; 16] {
    let mut md5 = [0x5a; 16];
    md5[..4].copy_from_slice(&number.to_le_bytes());
    md5
}

#[async_trait]
impl Store for Vast {
    async fn head_object(&self, _: &ObjectRef) -> Result<ObjectHead, StoreError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(ObjectHead {
            size_bytes: self.size_bytes,
            etag: ETag::composite((1..=self.part_count).map(md5_of)),
            checksum: None,
            composite: None,
            last_modified: None,
            attributes: ObjectAttributes::default(),
            etag_is_opaque: false,
            tag_count: None,
            lock: Default::default(),
        })
    }

    async fn create_multipart_upload(
        &self,
        _: &ObjectRef,
        _: &CreateRequest,
    ) -> Result<CreatedUpload, StoreError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let upload_id = UploadId::new("an-upload-id-as-long-as-those-of-aws-".repeat(4)).unwrap();
        Ok(CreatedUpload { upload_id, checksum: None, abort_date: None })
    }

    async fn upload_part_copy(
        &self,
        _: &UploadRef,
        part: &PartCopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.in_flight_most.fetch_max(in_flight, Ordering::Relaxed);
        let range = part.range.clone().unwrap_or(0..self.size_bytes);
        let milliseconds = (range.end - range.start) * 1000 / CONNECTION_BYTES_PER_S;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let etag = ETag::from_md5(md5_of(part.number.get().into()));
        Ok(UploadedPart { etag, checksum: None, etag_is_opaque: false })
    }

    async fn complete_multipart_upload(
        &self,
        _: &UploadRef,
        request: &CompleteRequest,
    ) -> Result<CompletedObject, StoreError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        assert_eq!(request.parts.len(), self.part_count as usize);
        let journals = std::fs::read_dir(self.journals.path()).unwrap();
        let bytes = journals.map(|journal| journal.unwrap().metadata().unwrap().len()).sum();
        self.journal_bytes.store(bytes, Ordering::Relaxed);
        let etag = Some(ETag::composite((1..=self.part_count).map(md5_of)));
        Ok(CompletedObject { etag, checksum: None, version_id: None })
    }

    fn endpoint(&self) -> String {
        "https://vast.example".into()
    }
}

/// Returns this field of the status of this process in KiB; each test has its own process.
fn memory_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap()
}

async fn copied(store: &Arc<Vast>, concurrency: u32, part_bytes: u64) -> CopyReport {
    let options = EngineOptions { concurrency: concurrency.into(), ..EngineOptions::default() };
    let engine = Engine::new(Arc::clone(store) as Arc<dyn Store>, options);
    let journal = JournalOptions {
        folder: store.journals.clone(),
        store_name: None,
        connection: serde_json::json!({"scheme": "s3", "endpoint": "https://vast.example"}),
        choice: JournalChoice::OfSource,
    };
    let part_size_bytes = Some(part_bytes);
    let options = CopyOptions { journal: Some(journal), part_size_bytes, ..CopyOptions::default() };
    let name = |key| ObjectRef { bucket: bucket(), key: Key::new(key).unwrap() };
    engine.copy(name("source"), name("target"), options).await.unwrap()
}

/// 10,000 parts of 5 GiB with 140 in flight: they arrive in 75 minutes, at 95 % of 100 Gbit/s: the
/// beginning with few requests and the last round cost 5 %. The state takes less than 24 MiB, the
/// journal less than 200 bytes per part.
#[tokio::test(start_paused = true)]
async fn the_largest_object_fills_100_gbit_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Vast::new(OBJECT_SIZE_MAX_BYTES, 10_000, &folder.path().join("journals")));
    let (before, began) = (memory_kib("VmRSS"), tokio::time::Instant::now());
    let report = copied(&store, CONNECTIONS, 5 * GIB).await;
    let took = began.elapsed().as_secs_f64();
    let grown_kib = memory_kib("VmHWM").saturating_sub(before);
    let journal_bytes = store.journal_bytes.load(Ordering::Relaxed);
    let requests = store.requests.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "a rate to compare")]
    let gbit_per_s = OBJECT_SIZE_MAX_BYTES as f64 * 8e-9 / took;
    println!(
        "{took:.0} s, {gbit_per_s:.1} Gbit/s, {grown_kib} KiB more, journal {journal_bytes} bytes, \
              {requests} requests"
    );
    assert_eq!((report.size_bytes, report.part_count), (OBJECT_SIZE_MAX_BYTES, 10_000));
    assert_eq!(store.in_flight_most.load(Ordering::Relaxed), CONNECTIONS);
    assert!(gbit_per_s > 94.0, "{gbit_per_s} Gbit/s");
    assert!((10_000 + 3..=10_000 + 8).contains(&requests), "{requests} requests");
    assert!(grown_kib < 24 * 1024, "{grown_kib} KiB");
    assert!(journal_bytes < 10_000 * 200, "{journal_bytes} bytes");
}

/// The journal of an upload grows by a record for each part, whatever its size; what else is in it
/// fits into two kilobytes.
#[tokio::test(start_paused = true)]
async fn a_journal_grows_with_the_number_of_parts_only() {
    let mut bytes = vec![];
    for (part_count, part_bytes) in [(1000, 8 * MIB), (1000, 5 * GIB), (2000, 8 * MIB)] {
        let folder = tempfile::tempdir().unwrap();
        let size_bytes = u64::from(part_count) * part_bytes;
        let store = Arc::new(Vast::new(size_bytes, part_count, &folder.path().join("journals")));
        copied(&store, 16, part_bytes).await;
        bytes.push(store.journal_bytes.load(Ordering::Relaxed));
    }
    let [short, long, twice] = bytes[..] else { unreachable!("three copies") };
    println!("{short}, {long} and {twice} bytes");
    let per_part = (twice - short) / 1000;
    assert!((100..200).contains(&per_part), "{per_part} bytes per part");
    assert!(long.abs_diff(short) < 1000 * 4, "{short} and {long} bytes: sizes have more digits");
    assert!(short.abs_diff(1000 * per_part) < 2048, "{short} bytes");
}

/// A file of a tree takes 42 bytes in the journal of the tree: one record when it begins and one
/// when it is done.
#[test]
fn a_tree_takes_42_bytes_per_file_in_its_journal() {
    let folder = tempfile::tempdir().unwrap();
    let journals = JournalFolder::new(folder.path().join("journals"));
    assert_eq!(record_tree(&journals, 20_000), 42 * 20_000);
}

/// A continued run held 64 bytes in memory for each file that earlier runs had recorded: a tree of
/// 10^9 files needed 64 GB to be resumed.
#[test]
fn a_million_recorded_files_are_found_again_in_bounded_memory() {
    const FILES: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let journals = JournalFolder::new(folder.path().join("journals"));
    record_tree(&journals, FILES);
    let before = memory_kib("VmRSS");
    let (_journal, earlier) = journals.open_tree("id", &tree_beginning()).unwrap();
    let grown_kib = memory_kib("VmHWM").saturating_sub(before);
    println!("{grown_kib} KiB more memory");
    assert!(grown_kib <= 20 * 1024, "{grown_kib} KiB more");
    for number in (0..FILES + 1000).step_by(97) {
        let expected = match number {
            FILES.. => None,
            _ if number % 2 == 0 => Some(TreeFileState::Begun),
            _ => Some(TreeFileState::Done),
        };
        assert_eq!(earlier.state_of(&recorded_file(number)).unwrap(), expected, "{number}");
    }
}

fn tree_beginning() -> TreeBeginning {
    TreeBeginning {
        sources: vec!["/data/photos/ ".into()],
        target: "s3://bucket/photos/".into(),
        store: "https://s3.amazonaws.com".into(),
        begun_at: 1_700_000_000,
    }
}

fn recorded_file(number: u64) -> Fingerprint {
    Fingerprint::new(&format!("{number}"), "1 1700000000")
}

/// Writes two records for each file: every other one was begun and has ended, the others were begun
/// by two runs. Returns their bytes.
fn record_tree(journals: &JournalFolder, files: u64) -> u64 {
    let (mut journal, _) = journals.open_tree("id", &tree_beginning()).unwrap();
    let length = |path: &Path| std::fs::metadata(path).unwrap().len();
    let empty_bytes = length(journal.path());
    for number in 0..files {
        let fingerprint = recorded_file(number);
        journal.begun(fingerprint).unwrap();
        match number % 2 {
            0 => journal.begun(fingerprint).unwrap(),
            _ => journal.done(fingerprint).unwrap(),
        }
    }
    length(journal.path()) - empty_bytes
}
