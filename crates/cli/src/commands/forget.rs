//! `haul forget ID`: removes the journal of an upload whose store or bucket is gone.
//!
//! Removes nothing at a store; `haul abort` does that. The store is queried first. If it still has
//! the upload, or its answer is unclear, the journal stays, because `haul resume` and `haul abort`
//! need it; only a store that does not answer at all counts as gone. The output names parts that
//! may be left, with the command that would remove them.

use std::time::Duration;

use haul::StoreErrorKind;
use haul::journal::JournalSummary;
use haul::pace::RetryPolicy;
use haul::parts::{PartNumber, UploadId};
use haul::remote::{Store, StoreError, UploadRef};
use serde::Serialize;

use super::download;
use super::summary::counted;
use super::uploads::{find, find_tree, forget_tree};
use crate::args::{ForgetArgs, StoreArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Ended, Failure};
use crate::output::{Mode, visible};
use crate::several::Several;
use crate::size::human_size;
use crate::state_dir::journal_folder;
use crate::store;
use crate::upload_locator::UploadLocator;
use crate::waiting::noted;

/// The retry policy of the query: a store that is briefly unavailable must not count as gone.
const RETRY: RetryPolicy = RetryPolicy {
    attempts_max: 4,
    base: Duration::from_millis(500),
    throttled_base: Duration::from_secs(1),
    cap: Duration::from_secs(5),
    budget: 8,
};

/// The result, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "upload-forgotten")]
struct Forgotten<'a> {
    id: &'a str,
    /// The state of the upload at the store: `gone`, `no-answer`, `left` or `unknown`.
    store: &'static str,
    arrived_bytes: u64,
}

/// The state of an upload at its store.
enum StoreState {
    /// The store has no such upload, or no such bucket.
    Gone(String),
    /// The store does not answer.
    NoAnswer(String),
    /// The store has the upload.
    Left,
    /// The answer of the store is unclear.
    Unknown(String),
}

/// Removes the journals of the transfers.
pub(crate) async fn run(args: &StoreArgs, what: &ForgetArgs, mode: Mode) -> anyhow::Result<Exit> {
    let mut several = Several::of(what.ids.len(), mode);
    for id in &what.ids {
        several.take(forget(args, id, what.force, mode).await);
    }
    several.end()
}

async fn forget(args: &StoreArgs, id: &str, force: bool, mode: Mode) -> anyhow::Result<Exit> {
    // A download leaves nothing at a store, so there is nothing to query.
    if let Some(download) = download::find(id)? {
        return download::abort(&download, mode);
    }
    if let Some(tree) = find_tree(id)? {
        return forget_tree(&tree, mode);
    }
    let summary = find(id)?;
    let id = summary.id.as_str();
    let connection = Connection::recorded(id, &summary.beginning)?;
    connection.refuse_another(id, args)?;
    let shown = visible(&connection.address(&summary.beginning).to_string());
    let state = noted(mode, ask(args, &connection, &summary, mode)).await;
    let refused = |why: String| Ended {
        exit: Exit::Failed,
        code: "StillThere",
        message: format!("the upload of {shown} is not forgotten: {why}"),
        hint: Some(format!("haul abort {id} removes it; haul forget {id} --force forgets it")),
    };
    let (store, why) = match (state, force) {
        (StoreState::Gone(why), _) => ("gone", why),
        (StoreState::NoAnswer(why), _) => ("no-answer", why),
        (StoreState::Left, true) => ("left", "the store still has it".to_owned()),
        (StoreState::Unknown(why), true) => ("unknown", why),
        (StoreState::Left, false) => {
            return Err(refused("the store still has it".to_owned()).into());
        }
        (StoreState::Unknown(why), false) => return Err(refused(why).into()),
    };
    journal_folder()?.forget(id).map_err(haul::Error::from)?;
    let arrived_bytes = summary.parts.values().map(|part| part.size_bytes).sum();
    mode.event(&Forgotten { id, store, arrived_bytes });
    mode.result(&format!("forgot the upload of {shown}: {why}"));
    if store != "gone" {
        let locator = UploadLocator::Store {
            object: summary.beginning.object.clone(),
            endpoint: connection.reach(),
            profile: connection.profile(),
        };
        let (parts, size) = (counted(summary.parts.len(), "part"), human_size(arrived_bytes));
        let left = format!("{parts} with {size} may be left at {}", connection.store_name());
        let hint = match &summary.upload_id {
            Some(upload) => locator.abort(upload),
            None => format!("haul uploads {shown} lists what is there"),
        };
        mode.warn(&left, &hint);
    }
    Ok(Exit::Done)
}

/// Asks the store of the journal for the upload.
async fn ask(
    args: &StoreArgs,
    connection: &Connection,
    summary: &JournalSummary,
    mode: Mode,
) -> StoreState {
    if let Connection::Local { data } = connection
        && !data.exists()
    {
        return StoreState::Gone(format!("the folder {} is gone", data.display()));
    }
    let opened = match store::open_recorded(connection, args, mode).await {
        Ok(opened) => opened,
        // A credential, certificate or folder error: no request reached the store.
        Err(error) => {
            return StoreState::Unknown(Failure::of(&error).words());
        }
    };
    let store = opened.store.as_ref();
    let state = match &summary.upload_id {
        Some(upload_id) => of_upload(store, summary, upload_id).await,
        None => of_unnamed(store, summary).await,
    };
    opened.close().await;
    state
}

async fn of_upload(store: &dyn Store, summary: &JournalSummary, id: &UploadId) -> StoreState {
    let object = summary.beginning.object.clone();
    let upload = UploadRef { object, upload_id: id.clone() };
    let after: Option<PartNumber> = None;
    match RETRY.run(|| store.list_parts(&upload, after)).await {
        Ok(_) => StoreState::Left,
        Err(error) => state_of(&error),
    }
}

/// Determines the state of an upload whose Create has no recorded answer: only a missing bucket
/// proves that nothing is left.
async fn of_unnamed(store: &dyn Store, summary: &JournalSummary) -> StoreState {
    let object = &summary.beginning.object;
    let list = || store.list_multipart_uploads(&object.bucket, object.key.as_str(), None);
    match RETRY.run(list).await {
        Ok(page) if page.exact_key_only || !page.uploads.is_empty() => {
            StoreState::Unknown("the store has unfinished uploads of this key".to_owned())
        }
        Ok(_) => StoreState::Gone("the store has nothing of it".to_owned()),
        Err(error) => state_of(&error),
    }
}

fn state_of(error: &StoreError) -> StoreState {
    use StoreErrorKind as K;
    match error.kind {
        K::NoSuchUpload => StoreState::Gone("the store has nothing of it".to_owned()),
        K::NoSuchBucket => StoreState::Gone("its bucket is gone".to_owned()),
        K::Connection | K::Timeout => {
            StoreState::NoAnswer(format!("its store does not answer ({})", error.message))
        }
        _ => StoreState::Unknown(format!("the store does not say whether it is there ({error})")),
    }
}
