//! Removes an unfinished upload that received nothing for a while.
//!
//! AbortMultipartUpload has no condition, so the parts are listed immediately before it: the
//! remaining gap is the time between the answer to ListParts and the arrival of the abort, one
//! round trip.

use std::time::Duration;

use jiff::Timestamp;

use super::inventory::contents;
use crate::pace::RetryPolicy;
use crate::remote::{Store, StoreError, StoreErrorKind, UploadRef};
use crate::transfer::upload::abort_until_gone;

/// The time for which aborts of one upload are repeated: parts in flight may arrive after an abort.
const PATIENCE: Duration = Duration::from_secs(60);

/// The result of removing an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// ListParts answers `NoSuchUpload`: nothing is left.
    Removed {
        /// The bytes that the upload had.
        size_bytes: u64,
        /// The number of parts that the upload had.
        part_count: u64,
    },
    /// The upload had already ended.
    Gone,
    /// A part arrived after the given time: the upload stays.
    Active {
        /// The time when its newest part arrived.
        newest: Timestamp,
    },
}

/// Aborts `upload` unless a part arrived after `idle_since`, and waits until nothing is left.
///
/// # Errors
/// The error that prevented the removal; the upload, or a part of it, may still exist.
pub async fn remove_if_idle(
    store: &dyn Store,
    upload: &UploadRef,
    idle_since: Timestamp,
    retry: &RetryPolicy,
) -> Result<Removal, StoreError> {
    let held = match contents(store, upload, retry).await {
        Ok(held) => held,
        Err(error) if error.kind == StoreErrorKind::NoSuchUpload => return Ok(Removal::Gone),
        Err(error) => return Err(error),
    };
    if let Some(newest) = held.newest.filter(|newest| *newest > idle_since) {
        return Ok(Removal::Active { newest });
    }
    abort_until_gone(store, upload, PATIENCE).await?;
    Ok(Removal::Removed { size_bytes: held.size_bytes, part_count: held.part_count })
}

/// Aborts `upload` with any content, and waits until nothing is left.
///
/// # Errors
/// As [`remove_if_idle`].
pub async fn remove(
    store: &dyn Store,
    upload: &UploadRef,
    retry: &RetryPolicy,
) -> Result<Removal, StoreError> {
    remove_if_idle(store, upload, Timestamp::MAX, retry).await
}
