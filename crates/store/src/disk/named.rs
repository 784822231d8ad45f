//! The portable stand-in for files without a name: a named file in the staging folder, moved to its place when it is
//! linked, and removed on drop. What a crash leaves is listed by `haul store check` and removed by its repair.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::Space;

/// A file that has no name in the data folder yet.
#[derive(Debug)]
pub(super) struct Unnamed {
    pub(super) file: File,
    staged: Option<PathBuf>,
}

impl Unnamed {
    /// A new one, under the name `fallback` in the staging folder.
    pub(super) fn create(_staging: &Path, fallback: impl FnOnce() -> PathBuf) -> io::Result<Self> {
        let path = fallback();
        let file = super::private::file_options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { file, staged: Some(path) })
    }

    /// Gives it its name.
    pub(super) fn link(mut self, to: &Path) -> io::Result<()> {
        if let Some(from) = &self.staged {
            std::fs::rename(from, to)?;
            self.staged = None;
        }
        Ok(())
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(path) = &self.staged {
            // What stays is found by `check`.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Not known here: a full disk shows when writing fails.
pub(super) fn space(_dir: &Path) -> io::Result<Space> {
    Ok(Space { available_bytes: u64::MAX, total_bytes: u64::MAX })
}
