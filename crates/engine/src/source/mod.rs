//! Sources of bytes. A source can be read repeatedly at any offset, and detects whether it has
//! changed since the start (P4).
//!
//! Reads are synchronous and run on blocking threads, because files have no useful asynchronous
//! reads. Only bytes in memory are read inside tasks.

mod bytes;
mod file;
mod held;
mod identity;
mod length;
pub mod path_text;
mod record;

use std::io;

pub use bytes::BytesSource;
pub use file::{FileSource, OpenError};
pub(crate) use file::{read_exact_at, settled};
pub(crate) use held::HeldFile;
pub use identity::FileIdentity;
pub use record::{FileRecord, ObjectRecord, ObjectVersion, SourceRecord, StreamRecord};

/// Bytes of a known length, readable at any offset from several threads at once.
pub trait Source: Send + Sync + 'static {
    /// Returns the length when the source was opened.
    fn size_bytes(&self) -> u64;

    /// Fills `buffer` from `offset_bytes` on. Fewer bytes are an error of kind `UnexpectedEof`: the
    /// source was truncated.
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Fills the beginning of `buffer` with bytes that are available without waiting for a disk or
    /// a network, and returns their number: 0 if unknown. Called inside of tasks, so it must not
    /// block.
    ///
    /// # Errors
    /// As [`Source::read_exact_at`].
    fn read_cached_at(&self, _offset_bytes: u64, _buffer: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    /// Returns whether reading it waits for nothing: all of its bytes are in memory.
    fn is_in_memory(&self) -> bool {
        false
    }

    /// Returns an error if the source changed since it was opened.
    fn check_unchanged(&self) -> Result<(), Change>;

    /// Returns its name for messages: a path.
    fn name(&self) -> String;

    /// Returns the version of the source; `None` for a source that a later run could not find
    /// again, which has no journal.
    fn identity(&self) -> Option<SourceRecord> {
        None
    }
}

/// The difference between a source and its state when opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Change {
    /// The length differs.
    #[error("its size changed from {before_bytes} to {now_bytes} bytes")]
    Size {
        /// The length when it was opened, in bytes.
        before_bytes: u64,
        /// The current length in bytes.
        now_bytes: u64,
    },
    /// The length is the same, but the source was written to.
    #[error("it was modified")]
    Modified,
    /// Length and time of the last write are the same, but device or inode differ.
    #[error("it is another file of the same length")]
    Replaced,
    /// Only the time of the last change of its inode (ctime) differs.
    #[error(
        "its inode changed (renamed, linked, other permissions, or written to and its time \
         restored)"
    )]
    Inode,
    /// An object at a store has another version.
    #[error("it is another version: {0}")]
    Version(String),
    /// Its metadata cannot be read any more.
    #[error("it can no longer be examined: {0}")]
    Gone(#[source] io::Error),
}
