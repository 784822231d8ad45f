//! `haul sweep s3://bucket[/prefix] --older-than 7d`: removes unfinished uploads that have received
//! nothing for the given time.
//!
//! Lists what it would remove, asks for confirmation, and removes. Uploads that a journal of this
//! machine owns are left alone; `--include-mine` also removes those whose journal can never be
//! resumed (see `owned.rs`), together with the journal. An upload without a journal is checked
//! again immediately before its abort, and spared if a part has arrived meanwhile.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use anyhow::Context;
use futures_util::StreamExt as _;
use haul::Store;
use haul::pace::RetryPolicy;
use haul::remote::StoreError;
use haul::sweep::{Removal, UnfinishedUpload, remove_if_idle};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::owned::{Owned, is_abandoned};
use super::store_uploads::{Sum, idle, not_listed, row, taken};
use super::summary::counted;
use crate::args::{StoreArgs, SweepArgs};
use crate::exit::Exit;
use crate::failure::{Ended, Usage};
use crate::output::{Mode, Shown, paint, visible};
use crate::prices::Prices;
use crate::size::human_size;
use crate::state_dir::journal_folder;
use crate::store;
use crate::waiting::noted;

/// The number of uploads removed at a time.
const CONCURRENCY: usize = 8;

/// The result for one upload, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "upload-swept")]
struct Swept<'a> {
    key: &'a str,
    upload_id: &'a str,
    /// The outcome: `removed`, `gone`, `active` or `failed`.
    outcome: &'static str,
    size_bytes: u64,
    error: Option<String>,
}

/// The summary, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "sweep-summary")]
struct SweepSummary {
    dry_run: bool,
    candidates: u64,
    removed: u64,
    freed_bytes: u64,
    /// Uploads that received a part meanwhile, or no longer existed.
    spared: u64,
    failed: u64,
    /// Uploads that were left alone because a journal of this machine owns them.
    owned: u64,
}

/// Runs the sweep.
pub(crate) async fn run(args: &StoreArgs, what: &SweepArgs, mode: Mode) -> anyhow::Result<Exit> {
    let may_ask = io::stdin().is_terminal() && io::stderr().is_terminal() && mode == Mode::Terminal;
    if !what.dry_run && !what.yes && (!may_ask || what.older_than.is_zero()) {
        let why = if what.older_than.is_zero() {
            "with --older-than 0s"
        } else {
            "where no terminal can be asked"
        };
        return Err(Usage::new(
            format!("haul sweep {why} needs --yes"),
            "look first with --dry-run, then run it again with --yes",
        )
        .into());
    }
    let prices = Prices::read(what.prices.as_deref())?;
    let opened = store::open(what.address.scheme, args, mode).await?;
    let swept = sweep(&opened.store, what, &prices, mode).await;
    opened.close().await;
    swept
}

async fn sweep(
    store: &Arc<dyn Store>,
    what: &SweepArgs,
    prices: &Prices,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let (found, now) = noted(mode, taken(store.as_ref(), &what.address)).await?;
    let owned = Owned::read()?;
    let age = SignedDuration::try_from(what.older_than).unwrap_or(SignedDuration::MAX);
    let idle_since = now.checked_sub(age).unwrap_or(Timestamp::MIN);

    let (mut candidates, mut spared_mine) = (Vec::new(), 0u64);
    for upload in found.uploads {
        if idle(&upload, now).is_none_or(|idle| idle < what.older_than) {
            continue;
        }
        match owned.of(&upload.upload, upload.initiated) {
            Some(journal) if what.include_mine && is_abandoned(journal) => {
                candidates.push((upload, Some(journal.id.clone())));
            }
            Some(_) => spared_mine += 1,
            None => candidates.push((upload, None)),
        }
    }
    let endpoint = store.endpoint();
    let mut sum = Sum::default();
    for (upload, journal) in &candidates {
        let price = prices.of(&endpoint, upload.storage_class.as_deref());
        sum.add(upload, price.as_ref());
        mode.result(&row(upload, price.as_ref(), journal.as_deref(), now, what.address.scheme));
    }
    for unlisted in &found.unlisted {
        let problem = format!("left alone: {}", not_listed(unlisted));
        Shown::default().labelled(&paint("warning"), &problem).complain();
    }
    if spared_mine > 0 {
        mode.remark(&format!(
            "{} of this machine left alone (haul transfers lists them)",
            counted(spared_mine, "upload")
        ));
    }
    let mut summary = SweepSummary {
        dry_run: what.dry_run,
        candidates: candidates.len() as u64,
        removed: 0,
        freed_bytes: 0,
        spared: 0,
        failed: 0,
        owned: spared_mine,
    };
    if candidates.is_empty() || what.dry_run {
        mode.event(&summary);
        mode.result(&format!(
            "{}: {}",
            if what.dry_run { "would remove" } else { "nothing to remove" },
            sum.words()
        ));
        return Ok(Exit::Done);
    }
    if !what.yes && !confirmed(&sum)? {
        return Err(Ended {
            exit: Exit::Interrupted,
            code: "Declined",
            message: "nothing was removed".to_owned(),
            hint: None,
        }
        .into());
    }
    let results = futures_util::stream::iter(candidates)
        .map(|(upload, journal)| async move {
            let removal = removed(store, &upload, journal.as_deref(), idle_since).await;
            (upload, removal)
        })
        .buffer_unordered(CONCURRENCY);
    let mut results = std::pin::pin!(results);
    while let Some((upload, removal)) = noted(mode, results.next()).await {
        summary.take(&upload, removal, mode);
    }
    finish(&summary, mode)
}

/// Removes one upload. With a journal, removes both through the journal; without, only if still
/// idle.
async fn removed(
    store: &Arc<dyn Store>,
    upload: &UnfinishedUpload,
    journal: Option<&str>,
    idle_since: Timestamp,
) -> anyhow::Result<Removal> {
    if let Some(id) = journal {
        haul::abandon(Arc::clone(store), &journal_folder()?, id).await?;
        return Ok(Removal::Removed {
            size_bytes: upload.size_bytes,
            part_count: upload.part_count,
        });
    }
    let removal: Result<Removal, StoreError> =
        remove_if_idle(store.as_ref(), &upload.upload, idle_since, &RetryPolicy::default()).await;
    removal.context("cannot remove it")
}

impl SweepSummary {
    fn take(&mut self, upload: &UnfinishedUpload, removal: anyhow::Result<Removal>, mode: Mode) {
        let key = upload.upload.object.key.as_str();
        let shown =
            format!("{} (upload {})", visible(key), visible(upload.upload.upload_id.as_str()));
        let (outcome, size_bytes, error) = match removal {
            Ok(Removal::Removed { size_bytes, .. }) => {
                self.removed += 1;
                self.freed_bytes += size_bytes;
                ("removed", size_bytes, None)
            }
            Ok(Removal::Gone) => {
                self.spared += 1;
                ("gone", 0, None)
            }
            Ok(Removal::Active { .. }) => {
                self.spared += 1;
                mode.remark(&format!("left alone: a part of {shown} arrived meanwhile"));
                ("active", upload.size_bytes, None)
            }
            Err(error) => {
                self.failed += 1;
                let error = format!("{error:#}");
                let problem = format!("{shown} is still there: {error}");
                Shown::default().labelled(&paint("error"), &problem).complain();
                ("failed", upload.size_bytes, Some(error))
            }
        };
        let upload_id = upload.upload.upload_id.as_str();
        mode.event(&Swept { key, upload_id, outcome, size_bytes, error });
    }
}

fn finish(summary: &SweepSummary, mode: Mode) -> anyhow::Result<Exit> {
    mode.event(summary);
    let freed = human_size(summary.freed_bytes);
    mode.result(&format!("removed {}, {freed} freed", counted(summary.removed, "upload")));
    if summary.failed == 0 {
        return Ok(Exit::Done);
    }
    Err(Ended {
        exit: Exit::LeftBehind,
        code: "LeftBehind",
        message: format!(
            "{} could not be removed and may be billed",
            counted(summary.failed, "upload")
        ),
        hint: Some("run the same command again".to_owned()),
    }
    .into())
}

/// Asks for confirmation on the terminal.
fn confirmed(sum: &Sum) -> io::Result<bool> {
    let mut out = io::stderr().lock();
    write!(out, "remove {}? [y/N] ", sum.words())?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
