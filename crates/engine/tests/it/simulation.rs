//! Whole uploads under random faults, one per seed, under a paused clock. After every run the
//! promises that can be seen from outside are checked: P1, P2, P3, P5, P6.
//!
//! A failure prints its seed; `cargo xtask hunt` runs other seeds (with
//! `HAUL_SIMULATION_SEEDS=FIRST..END`). A seed that failed becomes a named test in the module of
//! its subject.

use std::fmt;
use std::time::Duration;

use haul::StopRequest;
use haul::parts::{Checksum, ChecksumAlgorithm, Hasher};
use haul::remote::Operation as O;
use haul::testing::memory::{Call, EtagKind, Fate, Faults, MemoryStore, Quirks, Weather};
use haul::{BytesSource, Error, StreamOptions, UploadOptions, UploadReport};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::harness::{
    bytes, chain, engine, foreign_upload, never_aborted_in_doubt, object, options, provable, start,
    store,
};
use crate::seeds::{self, said};
use crate::streaming::Breaking;

/// The seeds, split over four tests that run at the same time.
const SEEDS: std::ops::Range<u64> = 0..5000;

/// The seeds of the streams.
const STREAM_SEEDS: std::ops::Range<u64> = 0..2000;

/// How the caller behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Waits,
    Cancels { after: Duration },
    Drops { after: Duration },
}

/// Where the bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A source that can be read again.
    Source,
    /// A stream that ends as it should.
    Stream {
        promised: bool,
    },
    /// A stream that makes no object: it breaks after this number of bytes, or its length differs
    /// from the promised one.
    Breaking {
        after: usize,
    },
    Lying {
        promised_bytes: u64,
    },
}

struct Scenario {
    seed: u64,
    way: Way,
    quirks: Quirks,
    weather: Weather,
    options: UploadOptions,
    memory_budget_bytes: u64,
    size_bytes: usize,
    caller: Caller,
    /// The object that the key holds before the upload.
    before: Option<Vec<u8>>,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            way,
            quirks,
            weather,
            options,
            memory_budget_bytes,
            size_bytes,
            caller,
            before,
        } = self;
        let before = before.as_ref().map(Vec::len);
        write!(
            f,
            "seed {seed}: {way:?}, {size_bytes} bytes, {memory_budget_bytes} of memory, \
             {caller:?}, before {before:?}\n{quirks:?}\n{weather:?}\n{options:?}"
        )
    }
}

impl Scenario {
    fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let quirks = quirks(&mut random);
        let part_size_bytes = random.random_range(1..3000);
        let single = random.random_bool(0.1);
        let parts = random.random_range(1..40);
        let size_bytes = parts * part_size_bytes - random.random_range(0..part_size_bytes);
        let checksum = match random.random_range(0..8) {
            0 => None,
            1 => Some(ChecksumAlgorithm::Md5),
            2 => Some(ChecksumAlgorithm::Sha256),
            3 => Some(ChecksumAlgorithm::Crc32c),
            _ => Some(ChecksumAlgorithm::Crc64Nvme),
        };
        let options = UploadOptions {
            part_size_bytes: if single { None } else { Some(part_size_bytes) },
            multipart_threshold_bytes: if single { u64::MAX } else { 1 },
            concurrency: Some(random.random_range(1..20)),
            checksum,
            require_proof: random.random_bool(0.1),
            if_none_match: random.random_bool(0.1),
            ..options()
        };
        let memory_budget_bytes = random.random_range(0..4 << 20);
        let after = Duration::from_millis(random.random_range(0..20_000));
        let caller = match random.random_range(0..10) {
            0 => Caller::Cancels { after },
            1 => Caller::Drops { after },
            _ => Caller::Waits,
        };
        let before = random.random_bool(0.2).then(|| b"what stood here before".to_vec());
        let weather = weather(&mut random, provable(&quirks, &options));
        Self {
            seed,
            way: Way::Source,
            quirks,
            weather,
            options,
            memory_budget_bytes,
            size_bytes: usize::try_from(size_bytes).unwrap(),
            caller,
            before,
        }
    }

    /// Returns the scenario of a seed, with a stream as its source.
    fn of_stream(seed: u64) -> Self {
        let mut scenario = Self::of(seed);
        let size_bytes = scenario.size_bytes;
        let mut random = StdRng::seed_from_u64(!seed);
        scenario.way = match random.random_range(0..10) {
            0 => Way::Breaking { after: random.random_range(0..=size_bytes) },
            1 => {
                let other = random.random_range(0..2 * size_bytes as u64);
                Way::Lying {
                    promised_bytes: if other == size_bytes as u64 { other + 1 } else { other },
                }
            }
            2 | 3 => Way::Stream { promised: true },
            _ => Way::Stream { promised: false },
        };
        scenario
    }

    /// Returns the outcome, for the count.
    async fn run(&self) -> &'static str {
        let store = store(self.quirks.clone(), Faults::none());
        if let Some(before) = &self.before {
            let single = UploadOptions {
                multipart_threshold_bytes: 1 << 20,
                part_size_bytes: None,
                ..options()
            };
            start(&store, before, single).await.unwrap();
        }
        let foreign = foreign_upload(&store).await;
        // An upload created in the same second could not be distinguished from one of ours whose
        // answer was lost.
        tokio::time::sleep(std::time::Duration::from_secs(600)).await;
        store.set_faults(Faults::seeded(self.seed, self.weather));

        let content = bytes(self.size_bytes);
        let result = self.upload(&store, &content).await;
        // By then all tasks that a caller left running have ended.
        tokio::time::sleep(Duration::from_secs(3600)).await;

        self.check_object(&store, &content, result.as_ref());
        // Garage drops the other client's upload when the key is overwritten.
        let still_there = store.expire_upload(&foreign.upload_id);
        assert!(
            still_there || self.quirks.overwriting_drops_uploads,
            "an upload of another client was touched"
        );
        self.check_left_behind(&store, result.as_ref());
        assert_eq!(store.bytes_received_again(), 0, "P2");
        assert!(store.parts_in_flight_most() <= self.options.concurrency.unwrap_or(16), "P5");
        never_aborted_in_doubt(&store.history());
        result.as_ref().map_or("dropped", name)
    }

    /// Returns `None` if the caller did not wait for the result.
    async fn upload(
        &self,
        store: &MemoryStore,
        content: &[u8],
    ) -> Option<Result<UploadReport, Error>> {
        let engine = engine(store, self.memory_budget_bytes);
        let stream = |size_bytes| {
            let options = StreamOptions {
                size_bytes,
                upload: self.options.clone(),
                ..StreamOptions::default()
            };
            let bytes = std::io::Cursor::new(content.to_vec());
            engine.upload_stream(bytes, object(), options)
        };
        let mut running = match self.way {
            Way::Source => {
                engine.upload(BytesSource::new(content.to_vec()), object(), self.options.clone())
            }
            Way::Stream { promised } => stream(promised.then_some(content.len() as u64)),
            Way::Lying { promised_bytes } => stream(Some(promised_bytes)),
            Way::Breaking { after } => {
                let options =
                    StreamOptions { upload: self.options.clone(), ..StreamOptions::default() };
                engine.upload_stream(Breaking::new(&content[..after]), object(), options)
            }
        };
        match self.caller {
            Caller::Waits => {}
            Caller::Cancels { after } => {
                let stopper = running.stopper();
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    stopper.stop(StopRequest::Cancel);
                });
            }
            Caller::Drops { after } => {
                let ended = tokio::time::timeout(after, &mut running).await;
                return ended.ok();
            }
        }
        Some(tokio::time::timeout(Duration::from_secs(86_400), running).await.expect("it hangs"))
    }

    /// Asserts P1: the object is complete or absent, and the report agrees with the store.
    fn check_object(
        &self,
        store: &MemoryStore,
        content: &[u8],
        result: Option<&Result<UploadReport, Error>>,
    ) {
        let now = store.object(&object());
        let ours = now.as_deref() == Some(content);
        let untouched = now.as_deref() == self.before.as_deref();
        if matches!(self.way, Way::Breaking { .. } | Way::Lying { .. }) {
            assert!(
                untouched && !matches!(result, Some(Ok(_))),
                "P1: half a stream became an object"
            );
        }
        assert!(
            ours || untouched,
            "P1: the object is neither what was read nor what was there before"
        );
        let right = [Some(content), self.before.as_deref()].map(|bytes| bytes.map(crc64));
        for published in store.published(&object()) {
            assert!(
                right.contains(&Some(published)),
                "P1: something else was visible for a moment"
            );
        }
        match result {
            None | Some(Err(Error::InDoubt { .. })) => {}
            Some(Err(Error::PutInDoubt { .. })) => {
                assert!(self.lost_puts(store) > 0, "P6: a doubt, and every PutObject was answered");
            }
            Some(Ok(report)) => {
                assert!(ours, "P1: reported as arrived, but absent");
                assert_eq!(report.size_bytes, content.len() as u64);
                let proven = report.proof.checksum + report.proof.md5;
                assert_eq!(proven + report.proof.unproven, report.part_count);
                if provable(&self.quirks, &self.options) {
                    assert_eq!(report.proof.unproven, 0);
                }
            }
            Some(Err(error)) => {
                assert!(untouched, "P6: it arrived, but a failure is reported: {}", chain(error));
                assert!(!matches!(error, Error::Internal(_)), "{}", chain(error));
            }
        }
    }

    fn lost_puts(&self, store: &MemoryStore) -> usize {
        let lost = |call: &&Call| call.operation == O::PutObject && call.fate != Fate::Succeeded;
        store.history().iter().filter(lost).count()
    }

    /// Asserts P3: every upload is completed, aborted, or reported. An upload whose Create lost its
    /// answer cannot be known; it has no part.
    fn check_left_behind(&self, store: &MemoryStore, result: Option<&Result<UploadReport, Error>>) {
        let history = store.history();
        let created = |fate: Fate| {
            let creates = history.iter().filter(|call| call.operation == O::CreateMultipartUpload);
            creates.filter(|call| call.fate == fate).count()
        };
        let said =
            matches!(result, Some(Err(Error::LeftBehind { .. } | Error::InDoubt { .. })) | None);
        let unknown = created(Fate::Unknown)
            + usize::from(self.weather.twice > 0.0) * created(Fate::Succeeded);
        let with_parts = store
            .open_uploads()
            .into_iter()
            .filter(|upload| {
                history.iter().any(|call| {
                    call.operation == O::UploadPart
                        && call.upload_id.as_ref() == Some(&upload.upload_id)
                })
            })
            .count();
        let left = store.open_uploads().len();
        assert!(
            left <= unknown + usize::from(said),
            "P3: {left} uploads are left, {unknown} unknown"
        );
        assert!(with_parts <= usize::from(said), "P3: an upload with parts is left");
    }
}

fn crc64(bytes: &[u8]) -> Checksum {
    Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, bytes)
}

fn quirks(random: &mut StdRng) -> Quirks {
    let quirks = match random.random_range(0..4) {
        0 => Quirks::CEPH_RGW_16,
        1 => Quirks::GARAGE_2,
        _ => Quirks::AWS,
    };
    let etags = match random.random_range(0..10) {
        0 => EtagKind::Opaque,
        1 => EtagKind::Encrypted,
        _ => EtagKind::Md5,
    };
    Quirks { etags, ..quirks }
}

/// Returns random rates of faults, from none to many. Bits flip only if the store has the means to
/// detect that.
pub(crate) fn weather(random: &mut StdRng, provable: bool) -> Weather {
    let foul = if random.random_bool(0.1) { 0.3 } else { 0.06 } * random.random::<f64>();
    let mut often =
        |most: f64| if random.random_bool(0.5) { most * random.random::<f64>() } else { 0.0 };
    let flips = if provable { foul } else { 0.0 };
    Weather {
        slow_down: often(foul * 3.0),
        server_error: often(foul),
        lost_request: often(foul),
        lost_answer: often(foul),
        cut_body: often(foul),
        delay: often(0.3),
        delayed_answer: often(0.1),
        time_out: often(foul),
        flip_in_transit: often(flips),
        flip_at_rest: often(flips),
        twice: often(foul),
        lagging_listing: often(foul),
        expiry: often(foul / 20.0),
        denied: often(foul / 5.0),
    }
}

fn name(result: &Result<UploadReport, Error>) -> &'static str {
    match result {
        Ok(report) if report.upload_id.is_none() => "put",
        Ok(_) => "completed",
        Err(Error::Store { .. }) => "failed",
        Err(Error::Cancelled { .. }) => "cancelled",
        Err(Error::InDoubt { .. }) => "in doubt",
        Err(Error::PutInDoubt { .. }) => "put in doubt",
        Err(Error::UploadGone { .. }) => "gone",
        Err(Error::LeftBehind { .. }) => "left behind",
        Err(Error::Unproven { .. }) => "unproven",
        Err(Error::Restarted { .. }) => "restarted too often",
        Err(Error::SourceUnreadable { .. } | Error::StreamLength { .. }) => "bad stream",
        Err(error) => panic!("no run should end so: {}", chain(error)),
    }
}

fn simulate(seed: u64) -> &'static str {
    simulated(&Scenario::of(seed))
}

fn simulate_stream(seed: u64) -> &'static str {
    simulated(&Scenario::of_stream(seed))
}

fn simulated(scenario: &Scenario) -> &'static str {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs no more than memory");
    said(scenario, || runtime.block_on(scenario.run()))
}

fn quarter(index: u64) {
    let wanted = ["put", "completed", "failed", "cancelled", "dropped", "unproven"];
    let Some(ends) = seeds::quarter(index, SEEDS, simulate, &wanted) else { return };
    let completed = ends.get("completed").copied().unwrap_or_default();
    assert!(completed * 2 > ends.values().sum(), "{ends:?}");
}

#[test]
fn every_seed_keeps_the_promises_first_quarter() {
    quarter(0);
}

#[test]
fn every_seed_keeps_the_promises_second_quarter() {
    quarter(1);
}

#[test]
fn every_seed_keeps_the_promises_third_quarter() {
    quarter(2);
}

#[test]
fn every_seed_keeps_the_promises_fourth_quarter() {
    quarter(3);
}

fn quarter_of_streams(index: u64) {
    let wanted = ["put", "completed", "failed", "cancelled", "dropped", "bad stream"];
    let Some(ends) = seeds::quarter(index, STREAM_SEEDS, simulate_stream, &wanted) else { return };
    let completed = ends.get("completed").copied().unwrap_or_default();
    assert!(completed * 5 > ends.values().sum::<u32>() * 2, "{ends:?}");
}

#[test]
fn every_stream_keeps_the_promises_first_quarter() {
    quarter_of_streams(0);
}

#[test]
fn every_stream_keeps_the_promises_second_quarter() {
    quarter_of_streams(1);
}

#[test]
fn every_stream_keeps_the_promises_third_quarter() {
    quarter_of_streams(2);
}

#[test]
fn every_stream_keeps_the_promises_fourth_quarter() {
    quarter_of_streams(3);
}
