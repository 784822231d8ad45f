//! `haul transfers`: lists the unfinished transfers of this machine, and why they stopped.

use std::error::Error as _;

use haul::journal::{JournalFolder, JournalSummary, TreeSummary, UnreadableJournal};
use haul::source::SourceRecord;
use serde::Serialize;

use super::download;
use crate::connection::{Connection, address, address_of};
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext};
use crate::output::{Mode, visible};
use crate::size::{human_age, human_size};
use crate::state_dir::journal_folder;
use crate::target::{Address, Scheme};

/// One unfinished transfer.
#[derive(Serialize)]
pub(super) struct Unfinished {
    /// `upload`, `download` or `copy`.
    pub(super) event: &'static str,
    pub(super) id: String,
    pub(super) source: String,
    pub(super) target: String,
    pub(super) store: String,
    pub(super) upload_id: Option<String>,
    /// The size; `None` for a stream, whose length is only known at its end.
    pub(super) size_bytes: Option<u64>,
    pub(super) arrived_bytes: u64,
    pub(super) begun_at: i64,
    pub(super) running_pid: Option<u32>,
    pub(super) state: String,
}

/// An unreadable journal; its upload may still exist at a store.
#[derive(Serialize)]
#[serde(tag = "event", rename = "unreadable-journal")]
struct Unreadable {
    id: String,
    file: String,
    reason: String,
}

/// Lists the transfers.
pub(crate) fn run(mode: Mode) -> anyhow::Result<Exit> {
    let folder = journal_folder()?;
    let unfinished = folder.list().map_err(haul::Error::from)?;
    let unreadable = folder.unreadable().map_err(haul::Error::from)?;
    let downloads = folder.list_downloads().map_err(haul::Error::from)?;
    let unfinished: Vec<_> =
        unfinished.iter().map(Unfinished::of).chain(downloads.iter().map(download::row)).collect();
    let trees = folder.list_trees().map_err(haul::Error::from)?;
    if unfinished.is_empty() && unreadable.is_empty() && trees.is_empty() {
        mode.row("no unfinished transfers")?;
    }
    let now = jiff::Timestamp::now().as_second();
    for transfer in unfinished {
        mode.record(&transfer)?;
        mode.row(&transfer.line(now))?;
    }
    for tree in trees {
        let tree = UnfinishedTree::of(&tree);
        mode.record(&tree)?;
        mode.row(&tree.line(now))?;
    }
    for journal in unreadable {
        let unreadable = Unreadable::of(&journal);
        mode.record(&unreadable)?;
        mode.row(&unreadable.line())?;
    }
    Ok(Exit::Done)
}

/// One unfinished tree.
#[derive(Serialize)]
#[serde(tag = "event", rename = "tree")]
struct UnfinishedTree {
    id: String,
    sources: Vec<String>,
    target: String,
    store: String,
    files_done: u64,
    begun_at: i64,
    running: bool,
}

impl UnfinishedTree {
    fn of(tree: &TreeSummary) -> Self {
        let beginning = tree.beginning.clone();
        Self {
            id: tree.id.clone(),
            sources: beginning.sources,
            target: beginning.target,
            store: beginning.store,
            files_done: tree.done,
            begun_at: beginning.begun_at,
            running: tree.running,
        }
    }

    /// Formats a line such as `1a2b3c4d5e6f  812 files done  3 h ago  photos/ -> s3://bucket/`,
    /// followed by a hint.
    fn line(&self, now: i64) -> String {
        let seconds = u64::try_from(now - self.begun_at).unwrap_or_default();
        let age = human_age(std::time::Duration::from_secs(seconds));
        let sources = match self.sources.as_slice() {
            [one] => visible(one.trim_end()),
            many => format!("{} sources", many.len()),
        };
        let state = if self.running { "running" } else { "the same command continues it" };
        let (id, done, target) = (&self.id, self.files_done, visible(&self.target));
        format!("{id}  {done} files done  {age}  {sources} -> {target}  {state}")
    }
}

/// Returns the only unfinished tree whose id begins with `id`; `None` if there is none, or if an
/// upload matches too.
pub(super) fn find_tree(id: &str) -> anyhow::Result<Option<TreeSummary>> {
    let folder = journal_folder()?;
    let mut found = folder.list_trees().map_err(haul::Error::from)?;
    found.retain(|tree| tree.id.starts_with(id));
    let uploads = folder.list().map_err(haul::Error::from)?;
    let ambiguous = uploads.iter().any(|upload| upload.id.starts_with(id));
    Ok(found.pop().filter(|_| found.is_empty() && !ambiguous))
}

/// Removes the journal of a tree. Files that were copied stay where they are.
pub(super) fn forget_tree(tree: &TreeSummary, mode: Mode) -> anyhow::Result<Exit> {
    #[derive(Serialize)]
    #[serde(tag = "event", rename = "tree-forgotten")]
    struct Forgotten<'a> {
        id: &'a str,
        files_done: u64,
    }
    journal_folder()?.forget_tree(&tree.id).map_err(haul::Error::from)?;
    mode.event(&Forgotten { id: &tree.id, files_done: tree.done });
    mode.result(&format!(
        "forgot the tree {}: {} files that were copied stay where they are",
        tree.id, tree.done
    ));
    Ok(Exit::Done)
}

impl Unreadable {
    fn of(journal: &UnreadableJournal) -> Self {
        let causes = std::iter::successors(journal.error.source(), |cause| (*cause).source());
        Self {
            id: journal.id.clone(),
            file: journal.path.display().to_string(),
            reason: causes.last().map_or_else(|| journal.error.to_string(), ToString::to_string),
        }
    }

    /// Formats `1a2b3c4d5e6f  cannot be read: the file is not a journal (/home/me/.local/state/…)`.
    fn line(&self) -> String {
        format!("{}  cannot be read: {} ({})", visible(&self.id), self.reason, visible(&self.file))
    }
}

impl Unfinished {
    fn of(summary: &JournalSummary) -> Self {
        let beginning = &summary.beginning;
        let state = match (summary.running_pid, summary.completing, &summary.paused) {
            (Some(pid), ..) => format!("running (process {pid})"),
            (None, ..) if summary.running => "running".into(),
            (None, _, Some(reason)) => reason.clone(),
            (None, true, None) => "ended while it was being completed".into(),
            (None, false, None) if summary.upload_id.is_none() => {
                "ended before the store's answer to Create was recorded".into()
            }
            (None, false, None) => "killed or power lost".into(),
        };
        Self {
            event: match beginning.source {
                SourceRecord::Object(_) => "copy",
                SourceRecord::File(_) | SourceRecord::Stream(_) => "upload",
            },
            id: summary.id.clone(),
            source: source(summary),
            target: target(summary).to_string(),
            store: beginning.store.clone(),
            upload_id: summary.upload_id.as_ref().map(ToString::to_string),
            size_bytes: beginning.plan.size_bytes(),
            arrived_bytes: summary.parts.values().map(|part| part.size_bytes).sum(),
            begun_at: beginning.begun_at,
            running_pid: summary.running_pid,
            state,
        }
    }

    /// Formats `1a2b3c4d5e6f  61 % of 4.0 GiB  3 h ago  big.iso -> s3://bucket/big.iso
    /// interrupted`.
    fn line(&self, now: i64) -> String {
        let arrived = match self.size_bytes {
            None => format!("{} of a stream", human_size(self.arrived_bytes)),
            Some(0) => "100 % of 0 B".to_owned(),
            Some(size) => {
                let percent = u128::from(self.arrived_bytes) * 100 / u128::from(size);
                format!("{percent:>3} % of {}", human_size(size))
            }
        };
        let age =
            std::time::Duration::from_secs(u64::try_from(now - self.begun_at).unwrap_or_default());
        format!(
            "{}  {arrived}  {}  {} -> {}  {}",
            self.id,
            human_age(age),
            visible(&self.source),
            visible(&self.target),
            visible(&self.state),
        )
    }
}

/// Returns the address of the source as on the command line, as far as the journal records it.
fn source(summary: &JournalSummary) -> String {
    let SourceRecord::Object(source) = &summary.beginning.source else {
        return summary.beginning.source.name();
    };
    let scheme = match Connection::read(&summary.id, &source.connection) {
        Ok(connection) => connection.scheme(),
        // The source is in the store of the target.
        Err(_) => target(summary).scheme,
    };
    address_of(scheme, &source.object).to_string()
}

/// Returns the address of the target as on the command line, as far as the journal records it.
fn target(summary: &JournalSummary) -> Address {
    let scheme =
        Connection::recorded(&summary.id, &summary.beginning).map(|connection| connection.scheme());
    address(scheme.unwrap_or(Scheme::S3), &summary.beginning)
}

/// Returns the only journal whose id begins with `id`.
pub(super) fn find(id: &str) -> anyhow::Result<JournalSummary> {
    let folder = journal_folder()?;
    let mut found = folder.list().map_err(haul::Error::from)?;
    found.retain(|summary| summary.id.starts_with(id));
    let mut unreadable = folder.unreadable().map_err(haul::Error::from)?;
    unreadable.retain(|journal| journal.id.starts_with(id));
    match (found.len(), unreadable.len()) {
        (1, 0) => Ok(found.remove(0)),
        (0, 1) => Err(cannot_be_read(unreadable.remove(0))),
        (0, 0) => {
            Err(no_such(format!("no unfinished transfer of this machine has the id {id}")).into())
        }
        (some, more) => {
            let several = some + more;
            Err(no_such(format!("{several} unfinished transfers have ids that begin with {id}"))
                .into())
        }
    }
}

/// Returns one failure for each unreadable journal, for `--all`.
pub(super) fn unreadable(folder: &JournalFolder) -> anyhow::Result<Vec<anyhow::Error>> {
    let unreadable = folder.unreadable().map_err(haul::Error::from)?;
    Ok(unreadable.into_iter().map(cannot_be_read).collect())
}

fn cannot_be_read(journal: UnreadableJournal) -> anyhow::Error {
    let context =
        FailureContext::of(format!("cannot tell what upload {} is", visible(&journal.id)));
    anyhow::Error::from(haul::Error::from(journal.error)).context(context)
}

fn no_such(message: String) -> Ended {
    Ended {
        exit: Exit::Usage,
        code: "NoSuchUpload",
        message,
        hint: Some("list them with haul transfers".to_owned()),
    }
}
