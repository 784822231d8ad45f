//! Creates files that have no name until they are linked, which only Linux supports (`O_TMPFILE`,
//! `linkat`). A crash leaves no trace of them. File systems without `O_TMPFILE` (some overlays and
//! network file systems) get a named file instead, which is removed on drop; opening the store
//! removes those that a crash left.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::Space;

/// A file that has no name in the data folder yet.
#[derive(Debug)]
pub(super) struct Unnamed {
    pub(super) file: File,
    /// The temporary name, if the file needs one; `None` once the file has its final name.
    fallback: Option<PathBuf>,
}

impl Unnamed {
    /// Creates a file on the disk of `staging`. `fallback` returns the name for a file that needs
    /// one.
    pub(super) fn create(staging: &Path, fallback: impl FnOnce() -> PathBuf) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(staging, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(Self { file: File::from(fd), fallback: None }),
            Err(
                rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL,
            ) => Self::named(fallback()),
            Err(error) => Err(error.into()),
        }
    }

    fn named(path: PathBuf) -> io::Result<Self> {
        let file =
            super::private::file_options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { file, fallback: Some(path) })
    }

    /// Gives the file its name. Fails if a file of that name exists.
    pub(super) fn link(mut self, to: &Path) -> io::Result<()> {
        match self.fallback.as_deref() {
            // Link through the symbolic link in /proc for the open file, the only way without
            // CAP_DAC_READ_SEARCH.
            None => {
                let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, from, CWD, to, AtFlags::SYMLINK_FOLLOW)?;
            }
            Some(from) => {
                std::fs::rename(from, to)?;
                self.fallback = None;
            }
        }
        Ok(())
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(path) = &self.fallback {
            // If the removal fails, the next opening repeats it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Returns the free and total space of the disk under `dir`.
pub(super) fn space(dir: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(Space {
        available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn both(dir: &Path) -> [Unnamed; 2] {
        let unnamed =
            Unnamed::create(dir, || unreachable!("this disk has files without a name")).unwrap();
        [unnamed, Unnamed::named(dir.join("staged")).unwrap()]
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_linked_file_has_its_bytes_under_its_name_only() {
        for index in 0..2 {
            let dir = tempfile::tempdir().unwrap();
            let mut file = both(dir.path()).into_iter().nth(index).unwrap();
            file.file.write_all(b"bytes").unwrap();
            file.link(&dir.path().join("linked")).unwrap();
            assert_eq!(names(dir.path()), ["linked"]);
            assert_eq!(std::fs::read(dir.path().join("linked")).unwrap(), b"bytes");
        }
    }

    #[test]
    fn a_dropped_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(both(dir.path()));
        assert!(names(dir.path()).is_empty());
    }
}
