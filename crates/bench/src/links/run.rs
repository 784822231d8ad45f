//! One measured run: `haul cp` at one end of a link, the endpoint at the other.
//!
//! A run is ended by a signal after its time: the file is longer than the link carries. So a slow
//! setting costs no more time than a fast one, and the beginning does not count.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use haul_testkit::TestStore;
use haul_testkit::links::{Host, Link};
use haul_testkit::process::{Running, usage_of};
use haul_testkit::servers::REGION;

use super::case::{Case, Direction};
use super::counter::Counter;
use crate::authority::{Authority, LINKED_SERVER};
use crate::client::{BUCKET, haul};
use crate::null_endpoint::generated;

/// The first port of the endpoints; each process has one of its own.
const PORT: u16 = 8000;
/// More than any link carries in its time. It takes no space on the disk.
const UPLOAD_BYTES: u64 = 16 << 30;
const SAMPLE_PERIOD: Duration = Duration::from_millis(250);
const END_LIMIT: Duration = Duration::from_secs(3600);

/// The number of parts in flight: fixed, or the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Fixed(u32),
    Auto,
}

impl Setting {
    pub(super) const ALL: [Self; 7] = [
        Self::Fixed(1),
        Self::Fixed(4),
        Self::Fixed(8),
        Self::Fixed(16),
        Self::Fixed(32),
        Self::Fixed(64),
        Self::Auto,
    ];

    pub(super) fn word(self) -> String {
        match self {
            Self::Fixed(count) => count.to_string(),
            Self::Auto => "auto".to_owned(),
        }
    }
}

/// The figures of one process.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Bytes per second within the measured time.
    pub(super) goodput: f64,
    /// Bytes per second before it.
    pub(super) warm_up_goodput: f64,
    pub(super) peak_memory_bytes: u64,
    /// The limits that `auto` chose, in order.
    pub(super) limits: Vec<u32>,
    /// The bytes that had moved, at each [`SAMPLE_PERIOD`].
    pub(super) samples: Vec<u64>,
}

/// Runs `count` processes at once over a link, with this setting.
pub(super) fn run(
    binary: &Path,
    authority: &Authority,
    case: &Case,
    link: &Link,
    setting: Setting,
    count: u32,
) -> Result<Vec<Run>> {
    let homes: Vec<_> = (0..count).map(|_| home()).collect::<Result<_>>()?;
    let ports: Vec<u16> = (PORT..).zip(&homes).map(|(port, _)| port).collect();
    let start = |port: &u16| Counter::start(link, *port, authority, case.requests_per_second);
    let counters: Vec<_> = ports.iter().map(start).collect::<Result<_>>()?;
    let mut processes = vec![];
    for (port, home) in ports.iter().zip(&homes) {
        let mut command = command(binary, case, setting, *port, home.path())?;
        command.env("AWS_CA_BUNDLE", &authority.certificate);
        processes.push(Running::start(&mut link.on(Host::Client, &command))?);
    }
    let samples = sample(case, &counters);
    let mut runs = vec![];
    for (process, samples) in processes.into_iter().zip(samples) {
        let usage = usage_of(process.id())?;
        let killed = process.kill(END_LIMIT).context("the transfer ended too early")?;
        let limits = killed.stderr.lines().filter_map(limit_of).collect();
        runs.push(figures(case, samples, usage.peak_memory_bytes, limits)?);
    }
    Ok(runs)
}

/// Makes a folder in memory, where there is such a disk: the link must be the narrowest place.
fn home() -> Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.context("make a folder")
}

fn command(
    binary: &Path,
    case: &Case,
    setting: Setting,
    port: u16,
    home: &Path,
) -> Result<Command> {
    let store = TestStore {
        endpoint: format!("https://{LINKED_SERVER}:{port}"),
        region: REGION.to_owned(),
        access_key: "bench".to_owned(),
        secret_key: "bench".to_owned(),
    };
    let mut command = haul(binary, &store, home);
    command.args(["cp", "-vv", "--concurrency", &setting.word()]);
    match case.direction {
        Direction::Up => {
            let path = home.join("file");
            let file = File::create(&path).context("create the file")?;
            file.set_len(UPLOAD_BYTES).context("create the file")?;
            command.arg(path).arg(format!("s3://{BUCKET}/file"));
        }
        Direction::Down => {
            let key = generated::key(download_bytes(case));
            command.arg(format!("s3://{BUCKET}/{key}")).arg(home.join("file"));
        }
    }
    Ok(command)
}

/// Returns a length that lasts for the whole run: a download takes space.
fn download_bytes(case: &Case) -> u64 {
    let seconds = (case.warm_up + case.measured).as_secs() + 5;
    case.link.rate_bits.map_or(UPLOAD_BYTES, |rate_bits| rate_bits / 8 * seconds)
}

/// Reads all counters at the same times, until the end of the measurement.
fn sample(case: &Case, counters: &[Counter]) -> Vec<Vec<u64>> {
    let begin = Instant::now();
    let mut samples = vec![vec![]; counters.len()];
    let mut next = Duration::ZERO;
    while next <= case.warm_up + case.measured {
        thread::sleep(next.saturating_sub(begin.elapsed()));
        for (samples, counter) in samples.iter_mut().zip(counters) {
            samples.push(counter.moved());
        }
        next += SAMPLE_PERIOD;
    }
    samples
}

fn figures(case: &Case, samples: Vec<u64>, peak: u64, limits: Vec<u32>) -> Result<Run> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position in the list"
    )]
    let split = case.warm_up.div_duration_f64(SAMPLE_PERIOD) as usize;
    let at = |index: usize| samples.get(index).copied().unwrap_or_default();
    let (first, last) = (at(split), samples.last().copied().unwrap_or_default());
    ensure!(last > 0, "no byte arrived");
    #[allow(clippy::cast_precision_loss, reason = "figures for people: 52 bits are enough")]
    let per_s = |bytes: u64, time: Duration| bytes as f64 / time.as_secs_f64();
    Ok(Run {
        goodput: per_s(last - first, case.measured),
        warm_up_goodput: per_s(first, case.warm_up),
        peak_memory_bytes: peak,
        limits,
        samples,
    })
}

/// Returns the limit that a line of the log names: `concurrency: 24 requests in flight`.
fn limit_of(line: &str) -> Option<u32> {
    line.split_once("concurrency: ")?.1.split(' ').next()?.parse().ok()
}

/// Lets the client of the link find the endpoints.
pub(super) fn name_the_server(link: &Link) -> Result<()> {
    link.resolve(LINKED_SERVER)
}
