//! A file as a source: read at offsets without a shared cursor, with change detection.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::identity::{FileIdentity, settle};
use super::length::{self, Unexamined};
use super::{BytesSource, Change, FileRecord, Source, SourceRecord};

/// An open regular file.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    path: PathBuf,
    /// The path for journals.
    settled: PathBuf,
    identity: FileIdentity,
    /// The content of a file whose reported length is wrong.
    held: Option<BytesSource>,
}

/// The reason why a file cannot be a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The path is a folder, a pipe or a device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path as given.
        path: PathBuf,
    },
    /// The readable length differs from the reported one, and is too long for memory.
    #[error(
        "{} announces {announced_bytes} bytes, and reading it gives another length",
        path.display()
    )]
    WrongLength {
        /// The path as given.
        path: PathBuf,
        /// The length that the system reports, in bytes.
        announced_bytes: u64,
    },
}

impl FileSource {
    /// Opens a regular file for reading; refuses folders, devices and pipes with a hint. Writes its
    /// dirty pages to disk first, which may take a while: see [`FileIdentity`]. Reads a file with a
    /// wrong reported length (/proc, /sys) into memory, if it is not too long.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let unreadable = |source| OpenError::Unreadable { path: path.to_owned(), source };
        // Check before opening: opening a pipe without a writer would block.
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(OpenError::NotAFile { path: path.to_owned() });
        }
        let file = File::open(path).map_err(unreadable)?;
        let settled_as = settle(&file).map_err(unreadable)?;
        let examined = length::examine(&file, settled_as).map_err(|why| match why {
            Unexamined::Unreadable(source) => unreadable(source),
            Unexamined::TooLong { announced_bytes } => {
                OpenError::WrongLength { path: path.to_owned(), announced_bytes }
            }
        })?;
        Ok(Self {
            identity: FileIdentity::of(&examined.metadata),
            held: examined.held.map(BytesSource::new),
            file,
            path: path.to_owned(),
            settled: settled(path),
        })
    }

    /// Opens the file that a journal records, like [`FileSource::open`], but keeps the recorded
    /// path, so that the same journal is found even if a folder on the path has become a link
    /// since.
    pub fn remembered(source: &FileRecord) -> Result<Self, OpenError> {
        Ok(Self { settled: source.path.clone(), ..Self::open(&source.path)? })
    }

    /// Returns the identity of the file when it was opened.
    pub fn identity(&self) -> &FileIdentity {
        &self.identity
    }

    /// Returns the path by which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Source for FileSource {
    fn size_bytes(&self) -> u64 {
        self.held.as_ref().map_or(self.identity.size_bytes, Source::size_bytes)
    }

    fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.held {
            Some(held) => held.read_exact_at(offset_bytes, buffer),
            None => read_exact_at(&self.file, offset_bytes, buffer),
        }
    }

    fn read_cached_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.held {
            Some(held) => held.read_cached_at(offset_bytes, buffer),
            None => read_cached_at(&self.file, offset_bytes, buffer),
        }
    }

    fn check_unchanged(&self) -> Result<(), Change> {
        if self.held.is_some() {
            return Ok(());
        }
        // Checks the open file, not the path: if a rename has replaced the file, we still read the
        // old one.
        let now = FileIdentity::of(&self.file.metadata().map_err(Change::Gone)?);
        self.identity.change_to(&now).map_or(Ok(()), Err)
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn identity(&self) -> Option<SourceRecord> {
        if self.held.is_some() {
            // The next read may return other bytes undetected.
            return None;
        }
        let (path, identity) = (self.settled.clone(), self.identity.clone());
        Some(SourceRecord::File(FileRecord { path, identity }))
    }
}

/// Returns a path that is the same for every spelling: `f`, `./f`, `w/../f`, through a linked
/// folder. The last component stays as written, because the target of a link may change between two
/// runs of one command.
pub(crate) fn settled(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (absolute.parent().map(Path::canonicalize), absolute.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => absolute,
    }
}

/// Reads as many bytes as one call returns; none beyond the end.
pub(super) fn read_at(file: &File, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset_bytes)
}

/// Fills the buffer; fewer bytes are an error of kind `UnexpectedEof`.
pub(crate) fn read_exact_at(file: &File, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset_bytes)
}

/// Reads from the page cache alone: `preadv2` with `RWF_NOWAIT`, which not every file system
/// supports.
#[cfg(target_os = "linux")]
fn read_cached_at(file: &File, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    let buffers = &mut [io::IoSliceMut::new(buffer)];
    match preadv2(file, buffers, offset_bytes, ReadWriteFlags::NOWAIT) {
        Ok(read_bytes) => Ok(read_bytes),
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR | Errno::INVAL) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn read_cached_at(_: &File, _: u64, _: &mut [u8]) -> io::Result<usize> {
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_shrinks_or_is_written_to_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        let source = FileSource::open(&path).unwrap();
        source.check_unchanged().unwrap();

        std::fs::write(&path, b"0123").unwrap();
        assert!(matches!(
            source.check_unchanged(),
            Err(Change::Size { before_bytes: 10, now_bytes: 4 })
        ));
        let short = source.read_exact_at(0, &mut [0; 10]).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);

        std::fs::write(&path, b"9876543210").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert!(matches!(source.check_unchanged(), Err(Change::Modified)));
    }

    #[test]
    fn a_file_has_one_path_however_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("w")).unwrap();
        std::fs::write(root.join("w/f"), b"x").unwrap();
        std::os::unix::fs::symlink("w", root.join("folder-link")).unwrap();
        std::os::unix::fs::symlink("w/f", root.join("link")).unwrap();
        let record = |source: &FileSource| {
            Source::identity(source).unwrap().file().cloned().expect("it is a file")
        };
        let path = |name: &str| record(&FileSource::open(root.join(name)).unwrap()).path;
        for name in ["w/f", "./w/./f", "w/../w/f", "folder-link/f", "folder-link/../w/f"] {
            assert_eq!(path(name), root.join("w/f"), "{name}");
        }
        // The link may lead to another file later, but the same command must still find its
        // journal.
        assert_eq!(path("link"), root.join("link"));

        // A journal's path stays the same, whatever happens to the folders.
        let mut kept = record(&FileSource::open(root.join("w/f")).unwrap());
        kept.path = root.join("folder-link/f");
        let remembered = FileSource::remembered(&kept).unwrap();
        assert_eq!(record(&remembered).path, kept.path);
    }

    #[test]
    fn a_folder_and_a_missing_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(FileSource::open(folder.path()), Err(OpenError::NotAFile { .. })));
        let missing = FileSource::open(folder.path().join("missing"));
        assert!(matches!(missing, Err(OpenError::Unreadable { .. })));
    }

    /// Regression: the kernel reports 0 bytes for every file in /proc, and `haul cp /proc/version`
    /// created an empty object from it, proven by checksum, with exit code 0.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_of_proc_has_the_content_that_is_read_of_it() {
        let path = "/proc/version";
        assert_eq!(std::fs::metadata(path).unwrap().len(), 0, "it announces nothing");
        let content = std::fs::read(path).unwrap();
        let source = FileSource::open(path).unwrap();
        assert_eq!(content_of(&source), content);
        assert!(content.len() > 10);
        source.check_unchanged().unwrap();
        assert!(Source::identity(&source).is_none(), "no later run could recognise it");
    }

    /// Regression: files in /sys report a page, and reading them failed with "failed to fill whole
    /// buffer", like a broken disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_of_sys_ends_where_its_content_does() {
        let path = "/sys/class/net/lo/mtu";
        assert_eq!(std::fs::metadata(path).unwrap().len(), 4096);
        let source = FileSource::open(path).unwrap();
        assert_eq!(content_of(&source), std::fs::read(path).unwrap());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_with_a_wrong_length_that_cannot_be_held_is_refused() {
        let refused = FileSource::open("/proc/self/pagemap").unwrap_err();
        assert!(
            matches!(refused, OpenError::WrongLength { announced_bytes: 0, .. }),
            "{refused:?}"
        );
    }

    #[test]
    fn an_empty_file_and_a_full_one_are_taken_at_their_word() {
        let folder = tempfile::tempdir().unwrap();
        for content in [&b""[..], b"0", b"0123456789"] {
            let path = folder.path().join("file");
            std::fs::write(&path, content).unwrap();
            let source = FileSource::open(&path).unwrap();
            assert!(source.held.is_none() && Source::identity(&source).is_some());
            assert_eq!(content_of(&source), content);
        }
    }

    fn content_of(source: &FileSource) -> Vec<u8> {
        let mut content = vec![0; usize::try_from(Source::size_bytes(source)).unwrap()];
        source.read_exact_at(0, &mut content).unwrap();
        content
    }
}
