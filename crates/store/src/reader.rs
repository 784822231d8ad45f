//! Reads the bytes of objects across extents, with at most one file open at a time. Returns each
//! byte only after the checksum of its span was verified (see `spans`).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::disk::FileId;
use crate::meta::Extent;
use crate::reaper::Hold;
use crate::spans::{SPAN_BYTES, VerifiedFile};
use crate::store::Inner;
use crate::{ObjectInfo, Result};

/// A reader of one range of one version of an object; overwriting or deleting the object does not
/// affect it.
#[derive(Debug)]
pub struct ObjectReader {
    object: ObjectInfo,
    range: Range<u64>,
    remaining_bytes: u64,
    extents: VecDeque<Extent>,
    open: Option<VerifiedFile>,
    /// Declared before `inner`, because releasing files needs the store.
    _hold: Hold,
    inner: Arc<Inner>,
}

impl ObjectReader {
    /// Creates a reader. `extents` are exactly the bytes of `range`, and `hold` holds them.
    pub(crate) fn new(
        inner: Arc<Inner>,
        object: ObjectInfo,
        range: Range<u64>,
        extents: VecDeque<Extent>,
        hold: Hold,
    ) -> Self {
        let remaining_bytes = range.end - range.start;
        debug_assert_eq!(
            extents.iter().map(|extent| extent.size_bytes).sum::<u64>(),
            remaining_bytes
        );
        Self { object, range, remaining_bytes, extents, open: None, _hold: hold, inner }
    }

    /// Returns the description of the object.
    pub fn object(&self) -> &ObjectInfo {
        &self.object
    }

    /// Returns the range of this reader, from the first byte to one past the last.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Returns the number of bytes still to read.
    pub fn remaining_bytes(&self) -> u64 {
        self.remaining_bytes
    }

    /// Fills the beginning of `buffer` with the next bytes and returns their number; zero at the
    /// end (or for an empty buffer). May return less than the buffer holds, for example at the end
    /// of a data file, so read until zero. Fastest into a buffer of several times 64 KiB.
    ///
    /// # Errors
    /// [`DamagedFile`](crate::Error::DamagedFile) if the next bytes are not those written, or the
    /// disk's error.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some(extent) = self.extents.front().copied() else { return Ok(0) };
        let wanted =
            usize::try_from(extent.size_bytes).map_or(buffer.len(), |size| size.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let end = extent.offset + extent.size_bytes;
        let count = self.file(extent.file)?.read_at(&mut buffer[..wanted], extent.offset, end)?;
        self.advance(count as u64);
        Ok(count)
    }

    /// Fills the whole buffer with the next bytes if they are in memory, and returns whether it
    /// did. Does not wait for the disk, so an asynchronous task may call it. Returns false before
    /// the first [`read`](Self::read) of a data file, for a buffer that spans several of them or
    /// does not hold whole spans, and for damage and errors: `read` returns or reports these bytes.
    pub fn read_cached(&mut self, buffer: &mut [u8]) -> bool {
        let Some(extent) = self.extents.front() else { return false };
        let count = buffer.len() as u64;
        let file = self.open.as_ref().filter(|open| open.id() == extent.file);
        let Some(file) = file.filter(|_| (1..=extent.size_bytes).contains(&count)) else {
            return false;
        };
        let is_filled = file.read_cached_at(buffer, extent.offset);
        if is_filled {
            self.advance(count);
        }
        is_filled
    }

    /// Returns how many of the next bytes to read at once: at most `most`, and if possible so that
    /// the next read begins where its bytes can be verified without those before them.
    pub fn next_read_bytes(&self, most: usize) -> usize {
        let mut left = most as u64;
        for extent in &self.extents {
            if let Some(after) = left.checked_sub(extent.size_bytes) {
                left = after;
                continue;
            }
            let in_extent = left.saturating_sub((extent.offset + left) % SPAN_BYTES);
            left -= in_extent;
            break;
        }
        match most - usize::try_from(left).unwrap_or(most) {
            0 => most,
            count => count,
        }
    }

    fn advance(&mut self, count: u64) {
        self.remaining_bytes -= count;
        if let Some(extent) = self.extents.front_mut() {
            extent.offset += count;
            extent.size_bytes -= count;
            if extent.size_bytes == 0 {
                self.extents.pop_front();
            }
        }
    }

    fn file(&mut self, file: FileId) -> Result<&mut VerifiedFile> {
        if self.open.as_ref().is_none_or(|open| open.id() != file) {
            self.open = Some(VerifiedFile::open(&self.inner.core, file)?);
        }
        Ok(self.open.as_mut().expect("it was opened just now"))
    }
}

/// Returns the extents that cover `range` of a run of extents that begins at byte 0.
pub(crate) fn cut<'e>(
    extents: impl Iterator<Item = &'e Extent>,
    range: &Range<u64>,
) -> VecDeque<Extent> {
    let mut begin = 0;
    let mut found = VecDeque::new();
    for extent in extents {
        let end = begin + extent.size_bytes;
        let (from, to) = (range.start.max(begin), range.end.min(end));
        if from < to {
            let offset = extent.offset + (from - begin);
            found.push_back(Extent { file: extent.file, offset, size_bytes: to - from });
        }
        if end >= range.end {
            break;
        }
        begin = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Cutting a range out of extents gives the same bytes as cutting it out of their
        /// concatenation.
        #[test]
        fn a_cut_is_exactly_the_range(
            sizes in proptest::collection::vec(1..20_u64, 0..8),
            a in 0..200_u64,
            b in 0..200_u64,
        ) {
            let mut extents = Vec::new();
            let mut whole = Vec::new();
            for (file, &size_bytes) in (0_u64..).zip(&sizes) {
                extents.push(Extent { file: FileId(file), offset: 100 * file, size_bytes });
                whole.extend((0..size_bytes).map(|at| (FileId(file), 100 * file + at)));
            }
            let end = whole.len() as u64;
            let range = a.min(b).min(end)..a.max(b).min(end);
            let bytes_of = |extent: &Extent| {
                let (file, offset) = (extent.file, extent.offset);
                (0..extent.size_bytes).map(move |at| (file, offset + at))
            };
            let cut: Vec<(FileId, u64)> =
                cut(extents.iter(), &range).iter().flat_map(bytes_of).collect();
            let wanted = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            prop_assert_eq!(cut, &whole[wanted]);
        }
    }
}
