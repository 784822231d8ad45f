//! The client benchmark: haul, its peers and the floor programs do the same jobs in turn, several
//! rounds, with our endpoint that stores nothing: uploads and downloads over plain HTTP and over
//! TLS, an upload of standard input, and a copy.
//!
//! Fails if haul, at default settings, needs more than half of s5cmd's CPU per GiB for an upload,
//! more CPU than the best of its peers for a download, or more than 64 MiB for either.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use haul_testkit::TestStore;
use haul_testkit::files::write_random;
use haul_testkit::process::{Finished, Running, run};
use haul_testkit::servers::REGION;

use crate::authority::Authority;
use crate::contestant::{Contestant, Course, Job};
use crate::null_endpoint::NullEndpoint;
use crate::options::Options;
use crate::report::{Case, Report};
use crate::table::{Row, best, peak_mib};

const CPU_RATIO_MAX: f64 = 0.5;
const PEAK_MIB_MAX: f64 = 64.0;
const JOB_LIMIT: Duration = Duration::from_secs(600);
pub(crate) const BUCKET: &str = "bench";

pub(crate) fn bench(options: &Options) -> Result<()> {
    let bytes = options.gib.unwrap_or(2) << 30;
    let folder = tempfile::tempdir().context("make a folder")?;
    let file = folder.path().join("file");
    eprintln!("bench: writing {} GiB of random bytes", bytes >> 30);
    write_random(&file, bytes, 1)?;
    // Dirty pages would be written during the first upload; written pages stay in the page cache.
    run(&mut Command::new("sync"), JOB_LIMIT)?.success()?;

    let authority = Authority::make(folder.path())?;
    let (plain, tls) = (NullEndpoint::plain()?, NullEndpoint::tls(&authority)?);
    let mut cases = vec![];
    for (job, name, secure) in CASES {
        if options.only.is_some_and(|only| only != job) {
            continue;
        }
        let (endpoint, authority) = if secure { (&tls, Some(&authority)) } else { (&plain, None) };
        let store = TestStore {
            endpoint: endpoint.url(),
            region: REGION.to_owned(),
            access_key: "bench".to_owned(),
            secret_key: "bench".to_owned(),
        };
        let target = folder.path().join("target");
        let file = if job == Job::Download { &target } else { &file };
        let home = folder.path();
        let course = Course { options, endpoint, authority, store, job, file, bytes, home };
        cases.push(Case { name, job, rows: measure(name, &course)? });
    }
    let report = Report::new(bytes, options.rounds, &cases);
    println!("\n{report}");
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()).with_context(|| format!("write {}", path.display()))?;
    }
    cases.iter().try_for_each(check_goals)
}

/// Every job, its name in the table, and whether it is done over TLS.
const CASES: [(Job, &str, bool); 6] = [
    (Job::Upload, "plain HTTP", false),
    (Job::Upload, "TLS", true),
    (Job::Download, "download", false),
    (Job::Download, "download, TLS", true),
    (Job::Stdin, "stdin", false),
    (Job::Copy, "copy", false),
];

fn measure(name: &str, course: &Course<'_>) -> Result<Vec<Row>> {
    let options = course.options;
    eprintln!("bench: {name}\n{}", Row::head());
    let mut rows = Vec::new();
    for round in 0..options.rounds {
        let mut contestants = Contestant::ALL;
        if round % 2 == 1 {
            contestants.reverse();
        }
        for contestant in contestants.into_iter().filter(|it| it.does(course.job)) {
            let who = contestant.name();
            // A new key each time, because rclone skips objects that exist.
            let url = format!("s3://{BUCKET}/{}-{round}", who.replace(", ", "-"));
            let mut command = contestant.command(course, &url)?;
            let (finished, more) = match course.job {
                Job::Upload | Job::Copy => (run(&mut command, JOB_LIMIT)?, Duration::ZERO),
                Job::Stdin => {
                    let input = File::open(course.file).context("open the file")?;
                    let running = Running::start_with_input(&mut command, input.into())?;
                    (running.finish(JOB_LIMIT)?, Duration::ZERO)
                }
                Job::Download => download(course, &mut command).context(who)?,
            };
            let finished = finished.success().context(who)?;
            let (wall, usage) = (finished.wall + more, finished.usage);
            let row = Row { who, bytes: course.bytes, wall, usage };
            eprintln!("{}", row.line());
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Downloads, and syncs the file: bytes that are only in the page cache have not arrived. haul
/// syncs before it reports. Returns the time of the sync too.
fn download(course: &Course<'_>, command: &mut Command) -> Result<(Finished, Duration)> {
    if course.file.exists() {
        std::fs::remove_file(course.file).context("remove the last download")?;
    }
    // The disk then has nothing else to write.
    run(&mut Command::new("sync"), JOB_LIMIT)?.success()?;
    let finished = run(command, JOB_LIMIT)?.success()?;
    let length = course.file.metadata().context("find the file")?.len();
    ensure!(length == course.bytes, "it left {length} bytes");
    let synced = run(Command::new("sync").arg(course.file), JOB_LIMIT)?.success()?;
    Ok((finished, synced.wall))
}

/// Creates a `haul` command with the keys of the store and no settings of this user.
pub(crate) fn haul(binary: &Path, store: &TestStore, home: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().envs(store.client_variables());
    command.env("AWS_ENDPOINT_URL", &store.endpoint).env("HOME", home);
    command
}

fn check_goals(case: &Case) -> Result<()> {
    let cpu = |who| best(&case.rows, who).map(Row::cpu_per_gib);
    let name = case.name;
    let haul = cpu("haul").context("nothing was measured")?;
    let (rival, most) = match case.job {
        Job::Upload => (cpu("s5cmd"), CPU_RATIO_MAX),
        Job::Download => {
            let peers = ["s5cmd", "rclone", "aws-cli"].into_iter().filter_map(cpu);
            (peers.reduce(f64::min), 1.0)
        }
        // Measured only.
        Job::Stdin | Job::Copy => return Ok(()),
    };
    let ratio = haul / rival.context("nothing was measured")?;
    let peak = peak_mib(&case.rows, "haul");
    println!(
        "{name}: haul needs {ratio:.2} of its rival's CPU per GiB (at most {most}), and {peak:.0} \
         MiB at its peak (at most {PEAK_MIB_MAX})"
    );
    ensure!(ratio <= most, "{name}: haul needs {ratio:.2} of its rival's CPU per GiB");
    ensure!(peak <= PEAK_MIB_MAX, "{name}: haul took {peak:.0} MiB");
    Ok(())
}
