//! Reports the outcome of a tree: one line, one event, one exit code, and the command to run for
//! the files that failed.

use std::path::Path;
use std::time::Duration;

use haul::transfer::tree::{FileCount, TreeReport};
use serde::Serialize;

use super::Verb;
use crate::exit::Exit;
use crate::failure::{Ended, exit_of};
use crate::output::{Mode, visible};
use crate::size::{human_duration, human_rate, human_size};
use crate::upload_locator::quoted;

/// Maximum number of failures listed again at the end.
const LISTED_MAX: usize = 20;

/// The facts of a run that the engine's report does not contain.
pub(super) struct Outcome<'a> {
    pub(super) verb: Verb,
    pub(super) source: &'a str,
    pub(super) target: &'a str,
    pub(super) elapsed: Duration,
    pub(super) dry_run: bool,
    pub(super) deletes: bool,
    pub(super) journals: bool,
    /// Whether `haul resume --last` runs the command again.
    pub(super) is_recorded: bool,
    pub(super) failed_to: Option<&'a Path>,
    pub(super) from_store: bool,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "tree-summary")]
struct Summary<'a> {
    source: &'a str,
    target: &'a str,
    dry_run: bool,
    copied_files: u64,
    copied_bytes: u64,
    unchanged_files: u64,
    unchanged_bytes: u64,
    resumed_files: u64,
    resumed_bytes: u64,
    removed_files: u64,
    failed_files: u64,
    stopped: bool,
    elapsed_ms: u64,
}

/// Prints the summary and returns the exit status.
pub(super) fn tell(
    outcome: &Outcome<'_>,
    report: TreeReport,
    mode: Mode,
    in_context: impl Fn(haul::Error) -> anyhow::Error,
) -> anyhow::Result<Exit> {
    mode.event(&Summary {
        source: outcome.source,
        target: outcome.target,
        dry_run: outcome.dry_run,
        copied_files: report.copied.files,
        copied_bytes: report.copied.bytes,
        unchanged_files: report.unchanged.files,
        unchanged_bytes: report.unchanged.bytes,
        resumed_files: report.resumed.files,
        resumed_bytes: report.resumed.bytes,
        removed_files: report.removed,
        failed_files: report.failed,
        stopped: report.stopped,
        elapsed_ms: u64::try_from(outcome.elapsed.as_millis()).unwrap_or(u64::MAX),
    });
    mode.result(&line(outcome, &report));
    list_failures(&report, mode);
    if report.stopped {
        return Err(interrupted(outcome, &report).into());
    }
    if let (true, Some(error)) = (report.paused, &report.ended_by) {
        return Err(paused(outcome, &report, error).into());
    }
    if let Some(error) = report.ended_by {
        return Err(in_context(error));
    }
    if report.failed > 0 {
        return Err(failed(outcome, &report).into());
    }
    if outcome.from_store && !report.found && outcome.verb != Verb::Sync {
        return Err(Ended {
            exit: Exit::Failed,
            code: "NothingFound",
            message: format!("nothing was found at {}", outcome.source),
            hint: None,
        }
        .into());
    }
    Ok(Exit::Done)
}

/// Formats a summary such as `copied 9,998 files, 1.2 GiB, to s3://bucket/in/ in 12.3 s (98.0
/// MiB/s, 812 files/s)`.
fn line(outcome: &Outcome<'_>, report: &TreeReport) -> String {
    let verb = if outcome.dry_run {
        format!("would have {}", outcome.verb.past())
    } else {
        outcome.verb.past().to_owned()
    };
    let mut line = format!("{verb} {} to {}", amount(report.copied), outcome.target);
    if !outcome.dry_run && report.copied.files > 0 {
        let seconds = outcome.elapsed.as_secs_f64().max(0.001);
        let rate = human_rate(report.copied.bytes, outcome.elapsed);
        let files = report.copied.files as f64 / seconds;
        let took = human_duration(outcome.elapsed);
        line += &format!(" in {took} ({rate}, {files:.0} files/s)");
    }
    if report.unchanged.files > 0 || outcome.verb == Verb::Sync {
        line += &format!("; {} there already", report.unchanged.files);
    }
    if report.resumed.files > 0 {
        line += &format!("; {} by an earlier run", report.resumed.files);
    }
    if outcome.deletes {
        let removed = if outcome.dry_run { "would be removed" } else { "removed" };
        line += &format!("; {} {removed}", report.removed);
    }
    if report.failed > 0 {
        line += &format!("; {} failed", report.failed);
    }
    line
}

/// Formats a count such as `1 file, 12 bytes`.
fn amount(count: FileCount) -> String {
    let files =
        if count.files == 1 { "1 file".to_owned() } else { format!("{} files", count.files) };
    format!("{files}, {}", human_size(count.bytes))
}

fn list_failures(report: &TreeReport, mode: Mode) {
    for failure in report.failures.iter().take(LISTED_MAX) {
        mode.remark(&format!("not copied: {}", visible(&failure.source)));
    }
    let more = report.failed.saturating_sub(LISTED_MAX as u64);
    if more > 0 {
        mode.remark(&format!("and {more} more"));
    }
}

fn interrupted(outcome: &Outcome<'_>, report: &TreeReport) -> Ended {
    let done = report.copied.files + report.unchanged.files + report.resumed.files;
    Ended {
        exit: Exit::Interrupted,
        code: "Interrupted",
        message: format!("stopped after {done} files"),
        hint: match (outcome.is_recorded, outcome.journals) {
            (true, _) => Some("haul resume --last sends only what is missing".to_owned()),
            (_, true) => Some("run the same command again: it sends only what is missing".into()),
            _ => None,
        },
    }
}

fn paused(outcome: &Outcome<'_>, report: &TreeReport, cause: &haul::Error) -> Ended {
    let done = report.copied.files + report.unchanged.files + report.resumed.files;
    let (first, them) = match is_of_credentials(cause) {
        true => ("renew the credentials, then", "them"),
        false => ("when the store can be reached again,", "it"),
    };
    let again = match outcome.is_recorded {
        true => format!("haul resume --last; or haul resume --last --watch waits for {them}"),
        false => "run the same command again".to_owned(),
    };
    Ended {
        exit: Exit::Interrupted,
        code: "Paused",
        message: format!("paused after {done} files: {cause}"),
        hint: Some(format!("{first} {again}")),
    }
}

fn is_of_credentials(error: &haul::Error) -> bool {
    match error {
        haul::Error::Paused { source: Some(cause), .. }
        | haul::Error::DownloadPaused { source: Some(cause), .. } => is_of_credentials(cause),
        haul::Error::Store { source, .. } => source.kind.ends_the_credentials(),
        _ => false,
    }
}

fn failed(outcome: &Outcome<'_>, report: &TreeReport) -> Ended {
    let all = report.failed + report.copied.files + report.unchanged.files + report.resumed.files;
    let worst = report.failures.iter().map(|failure| exit_of(&failure.error)).max_by_key(rank);
    let hint = match outcome.failed_to {
        Some(list) => format!(
            "copy just those: haul cp --files-from {} SOURCE TARGET",
            quoted(&list.display().to_string())
        ),
        None if outcome.is_recorded => "copy just those: haul resume --last".to_owned(),
        None if outcome.journals => {
            format!("copy just those by the same command: {}", same_command())
        }
        None => "the same command with --failed-to FILE lists them for --files-from".to_owned(),
    };
    Ended {
        exit: worst.map_or(Exit::Failed, worst_of_many),
        code: "FilesFailed",
        message: format!("{} of {all} files failed", report.failed),
        hint: Some(hint),
    }
}

/// Ranks exit codes: one that needs a person's attention outranks one that the same command
/// resolves.
fn rank(exit: &Exit) -> u8 {
    match exit {
        Exit::InDoubt => 4,
        Exit::LeftBehind => 3,
        Exit::NotProven => 2,
        _ => 1,
    }
}

fn worst_of_many(worst: Exit) -> Exit {
    match worst {
        Exit::InDoubt | Exit::LeftBehind | Exit::NotProven => worst,
        _ => Exit::Failed,
    }
}

/// Returns this command line, quoted for a shell.
fn same_command() -> String {
    let words = std::env::args_os().skip(1);
    let words = words.map(|word| quoted(&word.to_string_lossy()));
    std::iter::once("haul".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use haul::transfer::tree::TreeFailure;

    use super::*;

    fn outcome() -> Outcome<'static> {
        Outcome {
            verb: Verb::Copy,
            source: "photos",
            target: "s3://bucket/photos/",
            elapsed: Duration::from_secs(2),
            dry_run: false,
            deletes: false,
            journals: true,
            is_recorded: true,
            failed_to: None,
            from_store: false,
        }
    }

    #[test]
    fn one_line_has_the_totals() {
        let copied = FileCount { files: 3, bytes: 4 << 20 };
        let report = TreeReport { copied, ..TreeReport::default() };
        insta::assert_snapshot!(line(&outcome(), &report), @"copied 3 files, 4.0 MiB to \
            s3://bucket/photos/ in 2.0 s (2.0 MiB/s, 2 files/s)");
        let sync = Outcome { verb: Verb::Sync, deletes: true, dry_run: true, ..outcome() };
        let report = TreeReport { copied, removed: 1, ..TreeReport::default() };
        insta::assert_snapshot!(line(&sync, &report), @"would have copied 3 files, 4.0 MiB to \
            s3://bucket/photos/; 0 there already; 1 would be removed");
    }

    #[test]
    fn what_has_to_be_looked_at_decides_the_exit_code() {
        let failure =
            |error| TreeFailure { name: "a".into(), source: "a".into(), target: "b".into(), error };
        let object: haul::ObjectRef = "s3://bucket/a".parse().unwrap();
        let refused = || failure(haul::Error::TreeRefused { problem: "x".into() });
        let corrupt =
            || failure(haul::Error::Corrupt { object: object.clone(), detail: "x".into() });
        let exit = |failures: Vec<TreeFailure>| {
            let failed_files = failures.len() as u64;
            let report = TreeReport { failed: failed_files, failures, ..TreeReport::default() };
            failed(&outcome(), &report).exit
        };
        assert_eq!(exit(vec![refused(), refused()]), Exit::Failed);
        assert_eq!(exit(vec![refused(), corrupt(), refused()]), Exit::NotProven);
    }
}
