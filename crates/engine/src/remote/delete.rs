//! DeleteObjects: up to 1,000 keys of one bucket in a request, with an answer for each.

use haul_parts::Key;

use super::error::StoreError;

/// The maximum number of keys in one DeleteObjects (S3 API).
pub const DELETE_KEYS_MAX: usize = 1000;

/// An object that DeleteObjects names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteEntry {
    /// The key of the object.
    pub key: Key,
    /// The version to remove permanently. `None`: the current version; a bucket with versioning
    /// keeps it behind a delete marker.
    pub version_id: Option<String>,
}

impl DeleteEntry {
    /// Creates the entry for the current version of a key.
    pub fn current(key: Key) -> Self {
        Self { key, version_id: None }
    }
}

/// One object that DeleteObjects removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletedObject {
    /// The store created a delete marker: all versions of the object still exist.
    pub delete_marker: bool,
}

/// The answer to DeleteObjects: one result for each entry, in the order of the request.
pub type DeleteResults = Vec<Result<DeletedObject, StoreError>>;
