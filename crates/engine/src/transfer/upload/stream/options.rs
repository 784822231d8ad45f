//! What a caller may choose about an upload of a stream.

use std::path::PathBuf;

use haul_parts::{GrowingPlan, PlanError};

use crate::source::StreamRecord;
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
    /// The program whose output it is, for the journal; without its words.
    pub program: Option<String>,
    /// As for a file. The part size is that of the first parts. With a journal, a stream that stops
    /// is resumed when the same stream is read again from its beginning: its producer must be
    /// deterministic, or parts are sent again. What is said here about changes and unfinished
    /// uploads has no meaning.
    pub upload: UploadOptions,
}

impl StreamOptions {
    /// As a journal keeps it.
    pub(super) fn record(&self) -> StreamRecord {
        StreamRecord {
            stream: self.name.clone(),
            program: self.program.clone(),
            promised_bytes: self.size_bytes,
        }
    }

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
            program: None,
            upload: UploadOptions::default(),
        }
    }
}
