//! Where bytes come from. A source can be read at any offset, again and again, and knows whether it
//! is still the one it was at the start (P4).
//!
//! Reads are synchronous and run on blocking threads: files have no asynchronous reads worth
//! having. Only what is in memory already is read where it is needed.

mod bytes;
mod file;
mod identity;
mod length;
pub mod path_text;

use std::io;

pub use bytes::BytesSource;
pub(crate) use file::read_exact_at;
pub use file::{FileSource, OpenError};
pub use identity::{FileIdentity, SourceRecord};

/// Bytes of a known length, readable at any offset from several threads at once.
pub trait Source: Send + Sync + 'static {
    /// The length at the moment the source was opened.
    fn size_bytes(&self) -> u64;

    /// Fills `buffer` from `offset_bytes` on. Fewer bytes than asked for are an error of kind
    /// `UnexpectedEof`: the source was truncated.
    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Fills the beginning of `buffer` with what can be had without waiting for a disk or a
    /// network, and gives how many bytes that were: 0 if nothing is known. Called inside of tasks,
    /// so it must not block.
    ///
    /// # Errors
    /// As [`Source::read_exact_at`].
    fn read_cached_at(&self, _offset_bytes: u64, _buffer: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    /// `Err` says what changed since the source was opened.
    fn check_unchanged(&self) -> Result<(), Change>;

    /// What to call it in messages: a path.
    fn name(&self) -> String;

    /// Which version of which file it is; `None` for a source that a later run could not find
    /// again: it has no journal.
    fn identity(&self) -> Option<SourceRecord> {
        None
    }
}

/// Why a source is no longer the one that was opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Change {
    /// Another length.
    #[error("its size changed from {before_bytes} to {now_bytes} bytes")]
    Size {
        /// When it was opened.
        before_bytes: u64,
        /// Now.
        now_bytes: u64,
    },
    /// The same length, but written to.
    #[error("it was modified")]
    Modified,
    /// The same length and time of the last write, but another device or inode.
    #[error("it is another file of the same length")]
    Replaced,
    /// Only the time of the last change of its inode (ctime) differs.
    #[error(
        "its inode changed (renamed, linked, other permissions, or written to and its time \
         restored)"
    )]
    Inode,
    /// An object at a store that is another version now.
    #[error("it is another version: {0}")]
    Version(String),
    /// Its metadata cannot be read any more.
    #[error("it can no longer be examined: {0}")]
    Gone(#[source] io::Error),
}
