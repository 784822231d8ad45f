//! The options of an upload of a stream.

use std::path::PathBuf;

use haul_parts::{GrowingPlan, PlanError};

use crate::source::StreamRecord;
use crate::transfer::upload::UploadOptions;

/// The default folder for parts that do not fit the memory.
pub const DEFAULT_SPOOL_DIR: &str = "/var/tmp";

/// Options of an upload of a stream. Construct with `..Default::default()`.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// The name of the stream in messages.
    pub name: String,
    /// The exact length in bytes, if known: a stream with fewer or more bytes creates no object.
    pub size_bytes: Option<u64>,
    /// The estimated length in bytes, which determines the part size. A longer stream is uploaded
    /// too, as far as the maximum number of parts allows.
    pub expected_size_bytes: Option<u64>,
    /// The folder of unlinked files for parts that do not fit the memory. A file system that is
    /// itself in memory is refused.
    pub spool_dir: PathBuf,
    /// The program that produces the stream, for the journal; without its arguments.
    pub program: Option<String>,
    /// The options as for the upload of a file. The part size is the size of the first parts. With
    /// a journal, a stopped stream is resumed when the same stream is read again from its
    /// beginning: if its producer is not deterministic, parts are sent again. The options about
    /// changes and unfinished uploads have no effect.
    pub upload: UploadOptions,
}

impl StreamOptions {
    /// Returns the stream's record for the journal.
    pub(super) fn record(&self) -> StreamRecord {
        StreamRecord {
            stream: self.name.clone(),
            program: self.program.clone(),
            promised_bytes: self.size_bytes,
        }
    }

    pub(super) fn plan(&self) -> Result<GrowingPlan, PlanError> {
        let (limits, wish) = (&self.upload.limits(), self.upload.part_size_bytes);
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
