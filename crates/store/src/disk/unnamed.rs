//! Files without a name until they are linked: what only Linux has (`O_TMPFILE`, `linkat`). A crash leaves nothing of
//! them behind. File systems without `O_TMPFILE` (some overlays and network file systems) get a named file instead, which
//! is removed on drop, and by the next open after a crash.

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
    /// Where it has a name after all; taken when that name moved to its place.
    fallback: Option<PathBuf>,
}

impl Unnamed {
    /// A new one, on the disk of `staging`. `fallback` is its name there if it needs one.
    pub(super) fn create(staging: &Path, fallback: impl FnOnce() -> PathBuf) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(staging, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(Self { file: File::from(fd), fallback: None }),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
                let path = fallback();
                let file = File::options().read(true).write(true).create_new(true).open(&path)?;
                Ok(Self { file, fallback: Some(path) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives it its name. Fails when there is a file of that name.
    pub(super) fn link(mut self, to: &Path) -> io::Result<()> {
        match self.fallback.as_deref() {
            // The open file by its number is a symbolic link of /proc: the only way without CAP_DAC_READ_SEARCH.
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
            // What stays is removed by the next open.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// How full the disk under `dir` is.
pub(super) fn space(dir: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(Space {
        available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}
