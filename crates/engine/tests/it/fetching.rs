//! Downloads in ranges: whole or absent, of one version, and verified, whatever the link does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use haul::journal::JournalFolder;
use haul::parts::ChecksumAlgorithm;
use haul::remote::{Operation as O, PutRequest, Store};
use haul::testing::memory::{EtagKind, Fault, Faults, MemoryStore, Quirks, Refusal};
use haul::transfer::download::Verified;
use haul::{
    DownloadOptions, DownloadReport, Engine, EngineOptions, Error, JournalChoice, JournalOptions,
    StopRequest, Transfer, UploadOptions,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::harness::{aws, bytes, chain, object, options, run, store};
use crate::simulation::weather;

const SIZE: usize = 20_500;
const RANGE_BYTES: u64 = 1000;

fn ranges() -> DownloadOptions {
    DownloadOptions { part_size_bytes: Some(RANGE_BYTES), ..DownloadOptions::default() }
}

/// Adds the object, sent in parts, to a store.
async fn with_object(store: MemoryStore) -> MemoryStore {
    run(&store, SIZE, options()).await.unwrap();
    store
}

async fn fetch(store: &MemoryStore, target: &Path) -> Result<DownloadReport, Error> {
    let engine = Engine::new(Arc::new(store.clone()), EngineOptions::default());
    let running = engine.download(object(), target, ranges());
    tokio::time::timeout(Duration::from_secs(86_400), running).await.expect("the download hangs")
}

/// Asserts that the download succeeds and that its folder contains nothing but the file.
async fn arrives(store: &MemoryStore) -> DownloadReport {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("file");
    let report = fetch(store, &target).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert!(std::fs::read(&target).unwrap() == bytes(SIZE));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(report.size_bytes, SIZE as u64);
    report
}

/// Asserts that the download fails and that its folder is empty.
async fn fails(store: &MemoryStore) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(store, &folder.path().join("file")).await.expect_err("it must not succeed");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file is left behind");
    assert!(!matches!(error, Error::Internal(_)), "{}", chain(&error));
    error
}

#[tokio::test(start_paused = true)]
async fn ranges_are_fetched_in_parallel_and_the_crc_is_compared() {
    let store = with_object(aws(Faults::none())).await;
    let report = arrives(&store).await;
    assert_eq!(report.verified, Verified::Checksum(ChecksumAlgorithm::Crc64Nvme));
    assert_eq!(store.calls(O::GetObject), 21);
    assert_eq!(store.calls(O::HeadObject), 2, "one of the upload, one of the download");
}

#[tokio::test(start_paused = true)]
async fn an_etag_of_part_md5s_is_verified_from_ranges() {
    let store = with_object(store(Quirks::CEPH_RGW_16, Faults::none())).await;
    let report = arrives(&store).await;
    assert!(
        matches!(report.verified, Verified::PartMd5s(21) | Verified::OnlySize(_)),
        "{}",
        report.verified
    );
    assert!(store.calls(O::GetObject) >= 21);
}

#[tokio::test(start_paused = true)]
async fn a_plain_md5_is_verified_in_order_behind_the_ranges() {
    let store = store(Quirks::CEPH_RGW_16, Faults::none());
    let single = UploadOptions {
        part_size_bytes: None,
        multipart_threshold_bytes: 1 << 20,
        checksum: None,
        ..options()
    };
    run(&store, SIZE, single).await.unwrap();
    assert_eq!(arrives(&store).await.verified, Verified::Md5);
    assert_eq!(store.calls(O::GetObject), 21);
}

/// Regression: a proxy cut every answer short once, and a client that trusted the end of a body
/// wrote a file with holes.
#[tokio::test(start_paused = true)]
async fn ranges_that_are_cut_short_are_continued_where_they_broke() {
    let store = with_object(aws(Faults::none())).await;
    store.set_faults(Faults::none().on_calls(O::GetObject, 1..=21, Fault::CutBody));
    arrives(&store).await;
    assert_eq!(store.calls(O::GetObject), 42);
}

#[tokio::test(start_paused = true)]
async fn refusals_and_broken_connections_are_ridden_out() {
    let store = with_object(aws(Faults::none())).await;
    let faults = Faults::none()
        .on(O::GetObject, 1, Fault::Answer(Refusal::SLOW_DOWN))
        .on(O::GetObject, 2, Fault::LoseRequest)
        .on(O::GetObject, 3, Fault::Answer(Refusal::INTERNAL_ERROR))
        .on(O::GetObject, 4, Fault::TimeOut(Duration::from_secs(20)));
    store.set_faults(faults);
    arrives(&store).await;
}

#[tokio::test(start_paused = true)]
async fn a_bit_that_flips_on_the_way_is_an_error_and_no_file() {
    let store = with_object(aws(Faults::none())).await;
    for call in [1, 7, 21] {
        store.set_faults(Faults::none().on(O::GetObject, call, Fault::FlipInTransit));
        let error = fails(&store).await;
        assert!(matches!(error, Error::Corrupt { .. }), "{}", chain(&error));
    }
}

/// The object was overwritten while its ranges were in flight: the file would have been a mixture
/// of two versions.
#[tokio::test(start_paused = true)]
async fn a_change_between_ranges_is_an_error_that_names_both() {
    let store = with_object(aws(Faults::none())).await;
    store.set_faults(Faults::none().on_every(O::GetObject, Fault::Delay(Duration::from_secs(1))));
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::new(Arc::new(store.clone()), EngineOptions::default());
    let running = engine.download(object(), folder.path().join("file"), ranges());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let changed = PutRequest {
        payload: haul::body::Payload::from_bytes(vec![7; SIZE].into()),
        attributes: haul::ObjectAttributes::default(),
        checksum: None,
        md5: None,
        if_none_match: false,
        if_match: None,
        fresh_connection: false,
        wire: haul::remote::Meter::default(),
    };
    store.put_object(&object(), changed).await.unwrap();
    let error = running.await.unwrap_err();
    let Error::ObjectChanged { detail, .. } = &error else { panic!("{}", chain(&error)) };
    assert_eq!(detail.matches('"').count(), 4, "two ETags: {detail}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_download_that_is_stopped_leaves_no_file() {
    for request in [StopRequest::Cancel, StopRequest::PauseNow] {
        let store = with_object(aws(Faults::none())).await;
        store.set_faults(
            Faults::none().on_every(O::GetObject, Fault::Delay(Duration::from_secs(1))),
        );
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::new(Arc::new(store), EngineOptions::default());
        let running = engine.download(object(), folder.path().join("file"), ranges());
        tokio::time::sleep(Duration::from_millis(2500)).await;
        running.stop(request);
        assert!(matches!(running.await.unwrap_err(), Error::Cancelled { .. }));
        engine.close().await;
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

/// Regression: a stop that came while the file was renamed was reported as "cancelled" or "paused",
/// although the file was in place.
#[tokio::test]
async fn a_stop_during_the_rename_reports_the_file_that_is_there() {
    let store = with_object(aws(Faults::none())).await;
    for options in [ranges(), DownloadOptions::default()] {
        for request in [StopRequest::Cancel, StopRequest::PauseNow] {
            let folder = tempfile::tempdir().unwrap();
            let target = folder.path().join("file");
            let engine = Engine::new(Arc::new(store.clone()), EngineOptions::default());
            let running = engine.download(object(), &target, options.clone());
            // The folder still has to be synced when the name exists.
            while !target.exists() {
                tokio::task::yield_now().await;
            }
            running.stop(request);
            running.await.unwrap_or_else(|error| panic!("{}", chain(&error)));
            assert!(std::fs::read(&target).unwrap() == bytes(SIZE));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_not_there_leaves_no_file() {
    let error = fails(&aws(Faults::none())).await;
    assert!(chain(&error).contains("NoSuchKey"), "{}", chain(&error));
}

/// A download with a journal.
struct Desk {
    folder: tempfile::TempDir,
    store: MemoryStore,
    ranges: DownloadOptions,
}

impl Desk {
    async fn new(quirks: Quirks) -> Self {
        let store = with_object(store(quirks, Faults::none())).await;
        Self { folder: tempfile::tempdir().unwrap(), store, ranges: ranges() }
    }

    fn target(&self) -> std::path::PathBuf {
        self.folder.path().join("file")
    }

    fn journals(&self) -> JournalFolder {
        JournalFolder::new(self.folder.path().join("state"))
    }

    fn start(&self) -> Transfer<DownloadReport> {
        let journal = JournalOptions {
            folder: self.journals(),
            store_name: None,
            connection: serde_json::Value::Null,
            choice: JournalChoice::OfSource,
        };
        let options = DownloadOptions { journal: Some(journal), ..self.ranges.clone() };
        let engine = Engine::new(Arc::new(self.store.clone()), EngineOptions::default());
        engine.download(object(), self.target(), options)
    }

    /// Returns the number of files beside the target, which hold the bytes received so far.
    fn leftovers(&self) -> usize {
        let names =
            std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().is_some_and(|name| name.starts_with(".haul-"))).count()
    }

    async fn paused(&self, request: StopRequest) -> u64 {
        let running = self.start();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        running.stop(request);
        match running.await.unwrap_err() {
            Error::DownloadPaused { arrived_bytes, .. } => arrived_bytes,
            error => panic!("{}", chain(&error)),
        }
    }

    async fn arrives(&self) {
        self.start().await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert!(std::fs::read(self.target()).unwrap() == bytes(SIZE));
        assert_eq!(self.leftovers(), 0);
        assert!(self.journals().list_downloads().unwrap().is_empty());
    }
}

fn slow() -> Faults {
    Faults::none().on_every(O::GetObject, Fault::Delay(Duration::from_secs(1)))
}

#[tokio::test(start_paused = true)]
async fn a_paused_download_fetches_only_what_is_missing() {
    for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16] {
        let desk = Desk::new(quirks).await;
        desk.store.set_faults(slow());
        let before = desk.store.calls(O::GetObject);
        let arrived_bytes = desk.paused(StopRequest::PauseNow).await;
        assert!((1000..SIZE as u64).contains(&arrived_bytes), "{arrived_bytes}");
        assert_eq!((desk.leftovers(), desk.target().exists()), (1, false));
        let unfinished = desk.journals().list_downloads().unwrap();
        assert_eq!(unfinished[0].arrived_bytes(), arrived_bytes);
        assert_eq!(unfinished[0].paused.as_deref(), Some("interrupted"));

        desk.store.set_faults(Faults::none());
        let asked = desk.store.calls(O::GetObject);
        desk.arrives().await;
        let fetched = desk.store.calls(O::GetObject) - asked;
        assert_eq!(fetched, 21 - arrived_bytes / RANGE_BYTES, "of {} in all", asked - before);
    }
}

/// After a power cut the journal may list more ranges than the file holds.
#[tokio::test(start_paused = true)]
async fn a_range_that_the_disk_lost_is_fetched_again() {
    let desk = Desk::new(Quirks::AWS).await;
    desk.store.set_faults(slow());
    desk.paused(StopRequest::PauseNow).await;
    let summary = desk.journals().list_downloads().unwrap().remove(0);
    let file = std::fs::OpenOptions::new().write(true).open(&summary.beginning.temporary).unwrap();
    file.set_len(0).unwrap();
    desk.store.set_faults(Faults::none());
    desk.arrives().await;
}

/// The first run did not know the parts, so it fetched other ranges. Ranges that differ from the
/// parts must not be compared with the checksums of parts.
#[tokio::test(start_paused = true)]
async fn ranges_that_are_no_parts_are_verified_in_order() {
    for checksum in [None, Some(ChecksumAlgorithm::Sha256)] {
        let quirks = if checksum.is_some() { Quirks::AWS } else { Quirks::CEPH_RGW_16 };
        let mut desk = Desk::new(quirks).await;
        desk.ranges.part_size_bytes = Some(700);
        run(&desk.store, SIZE, UploadOptions { checksum, ..options() }).await.unwrap();
        // The second HEAD asks for the first part.
        let heads = desk.store.calls(O::HeadObject);
        let unknown = Fault::Answer(Refusal::new(501, Some("NotImplemented")));
        desk.store.set_faults(slow().on(O::HeadObject, 2, unknown));
        assert!(desk.paused(StopRequest::PauseNow).await > 0);
        assert_eq!(desk.store.calls(O::HeadObject) - heads, 2);
        let plan = desk.journals().list_downloads().unwrap()[0].beginning.plan;
        assert_eq!(plan.part_size_bytes(), 700);

        desk.store.set_faults(Faults::none());
        let report = desk.start().await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        let expected = checksum
            .map_or(Verified::PartMd5s(21), |algorithm| Verified::PartChecksums(algorithm, 21));
        assert_eq!(report.verified, expected);
        assert!(std::fs::read(desk.target()).unwrap() == bytes(SIZE));
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_download_of_another_version_begins_again() {
    let desk = Desk::new(Quirks::AWS).await;
    desk.store.set_faults(slow());
    desk.paused(StopRequest::Pause).await;
    desk.store.set_faults(Faults::none());
    let changed = haul::BytesSource::new(vec![7; SIZE]);
    haul::upload(Arc::new(desk.store.clone()), changed, object(), options()).await.unwrap();
    desk.start().await.unwrap();
    assert!(std::fs::read(desk.target()).unwrap() == vec![7; SIZE]);
    assert_eq!(desk.leftovers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_or_abandoned_download_leaves_nothing() {
    let desk = Desk::new(Quirks::AWS).await;
    desk.store.set_faults(slow());
    desk.paused(StopRequest::PauseNow).await;
    let id = desk.journals().list_downloads().unwrap().remove(0).id;
    assert!(desk.journals().abandon_download(&id).unwrap());
    assert_eq!((desk.leftovers(), desk.journals().list_downloads().unwrap().len()), (0, 0));

    let running = desk.start();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    running.stop(StopRequest::Cancel);
    assert!(matches!(running.await.unwrap_err(), Error::Cancelled { .. }));
    assert_eq!((desk.leftovers(), desk.journals().list_downloads().unwrap().len()), (0, 0));
}

/// Regression: such a download was reported as paused "with 0 % of it here".
#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_made_leaves_nothing_to_resume() {
    let desk = Desk::new(Quirks::AWS).await;
    let journal = JournalOptions {
        folder: desk.journals(),
        store_name: None,
        connection: serde_json::Value::Null,
        choice: JournalChoice::OfSource,
    };
    let options = DownloadOptions { journal: Some(journal), ..ranges() };
    let engine = Engine::new(Arc::new(desk.store.clone()), EngineOptions::default());
    std::fs::write(desk.folder.path().join("occupied"), "a file, where a folder is needed")
        .unwrap();
    let error = engine
        .download(object(), desk.folder.path().join("occupied/file"), options)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TargetUnwritable { .. }), "{}", chain(&error));
    assert!(desk.journals().list_downloads().unwrap().is_empty());
}

/// Under random faults the file is whole, or absent.
#[tokio::test(start_paused = true)]
async fn downloads_in_any_weather_are_whole_or_nothing() {
    let mut arrived = 0;
    for seed in 0..400 {
        let mut random = StdRng::seed_from_u64(seed);
        let quirks = match random.random_range(0..3) {
            0 => Quirks::CEPH_RGW_16,
            1 => Quirks { etags: EtagKind::Opaque, echo_checksums: false, ..Quirks::AWS },
            _ => Quirks::AWS,
        };
        let store = with_object(store(quirks, Faults::none())).await;
        store.set_faults(Faults::seeded(seed, weather(&mut random, false)));
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("file");
        match fetch(&store, &target).await {
            Ok(_) => {
                arrived += 1;
                assert!(
                    std::fs::read(&target).unwrap() == bytes(SIZE),
                    "seed {seed}: other bytes (P1)"
                );
            }
            Err(Error::Internal(error)) => panic!("seed {seed}: {error}"),
            Err(_) => assert!(!target.exists(), "seed {seed}: a file that is not whole (P1)"),
        }
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(
            files,
            usize::from(target.exists()),
            "seed {seed}: something is left behind (P3)"
        );
    }
    assert!(
        arrived > 100,
        "only {arrived} of 400 arrived: the weather is too bad to prove anything"
    );
}
