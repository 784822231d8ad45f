//! Reads and writes an open file at offsets.
//!
//! A read for an asynchronous task takes only what is in the page cache (`RWF_NOWAIT`, which only
//! Linux has). Where a file system does not support that, nothing counts as being in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::io::{Errno, ReadWriteFlags};

use super::{DataFile, DatabaseFile};

/// An open file that is read and written at offsets.
#[derive(Debug)]
pub(super) struct OsFile(pub(super) File);

impl DataFile for OsFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = io::IoSliceMut::new(&mut buffer[filled..]);
            let from = offset + filled as u64;
            match rustix::io::preadv2(&self.0, &mut [rest], from, ReadWriteFlags::NOWAIT) {
                Ok(0) => return Ok(false),
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                // Some bytes are on the disk only, or the file system cannot tell.
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

impl DatabaseFile for OsFile {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_size(&self, size_bytes: u64) -> io::Result<()> {
        self.0.set_len(size_bytes)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if DataFile::read_at(self, buffer, offset)? < buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            match self.0.write_at(&bytes[written..], offset + written as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::fs::Advice;

    use super::*;

    #[test]
    fn a_cached_read_returns_the_right_bytes_or_none() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file.sync_all().unwrap();
        let mut buffer = vec![0; 300_000];
        let mut read = |file: &OsFile, offset: usize| {
            let is_filled = file.read_cached_at(&mut buffer, offset as u64).unwrap();
            assert!(!is_filled || buffer == bytes[offset..offset + buffer.len()], "{offset}");
            is_filled
        };
        // Some file systems keep their pages, so either outcome is right.
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        let file = OsFile(file);
        read(&file, 500_000);
        let mut whole = vec![0; bytes.len()];
        assert_eq!(file.read_at(&mut whole, 0).unwrap(), whole.len());
        // Some file systems cannot tell.
        let supports = read(&file, 500_000);
        for offset in [0, 1, 4095, 700_000] {
            assert_eq!(read(&file, offset), supports, "{offset}");
        }
        assert!(!read(&file, 700_001), "beyond the end");
    }
}
