//! Gives up an upload that a journal records: removes it from the store, then removes the journal.
//!
//! If Complete may have been carried out, the object is checked first: no abort is sent while the
//! outcome is in doubt (P6).

use std::sync::Arc;
use std::time::Duration;

use haul_parts::UploadId;

use super::abort::abort_until_gone;
use super::complete;
use super::lost_create::find_unheard;
use super::remembered::Remembered;
use crate::error::Error;
use crate::journal::JournalFolder;
use crate::remote::{Store, UploadRef};
use crate::transfer::lifecycle::Finding;

/// The result of giving up an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// The upload existed and has been removed from the store.
    Removed,
    /// The store has nothing that belongs to the upload.
    NothingThere,
    /// Complete had been carried out: the object exists, and stays.
    WasComplete,
    /// The journal records no answer to Create, and several empty uploads of the key may be its
    /// result. They cannot be told apart; the journal stays.
    Unclear(Vec<UploadId>),
}

/// How long to retry the removal of the parts.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait for the result of a Create that was in flight when its process ended.
const ON_ITS_WAY: Duration = Duration::from_secs(10);
const BEFORE_ANOTHER_LOOK: Duration = Duration::from_secs(2);

/// Aborts the upload that the journal `id` records, and removes the journal once the store has
/// answered that it no longer knows the upload. `store` must be the one that the journal names.
///
/// # Errors
/// [`Error::Journal`] while another process works on the upload; [`Error::InDoubt`] if the store
/// does not answer whether the upload was completed; [`Error::Store`] if the upload cannot be
/// removed or queried. The journal stays in each case.
pub async fn abandon(
    store: Arc<dyn Store>,
    folder: &JournalFolder,
    id: &str,
) -> Result<Abandoned, Error> {
    let Some(opened) = folder.open_existing(id)? else { return Ok(Abandoned::NothingThere) };
    let Some(mut remembered) = Remembered::fold(opened.records) else {
        // The journal has no beginning, so nothing was sent.
        opened.journal.remove()?;
        return Ok(Abandoned::NothingThere);
    };
    let unheard = remove_unheard(store.as_ref(), folder, &remembered).await?;
    let created = match (unheard, remembered.created.take()) {
        (unclear @ Abandoned::Unclear(_), None) => return Ok(unclear),
        (unheard, None) => {
            opened.journal.remove()?;
            return Ok(unheard);
        }
        (_, Some(created)) => created,
    };
    let expected = remembered.expected();
    let upload = UploadRef { object: remembered.beginning.object, upload_id: created.upload_id };
    if remembered.completing {
        let (finding, head) = complete::examine(store.as_ref(), &upload, &expected).await;
        match finding {
            Finding::UploadOpen => {}
            Finding::Ours | Finding::UploadGone | Finding::NothingThere => {
                opened.journal.remove()?;
                let ours = finding == Finding::Ours;
                return Ok(if ours { Abandoned::WasComplete } else { Abandoned::NothingThere });
            }
            Finding::Unknown(_) => {
                return Err(Error::InDoubt {
                    object: upload.object,
                    upload_id: upload.upload_id,
                    source: Box::new(complete::unsettled(head)),
                });
            }
        }
    }
    abort_until_gone(store.as_ref(), &upload, PATIENCE)
        .await
        .map_err(|error| Error::of_store(&upload.object, error))?;
    opened.journal.remove()?;
    // A Complete that was in flight may have been carried out before the abort.
    let head =
        if remembered.completing { store.head_object(&upload.object).await.ok() } else { None };
    let complete = head.is_some_and(|head| expected.is(&head));
    Ok(if complete { Abandoned::WasComplete } else { Abandoned::Removed })
}

/// Removes the uploads that unanswered Create requests may have left, if they can only be ours.
async fn remove_unheard(
    store: &dyn Store,
    folder: &JournalFolder,
    remembered: &Remembered,
) -> Result<Abandoned, Error> {
    let (began, object) = (remembered.unanswered(), &remembered.beginning.object);
    if began.is_empty() {
        return Ok(Abandoned::NothingThere);
    }
    let failed = |error| Error::of_store(object, error);
    let mut found = find_unheard(store, object, folder, &began).await.map_err(failed)?;
    let last = began.iter().max().copied().unwrap_or_default();
    let age = jiff::Timestamp::now().as_second() - last;
    if found.is_empty() && (0..ON_ITS_WAY.as_secs().cast_signed()).contains(&age) {
        tokio::time::sleep(BEFORE_ANOTHER_LOOK).await;
        found = find_unheard(store, object, folder, &began).await.map_err(failed)?;
    }
    if found.len() > began.len() {
        return Ok(Abandoned::Unclear(found.into_iter().map(|upload| upload.upload_id).collect()));
    }
    let removed = if found.is_empty() { Abandoned::NothingThere } else { Abandoned::Removed };
    for summary in found {
        let upload = UploadRef { object: object.clone(), upload_id: summary.upload_id };
        abort_until_gone(store, &upload, PATIENCE).await.map_err(failed)?;
    }
    Ok(removed)
}
