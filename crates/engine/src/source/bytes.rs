//! A source in memory: for applications that embed the library, and for tests.

use std::io;

use bytes::Bytes;

use super::{Change, Source};

/// Bytes that are already in memory. They cannot change.
#[derive(Clone, Debug)]
pub struct BytesSource(Bytes);

impl BytesSource {
    /// Creates a source from bytes without copying them.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }
}

impl Source for BytesSource {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset_bytes).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = self.0.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn read_cached_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_exact_at(offset_bytes, buffer).map(|()| buffer.len())
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        Ok(())
    }

    fn name(&self) -> String {
        format!("{} bytes in memory", self.0.len())
    }
}
