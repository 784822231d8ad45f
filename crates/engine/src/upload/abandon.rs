//! Gives up an upload that a journal remembers: really gone at the store, then forgotten here.
//!
//! An upload whose Complete may have been carried out is looked at first: an abort is never sent while the
//! outcome is in doubt (P6).

use std::sync::Arc;
use std::time::Duration;

use super::abort::abort_until_gone;
use super::complete;
use super::remembered::Remembered;
use super::schedule::Finding;
use crate::error::Error;
use crate::journal::JournalFolder;
use crate::store::{Store, UploadRef};

/// What giving up came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// Nothing is left at the store.
    Removed,
    /// Nothing had been sent, or the store had lost it before.
    NothingThere,
    /// Complete had been carried out: the object is there, and stays.
    WasComplete,
}

/// How long to try to remove the parts.
const PATIENCE: Duration = Duration::from_secs(60);

/// Aborts the upload that the journal `id` remembers and removes the journal.
///
/// # Errors
/// [`Error::Journal`] while another process works on it; [`Error::InDoubt`] when the store will not say
/// whether it was completed; [`Error::Store`] when it cannot be removed. The journal stays then.
pub async fn abandon(store: Arc<dyn Store>, folder: &JournalFolder, id: &str) -> Result<Abandoned, Error> {
    let Some(opened) = folder.open_existing(id)? else { return Ok(Abandoned::NothingThere) };
    let remembered = Remembered::fold(opened.records);
    let Some((remembered, created)) =
        remembered.and_then(|mut remembered| remembered.created.take().map(|created| (remembered, created)))
    else {
        opened.journal.remove()?;
        return Ok(Abandoned::NothingThere);
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
        .map_err(|error| Error::of_store(upload.object.to_string(), error))?;
    opened.journal.remove()?;
    // A Complete that was on its way may have been quicker than the abort.
    let head = if remembered.completing { store.head_object(&upload.object).await.ok() } else { None };
    let complete = head.is_some_and(|head| expected.is(&head));
    Ok(if complete { Abandoned::WasComplete } else { Abandoned::Removed })
}
