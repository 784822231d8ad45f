//! Reads a range of a source slice by slice.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;

use super::buffer::PooledSlice;
use super::pool::{BufferPool, SLICE_BYTES};
use crate::source::Source;

/// A range of a source.
#[derive(Clone)]
pub struct Range {
    /// The source to read.
    pub source: Arc<dyn Source>,
    /// The offset of the first byte.
    pub offset_bytes: u64,
    /// The number of bytes.
    pub size_bytes: u64,
}

impl Range {
    /// Reads the slice at `done_bytes` from the start of the range. Blocks.
    ///
    /// # Errors
    /// As [`Source::read_exact_at`](crate::source::Source::read_exact_at).
    pub(super) fn read_slice(&self, pool: &BufferPool, done_bytes: u64) -> io::Result<PooledSlice> {
        let mut slice = pool.buffer().filled(self.slice_bytes(done_bytes, SLICE_BYTES));
        self.source.read_exact_at(self.offset_bytes + done_bytes, slice.space())?;
        Ok(slice)
    }

    fn slice_bytes(&self, done_bytes: u64, most: usize) -> usize {
        usize::try_from(self.size_bytes - done_bytes).unwrap_or(usize::MAX).min(most)
    }
}

/// Reads a range slice by slice inside a task.
///
/// Bytes in memory (the page cache) are read in the task: the core that hashes and sends them then
/// has them in its cache, and no thread is woken for each slice. Bytes from a disk or a network are
/// read on a blocking thread, from then on one slice ahead.
pub(super) struct SliceReader {
    range: Range,
    pool: BufferPool,
    /// The number of bytes returned so far.
    done_bytes: u64,
    reading: Option<JoinHandle<io::Result<PooledSlice>>>,
}

impl SliceReader {
    pub(super) fn new(range: Range, pool: BufferPool) -> Self {
        Self { range, pool, done_bytes: 0, reading: None }
    }

    /// Returns the next slice; `None` after the last one. The last one is returned only if the
    /// source has not changed since it was opened (P4): then all slices are of one version.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<PooledSlice>>> {
        if self.done_bytes == self.range.size_bytes {
            return Poll::Ready(Ok(None));
        }
        let slice = match &mut self.reading {
            Some(reading) => {
                let read = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                let slice = read.map_err(io::Error::other)??;
                self.done_bytes += slice.len() as u64;
                if self.done_bytes < self.range.size_bytes {
                    let next = self.next_slice();
                    self.read_behind(next, 0);
                }
                slice
            }
            None => {
                let mut slice = self.next_slice();
                let at = self.range.offset_bytes + self.done_bytes;
                let read_bytes = self.range.source.read_cached_at(at, slice.space())?;
                if read_bytes < slice.len() {
                    self.read_behind(slice, read_bytes);
                    return self.poll_next(context);
                }
                self.done_bytes += slice.len() as u64;
                if self.done_bytes == self.range.size_bytes {
                    check_unchanged(&self.range)?;
                }
                slice
            }
        };
        Poll::Ready(Ok(Some(slice)))
    }

    /// Returns a buffer for the next slice.
    fn next_slice(&self) -> PooledSlice {
        let buffer = self.pool.reader_buffer();
        let bytes = self.range.slice_bytes(self.done_bytes, buffer.slice_bytes());
        buffer.filled(bytes)
    }

    /// Reads the rest of a slice on a blocking thread.
    fn read_behind(&mut self, mut slice: PooledSlice, read_bytes: usize) {
        let (range, done_bytes) = (self.range.clone(), self.done_bytes);
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let at = range.offset_bytes + done_bytes + read_bytes as u64;
            range.source.read_exact_at(at, &mut slice.space()[read_bytes..])?;
            if done_bytes + slice.len() as u64 == range.size_bytes {
                check_unchanged(&range)?;
            }
            Ok(slice)
        }));
    }
}

fn check_unchanged(range: &Range) -> io::Result<()> {
    range.source.check_unchanged().map_err(io::Error::other)
}
