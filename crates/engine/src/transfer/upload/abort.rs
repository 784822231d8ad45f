//! Removes an upload until the store confirms that it is gone (P3).
//!
//! AWS: "part uploads in progress might or might not succeed [...] it might be necessary to abort a
//! given multipart upload multiple times". So this module repeats Abort and ListParts until
//! ListParts answers `NoSuchUpload`.

use std::time::Duration;

use tokio::time::Instant;

use crate::advice::Advice;
use crate::remote::{Operation, Store, StoreError, StoreErrorKind, UploadRef};

/// The wait between two rounds: short at first, for parts that arrive late; longer for a store that
/// is down.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Aborts `upload` until ListParts answers that it does not exist, for at most `patience`.
///
/// # Errors
/// The last answer that prevented the removal.
pub(crate) async fn abort_until_gone(
    store: &dyn Store,
    upload: &UploadRef,
    patience: Duration,
) -> Result<(), StoreError> {
    let deadline = Instant::now() + patience;
    let mut wait = WAIT_FIRST;
    loop {
        let obstacle = match round(store, upload).await {
            Ok(()) => return Ok(()),
            Err(obstacle) => obstacle,
        };
        if obstacle.advice() == Advice::GiveUp || Instant::now() + wait > deadline {
            return Err(obstacle);
        }
        tokio::time::sleep(obstacle.retry_after.unwrap_or(wait).min(WAIT_MAX)).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// Sends one Abort and one ListParts. Returns `Ok` if nothing is left.
async fn round(store: &dyn Store, upload: &UploadRef) -> Result<(), StoreError> {
    let aborted = store.abort_multipart_upload(upload).await;
    if aborted.as_ref().is_err_and(|error| error.kind == StoreErrorKind::NoSuchBucket) {
        return Ok(());
    }
    match store.list_parts(upload, None).await {
        Err(error)
            if matches!(
                error.kind,
                StoreErrorKind::NoSuchUpload | StoreErrorKind::NoSuchBucket
            ) =>
        {
            Ok(())
        }
        Ok(_) => Err(aborted.err().unwrap_or_else(|| {
            let message = "the upload is still there after Abort";
            StoreError::local(Operation::AbortMultipartUpload, StoreErrorKind::Server, message)
        })),
        // If listing is not permitted, NoSuchUpload for a second Abort is the best available
        // evidence.
        Err(listing) => match aborted {
            Err(error) if error.kind == StoreErrorKind::NoSuchUpload => Ok(()),
            Err(error) => Err(error),
            Ok(()) if listing.advice() == Advice::GiveUp => {
                match store.abort_multipart_upload(upload).await {
                    Err(error) if error.kind == StoreErrorKind::NoSuchUpload => Ok(()),
                    _ => Err(listing),
                }
            }
            Ok(()) => Err(listing),
        },
    }
}
