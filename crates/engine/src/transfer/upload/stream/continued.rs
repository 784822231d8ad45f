//! Finds the upload that an earlier run of a stream began, and the parts that the store has of it.

use haul_parts::ChecksumType;

use super::stored_parts::StoredParts;
use crate::error::Error;
use crate::event::Event;
use crate::remote::{StoreErrorKind, UploadRef};
use crate::transfer::lifecycle::Finding;
use crate::transfer::upload::complete;
use crate::transfer::upload::context::Context;
use crate::transfer::upload::remembered::Remembered;
use crate::transfer::upload::resume::list_all;

/// The upload that an earlier run began.
pub(crate) struct EarlierStream {
    pub(crate) upload: UploadRef,
    pub(crate) declared: Option<ChecksumType>,
    pub(crate) token: String,
}

/// Queries the parts at the store; `None`: there is nothing to continue.
pub(super) async fn find(
    context: &Context,
    remembered: Option<Remembered>,
) -> Result<Option<(EarlierStream, StoredParts)>, Error> {
    let Some(remembered) = remembered else { return Ok(None) };
    let Some(created) = &remembered.created else { return Ok(None) };
    let upload = UploadRef { object: context.object.clone(), upload_id: created.upload_id.clone() };
    match list_all(context, &upload).await {
        Ok(listed) => {
            let declared = remembered.declared();
            let token = remembered.beginning.token.clone();
            let stored = StoredParts::new(listed.parts, remembered.parts);
            context.events.send(Event::StreamResumed {
                upload_id: upload.upload_id.clone(),
                stored_bytes: stored.size_bytes(),
                stored_parts: stored.count(),
            });
            Ok(Some((EarlierStream { upload, declared, token }, stored)))
        }
        Err(error) if error.kind == StoreErrorKind::NoSuchUpload => {
            gone(context, &remembered, upload).await?;
            Ok(None)
        }
        Err(error) => Err(Error::of_store(&context.object, error)),
    }
}

/// Handles an upload that the store no longer knows: it was completed, was aborted, or has expired.
/// The stream is sent from its beginning, because it has not been compared with any object.
async fn gone(context: &Context, remembered: &Remembered, upload: UploadRef) -> Result<(), Error> {
    let mut reason = "the store no longer has the upload: it was aborted or expired";
    if remembered.completing {
        let expected = remembered.expected();
        match complete::examine(context.store().as_ref(), &upload, &expected).await {
            (Finding::Unknown(_), head) => {
                return Err(Error::InDoubt {
                    object: upload.object,
                    upload_id: upload.upload_id,
                    source: Box::new(complete::unsettled(head)),
                });
            }
            (Finding::Ours, _) => reason = "an earlier run had completed it; it is written again",
            _ => {}
        }
    }
    context.events.send(Event::Restarting { reason: reason.to_owned() });
    Ok(())
}
