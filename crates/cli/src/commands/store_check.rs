//! `haul store check`: reads all data in the folder of an endpoint and compares it with the
//! recorded checksums.
//!
//! Damage is reported and never changed: only people know which copy of an object is the good one.
//! `--repair` removes files that nothing refers to; no other command does. Data files without
//! metadata are listed and never removed: they are all that is left of a store.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use haul_store::{CheckProgress, CheckReport, Problem, Repair, StoreOptions};
use serde::Serialize;

use crate::args::{CheckArgs, StoreArgs};
use crate::data_dir::data_dir;
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext, Usage};
use crate::interrupt::{Interrupts, Role};
use crate::output::{Mode, visible};
use crate::progress::{Snapshot, TICK, View};
use crate::size::{human_duration, human_rate, human_size};

/// The maximum number of data files without metadata to list.
const DATA_FILES_NAMED_MAX: usize = 1000;

/// Checks the folder.
pub(crate) async fn run(store: &StoreArgs, args: CheckArgs, mode: Mode) -> anyhow::Result<Exit> {
    refuse_a_store_elsewhere(store)?;
    let folder = data_dir(args.dir.or_else(|| store.data.clone()))?;
    let repair = if args.repair { Repair::RemoveOrphans } else { Repair::ReportOnly };
    let started = std::time::Instant::now();
    let report = match checked(&folder, repair, mode).await {
        Ok(report) => report,
        Err(error) => {
            if let Some(haul_store::Error::MetadataLost { .. }) = error.downcast_ref() {
                list_data_files(&folder, mode)?;
            }
            return Err(error);
        }
    };
    for problem in &report.problems {
        mode.event(&ProblemLine::of(problem));
        mode.result(&format!("damaged  {}", visible(&problem.to_string())));
    }
    for orphan in &report.orphans {
        let file = orphan.display().to_string();
        mode.result(&format!("orphan   {file}"));
        mode.event(&Orphan { file });
    }
    for stranger in &report.strangers {
        let file = stranger.display().to_string();
        mode.result(&format!("stranger {}", visible(&file)));
        mode.event(&Stranger { file });
    }
    mode.event(&Checked::of(&report));
    mode.result(&summary(&report, repair, started.elapsed()));
    if report.is_sound() {
        return Ok(Exit::Done);
    }
    let count = report.problem_count;
    let things = if count == 1 { "1 thing is".to_owned() } else { format!("{count} things are") };
    Err(Ended {
        exit: Exit::NotProven,
        code: "Damaged",
        message: format!("{things} not as written in {}", folder.display()),
        hint: Some("upload the named objects again; everything else is sound".to_owned()),
    }
    .into())
}

/// Lists the data files of a folder that has lost its metadata.
fn list_data_files(folder: &Path, mode: Mode) -> anyhow::Result<()> {
    let (files, count) = haul_store::data_files(folder, DATA_FILES_NAMED_MAX)?;
    for file in &files {
        let file = file.display().to_string();
        mode.result(&format!("file     {file}"));
        mode.event(&DataFile { file });
    }
    let unnamed = count - files.len() as u64;
    if unnamed > 0 {
        mode.result(&format!("{unnamed} more are not listed"));
    }
    Ok(())
}

/// Refuses flags that select a store over the network, which contradict a folder.
fn refuse_a_store_elsewhere(store: &StoreArgs) -> Result<(), Usage> {
    let given = [
        (store.endpoint.is_some(), "--endpoint"),
        (store.profile.is_some(), "--profile"),
        (store.store_profile.is_some(), "--store-profile"),
        (store.path_style, "--path-style"),
        (store.virtual_host_style, "--virtual-host-style"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, name)) => Err(Usage::new(
            format!("{name} chooses a store to talk to; haul store check reads a folder"),
            "leave it out, and name the folder",
        )),
        None => Ok(()),
    }
}

/// Checks on a separate thread, with progress. It changes nothing, so a signal may end it at any
/// time.
async fn checked(folder: &Path, repair: Repair, mode: Mode) -> anyhow::Result<CheckReport> {
    let mut interrupts = Interrupts::new(Role::Work)?;
    let progress = CheckProgress::default();
    let reading = tokio::task::spawn_blocking({
        let (folder, progress) = (folder.to_owned(), progress.clone());
        move || haul_store::check(folder, StoreOptions::default(), repair, &progress)
    });
    tokio::pin!(reading);
    let mut view = View::new(mode, crate::commands::name_of(&folder.to_string_lossy()));
    let mut ticks = tokio::time::interval(TICK);
    let report = loop {
        tokio::select! {
            report = &mut reading => break report?,
            signal = interrupts.next() => {
                view.finish();
                let message = format!("{signal}: the check did not reach its end");
                let (exit, code) = (Exit::Interrupted, "Cancelled");
                return Err(Ended { exit, code, message, hint: None }.into());
            }
            _ = ticks.tick() => view.tick(snapshot(&progress)),
        }
    };
    view.finish();
    report.with_context(|| context(folder))
}

fn snapshot(progress: &CheckProgress) -> Snapshot {
    let total = progress.total_bytes();
    Snapshot {
        moved_bytes: progress.read_bytes(),
        arrived_bytes: progress.read_bytes(),
        parts_in_flight: 0,
        size_bytes: (total > 0).then_some(total),
    }
}

/// Returns the context of a failure; the address of a server that holds the folder is in the hint.
fn context(folder: &Path) -> FailureContext {
    let context = FailureContext::of(format!("cannot check {}", folder.display()));
    match haul_server::running_endpoint(folder) {
        Ok(Some(running)) => context.hinting(format!(
            "process {} serves it at {}: stop that first, and start it again after the check",
            running.pid,
            running.endpoint()
        )),
        _ => context,
    }
}

/// Formats `sound: 3 objects, 1 open upload with 2 parts, 5 data files; 1.4 GiB read in 3.1 s (460
/// MiB/s)`.
fn summary(report: &CheckReport, repair: Repair, time: Duration) -> String {
    let count = |count: u64, one: &str| {
        if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
    };
    let verdict = if report.is_sound() { "sound" } else { "DAMAGED" };
    let mut text = format!(
        "{verdict}: {}, {} with {}, {}; {} read in {} ({})",
        count(report.objects, "object"),
        count(report.uploads, "open upload"),
        count(report.parts, "part"),
        count(report.files, "data file"),
        human_size(report.read_bytes),
        human_duration(time),
        human_rate(report.read_bytes, time),
    );
    let unnamed = report.problem_count - report.problems.len() as u64;
    if unnamed > 0 {
        text += &format!("; {unnamed} more problems are not listed");
    }
    match (report.orphan_count, repair) {
        (0, _) => {}
        (orphans, Repair::ReportOnly) => {
            text += &format!(
                "; {} that nothing refers to: harmless, --repair removes",
                count(orphans, "orphaned file")
            );
        }
        (_, Repair::RemoveOrphans) => {
            text += &format!("; {} removed", count(report.removed_orphans, "orphaned file"));
            let left = report.orphan_count.saturating_sub(report.removed_orphans);
            if left > 0 {
                text += &format!(", {left} could not be");
            }
        }
    }
    if report.stranger_count > 0 {
        text += &format!(
            "; {} left alone: none of this store",
            count(report.stranger_count, "stranger")
        );
    }
    text
}

/// A problem, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "problem")]
struct ProblemLine<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part_number: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    message: String,
}

impl<'a> ProblemLine<'a> {
    fn of(problem: &'a Problem) -> Self {
        let message = problem.to_string();
        let line = Self {
            kind: "contradiction",
            bucket: None,
            key: None,
            upload_id: None,
            part_number: None,
            file: None,
            message,
        };
        let path = |file: &haul_store::disk::FileId| Some(file.path().display().to_string());
        match problem {
            Problem::DamagedPart { owner, part_number, .. } => Self {
                kind: "damaged-part",
                bucket: Some(&owner.bucket),
                key: Some(&owner.key),
                upload_id: owner.upload_id.as_deref(),
                part_number: Some(*part_number),
                ..line
            },
            Problem::DamagedFile { file, .. } => {
                Self { kind: "damaged-file", file: path(file), ..line }
            }
            Problem::WrongReferences { file, .. } => {
                Self { kind: "wrong-references", file: path(file), ..line }
            }
            _ => line,
        }
    }
}

/// A file that nothing refers to, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "orphan")]
struct Orphan {
    file: String,
}

/// A data file without metadata, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "data-file")]
struct DataFile {
    file: String,
}

/// A foreign entry among the data files, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "stranger")]
struct Stranger {
    file: String,
}

/// The counts, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "checked")]
struct Checked {
    sound: bool,
    objects: u64,
    uploads: u64,
    parts: u64,
    files: u64,
    read_bytes: u64,
    problems: u64,
    orphans: u64,
    removed_orphans: u64,
    strangers: u64,
}

impl Checked {
    fn of(report: &CheckReport) -> Self {
        Self {
            sound: report.is_sound(),
            objects: report.objects,
            uploads: report.uploads,
            parts: report.parts,
            files: report.files,
            read_bytes: report.read_bytes,
            problems: report.problem_count,
            orphans: report.orphan_count,
            removed_orphans: report.removed_orphans,
            strangers: report.stranger_count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_and_says_what_to_do_about_orphans() {
        let mut report =
            CheckReport { objects: 1, uploads: 2, parts: 3, files: 4, ..CheckReport::default() };
        report.read_bytes = 100 << 20;
        let line = |report: &CheckReport, repair| summary(report, repair, Duration::from_secs(2));
        insta::assert_snapshot!(
            line(&report, Repair::ReportOnly),
            @"sound: 1 object, 2 open uploads with 3 parts, 4 data files; 100.0 MiB read in 2.0 s \
                (50 MiB/s)"
        );
        report.orphan_count = 2;
        report.problem_count = 1;
        assert!(line(&report, Repair::ReportOnly).ends_with(
            "; 1 more problems are not listed; 2 orphaned files that nothing refers to: harmless, \
             --repair removes"
        ));
        report.removed_orphans = 2;
        assert!(line(&report, Repair::RemoveOrphans).ends_with("; 2 orphaned files removed"));
    }
}
