//! Reads a data file, and returns bytes only after verifying their checksum.

use std::sync::Arc;

use super::{FileAddress, SPAN_BYTES, SUM_BYTES, Sum, held_bytes};
use crate::disk::{DataFile, FileId};
use crate::open_store::OpenStore;
use crate::{Error, Result};

/// The number of checksums to load at a time: those of 64 MiB.
const SUMS_LOADED_MAX: u64 = 1024;

/// An open data file whose reads are verified.
#[derive(Debug)]
pub(crate) struct VerifiedFile {
    core: Arc<OpenStore>,
    address: FileAddress,
    file: Box<dyn DataFile>,
    /// The number of bytes in the file, without checksums.
    size_bytes: u64,
    /// The checksums of some spans, and the number of the first of them.
    sums: Vec<u8>,
    sums_from: u64,
    /// A span that is read in pieces: its number and its bytes.
    held: Option<(u64, Vec<u8>)>,
}

impl VerifiedFile {
    /// Opens a file.
    pub(crate) fn open(core: &Arc<OpenStore>, file: FileId) -> Result<Self> {
        let opened = core.disk.open(file).map_err(Error::io("opening a data file"))?;
        let length = opened.size_bytes().map_err(Error::io("opening a data file"))?;
        let Some(size_bytes) = held_bytes(length) else {
            return Err(core.damage_found(Error::DamagedFile {
                file,
                what: format!("has {length} bytes, which no data file has"),
            }));
        };
        Ok(Self {
            core: Arc::clone(core),
            address: FileAddress { store: core.store_id, file },
            file: opened,
            size_bytes,
            sums: Vec::new(),
            sums_from: 0,
            held: None,
        })
    }

    /// Returns the id of the file.
    pub(crate) fn id(&self) -> FileId {
        self.address.file
    }

    /// Returns the number of bytes in the file, without checksums.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Reads at least one byte from `offset`. `end` is where the caller intends to stop reading:
    /// checksums are loaded up to there. The buffer must not be empty nor reach beyond `end`.
    ///
    /// # Errors
    /// [`Error::DamagedFile`] if the next bytes are not those written, or the disk's error.
    pub(crate) fn read_at(&mut self, buffer: &mut [u8], offset: u64, end: u64) -> Result<usize> {
        debug_assert!(
            !buffer.is_empty() && offset + buffer.len() as u64 <= end,
            "a read within its range"
        );
        if end > self.size_bytes {
            return Err(self.damaged(format!("ends at byte {}", self.size_bytes)));
        }
        let (span, within) = (offset / SPAN_BYTES, offset % SPAN_BYTES);
        if within == 0 {
            let whole = self.whole_spans(offset, buffer.len());
            if whole > 0 {
                return self.read_whole(&mut buffer[..whole], span, end);
            }
        }
        let within = usize::try_from(within).expect("less than a span");
        let bytes = self.hold(span, end)?;
        let count = buffer.len().min(bytes.len() - within);
        buffer[..count].copy_from_slice(&bytes[within..within + count]);
        Ok(count)
    }

    /// Fills the buffer from `offset` if these bytes and their checksums are in memory, and returns
    /// whether it did. Does not wait for the disk. Returns false also if the buffer does not hold
    /// whole spans, and for damaged bytes and errors, which [`read_at`](Self::read_at) reports.
    pub(crate) fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> bool {
        let first = offset / SPAN_BYTES;
        let is_whole = offset.is_multiple_of(SPAN_BYTES)
            && offset + buffer.len() as u64 <= self.size_bytes
            && self.whole_spans(offset, buffer.len()) == buffer.len();
        let last = (offset + buffer.len() as u64).saturating_sub(1) / SPAN_BYTES;
        if !is_whole || self.loaded_sum(first).is_none() || self.loaded_sum(last).is_none() {
            return false;
        }
        if !matches!(self.file.read_cached_at(buffer, offset), Ok(true)) {
            return false;
        }
        let span_bytes = usize::try_from(SPAN_BYTES).expect("a span fits memory");
        let mut spans = (first..).zip(buffer.chunks(span_bytes));
        spans.all(|(span, bytes)| self.loaded_sum(span) == Some(self.address.sum(span, bytes)))
    }

    /// Returns how many of the `length` bytes from the start of a span are in whole spans; the last
    /// span of the file may be short.
    fn whole_spans(&self, offset: u64, length: usize) -> usize {
        if offset + length as u64 == self.size_bytes {
            return length;
        }
        let span = usize::try_from(SPAN_BYTES).expect("a span fits memory");
        length / span * span
    }

    /// Reads whole spans into the buffer, and returns the number of verified bytes.
    fn read_whole(&mut self, buffer: &mut [u8], first: u64, end: u64) -> Result<usize> {
        self.read_exactly(buffer, first * SPAN_BYTES)?;
        let span_bytes = usize::try_from(SPAN_BYTES).expect("a span fits memory");
        let mut good = 0;
        for (span, bytes) in (first..).zip(buffer.chunks(span_bytes)) {
            if !self.is_as_written(span, bytes, end)? {
                // Return the verified bytes; the next read fails.
                return if good > 0 { Ok(good) } else { Err(self.damaged_span(span, bytes.len())) };
            }
            good += bytes.len();
        }
        Ok(good)
    }

    /// Returns the bytes of a span, which is read once even if it is requested in pieces.
    fn hold(&mut self, span: u64, end: u64) -> Result<&[u8]> {
        let mut bytes = match self.held.take() {
            Some(held) if held.0 == span => return Ok(&self.held.insert(held).1),
            Some((_, bytes)) => bytes,
            None => Vec::new(),
        };
        let length = (self.size_bytes - span * SPAN_BYTES).min(SPAN_BYTES);
        bytes.resize(usize::try_from(length).expect("a span fits memory"), 0);
        self.read_exactly(&mut bytes, span * SPAN_BYTES)?;
        if !self.is_as_written(span, &bytes, end)? {
            return Err(self.damaged_span(span, bytes.len()));
        }
        Ok(&self.held.insert((span, bytes)).1)
    }

    fn is_as_written(&mut self, span: u64, bytes: &[u8], end: u64) -> Result<bool> {
        Ok(self.address.sum(span, bytes) == self.recorded_sum(span, end)?)
    }

    /// Returns the checksum that was written for a span, if it is loaded.
    fn loaded_sum(&self, span: u64) -> Option<Sum> {
        let at = usize::try_from(span.checked_sub(self.sums_from)? * SUM_BYTES).ok()?;
        self.sums.get(at..at + 4)?.try_into().ok()
    }

    /// Returns the checksum that was written for a span.
    fn recorded_sum(&mut self, span: u64, end: u64) -> Result<Sum> {
        if self.loaded_sum(span).is_none() {
            let wanted = end.div_ceil(SPAN_BYTES).saturating_sub(span).clamp(1, SUMS_LOADED_MAX);
            let mut sums = vec![0; usize::try_from(wanted * SUM_BYTES).expect("a few kilobytes")];
            self.read_exactly(&mut sums, self.size_bytes + span * SUM_BYTES)?;
            (self.sums, self.sums_from) = (sums, span);
        }
        Ok(self.loaded_sum(span).expect("it was loaded just now"))
    }

    fn read_exactly(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let count = self.file.read_at(buffer, offset).map_err(Error::io("reading a data file"))?;
        if count < buffer.len() {
            return Err(self.damaged(format!("ends at byte {}", offset + count as u64)));
        }
        Ok(())
    }

    fn damaged_span(&self, span: u64, length: usize) -> Error {
        let first = span * SPAN_BYTES;
        let last = first + length as u64 - 1;
        self.damaged(format!("bytes {first} to {last} are not those that were written"))
    }

    fn damaged(&self, what: String) -> Error {
        self.core.damage_found(Error::DamagedFile { file: self.address.file, what })
    }
}
