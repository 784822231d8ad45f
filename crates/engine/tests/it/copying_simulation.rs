//! Whole copies under random faults, one per seed, under a paused clock. After every run the
//! promises that can be seen from outside are checked: P1, P2, P3, P6. A failure prints its seed.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use haul::remote::{Operation as O, Store};
use haul::testing::memory::{Call, EtagKind, Fate, Faults, MemoryStore, Quirks, Weather};
use haul::{CopyOptions, CopyReport, Error, StopRequest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::copying::{copy, copy_options, put_source, target, upload_source};
use crate::harness::{bytes, chain, never_aborted_in_doubt, put_request, store};
use crate::seeds::{self, said};

const SEEDS: std::ops::Range<u64> = 0..2000;

#[derive(Clone, Copy, Debug)]
enum Caller {
    Waits,
    Cancels(Duration),
    Drops(Duration),
}

#[derive(Debug)]
struct Scenario {
    seed: u64,
    quirks: Quirks,
    weather: Weather,
    options: CopyOptions,
    size_bytes: usize,
    in_parts: bool,
    caller: Caller,
    before: bool,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Scenario {
    fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let quirks = match random.random_range(0..4) {
            0 => Quirks::CEPH_RGW_16,
            1 => Quirks::GARAGE_2,
            2 => Quirks { etags: EtagKind::Opaque, ..Quirks::AWS },
            _ => Quirks::AWS,
        };
        let mut odds =
            |most: f64| if random.random_bool(0.5) { 0.0 } else { random.random_range(0.0..most) };
        let weather = Weather {
            slow_down: odds(0.1),
            server_error: odds(0.1),
            lost_request: odds(0.1),
            lost_answer: odds(0.2),
            delay: odds(0.3),
            delayed_answer: odds(0.3),
            time_out: odds(0.05),
            twice: odds(0.1),
            expiry: odds(0.02),
            // Only a checksum of the whole object reveals such a flip.
            flip_at_rest: if quirks.echo_checksums { odds(0.02) } else { 0.0 },
            ..Weather::default()
        };
        let after = Duration::from_millis(random.random_range(0..20_000));
        let mut options = copy_options();
        options.attributes.content_type = random.random_bool(0.3).then(|| "image/png".to_owned());
        options.part_size_bytes = random.random_bool(0.2).then(|| random.random_range(500..3000));
        options.if_none_match = random.random_bool(0.1);
        Self {
            seed,
            quirks,
            weather,
            options,
            size_bytes: random.random_range(1..20_000),
            in_parts: random.random_bool(0.7),
            caller: match random.random_range(0..10) {
                0 => Caller::Cancels(after),
                1 => Caller::Drops(after),
                _ => Caller::Waits,
            },
            before: random.random_bool(0.2),
        }
    }

    async fn run(&self) -> &'static str {
        let store = store(self.quirks.clone(), Faults::none());
        let content = bytes(self.size_bytes);
        if self.in_parts {
            upload_source(&store, &content).await;
        } else {
            put_source(&store, &content).await;
        }
        if self.before {
            store.put_object(&target(), put_request(b"before")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(600)).await;
        store.set_faults(Faults::seeded(self.seed, self.weather));
        let ended = self.copy(&store).await;
        // By then all tasks that a caller left running have ended.
        tokio::time::sleep(Duration::from_secs(3600)).await;
        self.check(&store, &content, ended.as_ref());
        ended.as_ref().map_or("dropped", name)
    }

    async fn copy(&self, store: &MemoryStore) -> Option<Result<CopyReport, Error>> {
        let running = copy(store, self.options.clone());
        match self.caller {
            Caller::Waits => {}
            Caller::Cancels(after) => {
                let stopper = running.stopper();
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    stopper.stop(StopRequest::Cancel);
                });
            }
            Caller::Drops(after) => {
                return tokio::time::timeout(after, running).await.ok();
            }
        }
        let day = Duration::from_secs(86_400);
        Some(tokio::time::timeout(day, running).await.expect("the copy hangs"))
    }

    fn check(
        &self,
        store: &MemoryStore,
        content: &[u8],
        ended: Option<&Result<CopyReport, Error>>,
    ) {
        let there = store.object(&target());
        let untouched = there.as_deref() == self.before.then_some(&b"before"[..]);
        let whole = there.as_deref() == Some(content);
        assert!(untouched || whole, "P1: neither the copy nor what was there before");
        match ended {
            Some(Ok(report)) => {
                assert!(whole, "P1: it was reported and is not there");
                assert_eq!(report.size_bytes, content.len() as u64);
            }
            Some(Err(Error::Internal(message))) => panic!("{message}"),
            Some(Err(
                Error::InDoubt { .. } | Error::PutInDoubt { .. } | Error::UploadGone { .. },
            ))
            | None => {}
            Some(Err(error)) => assert!(untouched, "it failed and is there: {}", chain(error)),
        }
        let may_be_left = self.weather.lost_answer > 0.0
            || self.weather.twice > 0.0
            || matches!(ended, Some(Err(Error::LeftBehind { .. } | Error::InDoubt { .. })));
        assert!(store.open_uploads().is_empty() || may_be_left, "P3: {:?}", store.open_uploads());
        let history = store.history();
        never_aborted_in_doubt(&history);
        let mut copied: HashMap<_, u32> = HashMap::new();
        let succeeded =
            |call: &&Call| call.operation == O::UploadPartCopy && call.fate == Fate::Succeeded;
        for call in history.iter().filter(succeeded) {
            *copied.entry((call.upload_id.clone(), call.part)).or_default() += 1;
        }
        assert!(copied.values().all(|times| *times == 1), "P2: a part was copied again");
    }
}

fn name(ended: &Result<CopyReport, Error>) -> &'static str {
    match ended {
        Ok(_) => "done",
        Err(Error::Cancelled { .. }) => "cancelled",
        Err(Error::PutInDoubt { .. } | Error::InDoubt { .. }) => "in doubt",
        Err(Error::Corrupt { .. }) => "corrupt",
        Err(_) => "failed",
    }
}

fn simulate(seed: u64) -> &'static str {
    let scenario = Scenario::of(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    said(&scenario, || runtime.block_on(scenario.run()))
}

const WANTED: &[&str] = &["done", "cancelled", "dropped", "failed"];

#[test]
fn copies_keep_their_promises_in_any_weather_1() {
    seeds::quarter(0, SEEDS, simulate, WANTED);
}

#[test]
fn copies_keep_their_promises_in_any_weather_2() {
    seeds::quarter(1, SEEDS, simulate, WANTED);
}

#[test]
fn copies_keep_their_promises_in_any_weather_3() {
    seeds::quarter(2, SEEDS, simulate, WANTED);
}

#[test]
fn copies_keep_their_promises_in_any_weather_4() {
    seeds::quarter(3, SEEDS, simulate, WANTED);
}
