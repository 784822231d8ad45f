//! Reads the whole content of a short file when the file is opened, for trees of many files.
//!
//! The file is opened, read and checked twice on one blocking thread, so that no later step waits
//! for a disk. Both checks must agree; if the file was written within the last tick of the clock,
//! the read waits, as in [`super::identity`]. The file is not synced first: the bytes that were
//! read are sent, even if a memory mapping writes others later.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::identity::{FileIdentity, examine_settled};
use super::{BytesSource, Change, OpenError, Source};

/// Maximum number of attempts to read a file that changes meanwhile.
const LOOKS_MAX: u32 = 3;

/// The content of a file.
#[derive(Debug)]
pub(crate) struct HeldFile {
    content: BytesSource,
    path: PathBuf,
    identity: FileIdentity,
}

impl HeldFile {
    /// Reads a file of at most `max_bytes`; `None` if it is longer, or keeps changing.
    pub(crate) fn read(path: &Path, max_bytes: u64) -> Result<Option<Self>, OpenError> {
        let unreadable = |source| OpenError::Unreadable { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(unreadable)?;
        for _ in 0..LOOKS_MAX {
            let before = examine_settled(&file).map_err(unreadable)?;
            if !before.is_file() {
                return Err(OpenError::NotAFile { path: path.to_owned() });
            }
            if before.len() > max_bytes {
                return Ok(None);
            }
            let content = read(&mut file, before.len(), max_bytes).map_err(unreadable)?;
            let after = file.metadata().map_err(unreadable)?;
            let identity = FileIdentity::of(&after);
            if content.len() as u64 > max_bytes {
                return Ok(None);
            }
            if FileIdentity::of(&before) == identity {
                let content = BytesSource::new(content);
                return Ok(Some(Self { content, path: path.to_owned(), identity }));
            }
        }
        Ok(None)
    }

    /// Returns the identity of the file when it was read.
    pub(crate) fn file_identity(&self) -> &FileIdentity {
        &self.identity
    }
}

fn read(file: &mut File, announced_bytes: u64, max_bytes: u64) -> io::Result<Bytes> {
    use std::io::Seek;
    file.rewind()?;
    let mut content = Vec::with_capacity(usize::try_from(announced_bytes).unwrap_or(0) + 1);
    file.take(max_bytes + 1).read_to_end(&mut content)?;
    Ok(content.into())
}

impl Source for HeldFile {
    fn size_bytes(&self) -> u64 {
        self.content.size_bytes()
    }

    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.content.read_exact_at(offset_bytes, buffer)
    }

    fn read_cached_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read_cached_at(offset_bytes, buffer)
    }

    fn is_in_memory(&self) -> bool {
        true
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        Ok(())
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_file_is_held_as_it_was_and_a_long_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        assert!(HeldFile::read(&path, 9).unwrap().is_none());
        let held = HeldFile::read(&path, 10).unwrap().unwrap();
        std::fs::write(&path, b"something else").unwrap();
        let mut content = [0; 10];
        held.read_exact_at(0, &mut content).unwrap();
        assert_eq!((&content, held.size_bytes()), (b"0123456789", 10));
        assert!(matches!(
            HeldFile::read(folder.path(), 10),
            Err(OpenError::NotAFile { .. } | OpenError::Unreadable { .. })
        ));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_of_proc_has_the_content_that_is_read_of_it() {
        let held = HeldFile::read(Path::new("/proc/version"), 4096).unwrap().unwrap();
        assert_eq!(held.size_bytes(), std::fs::read("/proc/version").unwrap().len() as u64);
    }
}
