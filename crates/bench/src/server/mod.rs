//! The server benchmark: clients load `haul serve` and, where they are installed, s3s-fs and
//! Garage, one after the other in one run, and the servers are measured meanwhile. Files are read
//! from memory, and dirty pages are written before each load, so that each server pays only for
//! itself. `haul serve` always syncs everything.
//!
//! Prints one table, and then whether `haul serve` meets its goals ([`goals`]); fails if one is
//! missed.

mod complete;
mod floor;
mod goals;
mod listing;
mod load;
mod read;
mod report;
mod subject;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use haul_testkit::files::write_random;
use haul_testkit::process::{Usage, run, usage_of};

use self::load::{Client, Load};
use self::report::{Line, Report};
use self::subject::{FLOOR, Kind, Subject};
use crate::authority::Authority;
use crate::client::haul;
use crate::goals::Goal;
use crate::options::Options;
use crate::report::cpu_model;
use crate::tree::write_tree;

const LIMIT: Duration = Duration::from_secs(900);
const BUCKET: &str = "bench";
const PART_BYTES: u64 = 16 << 20;
/// The parts in flight, and those of the case with many connections.
const IN_FLIGHT: u32 = 8;
const MANY_IN_FLIGHT: u32 = 64;
const FILES: u64 = 10_000;
const FILE_BYTES: usize = 16 << 10;

/// The cases, in the order of the table.
const CASES: [&str; 10] = [
    "signed",
    "unsigned",
    "tls",
    ADDED_BY_TLS,
    "64-connections",
    "files",
    "peers",
    "get",
    "complete",
    "listing",
];
/// The uploads of the same clients with and without TLS, to `haul serve` and to its floor program.
const ADDED_BY_TLS: &str = "added-by-tls";

/// The folders and files of a run.
pub(crate) struct Place<'a> {
    options: &'a Options,
    folder: &'a Path,
    authority: Authority,
    file: PathBuf,
    file_bytes: u64,
    tree: PathBuf,
    tree_bytes: u64,
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    let cases = select(options.case.as_deref())?;
    let folder = tempfile::tempdir().context("make a folder")?;
    // In memory where there is such a disk, so that the client waits for nothing but the server.
    let memory = Path::new("/dev/shm");
    let sources = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let sources = sources.context("make a folder for the source")?;
    let mut place = Place {
        options,
        folder: folder.path(),
        authority: Authority::make(folder.path())?,
        file: sources.path().join("file"),
        file_bytes: options.bytes.unwrap_or(4 << 30),
        tree: sources.path().join("tree"),
        tree_bytes: 0,
    };
    if cases.iter().any(|case| !["files", "complete", "listing"].contains(case)) {
        eprintln!("bench: writing {} MiB of random bytes", place.file_bytes >> 20);
        write_random(&place.file, place.file_bytes, 1)?;
    }
    if cases.iter().any(|case| ["files", "peers"].contains(case)) {
        let files = options.files.unwrap_or(FILES);
        place.tree_bytes = write_tree(&place.tree, files, Some(FILE_BYTES))?;
    }
    let mut report = Report { cpu: cpu_model(), rounds: options.rounds, lines: vec![] };
    let mut goals: Vec<Goal> = vec![];
    for case in cases {
        eprintln!("bench: {case}");
        match case {
            "get" => report.lines.extend(read::measure(&place)?),
            "complete" => goals.extend(goals::of_complete(&complete_many(&place)?)),
            "listing" => goals.extend(goals::of_listing(&listing::measure(&place)?)),
            uploads => report.lines.extend(measure_loads(&place, uploads)?),
        }
    }
    println!("\n{report}");
    if let Some(path) = &options.json {
        let json = report.json();
        std::fs::write(path, json).with_context(|| format!("write {}", path.display()))?;
    }
    goals.extend(goals::of_loads(&report.best()));
    crate::goals::print(&goals)
}

/// Returns the cases that these words name, separated by commas; all without words.
fn select(words: Option<&str>) -> Result<Vec<&'static str>> {
    let Some(words) = words else { return Ok(CASES.into()) };
    let words: Vec<&str> = words.split(',').collect();
    for word in &words {
        ensure!(CASES.contains(word), "no case is named {word}: {}", CASES.join(", "));
    }
    Ok(CASES.into_iter().filter(|case| words.contains(case)).collect())
}

/// Returns the loads of a case, in the order of a round.
fn loads(case: &str) -> Vec<Load> {
    let of = |clients: &[Client]| clients.iter().map(|client| Load::of(*client)).collect();
    match case {
        "signed" => of(&[Client::S5cmd, Client::AwsCli, Client::Rclone]),
        "unsigned" => vec![
            Load { unsigned: true, ..Load::of(Client::Rclone) },
            Load { unsigned: true, ..Load::of(Client::Haul) },
        ],
        "tls" => [Client::S5cmd, Client::AwsCli, Client::Rclone, Client::Haul]
            .map(|client| Load { tls: true, ..Load::of(client) })
            .into(),
        "64-connections" => [Client::S5cmd, Client::Haul]
            .map(|client| Load { in_flight: MANY_IN_FLIGHT, ..Load::of(client) })
            .into(),
        "files" => [Client::S5cmd, Client::Haul]
            .map(|client| Load { files: true, ..Load::of(client) })
            .into(),
        ADDED_BY_TLS => [Client::S5cmd, Client::Haul]
            .into_iter()
            .flat_map(|client| [false, true].map(|tls| Load { tls, ..Load::of(client) }))
            .collect(),
        _ => [false, true]
            .into_iter()
            .flat_map(|files| {
                [Client::S5cmd, Client::Haul].map(|client| Load { files, ..Load::of(client) })
            })
            .collect(),
    }
}

/// Returns the servers of a case.
fn kinds(options: &Options, case: &str) -> Vec<Kind> {
    match case {
        "peers" => Kind::measured(options),
        ADDED_BY_TLS => vec![Kind::Floor, Kind::Haul],
        _ => vec![Kind::Haul],
    }
}

fn measure_loads(place: &Place<'_>, case: &'static str) -> Result<Vec<Line>> {
    let mut lines = vec![];
    for _ in 0..place.options.rounds {
        for load in loads(case) {
            for kind in kinds(place.options, case) {
                let subject = kind.start(place, load.tls)?;
                let line = measure(place, &subject, case, load)?;
                eprintln!("{}", line.text());
                lines.push(line);
                if case == "peers" && !load.files {
                    let seconds = complete::of_file(place.options, &subject.store, &place.file)?;
                    let (mib, name) = (place.file_bytes >> 20, subject.name);
                    println!("Complete of {mib} MiB at {name}: {:.1} ms", seconds * 1000.0);
                }
            }
        }
    }
    Ok(lines)
}

fn measure(place: &Place<'_>, subject: &Subject, case: &'static str, load: Load) -> Result<Line> {
    make_bucket(place, subject)?;
    let mut command = load.command(place, &subject.store)?;
    write_what_is_left()?;
    let (wall, usage) = measure_server(subject.id, || {
        let who = || format!("{} to {}", load.client.name(), subject.name);
        run(&mut command, LIMIT)?.success().with_context(who).map(drop)
    })?;
    // The folders of all servers share a disk. The floor lists no objects; its folder is removed.
    if subject.name != FLOOR {
        let mut remove = haul_at(place, subject);
        remove.args(["rm", "--quiet", "--recursive", &format!("s3://{BUCKET}/")]);
        run(&mut remove, LIMIT)?.success()?;
    }
    let (bytes, files) = match load.files {
        true => (place.tree_bytes, Some(place.options.files.unwrap_or(FILES))),
        false => (place.file_bytes, None),
    };
    let (client, server, tls) = (load.client.name(), subject.name, load.tls);
    Ok(Line { case, client, server, tls, bytes, files, wall, usage })
}

/// Measures the server with this process id while `work` runs. The peak memory is that since the
/// server started.
fn measure_server(id: u32, work: impl FnOnce() -> Result<()>) -> Result<(Duration, Usage)> {
    let before = usage_of(id)?;
    let start = Instant::now();
    work()?;
    let wall = start.elapsed();
    let after = usage_of(id)?;
    let usage = Usage {
        user_seconds: after.user_seconds - before.user_seconds,
        system_seconds: after.system_seconds - before.system_seconds,
        peak_memory_bytes: after.peak_memory_bytes,
    };
    Ok((wall, usage))
}

fn complete_many(place: &Place<'_>) -> Result<Vec<Duration>> {
    let subject = Kind::Haul.start(place, false)?;
    make_bucket(place, &subject)?;
    write_what_is_left()?;
    let seconds = complete::of_many_parts(place.options, &subject.store)?;
    let rounds: Vec<_> = seconds.into_iter().map(Duration::from_secs_f64).collect();
    for round in &rounds {
        println!("Complete of 10,000 parts at {}: {:.1?}", subject.name, round);
    }
    Ok(rounds)
}

fn make_bucket(place: &Place<'_>, subject: &Subject) -> Result<()> {
    let mut command = haul_at(place, subject);
    command.args(["mb", "--quiet", &format!("s3://{BUCKET}")]);
    run(&mut command, LIMIT)?.success().map(drop)
}

/// Creates a `haul` command for a server, over TLS too.
fn haul_at(place: &Place<'_>, subject: &Subject) -> Command {
    let mut command = haul(&place.options.haul, &subject.store, place.folder);
    command.env("AWS_CA_BUNDLE", &place.authority.certificate);
    command
}

/// Writes dirty pages to the disk: the next server would pay for them, and not all of them sync.
fn write_what_is_left() -> Result<()> {
    run(&mut Command::new("sync"), LIMIT)?.success().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_of_the_server_are_selected_in_their_order() {
        assert_eq!(select(None).unwrap(), CASES);
        assert_eq!(select(Some("get,signed")).unwrap(), ["signed", "get"]);
        let error = select(Some("sign")).unwrap_err().to_string();
        assert!(error.contains("no case is named sign"), "{error}");
    }
}
