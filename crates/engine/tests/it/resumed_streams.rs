//! Streams that stop and are read again by a later run: only bytes that the store lacks are sent,
//! and the object is made of one stream (P2, P4).

use std::fmt;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use haul::journal::JournalFolder;
use haul::parts::PartNumber;
use haul::remote::{Operation as O, Store, StoreErrorKind, UploadRef};
use haul::source::SourceRecord;
use haul::testing::memory::{Fate, Fault, Faults, MemoryStore, Quirks, Weather};
use haul::{
    Engine, EngineOptions, Error, Event, JournalChoice, JournalOptions, StopRequest, StreamOptions,
    Transfer, UploadOptions, UploadReport, abandon,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::crashes::folder;
use crate::harness::{
    aws, bytes, chain, never_aborted_in_doubt, object, options, part_request, store,
};
use crate::seeds::{self, said};
use crate::streaming::Breaking;

const SIZE: usize = 10_500;
const SEEDS: std::ops::Range<u64> = 0..800;

fn journal(folder: &Path) -> Option<JournalOptions> {
    Some(JournalOptions {
        folder: JournalFolder::new(folder),
        store_name: None,
        connection: serde_json::Value::Null,
        choice: JournalChoice::OfSource,
    })
}

struct Desk {
    store: MemoryStore,
    folder: tempfile::TempDir,
}

impl Desk {
    fn new(store: MemoryStore) -> Self {
        Self { store, folder: tempfile::tempdir().unwrap() }
    }

    fn journals(&self) -> JournalFolder {
        JournalFolder::new(self.folder.path())
    }

    fn start(&self, reader: impl std::io::Read + Send + 'static) -> Transfer<UploadReport> {
        let limits = EngineOptions { concurrency: 2.into(), ..EngineOptions::default() };
        let engine = Engine::new(Arc::new(self.store.clone()), limits);
        let upload = UploadOptions { journal: journal(self.folder.path()), ..options() };
        engine.upload_stream(reader, object(), StreamOptions { upload, ..Default::default() })
    }

    async fn send(&self, content: &[u8]) -> Result<UploadReport, Error> {
        self.start(Cursor::new(content.to_vec())).await
    }

    /// Pauses when this number of parts has arrived; returns the id of the journal.
    async fn pause_after(&self, content: &[u8], parts: usize) -> String {
        let mut running = self.start(Cursor::new(content.to_vec()));
        let mut events = running.take_events().unwrap();
        let mut arrived = 0;
        while arrived < parts {
            if let Event::PartSent { .. } = events.next().await.expect("it still runs") {
                arrived += 1;
            }
        }
        running.stop(StopRequest::PauseNow);
        match running.await.unwrap_err() {
            Error::Paused { id, .. } => id,
            other => panic!("{}", chain(&other)),
        }
    }

    fn is_clean(&self) {
        assert_eq!(self.store.open_uploads(), vec![], "an upload is left (P3)");
        assert_eq!(self.journals().list().unwrap().len(), 0, "a journal is left");
    }
}

fn slow() -> Faults {
    Faults::none().on_every(O::UploadPart, Fault::DelayAnswer(Duration::from_millis(100)))
}

#[tokio::test(start_paused = true)]
async fn a_paused_stream_sends_only_what_is_missing() {
    for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16, Quirks::GARAGE_2] {
        let desk = Desk::new(store(quirks, slow()));
        desk.pause_after(&bytes(SIZE), 4).await;
        let listed = desk.journals().list().unwrap().remove(0);
        assert!(matches!(listed.beginning.source, SourceRecord::Stream(_)));
        assert_eq!(listed.beginning.plan.size_bytes(), None);
        let report =
            desk.send(&bytes(SIZE)).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!((report.size_bytes, report.part_count), (SIZE as u64, 11));
        assert!(report.resumed_bytes >= 4000, "{}", report.resumed_bytes);
        assert_eq!(desk.store.object(&object()).unwrap(), bytes(SIZE));
        assert_eq!(desk.store.bytes_received_again(), 0, "a part was sent again (P2)");
        assert_eq!(desk.store.calls(O::CreateMultipartUpload), 1);
        desk.is_clean();
    }
}

/// P4: the part that differs is sent again, and the object is this run's stream.
#[tokio::test(start_paused = true)]
async fn a_stream_that_differs_makes_an_object_of_this_run_only() {
    for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16] {
        let desk = Desk::new(store(quirks, slow()));
        desk.pause_after(&bytes(SIZE), 6).await;
        let mut other = bytes(SIZE);
        other[1500] ^= 1;
        other.extend([7; 5000]);
        desk.send(&other).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(desk.store.object(&object()).unwrap(), other);
        let second = Some(PartNumber::new(2).unwrap());
        let history = desk.store.history();
        let times = |part| {
            history.iter().filter(|it| it.operation == O::UploadPart && it.part == part).count()
        };
        assert_eq!((times(second), times(Some(PartNumber::MIN))), (2, 1));
        desk.is_clean();
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_shorter_than_what_arrived_makes_no_object() {
    let desk = Desk::new(aws(slow()));
    desk.pause_after(&bytes(SIZE), 6).await;
    let error = desk.send(&bytes(3500)).await.unwrap_err();
    assert!(matches!(error, Error::StreamShorter { .. }), "{}", chain(&error));
    assert_eq!(desk.store.object(&object()), None);
    desk.is_clean();
    desk.pause_after(&bytes(SIZE), 6).await;
    desk.send(b"").await.unwrap();
    assert_eq!(desk.store.object(&object()).unwrap(), b"".as_slice());
    desk.is_clean();
}

/// A part that another client wrote does not belong to the stream: it is sent again.
#[tokio::test(start_paused = true)]
async fn a_foreign_part_in_a_paused_stream_is_replaced() {
    for quirks in [Quirks::AWS, Quirks::CEPH_RGW_16] {
        let desk = Desk::new(store(quirks, slow()));
        desk.pause_after(&bytes(SIZE), 4).await;
        let upload_id = desk.journals().list().unwrap().remove(0).upload_id.unwrap();
        let upload = UploadRef { object: object(), upload_id };
        for number in [1, 9] {
            let foreign = part_request(PartNumber::new(number).unwrap(), &[7; 1000]);
            desk.store.upload_part(&upload, foreign).await.unwrap();
        }
        desk.send(&bytes(SIZE)).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(desk.store.object(&object()).unwrap(), bytes(SIZE));
        desk.is_clean();
    }
}

/// The producer died: the bytes it produced are kept for the next run, and no object appears.
#[tokio::test(start_paused = true)]
async fn a_stream_whose_producer_dies_is_continued() {
    let desk = Desk::new(aws(slow()));
    let error = desk.start(Breaking::new(&bytes(7500))).await.unwrap_err();
    assert!(matches!(error, Error::Paused { .. }), "{}", chain(&error));
    assert_eq!(desk.store.object(&object()), None);
    let report = desk.send(&bytes(SIZE)).await.unwrap();
    assert!(report.resumed_bytes > 0);
    assert_eq!(desk.store.bytes_received_again(), 0);
    desk.is_clean();
}

#[tokio::test(start_paused = true)]
async fn a_paused_stream_is_removed_by_abandon_and_by_cancel() {
    let desk = Desk::new(aws(slow()));
    let id = desk.pause_after(&bytes(SIZE), 4).await;
    abandon(Arc::new(desk.store.clone()), &desk.journals(), &id).await.unwrap();
    desk.is_clean();
    desk.pause_after(&bytes(SIZE), 4).await;
    let running = desk.start(Cursor::new(bytes(SIZE)));
    running.stop(StopRequest::Cancel);
    assert!(matches!(running.await.unwrap_err(), Error::Cancelled { .. }));
    desk.is_clean();
}

#[derive(Debug)]
struct Scenario {
    seed: u64,
    quirks: Quirks,
    weather: Weather,
    concurrency: u32,
    part_size_bytes: u64,
    size_bytes: usize,
    /// For each run that is killed, the time until then.
    kills: Vec<Duration>,
    /// The run after them reads another stream.
    differs: bool,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Scenario {
    fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0x5EED_57EA);
        let quirks = match random.random_range(0..4) {
            0 => Quirks::CEPH_RGW_16,
            1 => Quirks::GARAGE_2,
            _ => Quirks::AWS,
        };
        let foul = 0.05 * random.random::<f64>();
        let weather = Weather {
            delay: 0.4,
            delayed_answer: 0.4,
            server_error: foul / 2.0,
            slow_down: foul / 2.0,
            lost_request: foul,
            lost_answer: foul,
            cut_body: foul / 2.0,
            ..Weather::default()
        };
        Self {
            seed,
            quirks,
            weather,
            concurrency: random.random_range(1..12),
            part_size_bytes: random.random_range(100..2000),
            size_bytes: random.random_range(1..30_000),
            kills: (0..random.random_range(1..5))
                .map(|_| Duration::from_millis(random.random_range(0..5000)))
                .collect(),
            differs: random.random_bool(0.2),
        }
    }

    fn run(&self) -> &'static str {
        let folder = folder();
        let store = store(self.quirks.clone(), Faults::seeded(self.seed, self.weather));
        let first = bytes(self.size_bytes);
        let mut last = first.clone();
        if self.differs {
            last[self.size_bytes / 2] ^= 1;
        }
        let mut end = None;
        for kill in &self.kills {
            end = self.one_run(&store, folder.path(), &first, Some(*kill));
            if end.as_ref().is_some_and(Result::is_ok) {
                last.clone_from(&first);
                break;
            }
            end = None;
        }
        for _ in 0..20 {
            if end.as_ref().is_some_and(|end| !end.as_ref().is_err_and(is_resumable)) {
                break;
            }
            end = self.one_run(&store, folder.path(), &last, None);
        }
        let end = end.expect("the last run was left to its end");
        self.check(&store, folder.path(), &last, &end);
        match end {
            Ok(report) if report.resumed_bytes > 0 => "resumed",
            Ok(_) => "done",
            Err(error) => panic!("no run should end so: {}", chain(&error)),
        }
    }

    /// Runs one process. Returns `None` if it was killed.
    fn one_run(
        &self,
        store: &MemoryStore,
        folder: &Path,
        content: &[u8],
        kill: Option<Duration>,
    ) -> Option<Result<UploadReport, Error>> {
        let upload = UploadOptions {
            part_size_bytes: Some(self.part_size_bytes),
            journal: journal(folder),
            ..options()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let limits =
                EngineOptions { concurrency: self.concurrency.into(), ..EngineOptions::default() };
            let engine = Engine::new(Arc::new(store.clone()), limits);
            let stream = StreamOptions { upload, ..StreamOptions::default() };
            let reader = Cursor::new(content.to_vec());
            let mut running = engine.upload_stream(reader, object(), stream);
            let after = kill.unwrap_or(Duration::from_secs(86_400));
            let end = tokio::time::timeout(after, &mut running).await.ok();
            assert!(kill.is_some() || end.is_some(), "it hangs");
            // A killed process runs no destructors.
            std::mem::forget(running);
            end
        })
    }

    fn check(
        &self,
        store: &MemoryStore,
        folder: &Path,
        last: &[u8],
        end: &Result<UploadReport, Error>,
    ) {
        if end.is_ok() {
            assert!(store.object(&object()).as_deref() == Some(last), "P1, P4: another stream");
        }
        assert_eq!(JournalFolder::new(folder).list().unwrap().len(), 0, "P3: a journal is left");
        let history = store.history();
        never_aborted_in_doubt(&history);
        let unknown = history.iter().filter(|call| {
            call.operation == O::CreateMultipartUpload
                && matches!(call.fate, Fate::Unknown | Fate::Abandoned)
        });
        assert!(store.open_uploads().len() <= unknown.count(), "P3: {:?}", store.open_uploads());
        // If a killed run had completed the object, the next run writes it again, because a
        // finished object is not compared with the stream.
        let completes =
            history.iter().filter(|call| call.operation == O::CompleteMultipartUpload).count();
        if !self.differs && completes <= 1 {
            assert_eq!(store.bytes_received_again(), 0, "P2: a part was sent again");
        }
    }
}

fn is_resumable(error: &Error) -> bool {
    match error {
        Error::Store { source, .. } => source.kind != StoreErrorKind::PreconditionFailed,
        error => matches!(
            error,
            Error::Paused { .. }
                | Error::InDoubt { .. }
                | Error::UploadGone { .. }
                | Error::Restarted { .. }
        ),
    }
}

fn simulate(seed: u64) -> &'static str {
    let scenario = Scenario::of(seed);
    said(&scenario, || scenario.run())
}

const WANTED: &[&str] = &["resumed", "done"];

#[test]
fn every_stream_survives_its_crashes_first_quarter() {
    seeds::quarter(0, SEEDS, simulate, WANTED);
}

#[test]
fn every_stream_survives_its_crashes_second_quarter() {
    seeds::quarter(1, SEEDS, simulate, WANTED);
}

#[test]
fn every_stream_survives_its_crashes_third_quarter() {
    seeds::quarter(2, SEEDS, simulate, WANTED);
}

#[test]
fn every_stream_survives_its_crashes_fourth_quarter() {
    seeds::quarter(3, SEEDS, simulate, WANTED);
}
