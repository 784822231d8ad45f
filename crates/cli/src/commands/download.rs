//! One download: the parts that `haul cp`, `haul resume`, `haul abort` and `haul transfers` share.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use haul::journal::DownloadSummary;
use haul::{DownloadOptions, DownloadTarget, EngineOptions, JournalChoice, JournalOptions};
use serde::Serialize;

use super::summary::{self, Journey};
use super::uploads::Unfinished;
use crate::args::StoreArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{FailureContext, Usage};
use crate::interrupt::{Interrupts, Role};
use crate::leftover_notice::{LeftoverNotice, OnInterrupt};
use crate::output::{Mode, visible};
use crate::progress::View;
use crate::state_dir::journal_folder;
use crate::store;
use crate::target::Address;
use crate::transfer::drive;

/// The arguments of one download.
pub(super) struct Fetching {
    pub(super) address: Address,
    pub(super) target: FileTarget,
    pub(super) part_size_bytes: Option<u64>,
    pub(super) limits: EngineOptions,
    pub(super) remembered: DownloadJournal,
    /// If true, an interrupt aborts the download instead of pausing it.
    pub(super) abort_on_interrupt: bool,
}

/// The target of a download.
pub(super) enum FileTarget {
    Path(PathBuf),
    /// Standard output; reports then go to stderr.
    Stdout,
}

impl FileTarget {
    fn shown(&self) -> String {
        match self {
            Self::Path(path) => visible(&path.display().to_string()),
            Self::Stdout => "standard output".to_owned(),
        }
    }

    fn open(self) -> anyhow::Result<DownloadTarget> {
        match self {
            Self::Path(path) => Ok(path.into()),
            Self::Stdout => {
                // Duplicate the descriptor instead of opening the path: a file that the shell
                // opened for appending must not be overwritten from its start.
                let file = io::stdout().as_fd().try_clone_to_owned()?.into();
                Ok(DownloadTarget::Open { file, name: "standard output".to_owned() })
            }
        }
    }
}

/// The journal of a download.
pub(super) enum DownloadJournal {
    /// No journal.
    No,
    /// The journal for this object and this target.
    ByTarget,
    /// The journal with this id, at the store that it records.
    Given { id: String, connection: Box<Connection> },
}

#[derive(Serialize)]
#[serde(tag = "event", rename = "download-aborted")]
struct Aborted<'a> {
    id: &'a str,
}

/// Downloads, and reports the result.
pub(super) async fn fetch(
    args: &StoreArgs,
    fetching: Fetching,
    mode: Mode,
    interrupts: &mut Option<Interrupts>,
) -> anyhow::Result<Exit> {
    let Fetching { address, target, part_size_bytes, limits, remembered, abort_on_interrupt } =
        fetching;
    let object = address.exact_object().map_err(Usage::from)?;
    let (from, to) = (visible(&address.to_string()), target.shown());
    let to_stdout = matches!(target, FileTarget::Stdout);
    let context = || {
        FailureContext::at(format!("cannot copy {from} to {to}"), &address).into_file(to.clone())
    };

    let opened = match &remembered {
        DownloadJournal::Given { connection, .. } => {
            store::open_recorded(connection, args, mode).await?
        }
        DownloadJournal::No | DownloadJournal::ByTarget => {
            store::open(address.scheme, args, mode).await?
        }
    };
    let endpoint = opened.store.endpoint();
    let started = Instant::now();
    let mut view = View::new(mode, super::name_of(&to));
    let report = async {
        let choice = match remembered {
            DownloadJournal::No => None,
            DownloadJournal::ByTarget => Some(JournalChoice::OfSource),
            DownloadJournal::Given { id, .. } => Some(JournalChoice::Given(id)),
        };
        let journal = match choice {
            Some(choice) => Some(JournalOptions {
                folder: journal_folder()?,
                store_name: Some(opened.connection.store_name()),
                connection: serde_json::to_value(&opened.connection)?,
                choice,
            }),
            None => None,
        };
        let can_pause = journal.is_some() && !abort_on_interrupt;
        let left = LeftoverNotice::of_download(if can_pause {
            OnInterrupt::Pause
        } else {
            OnInterrupt::Abort
        });
        let interrupts = match interrupts {
            Some(interrupts) => interrupts,
            None => interrupts.insert(Interrupts::new(Role::Work)?),
        };
        let engine = opened.engine(limits);
        let customer_key_md5 = args.requests.customer_key_md5();
        let options = DownloadOptions { part_size_bytes, journal, customer_key_md5 };
        let download = engine.download(object, target.open()?, options);
        drive(download, mode, &mut view, interrupts, left).await
    };
    let report = report.await;
    let elapsed = started.elapsed();
    opened.close().await;
    if report.as_ref().is_err_and(is_closed_reader) {
        // The reader has closed the pipe (`| head`), which is not a failure.
        return Ok(Exit::Done);
    }
    let report = report.with_context(|| context().through(endpoint))?;

    let journey = Journey { source: &from, target: &to, elapsed };
    let (line, summary) = summary::downloaded(journey, &report);
    mode.event(&summary);
    if to_stdout {
        mode.remark(&line);
    } else {
        mode.result(&line);
    }
    Ok(Exit::Done)
}

/// Returns whether the error means that the reader of our standard output, or of a named pipe, has
/// closed it.
fn is_closed_reader(error: &anyhow::Error) -> bool {
    let Some(haul::Error::TargetUnwritable { source, .. }) = error.downcast_ref() else {
        return false;
    };
    source.kind() == io::ErrorKind::BrokenPipe
}

/// Returns the unfinished download whose id begins with `id`; `None` if there is none, or if an
/// upload matches too.
pub(super) fn find(id: &str) -> anyhow::Result<Option<DownloadSummary>> {
    let folder = journal_folder()?;
    let mut found = folder.list_downloads().map_err(haul::Error::from)?;
    found.retain(|summary| summary.id.starts_with(id));
    let uploads = folder.list().map_err(haul::Error::from)?;
    let ambiguous = uploads.iter().any(|summary| summary.id.starts_with(id));
    Ok(found.pop().filter(|_| found.is_empty() && !ambiguous))
}

/// Resumes the download.
pub(super) async fn resume(
    args: &StoreArgs,
    summary: DownloadSummary,
    limits: EngineOptions,
    mode: Mode,
    interrupts: &mut Option<Interrupts>,
) -> anyhow::Result<Exit> {
    let DownloadSummary { id, beginning, .. } = summary;
    let connection = Connection::read(&id, &beginning.connection)?;
    connection.refuse_another(&id, args)?;
    let fetching = Fetching {
        address: connection.address_of(&beginning.object),
        target: FileTarget::Path(beginning.target),
        part_size_bytes: None,
        limits,
        remembered: DownloadJournal::Given { id, connection: Box::new(connection) },
        abort_on_interrupt: false,
    };
    Box::pin(fetch(args, fetching, mode, interrupts)).await
}

/// Removes the downloaded bytes and the journal. Sends no request: the store keeps no state for a
/// download.
pub(super) fn abort(summary: &DownloadSummary, mode: Mode) -> anyhow::Result<Exit> {
    let target = visible(&summary.beginning.target.display().to_string());
    journal_folder()?
        .abandon_download(&summary.id)
        .map_err(haul::Error::from)
        .with_context(|| FailureContext::of(format!("cannot abort the download to {target}")))?;
    mode.event(&Aborted { id: &summary.id });
    mode.result(&format!("aborted the download to {target}: what had arrived of it is removed"));
    Ok(Exit::Done)
}

/// Returns the download's line of `haul transfers`.
pub(super) fn row(summary: &DownloadSummary) -> Unfinished {
    let beginning = &summary.beginning;
    let connection = Connection::read(&summary.id, &beginning.connection).ok();
    let source = connection.map_or_else(
        || beginning.object.to_string(),
        |connection| connection.address_of(&beginning.object).to_string(),
    );
    let state = match (summary.running_pid, &summary.paused) {
        (Some(pid), _) => format!("running (process {pid})"),
        (None, _) if summary.running => "running".into(),
        (None, Some(reason)) => reason.clone(),
        (None, None) => "killed or power lost".into(),
    };
    Unfinished {
        event: "download",
        id: summary.id.clone(),
        source,
        target: beginning.target.display().to_string(),
        store: beginning.store.clone(),
        upload_id: None,
        size_bytes: Some(beginning.version.size_bytes),
        arrived_bytes: summary.arrived_bytes(),
        begun_at: beginning.begun_at,
        running_pid: summary.running_pid,
        state,
    }
}
