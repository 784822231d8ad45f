//! What a caller may choose about an upload of a stream.

use std::path::PathBuf;

use haul_parts::{GrowingPlan, PlanError};

use crate::transfer::upload::UploadOptions;

/// Where parts are spooled that no longer fit the memory, unless the caller names another folder.
pub const DEFAULT_SPOOL_DIR: &str = "/var/tmp";

/// How to upload a stream. Construct with `..Default::default()`.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// What to call the stream in messages.
    pub name: String,
    /// Its length, if that is known: a stream of fewer or more bytes makes no object.
    pub size_bytes: Option<u64>,
    /// About how long it will be: decides the part size. A stream that is longer is uploaded all
    /// the same, as long as the parts hold it.
    pub expected_size_bytes: Option<u64>,
    /// The folder of unlinked files for parts that no longer fit the memory. A file system in
    /// memory is refused.
    pub spool_dir: PathBuf,
    /// As for a file. The part size is that of the first parts. A stream that stops is removed at
    /// the store, whatever is said here about journals, changes and unfinished uploads.
    pub upload: UploadOptions,
}

impl StreamOptions {
    pub(super) fn plan(&self) -> Result<GrowingPlan, PlanError> {
        let (limits, wish) = (&self.upload.limits, self.upload.part_size_bytes);
        match self.size_bytes {
            Some(size_bytes) => GrowingPlan::exact(size_bytes, limits, wish),
            None => GrowingPlan::new(limits, self.expected_size_bytes, wish),
        }
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            name: "the stream".to_owned(),
            size_bytes: None,
            expected_size_bytes: None,
            spool_dir: DEFAULT_SPOOL_DIR.into(),
            upload: UploadOptions::default(),
        }
    }
}
