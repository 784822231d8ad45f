//! The process is killed at any moment, and the same command runs again (P2, P3, P4), with the
//! journal that the disk kept.
//!
//! Killing a process means dropping its runtime with everything in it: no destructor of the upload
//! runs and no request is answered any more, but the store stays. Each seed kills an upload a few
//! times, under random faults, and lets the last run finish.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use haul::StopRequest;
use haul::body::Payload;
use haul::journal::{JournalError, JournalFolder};
use haul::parts::{PartNumber, UploadId};
use haul::remote::{
    CreateRequest, Meter, Operation as O, PartRequest, Store, StoreErrorKind, UploadRef,
};
use haul::source::Change;
use haul::source::SourceRecord;
use haul::testing::memory::{Fate, Faults, MemoryStore, Quirks, Weather};
use haul::{Error, Source, Unfinished, UploadOptions, UploadReport, upload};
use haul::{JournalChoice, JournalOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::harness::{
    bytes, chain, identity, never_aborted_in_doubt, object, options, provable, store,
};
use crate::seeds::{self, said};

/// The seeds, split over four tests that run at the same time.
const SEEDS: std::ops::Range<u64> = 0..2000;

/// A file; a later run finds the same version of it, or another one.
struct File {
    content: Vec<u8>,
    version: u64,
    /// Every version that the file has had.
    versions: Vec<Vec<u8>>,
}

impl File {
    fn new(content: Vec<u8>) -> Arc<Mutex<Self>> {
        let versions = vec![content.clone()];
        Arc::new(Mutex::new(Self { content, version: 1, versions }))
    }

    fn is_written_to(&mut self) {
        self.version += 1;
        change(&mut self.content, self.version);
        self.versions.push(self.content.clone());
    }
}

/// The file as one run opened it. Reads return the bytes that the file has at the time of the read.
struct FileLike {
    file: Arc<Mutex<File>>,
    size_bytes: u64,
    version: u64,
    /// The number of reads until another program writes to the file.
    reads_left: Mutex<Option<u32>>,
}

impl FileLike {
    fn open(file: &Arc<Mutex<File>>, reads_left: Option<u32>) -> Self {
        let (size_bytes, version) = {
            let file = file.lock().unwrap();
            (file.content.len() as u64, file.version)
        };
        Self { file: Arc::clone(file), size_bytes, version, reads_left: Mutex::new(reads_left) }
    }
}

impl Source for FileLike {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset_bytes).unwrap();
        let mut file = self.file.lock().unwrap();
        let bytes = file.content.get(start..start + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        let mut left = self.reads_left.lock().unwrap();
        *left = left.and_then(|left| left.checked_sub(1));
        if *left == Some(0) {
            file.is_written_to();
        }
        Ok(())
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        let same = self.file.lock().unwrap().version == self.version;
        if same { Ok(()) } else { Err(Change::Modified) }
    }

    fn name(&self) -> String {
        "/a/file".into()
    }

    fn identity(&self) -> Option<SourceRecord> {
        identity(self.size_bytes(), self.version)
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug)]
enum Fall {
    /// `kill -9`: the journal stays as it was written.
    Killed {
        after: Duration,
    },
    /// The caller drops the upload, or presses Ctrl-C once or twice.
    Dropped {
        after: Duration,
    },
    Paused {
        after: Duration,
    },
    /// The source is written to, and then the process is killed.
    KilledAndSourceChanged {
        after: Duration,
    },
    /// The source is written to right after that many reads, which send parts or compare them.
    SourceChanges {
        after_reads: u32,
    },
    /// The disk loses the end of the journal, or flips a bit of it; the position is a share of the
    /// journal's length.
    KilledAndJournalDamaged {
        after: Duration,
        damage: Damage,
        place: f64,
    },
    /// All journals are lost, so the upload at the store has to be adopted.
    KilledAndJournalLost {
        after: Duration,
    },
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Cut,
    Flip,
}

struct Scenario {
    seed: u64,
    quirks: Quirks,
    weather: Weather,
    options: UploadOptions,
    size_bytes: usize,
    falls: Vec<Fall>,
    /// When the last run is cancelled; `None` lets it finish.
    cancelled_at_last: Option<Duration>,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, quirks, weather, options, size_bytes, falls, cancelled_at_last } = self;
        write!(
            f,
            "seed {seed}: {size_bytes} bytes, {falls:?}, cancelled at last \
             {cancelled_at_last:?}\n{quirks:?}\n{weather:?}\n{options:?}"
        )
    }
}

impl Scenario {
    fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0xC0FF_EE00);
        let quirks = match random.random_range(0..4) {
            0 => Quirks::CEPH_RGW_16,
            1 => Quirks::GARAGE_2,
            _ => Quirks::AWS,
        };
        let part_size_bytes = random.random_range(10..3000);
        let parts = random.random_range(2..40);
        let size_bytes = parts * part_size_bytes - random.random_range(0..part_size_bytes);
        let loses_journals = seed % 8 == 4;
        let options = UploadOptions {
            part_size_bytes: Some(part_size_bytes),
            concurrency: Some(random.random_range(1..20)),
            if_none_match: random.random_bool(0.2),
            require_proof: random.random_bool(0.3),
            unfinished: if loses_journals { Unfinished::Adopt } else { Unfinished::Ignore },
            ..options()
        };
        let falls = random.random_range(1..5);
        let falls = (0..falls)
            .map(|_| {
                let after = Duration::from_millis(random.random_range(0..6000));
                match random.random_range(0..11) {
                    10 => Fall::SourceChanges { after_reads: random.random_range(1..60) },
                    0 => Fall::Dropped { after },
                    1 => Fall::Paused { after },
                    2 => Fall::KilledAndSourceChanged { after },
                    3..6 if seed.is_multiple_of(8) => Fall::KilledAndJournalDamaged {
                        after,
                        damage: if random.random_bool(0.5) { Damage::Cut } else { Damage::Flip },
                        place: random.random(),
                    },
                    3..8 if loses_journals => Fall::KilledAndJournalLost { after },
                    _ => Fall::Killed { after },
                }
            })
            .collect();
        let cancelled = random.random_bool(0.1);
        let cancelled_at_last =
            cancelled.then(|| Duration::from_millis(random.random_range(0..6000)));
        let foul = 0.05 * random.random::<f64>();
        // Listings may lag and bytes may flip; in that case, sending acknowledged parts again is
        // right.
        let foulest = if random.random_bool(0.5) { foul } else { 0.0 };
        let weather = Weather {
            // Every request is delayed, before or after it is carried out, so that a kill may come
            // at any moment of it.
            delay: 0.4,
            delayed_answer: 0.4,
            server_error: foul / 2.0,
            slow_down: foul / 2.0,
            lost_request: foul,
            lost_answer: foul,
            cut_body: foul / 2.0,
            time_out: foul / 4.0,
            lagging_listing: foulest,
            flip_in_transit: foulest,
            flip_at_rest: foulest,
            // Expiry would also remove the upload of the other client, which these scenarios
            // require to stay.
            expiry: if loses_journals { 0.0 } else { foul / 50.0 },
            ..Weather::default()
        };
        Self {
            seed,
            quirks,
            weather,
            options,
            size_bytes: usize::try_from(size_bytes).unwrap(),
            falls,
            cancelled_at_last,
        }
    }

    fn run(&self) -> &'static str {
        let folder = folder();
        let store = store(self.quirks.clone(), Faults::seeded(self.seed, self.weather));
        let file = File::new(bytes(self.size_bytes));
        let mut end = None;
        let foreign = self.foreign_upload(&store);
        for fall in &self.falls {
            end = self.one_run(&store, folder.path(), &file, Some(*fall));
            match &end {
                // The next command would rightly upload the file once more, and replace everything
                // that the first one left to check.
                Some(Ok(_)) => break,
                Some(Err(error)) if !is_resumable(error) => break,
                _ => {}
            }
            if let Fall::KilledAndJournalDamaged { damage, place, .. } = fall {
                damage_journals(folder.path(), *damage, *place);
            }
            if matches!(fall, Fall::KilledAndJournalLost { .. }) {
                forget_journals(folder.path());
            }
            if matches!(fall, Fall::KilledAndSourceChanged { .. }) {
                file.lock().unwrap().is_written_to();
            }
            end = None;
        }
        // Run the same command again, until it succeeds or fails for good.
        for _ in 0..20 {
            if end.as_ref().is_some_and(|end| !end.as_ref().is_err_and(is_resumable)) {
                break;
            }
            end = self.one_run(&store, folder.path(), &file, None);
        }
        let end = end.expect("the last run was left to its end");
        let foreign_id = foreign.as_ref().map(|(foreign, _)| &foreign.upload_id);
        self.check(&store, folder.path(), &file.lock().unwrap(), foreign_id, &end);
        if let Some((foreign, since)) = foreign {
            let touched = store.history().into_iter().find(|call| {
                let of_it =
                    call.upload_id.as_ref() == Some(&foreign.upload_id) && call.began > since;
                of_it && call.operation != O::ListParts
            });
            assert_eq!(touched, None, "trap 26: an upload of another source was touched");
        }
        name(&end)
    }

    /// Creates an upload of another file with the same key and the same layout, if the options
    /// adopt uploads. Also returns the moment after which our runs may read that upload but not
    /// change it.
    fn foreign_upload(&self, store: &MemoryStore) -> Option<(UploadRef, u64)> {
        if self.options.unfinished != Unfinished::Adopt {
            return None;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        store.set_faults(Faults::none());
        let foreign = runtime.block_on(async {
            let created =
                store.create_multipart_upload(&object(), &CreateRequest::default()).await.unwrap();
            let upload = UploadRef { object: object(), upload_id: created.upload_id };
            let part_bytes = usize::try_from(self.options.part_size_bytes.unwrap()).unwrap();
            let other: Vec<u8> = bytes(self.size_bytes).iter().map(|byte| !byte).collect();
            for (number, part) in (1..).zip(other.chunks(part_bytes)) {
                let request = PartRequest {
                    number: PartNumber::new(number).unwrap(),
                    payload: Payload::from_bytes(part.to_vec().into()),
                    checksum: None,
                    fresh_connection: false,
                    wire: Meter::default(),
                };
                store.upload_part(&upload, request).await.unwrap();
            }
            upload
        });
        store.set_faults(Faults::seeded(self.seed, self.weather));
        let since = store.history().iter().map(|call| call.began).max();
        Some((foreign, since.unwrap_or_default()))
    }

    /// Runs one process. Returns `None` if it was killed.
    fn one_run(
        &self,
        store: &MemoryStore,
        folder: &Path,
        file: &Arc<Mutex<File>>,
        fall: Option<Fall>,
    ) -> Option<Result<UploadReport, Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime needs no more than memory");
        let journal = JournalOptions {
            folder: JournalFolder::new(folder),
            store_name: None,
            connection: serde_json::Value::Null,
            choice: JournalChoice::OfSource,
        };
        let options = UploadOptions { journal: Some(journal), ..self.options.clone() };
        let reads = match fall {
            Some(Fall::SourceChanges { after_reads }) => Some(after_reads),
            _ => None,
        };
        runtime.block_on(async {
            let mut running =
                upload(Arc::new(store.clone()), FileLike::open(file, reads), object(), options);
            let stopper = running.stopper();
            match fall {
                Some(
                    Fall::Killed { after }
                    | Fall::KilledAndSourceChanged { after }
                    | Fall::KilledAndJournalDamaged { after, .. }
                    | Fall::KilledAndJournalLost { after },
                ) => {
                    let end = tokio::time::timeout(after, &mut running).await.ok();
                    // A killed process runs no destructors.
                    std::mem::forget(running);
                    return end;
                }
                Some(Fall::Dropped { after }) => {
                    let end = tokio::time::timeout(after, &mut running).await.ok();
                    drop(running);
                    // Give the tasks as much time as a program that continues with other work.
                    tokio::time::sleep(Duration::from_secs(600)).await;
                    return end;
                }
                Some(Fall::Paused { after }) => {
                    tokio::spawn(async move {
                        tokio::time::sleep(after).await;
                        stopper.stop(StopRequest::Pause);
                        tokio::time::sleep(after).await;
                        stopper.stop(StopRequest::PauseNow);
                    });
                }
                Some(Fall::SourceChanges { .. }) => {}
                None => {
                    if let Some(after) = self.cancelled_at_last {
                        tokio::spawn(async move {
                            tokio::time::sleep(after).await;
                            stopper.stop(StopRequest::Cancel);
                        });
                    }
                }
            }
            Some(
                tokio::time::timeout(Duration::from_secs(86_400), running).await.expect("it hangs"),
            )
        })
    }

    fn check(
        &self,
        store: &MemoryStore,
        folder: &Path,
        file: &File,
        foreign: Option<&UploadId>,
        end: &Result<UploadReport, Error>,
    ) {
        let (now, versions) = (store.object(&object()), &file.versions);
        let whole = |bytes: &[u8]| versions.iter().any(|version| version == bytes);
        assert!(now.as_deref().is_none_or(whole), "P1, P4: the object is no version of the file");
        let journals = JournalFolder::new(folder).list().expect("the folder can be read");
        let damaged = self.falls.iter().any(|fall| {
            matches!(fall, Fall::KilledAndJournalDamaged { .. } | Fall::KilledAndJournalLost { .. })
        });
        // A journal is unreadable only after damage.
        assert!(damaged || name(end) != "unreadable journal");
        // If the source was written to after the last check of it, the object may be an older whole
        // version.
        let changes = self.falls.iter().any(|fall| matches!(fall, Fall::SourceChanges { .. }));
        if let Ok(report) = end
            && !changes
        {
            assert!(
                now.as_deref() == Some(file.content.as_slice()),
                "P4: it is not the last version"
            );
            assert_eq!(report.size_bytes, file.content.len() as u64);
        }
        if let Err(Error::Store { source, .. }) = end {
            // An earlier run had completed the upload. Then the source changed, or the caller did
            // not wait for the answer, or the journal lost it; the condition forbids another
            // object.
            let forbidden =
                source.kind == StoreErrorKind::PreconditionFailed && self.options.if_none_match;
            let unheard = self.falls.iter().any(|fall| {
                !matches!(
                    fall,
                    Fall::Killed { .. } | Fall::Paused { .. } | Fall::KilledAndSourceChanged { .. }
                )
            });
            assert!(
                forbidden && (versions.len() > 1 || unheard),
                "{}",
                chain(end.as_ref().expect_err("it failed"))
            );
            assert!(now.is_some());
        }
        let remembered = end.as_ref().is_err_and(|error| {
            matches!(error, Error::Paused { .. } | Error::InDoubt { .. } | Error::LeftBehind { .. })
        });
        assert_eq!(
            journals.len(),
            usize::from(remembered),
            "P3: what is remembered, after {}",
            name(end)
        );
        if damaged {
            // A damaged journal may have lost an upload, a part, or that Complete was sent. Leaving
            // that upload at the store, sending the part again or aborting in vain is then allowed;
            // wrong bytes never are.
            return;
        }
        never_aborted_in_doubt(&store.history());
        // P3: an open upload has a journal; an upload whose Create was never answered cannot be
        // known.
        let history = store.history();
        let unknown = history.iter().filter(|call| {
            call.operation == O::CreateMultipartUpload
                && matches!(call.fate, Fate::Unknown | Fate::Abandoned)
        });
        let open =
            || store.open_uploads().into_iter().filter(|open| Some(&open.upload_id) != foreign);
        let left = open().count();
        assert!(left <= unknown.count() + usize::from(remembered), "P3: {left} uploads are left");
        for open in open() {
            let remembered =
                journals.iter().any(|it| it.upload_id.as_ref() == Some(&open.upload_id));
            let has_parts = history.iter().any(|call| {
                call.operation == O::UploadPart && call.upload_id.as_ref() == Some(&open.upload_id)
            });
            assert!(remembered || !has_parts, "P3: an upload with parts is left and forgotten");
        }
        let gentle = self.weather.flip_at_rest == 0.0;
        if gentle && provable(&self.quirks, &self.options) && versions.len() == 1 {
            assert_eq!(store.bytes_received_again(), 0, "P2: a part was sent again");
        }
    }
}

/// Creates a folder, in memory where the system offers that, because thousands of journals are
/// synced.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn forget_journals(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
}

fn damage_journals(folder: &Path, damage: Damage, place: f64) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut journal = std::fs::read(&path).unwrap();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let place = (journal.len() as f64 * place) as usize;
        match damage {
            Damage::Cut => journal.truncate(place),
            Damage::Flip => {
                journal.get_mut(place).into_iter().for_each(|byte| *byte ^= 0b0001_0000);
            }
        }
        std::fs::write(&path, journal).unwrap();
    }
}

/// Changes a few bytes in the middle; sometimes also the length, or nothing but the time.
fn change(content: &mut Vec<u8>, version: u64) {
    if version.is_multiple_of(2) {
        return;
    }
    let middle = content.len() / 2;
    content[middle] ^= 1;
    if version.is_multiple_of(3) {
        content.truncate(middle + 1);
    }
    if version % 3 == 1 {
        content.extend_from_slice(&bytes(777));
    }
}

/// Returns whether the error asks for the same command again.
fn is_resumable(error: &Error) -> bool {
    matches!(error, Error::Paused { .. } | Error::InDoubt { .. } | Error::Store { .. })
        || matches!(
            error,
            Error::UploadGone { .. } | Error::Restarted { .. } | Error::SourceChanged { .. }
        )
}

fn name(end: &Result<UploadReport, Error>) -> &'static str {
    match end {
        Ok(report) if report.resumed_bytes > 0 => "resumed and completed",
        Ok(_) => "completed",
        Err(Error::Cancelled { .. }) => "cancelled",
        Err(Error::Paused { .. }) => "paused",
        Err(Error::InDoubt { .. }) => "in doubt",
        Err(Error::LeftBehind { .. }) => "left behind",
        Err(Error::Store { .. }) => "failed",
        Err(Error::UploadGone { .. }) => "gone",
        Err(Error::Journal(JournalError::Format { .. })) => "unreadable journal",
        Err(error) => panic!("no run should end so: {}", chain(error)),
    }
}

fn simulate(seed: u64) -> &'static str {
    let scenario = Scenario::of(seed);
    said(&scenario, || scenario.run())
}

fn quarter(index: u64) {
    seeds::quarter(index, SEEDS, simulate, &["resumed and completed", "completed", "cancelled"]);
}

#[test]
fn every_seed_survives_its_crashes_first_quarter() {
    quarter(0);
}

#[test]
fn every_seed_survives_its_crashes_second_quarter() {
    quarter(1);
}

#[test]
fn every_seed_survives_its_crashes_third_quarter() {
    quarter(2);
}

#[test]
fn every_seed_survives_its_crashes_fourth_quarter() {
    quarter(3);
}
