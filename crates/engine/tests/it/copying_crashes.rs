//! The process is killed at any moment of a copy, and the same command runs again (P1 to P4, P6),
//! one scenario per seed.
//!
//! Killing a process means dropping its runtime with everything in it; the store and the journals
//! stay.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use haul::journal::JournalFolder;
use haul::remote::{Operation as O, StoreErrorKind};
use haul::testing::memory::{EtagKind, Fate, Faults, MemoryStore, Quirks, Weather};
use haul::{
    CopyOptions, CopyReport, Engine, EngineOptions, Error, JournalChoice, JournalOptions,
    StopRequest,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Runtime;

use crate::copying::{copy_options, target, upload_source};
use crate::crashes::folder;
use crate::harness::{bytes, chain, never_aborted_in_doubt, object, store};
use crate::resumed_copies::compose_source;
use crate::seeds::{self, said};

const SEEDS: std::ops::Range<u64> = 0..1200;

/// How a run ends.
#[derive(Clone, Copy, Debug)]
enum Fall {
    Killed(Duration),
    Dropped(Duration),
    Paused(Duration),
    /// The source is overwritten, and then the process is killed.
    Overwritten(Duration),
}

#[derive(Debug)]
struct Scenario {
    seed: u64,
    quirks: Quirks,
    weather: Weather,
    options: CopyOptions,
    concurrency: u32,
    /// The lengths of the parts of the source.
    sizes: Vec<usize>,
    falls: Vec<Fall>,
    cancelled_at_last: Option<Duration>,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Scenario {
    fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0x0C0B_1E55);
        let quirks = match random.random_range(0..4) {
            0 => Quirks::CEPH_RGW_16,
            1 => Quirks::GARAGE_2,
            2 => Quirks { etags: EtagKind::Opaque, ..Quirks::AWS },
            _ => Quirks::AWS,
        };
        let parts = random.random_range(2..25);
        let sizes = if random.random_bool(0.5) {
            vec![1000; parts]
        } else {
            (0..parts).map(|_| random.random_range(1..2000)).collect()
        };
        let mut options = copy_options();
        options.part_size_bytes = random.random_bool(0.2).then(|| random.random_range(500..3000));
        options.if_none_match = random.random_bool(0.1);
        options.require_proof = random.random_bool(0.2);
        let falls = (0..random.random_range(1..5))
            .map(|_| {
                let after = Duration::from_millis(random.random_range(0..6000));
                match random.random_range(0..10) {
                    0 => Fall::Dropped(after),
                    1 => Fall::Paused(after),
                    2 => Fall::Overwritten(after),
                    _ => Fall::Killed(after),
                }
            })
            .collect();
        let cancelled = random.random_bool(0.1);
        let foul = 0.05 * random.random::<f64>();
        let weather = Weather {
            // Every request is delayed, before or after it is carried out, so that a kill may come
            // at any moment of it.
            delay: 0.4,
            delayed_answer: 0.4,
            server_error: foul / 2.0,
            slow_down: foul / 2.0,
            lost_request: foul,
            lost_answer: foul,
            time_out: foul / 4.0,
            expiry: foul / 50.0,
            ..Weather::default()
        };
        Self {
            seed,
            quirks,
            weather,
            options,
            concurrency: random.random_range(1..20),
            sizes,
            falls,
            cancelled_at_last: cancelled
                .then(|| Duration::from_millis(random.random_range(0..6000))),
        }
    }

    fn run(&self) -> &'static str {
        let folder = folder();
        let store = store(self.quirks.clone(), Faults::none());
        let mut versions = vec![];
        self.write_source(&store, &mut versions);
        let mut end = None;
        for fall in &self.falls {
            end = self.one_run(&store, folder.path(), Some(*fall));
            if end.as_ref().is_some_and(|end| !end.as_ref().is_err_and(is_resumable)) {
                break;
            }
            if let Fall::Overwritten(_) = fall {
                self.write_source(&store, &mut versions);
            }
            end = None;
        }
        for _ in 0..20 {
            if end.as_ref().is_some_and(|end| !end.as_ref().is_err_and(is_resumable)) {
                break;
            }
            end = self.one_run(&store, folder.path(), None);
        }
        let end = end.expect("the last run was left to its end");
        self.check(&store, folder.path(), &versions, &end);
        name(&end)
    }

    /// Writes another version of the source, without faults.
    fn write_source(&self, store: &MemoryStore, versions: &mut Vec<Vec<u8>>) {
        let flip = u8::try_from(versions.len()).unwrap();
        let size = self.sizes.iter().sum();
        let content: Vec<u8> = bytes(size).iter().map(|byte| byte ^ flip).collect();
        store.set_faults(Faults::none());
        runtime().block_on(async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            if self.sizes.iter().all(|size| *size == 1000) {
                upload_source(store, &content).await;
            } else {
                compose_source(store, &content, &self.sizes).await;
            }
        });
        store.set_faults(Faults::seeded(self.seed, self.weather));
        versions.push(content);
    }

    /// Runs one process. Returns `None` if it was killed.
    fn one_run(
        &self,
        store: &MemoryStore,
        folder: &Path,
        fall: Option<Fall>,
    ) -> Option<Result<CopyReport, Error>> {
        let journal = JournalOptions {
            folder: JournalFolder::new(folder),
            store_name: None,
            connection: serde_json::Value::Null,
            choice: JournalChoice::OfSource,
        };
        let options = CopyOptions { journal: Some(journal), ..self.options.clone() };
        runtime().block_on(async {
            let limits =
                EngineOptions { concurrency: self.concurrency.into(), ..EngineOptions::default() };
            let engine = Engine::new(Arc::new(store.clone()), limits);
            let mut running = engine.copy(object(), target(), options);
            let stopper = running.stopper();
            match fall {
                Some(Fall::Killed(after) | Fall::Overwritten(after)) => {
                    let end = ended_within(after, &mut running).await;
                    // A killed process runs no destructors.
                    std::mem::forget(running);
                    return end;
                }
                Some(Fall::Dropped(after)) => {
                    let end = ended_within(after, &mut running).await;
                    drop(running);
                    tokio::time::sleep(Duration::from_secs(600)).await;
                    return end;
                }
                Some(Fall::Paused(after)) => {
                    tokio::spawn(async move {
                        tokio::time::sleep(after).await;
                        stopper.stop(StopRequest::Pause);
                        tokio::time::sleep(after).await;
                        stopper.stop(StopRequest::PauseNow);
                    });
                }
                None => {
                    if let Some(after) = self.cancelled_at_last {
                        tokio::spawn(async move {
                            tokio::time::sleep(after).await;
                            stopper.stop(StopRequest::Cancel);
                        });
                    }
                }
            }
            let day = Duration::from_secs(86_400);
            Some(tokio::time::timeout(day, running).await.expect("it hangs"))
        })
    }

    fn check(
        &self,
        store: &MemoryStore,
        folder: &Path,
        versions: &[Vec<u8>],
        end: &Result<CopyReport, Error>,
    ) {
        let there = store.object(&target());
        let whole = |bytes: &[u8]| versions.iter().any(|version| version == bytes);
        assert!(there.as_deref().is_none_or(whole), "P1, P4: no version of the source");
        if end.is_ok() {
            assert_eq!(there.as_deref(), versions.last().map(Vec::as_slice), "P4: not the last");
        }
        if let Err(Error::Store { source, .. }) = end {
            // An earlier run had completed the copy: of another version, or without receiving the
            // answer.
            let forbidden =
                source.kind == StoreErrorKind::PreconditionFailed && self.options.if_none_match;
            assert!(forbidden, "{}", chain(end.as_ref().expect_err("it failed")));
        }
        let journals = JournalFolder::new(folder).list().unwrap();
        let remembered = end.as_ref().is_err_and(|error| {
            matches!(error, Error::Paused { .. } | Error::InDoubt { .. } | Error::LeftBehind { .. })
        });
        assert_eq!(journals.len(), usize::from(remembered), "P3: after {}", name(end));
        let history = store.history();
        never_aborted_in_doubt(&history);
        let unknown = history.iter().filter(|call| {
            call.operation == O::CreateMultipartUpload
                && matches!(call.fate, Fate::Unknown | Fate::Abandoned)
        });
        let open = store.open_uploads();
        assert!(open.len() <= unknown.count() + usize::from(remembered), "P3: {open:?}");
        for open in open {
            let remembered =
                journals.iter().any(|it| it.upload_id.as_ref() == Some(&open.upload_id));
            let has_parts = history.iter().any(|call| {
                call.operation == O::UploadPartCopy
                    && call.upload_id.as_ref() == Some(&open.upload_id)
            });
            assert!(remembered || !has_parts, "P3: parts are left and forgotten");
        }
        let mut answered: Vec<_> = history
            .iter()
            .filter(|call| call.operation == O::UploadPartCopy && call.fate == Fate::Succeeded)
            .map(|call| (call.upload_id.clone(), call.part))
            .collect();
        let all = answered.len();
        answered.sort();
        answered.dedup();
        assert_eq!(all, answered.len(), "P2: a part was copied again");
        if self.provable() {
            assert_eq!(store.bytes_received_again(), 0, "P2: a part that had arrived, too");
        }
    }

    /// Returns whether the checksums of all parts show that they are those of the source.
    fn provable(&self) -> bool {
        self.quirks.echo_checksums && self.sizes.iter().all(|size| *size == 1000)
    }
}

/// Waits for the end of a run. `None`: it is still running after this time, and has done all that
/// it had to do then. Without that, a run that ends in the millisecond of an answer has recorded it
/// or not, by chance, and a part without a checksum is then copied again.
async fn ended_within<T>(
    after: Duration,
    running: &mut (impl Future<Output = T> + Unpin),
) -> Option<T> {
    if let Ok(end) = tokio::time::timeout(after, &mut *running).await {
        return Some(end);
    }
    let rest_of_the_millisecond = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        end = running => Some(end),
        () = rest_of_the_millisecond => None,
    }
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

fn is_resumable(error: &Error) -> bool {
    matches!(
        error,
        Error::Paused { .. }
            | Error::InDoubt { .. }
            | Error::Store { .. }
            | Error::UploadGone { .. }
            | Error::Restarted { .. }
            | Error::ObjectChanged { .. }
    )
}

fn name(end: &Result<CopyReport, Error>) -> &'static str {
    match end {
        Ok(_) => "done",
        Err(Error::Cancelled { .. }) => "cancelled",
        Err(Error::Paused { .. }) => "paused",
        Err(Error::InDoubt { .. }) => "in doubt",
        Err(Error::LeftBehind { .. }) => "left behind",
        Err(Error::Unproven { .. }) => "unproven",
        Err(Error::Store { .. }) => "failed",
        Err(error) => panic!("no run should end so: {}", chain(error)),
    }
}

fn simulate(seed: u64) -> &'static str {
    let scenario = Scenario::of(seed);
    said(&scenario, || scenario.run())
}

const WANTED: &[&str] = &["done", "cancelled"];

#[test]
fn every_copy_survives_its_crashes_first_quarter() {
    seeds::quarter(0, SEEDS, simulate, WANTED);
}

#[test]
fn every_copy_survives_its_crashes_second_quarter() {
    seeds::quarter(1, SEEDS, simulate, WANTED);
}

#[test]
fn every_copy_survives_its_crashes_third_quarter() {
    seeds::quarter(2, SEEDS, simulate, WANTED);
}

#[test]
fn every_copy_survives_its_crashes_fourth_quarter() {
    seeds::quarter(3, SEEDS, simulate, WANTED);
}
