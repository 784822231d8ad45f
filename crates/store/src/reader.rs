//! Bytes on their way out: across the extents of an object, at most one file open at a time.

use std::ops::Range;

use crate::{ObjectInfo, Result};

/// Reads one range of one version of an object; overwriting or deleting the object does not disturb it.
#[derive(Debug)]
pub struct ObjectReader {
    object: ObjectInfo,
    range: Range<u64>,
}

impl ObjectReader {
    /// The object that is read.
    pub fn object(&self) -> &ObjectInfo {
        &self.object
    }

    /// Which of its bytes this reader gives, from first to one past the last.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// How many bytes are still to come.
    pub fn remaining_bytes(&self) -> u64 {
        0
    }

    /// Fills the beginning of `buffer` with the next bytes and says how many; zero at the end (or for an empty buffer).
    ///
    /// # Errors
    /// What the disk says, or that a file is shorter than it must be.
    pub fn read(&mut self, _buffer: &mut [u8]) -> Result<usize> {
        Ok(0)
    }
}
