//! Files that nothing refers to.
//!
//! Those that the metadata let go and still remembers are removed, at once and by every opening.
//! Those that it does not know at all are a matter for people: they stem from a crash between a
//! link and its commit, or else belong to metadata that was lost or put back from a backup, and
//! then they are all that is left of acknowledged objects. They are counted and logged when the
//! store is opened, and removed only by [`Store::sweep`].

use crate::disk::FileId;
use crate::{Error, Result, Store};

impl Store {
    /// Removes data files that the metadata does not know, and says how many. Nothing else does.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sweep(&self) -> Result<u64> {
        let core = &self.inner.core;
        core.check_writable()?;
        let mut swept = 0;
        self.unknown_files(|unknown| {
            swept += unknown.len() as u64;
            // By way of the reaper: one of them may be in a reader's hands.
            core.reaper.release(unknown);
        })?;
        for leftover in core.disk.leftovers().map_err(Error::io("listing the staging folder"))? {
            core.disk.remove_leftover(&leftover).map_err(Error::io("removing a leftover"))?;
            swept += 1;
        }
        Ok(swept)
    }

    /// After opening: removes the files that the metadata let go, counts those that it does not
    /// know, and removes folders that are empty. Nobody can be linking into them yet.
    pub(crate) fn recover_files(&self) -> Result<()> {
        self.finish_removals()?;
        self.settle();
        let mut unknown = Unknown::default();
        self.unknown_files(|files| unknown.add(&files))?;
        let disk = &self.inner.core.disk;
        for folder in disk.folders().map_err(Error::io("listing data folders"))? {
            disk.remove_empty_folder(folder).map_err(Error::io("removing an empty data folder"))?;
        }
        let leftovers =
            disk.leftovers().map_err(Error::io("listing the staging folder"))?.len() as u64;
        if let Some(last) = unknown.last {
            self.skip_numbers(last)?;
        }
        if unknown.count + leftovers > 0 {
            tracing::warn!(
                data_files = unknown.count,
                first = unknown.first.map(|file| file.path().display().to_string()),
                staged_files = leftovers,
                "files that the metadata does not know were left alone: \
                 haul store check lists them, and with --repair removes them"
            );
        }
        Ok(())
    }

    /// Removes the files that the metadata let go, as far as a crash kept them.
    pub(crate) fn finish_removals(&self) -> Result<()> {
        let snapshot = self.inner.core.snapshot()?;
        let files = snapshot.files()?;
        let mut removals = Vec::new();
        for row in snapshot.removals()?.range(0..)? {
            let file = FileId(row?.0.value());
            if files.get(file.0)?.is_some() {
                return Err(Error::Damaged {
                    what: format!("file {file} is let go and referred to"),
                });
            }
            removals.push(file);
        }
        self.inner.core.reaper.release(removals);
        Ok(())
    }

    /// Data files that the metadata does not know and that are not on their way, folder by folder.
    fn unknown_files(&self, mut found: impl FnMut(Vec<FileId>)) -> Result<()> {
        let core = &self.inner.core;
        for folder in core.disk.folders().map_err(Error::io("listing data folders"))? {
            let mut unknown =
                core.disk.files(folder).map_err(Error::io("listing a data folder"))?;
            // In this order: a file goes from staged into the metadata, so one that is not staged
            // any more is in a snapshot taken later, or is unknown.
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

    /// A data file with a number that was never given: the metadata is older than it. No new file
    /// may take its place.
    fn skip_numbers(&self, last: FileId) -> Result<()> {
        if last < self.inner.core.snapshot()?.next_file()? {
            return Ok(());
        }
        self.inner.commit(None, move |batch| batch.skip_files(last))
    }
}

/// Files that the metadata does not know.
#[derive(Default)]
struct Unknown {
    count: u64,
    first: Option<FileId>,
    last: Option<FileId>,
}

impl Unknown {
    /// Adds some, in order.
    fn add(&mut self, files: &[FileId]) {
        self.count += files.len() as u64;
        self.first = self.first.or(files.first().copied());
        self.last = self.last.max(files.last().copied());
    }
}
