//! The sweep: files that nothing refers to are removed. They stem from crashes between a link and its commit, or between a
//! commit and the removal of what it let go.

use crate::disk::FileId;
use crate::{Error, Result, Store};

impl Store {
    /// Removes files that nothing refers to, and says how many. (Opening does it too.)
    ///
    /// # Errors
    /// What the disk says.
    pub fn sweep(&self) -> Result<u64> {
        let core = &self.inner.core;
        core.check_writable()?;
        let mut swept = 0;
        for folder in core.disk.folders().map_err(Error::io("listing data folders"))? {
            let mut orphans = core.disk.files(folder).map_err(Error::io("listing a data folder"))?;
            // In this order: a file goes from staged into the metadata, so one that is not staged any more is in a
            // snapshot taken later, or is an orphan.
            let staged = core.staged();
            orphans.retain(|file| !staged.contains(file));
            drop(staged);
            if orphans.is_empty() {
                continue;
            }
            let files = core.snapshot()?.files()?;
            let mut unknown: Vec<FileId> = Vec::new();
            for file in orphans {
                if files.get(file.0)?.is_none() {
                    unknown.push(file);
                }
            }
            swept += unknown.len() as u64;
            // By way of the reaper: one of them may be in a reader's hands.
            core.reaper.release(unknown);
        }
        Ok(swept)
    }

    /// As [`Store::sweep`], and removes folders that became empty: nobody can be linking into them yet.
    pub(crate) fn sweep_at_open(&self) -> Result<()> {
        let swept = self.sweep()?;
        self.settle();
        let disk = &self.inner.core.disk;
        for folder in disk.folders().map_err(Error::io("listing data folders"))? {
            disk.remove_empty_folder(folder).map_err(Error::io("removing an empty data folder"))?;
        }
        if swept > 0 {
            tracing::info!(swept, "removed files that nothing referred to");
        }
        Ok(())
    }
}
