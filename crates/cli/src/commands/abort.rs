//! `haul abort ID…`, `haul abort --all`: removes uploads at their stores, then their journals.

use anyhow::Context;
use haul::Abandoned;
use haul::parts::UploadId;
use serde::Serialize;

use super::uploads::{find, find_tree, forget_tree, unreadable};
use super::{abort_at, download};
use crate::args::{AbortArgs, AbortTarget, StoreArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext, Usage};
use crate::output::{Mode, visible};
use crate::several::Several;
use crate::state_dir::journal_folder;
use crate::store;
use crate::upload_locator::UploadLocator;
use crate::waiting::noted;

#[derive(Serialize)]
#[serde(tag = "event", rename = "upload-aborted")]
struct TransferAborted<'a> {
    id: &'a str,
    was_complete: bool,
}

/// A transfer that is skipped because another process holds it.
#[derive(Serialize)]
#[serde(tag = "event", rename = "upload-skipped")]
struct Skipped<'a> {
    id: &'a str,
    running_pid: Option<u32>,
}

/// Removes the transfers of the arguments, one after the other.
pub(crate) async fn run(args: &StoreArgs, what: &AbortArgs, mode: Mode) -> anyhow::Result<Exit> {
    if what.all {
        return Box::pin(all(args, mode)).await;
    }
    if what.upload_id.is_some() && what.what.len() > 1 {
        return Err(Usage::new(
            "--upload-id is of one address",
            "name one address: haul abort s3://BUCKET/KEY --upload-id ID",
        )
        .into());
    }
    let mut several = Several::of(what.what.len(), mode);
    for target in &what.what {
        several.take(match target {
            AbortTarget::Journal(id) => noted(mode, one(args, id, mode)).await,
            AbortTarget::Store(address) => {
                let upload_id = what.upload_id.as_deref();
                noted(mode, abort_at::run(args, address, upload_id, mode)).await
            }
        });
    }
    several.end()
}

/// Removes every transfer of this machine that no other process holds.
async fn all(args: &StoreArgs, mode: Mode) -> anyhow::Result<Exit> {
    let folder = journal_folder()?;
    let uploads = folder.list().map_err(haul::Error::from)?;
    let downloads = folder.list_downloads().map_err(haul::Error::from)?;
    let unreadable = unreadable(&folder)?;
    let count = uploads.len() + downloads.len() + unreadable.len();
    if count == 0 {
        mode.result("no unfinished transfers");
    }
    // Report like several even if there is only one: the user has not named it.
    let mut several = Several::of(count + 1, mode);
    for error in unreadable {
        several.take(Err(error));
    }
    for upload in uploads {
        if upload.running {
            skip(&upload.id, upload.running_pid, mode);
        } else {
            several.take(noted(mode, one(args, &upload.id, mode)).await);
        }
    }
    for download in downloads {
        if download.running {
            skip(&download.id, download.running_pid, mode);
        } else {
            several.take(download::abort(&download, mode));
        }
    }
    several.end()
}

fn skip(id: &str, running_pid: Option<u32>, mode: Mode) {
    mode.event(&Skipped { id, running_pid });
    let process =
        running_pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    mode.result(&format!("{id}  skipped: {process} is working on it"));
}

/// Removes one transfer.
async fn one(args: &StoreArgs, id: &str, mode: Mode) -> anyhow::Result<Exit> {
    if let Some(download) = download::find(id)? {
        return download::abort(&download, mode);
    }
    if let Some(tree) = find_tree(id)? {
        return forget_tree(&tree, mode);
    }
    let summary = find(id)?;
    let connection = Connection::recorded(&summary.id, &summary.beginning)?;
    connection.refuse_another(&summary.id, args)?;
    let address = connection.address(&summary.beginning);
    let shown = visible(&address.to_string());
    let opened = store::open_recorded(&connection, args, mode).await?;
    let context = FailureContext::at(format!("cannot abort the upload of {shown}"), &address)
        .through(opened.store.endpoint());
    let context = context.found_by(UploadLocator::Journal(summary.id.clone()));
    let done =
        haul::abandon(std::sync::Arc::clone(&opened.store), &journal_folder()?, &summary.id).await;
    let locator = UploadLocator::Store {
        object: summary.beginning.object.clone(),
        endpoint: opened.reach.clone(),
        profile: connection.profile(),
    };
    opened.close().await;
    let done = done.context(context)?;
    if let Abandoned::Unclear(uploads) = &done {
        return Err(unclear(&summary.id, &shown, uploads, &locator).into());
    }
    mode.event(&TransferAborted { id: &summary.id, was_complete: done == Abandoned::WasComplete });
    mode.result(&match done {
        Abandoned::Removed => {
            format!("aborted the upload of {shown}: nothing of it is left at the store")
        }
        Abandoned::NothingThere => {
            format!("asked the store, which has nothing of the upload of {shown}; forgotten")
        }
        Abandoned::WasComplete => {
            format!("{shown} had been completed and stays; the upload is forgotten")
        }
        Abandoned::Unclear(_) => return Ok(Exit::LeftBehind),
    });
    Ok(Exit::Done)
}

/// Returns the failure for several empty uploads that may all come from an unanswered Create: the
/// user has to choose one.
fn unclear(id: &str, shown: &str, uploads: &[UploadId], locator: &UploadLocator) -> Ended {
    let lines: Vec<_> =
        uploads.iter().map(|upload| format!("\n  {}", locator.abort(upload))).collect();
    Ended {
        exit: Exit::LeftBehind,
        code: "LeftBehind",
        message: format!(
            "{} empty uploads of {shown} were begun when {id} was, and nothing tells which one is \
             ours",
            uploads.len()
        ),
        hint: Some(format!(
            "remove those that no other program is sending, then haul abort {id} again:{}",
            lines.concat()
        )),
    }
}
