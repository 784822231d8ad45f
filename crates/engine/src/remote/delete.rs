//! DeleteObjects: up to 1,000 keys of one bucket in a request, with an answer for each.

use haul_parts::Key;

use super::error::StoreError;

/// Most keys of one DeleteObjects (S3 API).
pub const DELETE_KEYS_MAX: usize = 1000;

/// An object that DeleteObjects names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteEntry {
    /// Its key.
    pub key: Key,
    /// Removes this version for good. `None`: the current one, of which a bucket with versions
    /// keeps a copy behind a delete marker.
    pub version_id: Option<String>,
}

impl DeleteEntry {
    /// The current version of a key.
    pub fn current(key: Key) -> Self {
        Self { key, version_id: None }
    }
}

/// One object that DeleteObjects removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletedObject {
    /// The store made a delete marker: the object's versions are all still there.
    pub delete_marker: bool,
}

/// The answer to DeleteObjects: one result for each entry, in the order of the request.
pub type DeleteResults = Vec<Result<DeletedObject, StoreError>>;
