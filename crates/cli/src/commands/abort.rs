//! `haul abort ID`: really gone at the store, then forgotten here.

use anyhow::Context;
use haul::Abandoned;
use haul::parts::UploadId;
use serde::Serialize;

use super::download;
use super::uploads::find;
use crate::args::StoreArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext};
use crate::output::{Mode, visible};
use crate::state_dir::journal_folder;
use crate::store;
use crate::upload_locator::UploadLocator;

#[derive(Serialize)]
#[serde(tag = "event", rename = "upload-aborted")]
struct TransferAborted<'a> {
    id: &'a str,
    was_complete: bool,
}

/// Removes it.
pub(crate) async fn run(args: &StoreArgs, id: &str, mode: Mode) -> anyhow::Result<Exit> {
    if let Some(download) = download::find(id)? {
        return download::abort(&download, mode);
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

/// Several empty uploads may be what an unheard Create left: a person has to choose.
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
