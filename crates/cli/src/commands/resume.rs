//! `haul resume ID` and `haul resume --all`: goes on with what was interrupted on this machine.

use std::path::PathBuf;

use haul::UploadOptions;
use haul::journal::JournalSummary;

use super::upload::{Sending, send};
use super::uploads::find;
use crate::args::{ResumeArgs, StoreArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Failure, Usage};
use crate::output::{Mode, complain, paint};
use crate::state_dir::journal_folder;

/// Goes on with one, or with all that nobody is working on.
pub(crate) async fn run(args: &StoreArgs, wanted: ResumeArgs, mode: Mode) -> anyhow::Result<Exit> {
    match wanted.id {
        Some(id) => resume(args, find(&id)?, &wanted.on_change.into(), mode).await,
        None if wanted.all => all(args, &wanted.on_change.into(), mode).await,
        None => {
            Err(Usage::new("which upload?", "name its id (haul uploads lists them), or say --all").into())
        }
    }
}

async fn all(args: &StoreArgs, on_change: &haul::OnChange, mode: Mode) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    let unfinished = journal_folder()?.list().map_err(haul::Error::from)?;
    if unfinished.is_empty() {
        mode.result("no unfinished uploads")?;
    }
    for summary in unfinished.into_iter().filter(|summary| summary.running_pid.is_none()) {
        if let Err(error) = resume(args, summary, on_change, mode).await {
            let failure = Failure::of(&error);
            mode.event(&failure)?;
            complain(&failure.lines(paint));
            // Interrupted by a person: the others are not begun.
            if failure.exit == Exit::Interrupted {
                return Ok(failure.exit);
            }
            exit = failure.exit;
        }
    }
    Ok(exit)
}

async fn resume(
    args: &StoreArgs,
    summary: JournalSummary,
    on_change: &haul::OnChange,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let connection = Connection::remembered(&summary.beginning);
    // Part size, checksum and attributes come from the journal.
    let options = UploadOptions { on_change: *on_change, ..UploadOptions::default() };
    let sending = Sending {
        path: PathBuf::from(&summary.beginning.source.path),
        address: connection.address(&summary.beginning),
        options: UploadOptions { multipart_threshold_bytes: 1, ..options },
        remember: true,
        abort_on_interrupt: false,
    };
    Box::pin(send(&connection.store_args(args), sending, mode)).await
}
