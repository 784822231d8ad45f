//! `haul abort ID`: really gone at the store, then forgotten here.

use anyhow::Context;
use haul::Abandoned;
use serde::Serialize;

use super::uploads::find;
use crate::args::StoreArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Doing;
use crate::output::{Mode, visible};
use crate::state_dir::journal_folder;
use crate::store;
use crate::trail::Trail;

#[derive(Serialize)]
#[serde(tag = "event", rename = "upload-aborted")]
struct Aborted<'a> {
    id: &'a str,
    was_complete: bool,
}

/// Removes it.
pub(crate) async fn run(args: &StoreArgs, id: &str, mode: Mode) -> anyhow::Result<Exit> {
    let summary = find(id)?;
    let connection = Connection::remembered(&summary.beginning);
    let address = connection.address(&summary.beginning);
    let shown = visible(&address.to_string());
    let opened = store::open(address.scheme, &connection.store_args(args), mode).await?;
    let doing =
        Doing::at(format!("cannot abort the upload of {shown}"), &address).through(opened.store.endpoint());
    let doing = doing.found_by(Trail::Journal(summary.id.clone()));
    let done = haul::abandon(std::sync::Arc::clone(&opened.store), &journal_folder()?, &summary.id).await;
    opened.close().await;
    let done = done.context(doing)?;
    mode.event(&Aborted { id: &summary.id, was_complete: done == Abandoned::WasComplete });
    mode.result(&match done {
        Abandoned::Removed => format!("aborted the upload of {shown}: nothing of it is left at the store"),
        Abandoned::NothingThere => format!("nothing of the upload of {shown} was at the store; forgotten"),
        Abandoned::WasComplete => format!("{shown} had been completed and stays; the upload is forgotten"),
    });
    Ok(Exit::Done)
}
