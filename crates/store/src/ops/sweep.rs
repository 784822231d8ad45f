//! Removes files that nothing refers to.
//!
//! Files that the metadata has released but still lists are removed at once and by every opening.
//! So are files that a kill left between link and commit, if the mark of the newest commit proves
//! it (see [`commit_mark`](crate::commit_mark)), and everything in the staging folder, which was
//! never acknowledged. Other files that the metadata does not list need the operator's decision:
//! they come from a power failure, or they belong to metadata that was lost or restored from a
//! backup, and are then the only remains of acknowledged objects. Opening the store counts and logs
//! them; only [`DiskStore::sweep`] removes them.

use std::collections::BTreeSet;

use crate::disk::{FileId, FolderId};
use crate::{DiskStore, Error, Result};

impl DiskStore {
    /// Removes all data files that the metadata does not list, and returns their number. Opening
    /// removes only those that a kill left.
    ///
    /// # Errors
    /// The disk's error.
    pub fn sweep(&self) -> Result<u64> {
        let core = &self.inner.core;
        core.check_writable()?;
        let mut swept = 0;
        self.unknown_files(|unknown| {
            swept += unknown.len() as u64;
            // Remove them through the reaper, because a reader may hold one of them.
            core.reaper.release(unknown);
        })?;
        Ok(swept + self.empty_staging()?)
    }

    /// Cleans up after opening: removes the files that the metadata released and those that a kill
    /// left, counts others that the metadata does not list, and removes empty folders. No file can
    /// be linked into those folders yet.
    pub(crate) fn recover_files(&self) -> Result<()> {
        self.finish_removals()?;
        self.settle();
        let core = &self.inner.core;
        let (killed_from, next) =
            (core.commit_marks().killed_from(), core.snapshot()?.next_file()?);
        let (mut left, mut unknown) = (Vec::new(), Unknown::default());
        self.unknown_files(|files| {
            let of_kill = |file: &FileId| killed_from.is_some_and(|first| *file >= first);
            let (killed, others): (Vec<_>, Vec<_>) = files.into_iter().partition(of_kill);
            left.extend(killed);
            unknown.add(&others);
        })?;
        // A number that was never assigned contradicts that the metadata is the newest.
        if left.last().is_some_and(|file| *file >= next) {
            unknown.add(&std::mem::take(&mut left));
        }
        let found = left.len() as u64 + self.empty_staging()?;
        let kept = self.remove_durably(&left)?;
        let removed = found - kept.len() as u64;
        if removed > 0 {
            tracing::info!(files = removed, "files that a killed process left were removed");
        }
        // No commit of what follows may claim unknown files for a kill.
        core.commit_marks().set_first_file(None);
        let disk = &self.inner.core.disk;
        for folder in disk.folders().map_err(Error::io("listing data folders"))? {
            disk.remove_empty_folder(folder).map_err(Error::io("removing an empty data folder"))?;
        }
        if let Some(last) = unknown.last {
            self.skip_numbers(last)?;
        }
        if unknown.count > 0 {
            tracing::warn!(
                data_files = unknown.count,
                first = unknown.first.map(|file| file.path().display().to_string()),
                "files that the metadata does not know were left alone: \
                 haul store check lists them, and with --repair removes them"
            );
        }
        // Files that could not be removed are known to be of a kill at the next opening too.
        let first = core.snapshot()?.next_file()?;
        core.commit_marks().set_first_file(kept.first().copied().or(Some(first)));
        Ok(())
    }

    /// Removes unlisted files, and returns those that the disk did not remove. A file that came
    /// back after a power failure would be of unknown origin.
    fn remove_durably(&self, files: &[FileId]) -> Result<Vec<FileId>> {
        let core = &self.inner.core;
        let folders: BTreeSet<FolderId> = files.iter().map(|file| file.folder()).collect();
        core.reaper.release(files.iter().copied());
        self.settle();
        let mut kept = Vec::new();
        for folder in folders {
            core.disk.sync_folder(folder).map_err(Error::io("syncing a data folder"))?;
            let still = core.disk.files(folder).map_err(Error::io("listing a data folder"))?;
            kept.extend(still.into_iter().filter(|file| files.binary_search(file).is_ok()));
        }
        Ok(kept)
    }

    /// Removes the files in the staging folder, and returns their number. They were never named,
    /// and so never acknowledged.
    fn empty_staging(&self) -> Result<u64> {
        let disk = &self.inner.core.disk;
        let leftovers = disk.leftovers().map_err(Error::io("listing the staging folder"))?;
        for leftover in &leftovers {
            disk.remove_leftover(leftover).map_err(Error::io("removing a leftover"))?;
        }
        Ok(leftovers.len() as u64)
    }

    /// Removes the released files that are still on disk after a crash.
    pub(crate) fn finish_removals(&self) -> Result<()> {
        let snapshot = self.inner.core.snapshot()?;
        let files = snapshot.files()?;
        let mut removals = Vec::new();
        for row in snapshot.removals()?.range(0..)? {
            let file = FileId(row?.0.value());
            if files.get(file.0)?.is_some() {
                return Err(Error::Damaged {
                    what: format!("file {file} is released but still referenced"),
                });
            }
            removals.push(file);
        }
        self.inner.core.reaper.release(removals);
        Ok(())
    }

    /// Returns data files that are neither in the metadata nor being written, folder by folder.
    fn unknown_files(&self, mut found: impl FnMut(Vec<FileId>)) -> Result<()> {
        let core = &self.inner.core;
        for folder in core.disk.folders().map_err(Error::io("listing data folders"))? {
            let mut unknown =
                core.disk.files(folder).map_err(Error::io("listing a data folder"))?;
            // The order matters: a file moves from staged into the metadata, so a file that is no
            // longer staged is either in a later snapshot or unknown.
            let staged = core.staged();
            unknown.retain(|file| !staged.contains(file));
            drop(staged);
            if unknown.is_empty() {
                continue;
            }
            let snapshot = core.snapshot()?;
            let (files, removals) = (snapshot.files()?, snapshot.removals()?);
            let mut kept = Vec::new();
            for file in unknown {
                if files.get(file.0)?.is_none() && removals.get(file.0)?.is_none() {
                    kept.push(file);
                }
            }
            if !kept.is_empty() {
                found(kept);
            }
        }
        Ok(())
    }

    /// Handles a data file with a number that was never assigned, which means that the metadata is
    /// older than the file. No new file may get this number.
    fn skip_numbers(&self, last: FileId) -> Result<()> {
        if last < self.inner.core.snapshot()?.next_file()? {
            return Ok(());
        }
        self.inner.commit(None, move |batch| batch.skip_files(last))
    }
}

/// Files that the metadata does not list.
#[derive(Default)]
struct Unknown {
    count: u64,
    first: Option<FileId>,
    last: Option<FileId>,
}

impl Unknown {
    /// Adds files, in order.
    fn add(&mut self, files: &[FileId]) {
        self.count += files.len() as u64;
        self.first = self.first.or(files.first().copied());
        self.last = self.last.max(files.last().copied());
    }
}
