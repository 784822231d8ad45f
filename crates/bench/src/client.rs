//! The client benchmark: haul, its peers and the floor programs upload the same file to our
//! endpoint that stores nothing, over plain HTTP and over TLS, in turn, several rounds.
//!
//! Fails if haul, at default settings, needs more than half of s5cmd's CPU per GiB or more than 64
//! MiB.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use haul_testkit::Store;
use haul_testkit::files::write_random;
use haul_testkit::process::run;
use haul_testkit::servers::REGION;

use crate::authority::Authority;
use crate::contestant::{Contestant, Course};
use crate::null_endpoint::NullEndpoint;
use crate::options::Options;
use crate::report::{Case, Report};
use crate::table::{Row, best, peak_mib};

const CPU_RATIO_MAX: f64 = 0.5;
const PEAK_MIB_MAX: f64 = 64.0;
const UPLOAD_LIMIT: Duration = Duration::from_secs(600);
const BUCKET: &str = "bench";

pub(crate) fn bench(options: &Options) -> Result<()> {
    let bytes = options.gib.unwrap_or(2) << 30;
    let folder = tempfile::tempdir().context("make a folder")?;
    let file = folder.path().join("file");
    eprintln!("bench: writing {} GiB of random bytes", bytes >> 30);
    write_random(&file, bytes, 1)?;
    // Dirty pages would be written during the first upload; written pages stay in the page cache.
    run(&mut Command::new("sync"), UPLOAD_LIMIT)?.success()?;

    let authority = Authority::make(folder.path())?;
    let cases = [
        measure("plain HTTP", options, &NullEndpoint::plain()?, None, &file, bytes)?,
        measure("TLS", options, &NullEndpoint::tls(&authority)?, Some(&authority), &file, bytes)?,
    ];
    let report = Report::new(bytes, options.rounds, &cases);
    println!("\n{report}");
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()).with_context(|| format!("write {}", path.display()))?;
    }
    cases.iter().try_for_each(check_goals)
}

fn measure(
    name: &'static str,
    options: &Options,
    endpoint: &NullEndpoint,
    authority: Option<&Authority>,
    file: &Path,
    bytes: u64,
) -> Result<Case> {
    let store = Store {
        endpoint: endpoint.url(),
        region: REGION.to_owned(),
        access_key: "bench".to_owned(),
        secret_key: "bench".to_owned(),
    };
    let home = file.parent().context("the file is in a folder")?;
    let course = Course { options, endpoint, authority, store, file, home };
    eprintln!("bench: {name}\n{}", Row::head());
    let mut rows = Vec::new();
    for round in 0..options.rounds {
        let mut contestants = Contestant::ALL;
        if round % 2 == 1 {
            contestants.reverse();
        }
        for contestant in contestants {
            let who = contestant.name();
            // A new key each time, because rclone skips objects that exist.
            let url = format!("s3://{BUCKET}/{}-{round}", who.replace(", ", "-"));
            let mut command = contestant.command(&course, &url)?;
            let finished = run(&mut command, UPLOAD_LIMIT)?.success().context(who)?;
            let row = Row { who, bytes, wall: finished.wall, usage: finished.usage };
            eprintln!("{}", row.line());
            rows.push(row);
        }
    }
    Ok(Case { name, rows })
}

/// Creates a `haul` command with the keys of the store and no settings of this user.
pub(crate) fn haul(binary: &Path, store: &Store, home: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().envs(store.client_variables());
    command.env("AWS_ENDPOINT_URL", &store.endpoint).env("HOME", home);
    command
}

fn check_goals(case: &Case) -> Result<()> {
    let cpu = |who| best(&case.rows, who).map(Row::cpu_per_gib);
    let (haul, s5cmd) = cpu("haul").zip(cpu("s5cmd")).context("nothing was measured")?;
    let (ratio, peak) = (haul / s5cmd, peak_mib(&case.rows, "haul"));
    let name = case.name;
    println!(
        "{name}: haul needs {ratio:.2} of s5cmd's CPU per GiB (at most {CPU_RATIO_MAX}), and \
         {peak:.0} MiB at its \
         peak (at most {PEAK_MIB_MAX})"
    );
    ensure!(ratio <= CPU_RATIO_MAX, "{name}: haul needs {ratio:.2} of s5cmd's CPU per GiB");
    ensure!(peak <= PEAK_MIB_MAX, "{name}: haul took {peak:.0} MiB");
    Ok(())
}
