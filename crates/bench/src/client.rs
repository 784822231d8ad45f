//! The client benchmark: haul, its peers and the floor programs do the same jobs in turn, several
//! rounds, with our endpoint that stores nothing. The cases differ in the job, the connection, the
//! delay and the refusals ([`crate::case`]).
//!
//! Prints one table, and then whether haul meets its goals ([`crate::goals`]); fails if one is
//! missed.

use std::fs::File;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use haul_testkit::TestStore;
use haul_testkit::files::write_random;
use haul_testkit::process::{Finished, Running, run};
use haul_testkit::servers::REGION;

use crate::authority::Authority;
use crate::case::{self, Case, Job, Settings};
use crate::chart;
use crate::contestant::{Contestant, Course};
use crate::goals::goals;
use crate::measured::Measured;
use crate::null_endpoint::NullEndpoint;
use crate::options::Options;
use crate::report::{Report, cpu_model};
use crate::table::Row;
use crate::tree::write_tree;

const JOB_LIMIT: Duration = Duration::from_secs(600);
pub(crate) const BUCKET: &str = "bench";
const DELAY: Duration = Duration::from_millis(20);
const REFUSE_EVERY: NonZeroU64 = NonZeroU64::new(100).unwrap();
const FILES: u64 = 10_000;
/// The length of each of many files.
const FILE_BYTES: usize = 16 << 10;

/// What is transferred.
struct Sources {
    folder: PathBuf,
    file_bytes: u64,
    tree_bytes: u64,
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder")?;
    let selected = case::select(options.case.as_deref())?;
    let sources = Sources::make(folder.path(), options, &selected)?;
    let authority = Authority::make(folder.path())?;
    let mut cases = vec![];
    for settings in &options.settings {
        for case in &selected {
            if *settings == Settings::Same && !case.has_settings() {
                continue;
            }
            cases.push(sources.measure(options, &authority, *case, *settings)?);
        }
    }
    let cpu = cpu_model();
    let report = Report { cpu: &cpu, rounds: options.rounds, cases: &cases };
    println!("\n{report}");
    let write = |path: &Path, text| {
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
    };
    if let Some(path) = &options.json {
        write(path, report.json())?;
    }
    if let Some(path) = &options.svg {
        let defaults = cases.iter().filter(|measured| measured.settings == Settings::Defaults);
        write(path, chart::svg(&cpu, defaults))?;
    }
    let goals: Vec<_> = cases.iter().flat_map(goals).collect();
    crate::goals::print(&goals)
}

impl Sources {
    /// Writes the file and the folder that the cases need.
    fn make(folder: &Path, options: &Options, cases: &[Case]) -> Result<Self> {
        let file_bytes = options.bytes.unwrap_or(2 << 30);
        let mut sources = Self { folder: folder.to_owned(), file_bytes, tree_bytes: 0 };
        let needs = |job| cases.iter().any(|case| case.job == job);
        if needs(Job::Upload) || needs(Job::Stdin) {
            eprintln!("bench: writing {} MiB of random bytes", file_bytes >> 20);
            write_random(&sources.file(), file_bytes, 1)?;
        }
        if needs(Job::Files) {
            let files = options.files.unwrap_or(FILES);
            eprintln!("bench: writing {files} files");
            sources.tree_bytes = write_tree(&sources.tree(), files, Some(FILE_BYTES))?;
        }
        // Dirty pages would be written during the first upload; written pages stay in the page
        // cache.
        run(&mut Command::new("sync"), JOB_LIMIT)?.success()?;
        Ok(sources)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("file")
    }

    fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    fn measure(
        &self,
        options: &Options,
        authority: &Authority,
        case: Case,
        settings: Settings,
    ) -> Result<Measured> {
        let conditions = case.conditions(
            options.delay.unwrap_or(DELAY),
            options.refuse_every.unwrap_or(REFUSE_EVERY),
        );
        let endpoint = if case.tls {
            NullEndpoint::tls(authority, conditions)?
        } else {
            NullEndpoint::plain(conditions)?
        };
        let store = TestStore {
            endpoint: endpoint.url(),
            region: REGION.to_owned(),
            access_key: "bench".to_owned(),
            secret_key: "bench".to_owned(),
        };
        let (path, bytes) = match case.job {
            Job::Files => (self.tree(), self.tree_bytes),
            Job::Download => (self.folder.join("target"), self.file_bytes),
            Job::Upload | Job::Stdin | Job::Copy => (self.file(), self.file_bytes),
        };
        let course = Course {
            options,
            endpoint: &endpoint,
            authority: case.tls.then_some(authority),
            store,
            case,
            settings,
            path: &path,
            bytes,
            home: &self.folder,
        };
        let mut measured = Measured { case, settings, bytes, rows: vec![] };
        eprintln!("bench: {}\n{}", measured.title(), Row::head());
        for round in 0..options.rounds {
            let mut contestants = Contestant::measured(case, options);
            if round % 2 == 1 {
                contestants.reverse();
            }
            for contestant in contestants {
                let row = measure(&course, contestant, round)?;
                eprintln!("{}", row.line());
                measured.rows.push(row);
            }
        }
        Ok(measured)
    }
}

fn measure(course: &Course<'_>, contestant: Contestant, round: u32) -> Result<Row> {
    let who = contestant.name();
    // A new key each time, because rclone skips objects that exist.
    let url = format!("s3://{BUCKET}/{}-{round}", who.replace(", ", "-"));
    let mut command = contestant.command(course, &url)?;
    let (finished, more) = match course.case.job {
        Job::Upload | Job::Copy | Job::Files => (run(&mut command, JOB_LIMIT)?, Duration::ZERO),
        Job::Stdin => {
            let input = File::open(course.path).context("open the file")?;
            let running = Running::start_with_input(&mut command, input.into())?;
            (running.finish(JOB_LIMIT)?, Duration::ZERO)
        }
        Job::Download => download(course, &mut command).context(who)?,
    };
    let finished = finished.success().context(who)?;
    let (wall, usage) = (finished.wall + more, finished.usage);
    Ok(Row { who, bytes: course.bytes, wall, usage })
}

/// Downloads, and syncs the file: bytes that are only in the page cache have not arrived. haul
/// syncs before it reports. Returns the time of the sync too.
fn download(course: &Course<'_>, command: &mut Command) -> Result<(Finished, Duration)> {
    if course.path.exists() {
        std::fs::remove_file(course.path).context("remove the last download")?;
    }
    // The disk then has nothing else to write.
    run(&mut Command::new("sync"), JOB_LIMIT)?.success()?;
    let finished = run(command, JOB_LIMIT)?.success()?;
    let length = course.path.metadata().context("find the file")?.len();
    ensure!(length == course.bytes, "it left {length} bytes");
    let synced = run(Command::new("sync").arg(course.path), JOB_LIMIT)?.success()?;
    Ok((finished, synced.wall))
}

/// Creates a `haul` command with the keys of the store and no settings of this user.
pub(crate) fn haul(binary: &Path, store: &TestStore, home: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().envs(store.client_variables());
    command.env("AWS_ENDPOINT_URL", &store.endpoint).env("HOME", home);
    command
}
