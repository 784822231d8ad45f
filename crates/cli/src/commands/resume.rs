//! `haul resume ID…`, `--all`, `--last` and `--watch`: resumes interrupted transfers of this
//! machine.

use std::collections::VecDeque;
use std::path::PathBuf;

use haul::journal::{JournalError, JournalSummary};
use haul::source::SourceRecord;
use haul::{EngineOptions, UploadOptions};
use serde::Serialize;

use super::copy_journal;
use super::download;
use super::pinned_flags::PinnedFlags;
use super::resume_last::{self, Last};
use super::resume_watch;
use super::stream_journal::needs_its_producer;
use super::summary::counted;
use super::upload::{Remembering, Sending, UploadSource, send};
use super::uploads::{find, unreadable};
use crate::args::{ResumeArgs, StoreArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Failure, Usage};
use crate::interrupt::Interrupts;
use crate::output::{Mode, paint};
use crate::several::Several;
use crate::state_dir::journal_folder;

/// Resumes the named transfers, or all that no other process holds.
pub(crate) async fn run(args: &StoreArgs, wanted: ResumeArgs, mode: Mode) -> anyhow::Result<Exit> {
    let settings = Settings::of(&wanted);
    let mut wanted = wanted;
    if wanted.last {
        if crate::session::current().is_some() {
            let hint = "run haul resume --last by itself";
            return Err(Usage::new("--last cannot be a line of haul run", hint).into());
        }
        match Last::find()? {
            Last::Tree(tree) if wanted.watch => {
                return Box::pin(resume_last::watched(&tree, mode)).await;
            }
            Last::Tree(tree) => return resume_last::again(&tree, mode),
            Last::Transfer(id) => wanted.ids.push(id),
            Last::Nothing => {
                mode.result("no unfinished transfers");
                return Ok(Exit::Done);
            }
        }
    }
    if wanted.watch {
        return Box::pin(resume_watch::run(args, wanted.ids, &settings, mode)).await;
    }
    if wanted.all {
        return all(args, &settings, mode).await;
    }
    match wanted.ids.len() {
        0 => {
            return Err(Usage::new(
                "which upload?",
                "name its id (haul transfers lists them), or use --all or --last",
            )
            .into());
        }
        2.. if wanted.source.is_some() => {
            return Err(Usage::new(
                "--source is of one upload",
                "resume them one by one: haul resume ID --source PATH",
            )
            .into());
        }
        _ => {}
    }
    let mut several = Several::of(wanted.ids.len(), mode);
    let mut interrupts = None;
    for id in &wanted.ids {
        let source = wanted.source.clone();
        several.take(named(args, id, source, &settings, mode, &mut interrupts).await);
        if interrupts.as_ref().is_some_and(Interrupts::came) {
            break;
        }
    }
    several.end()
}

/// Resumes the transfer with this id.
pub(super) async fn named(
    args: &StoreArgs,
    id: &str,
    source: Option<PathBuf>,
    settings: &Settings,
    mode: Mode,
    interrupts: &mut Option<Interrupts>,
) -> anyhow::Result<Exit> {
    if source.is_none()
        && let Some(download) = download::find(id)?
    {
        return download::resume(args, download, settings.limits.clone(), mode, interrupts).await;
    }
    resume(args, find(id)?, source, settings, mode, interrupts).await
}

/// The settings of this run; part size, checksum and attributes come from the journal.
pub(super) struct Settings {
    options: UploadOptions,
    limits: EngineOptions,
}

impl Settings {
    fn of(wanted: &ResumeArgs) -> Self {
        let options = UploadOptions {
            multipart_threshold_bytes: 1,
            on_change: wanted.on_change.into(),
            ..UploadOptions::default()
        };
        Self { options, limits: wanted.effort.limits() }
    }
}

/// A transfer that is skipped because another process holds it.
#[derive(Serialize)]
#[serde(tag = "event", rename = "upload-skipped")]
struct Skipped<'a> {
    id: &'a str,
    running_pid: Option<u32>,
}

async fn all(args: &StoreArgs, settings: &Settings, mode: Mode) -> anyhow::Result<Exit> {
    let folder = journal_folder()?;
    let unfinished = folder.list().map_err(haul::Error::from)?;
    let unreadable = unreadable(&folder)?;
    let downloads = folder.list_downloads().map_err(haul::Error::from)?;
    if unfinished.is_empty() && unreadable.is_empty() && downloads.is_empty() {
        mode.result("no unfinished transfers");
    }
    let mut exit = Exit::Done;
    for error in unreadable {
        exit = report_failure(&error, mode);
    }
    let (running, mut left): (Vec<_>, VecDeque<_>) = sorted_out(unfinished);
    for (id, pid) in running {
        skip(&id, pid, mode);
    }
    let mut interrupts = None;
    while let Some(summary) = left.pop_front() {
        let id = summary.id.clone();
        if let SourceRecord::Stream(stream) = &summary.beginning.source {
            let why = needs_its_producer(&summary, stream);
            mode.result(&format!("{id}  skipped: a stream; {}", why.hint.unwrap_or_default()));
            continue;
        }
        let result = resume(args, summary, None, settings, mode, &mut interrupts).await;
        let interrupted = interrupts.as_ref().is_some_and(Interrupts::came);
        match result {
            Ok(_) if interrupted => exit = Exit::Interrupted,
            Ok(_) => {}
            Err(error) => match taken_meanwhile(&error) {
                Some(pid) => skip(&id, pid, mode),
                None => exit = report_failure(&error, mode),
            },
        }
        if interrupted {
            if !left.is_empty() {
                mode.remark(&format!("interrupted: {} not begun", counted(left.len(), "upload")));
            }
            break;
        }
    }
    for download in downloads {
        if interrupts.as_ref().is_some_and(Interrupts::came) {
            mode.remark("interrupted: not all downloads were begun");
            break;
        }
        if download.running {
            skip(&download.id, download.running_pid, mode);
            continue;
        }
        let result =
            download::resume(args, download, settings.limits.clone(), mode, &mut interrupts).await;
        if let Err(error) = result {
            exit = report_failure(&error, mode);
        }
    }
    Ok(exit)
}

/// Separates the transfers that another process holds from the others.
fn sorted_out(
    unfinished: Vec<JournalSummary>,
) -> (Vec<(String, Option<u32>)>, VecDeque<JournalSummary>) {
    let (mut running, mut free) = (vec![], VecDeque::new());
    for summary in unfinished {
        match summary.running {
            true => running.push((summary.id, summary.running_pid)),
            false => free.push_back(summary),
        }
    }
    (running, free)
}

/// Returns the holder's process id if another process opened the upload after it was listed.
fn taken_meanwhile(error: &anyhow::Error) -> Option<Option<u32>> {
    match error.downcast_ref::<haul::Error>()? {
        haul::Error::Journal(JournalError::Locked { pid }) => Some(*pid),
        _ => None,
    }
}

fn skip(id: &str, running_pid: Option<u32>, mode: Mode) {
    mode.event(&Skipped { id, running_pid });
    let who =
        running_pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    mode.result(&format!("{id}  skipped: {who} is working on it"));
}

/// Reports the failure of one transfer; the caller continues with the next.
pub(super) fn report_failure(error: &anyhow::Error, mode: Mode) -> Exit {
    let failure = Failure::of(error);
    mode.event(&failure);
    failure.lines(paint).complain();
    failure.exit
}

async fn resume(
    args: &StoreArgs,
    summary: JournalSummary,
    source: Option<PathBuf>,
    settings: &Settings,
    mode: Mode,
    interrupts: &mut Option<Interrupts>,
) -> anyhow::Result<Exit> {
    if !matches!(summary.beginning.source, SourceRecord::Stream(_)) {
        PinnedFlags::of_key(&args.requests).agrees(&summary)?;
    }
    let file = match (source, &summary.beginning.source) {
        (Some(path), SourceRecord::File(_)) => UploadSource::Path(path),
        (None, SourceRecord::File(file)) => UploadSource::Journal(file.clone()),
        (_, SourceRecord::Stream(stream)) => {
            return Err(needs_its_producer(&summary, stream).into());
        }
        (Some(_), SourceRecord::Object(_)) => {
            return Err(Usage::new(
                format!("--source names a file, and {} is a copy of an object", summary.id),
                format!("haul resume {}", summary.id),
            )
            .into());
        }
        (None, SourceRecord::Object(object)) => {
            let object = object.clone();
            let on_change = settings.options.on_change;
            let run = copy_journal::Run { limits: settings.limits.clone(), on_change };
            return copy_journal::resume(args, summary, object, run, mode, interrupts).await;
        }
    };
    let JournalSummary { id, beginning, .. } = summary;
    let connection = Connection::recorded(&id, &beginning)?;
    connection.refuse_another(&id, args)?;
    let sending = Sending {
        file,
        address: connection.address(&beginning),
        // The conditions in the journal apply; these only label a failed condition.
        options: UploadOptions {
            if_none_match: beginning.if_none_match,
            if_match: beginning.if_match.clone(),
            ..settings.options.clone()
        },
        limits: settings.limits.clone(),
        journal: Remembering::Given { id, connection: Box::new(connection) },
        abort_on_interrupt: false,
        receipt: None,
    };
    Box::pin(send(args, sending, mode, interrupts)).await
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn flags_of_this_run_reach_the_engine() {
        let line =
            "haul resume --all --concurrency 3 --memory 1GiB --max-attempts 2 --on-change fail";
        let Command::Resume(wanted) = Cli::try_parse_from(line.split(' ')).unwrap().command else {
            panic!()
        };
        let Settings { options, limits } = Settings::of(&wanted);
        assert_eq!(options.on_change, haul::OnChange::Fail);
        assert_eq!((limits.concurrency, limits.memory_budget_bytes), (3.into(), 1 << 30));
        assert_eq!(limits.retry.attempts_max, 2);
    }
}
