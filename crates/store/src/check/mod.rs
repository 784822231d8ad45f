//! `check`: reads everything and believes nothing.
//!
//! Every part of every object and upload is read and hashed again; ETags and checksums of objects
//! are made again from those of their parts; every reference to a data file is counted and
//! compared. It works on one snapshot, so it may run while the store is used; what is written
//! meanwhile is not looked at.

mod hashes;
mod progress;
mod report;
mod walk;

use std::path::{Path, PathBuf};

pub use progress::CheckProgress;
pub use report::{CheckReport, Owner, Problem, Repair};

use crate::disk::{Disk, FileId, OsDisk};
use crate::store::Pages;
use crate::{Error, Result, Store, StoreOptions};

/// Checks the store in a folder that nobody else uses: its data files, its records, and the pages
/// that they are on.
///
/// # Errors
/// [`Error::NotAStore`], [`Error::Locked`], [`Error::MetadataLost`] and the others of
/// [`Store::open`], or that the metadata cannot be read at all. What is found wrong is not an error
/// but in the report.
pub fn check(
    dir: impl AsRef<Path>,
    options: StoreOptions,
    repair: Repair,
    progress: &CheckProgress,
) -> Result<CheckReport> {
    let (store, pages) = Store::open_for_check(dir.as_ref(), options)?;
    let mut report = walk::Walk::new(&store.inner, progress)?.run()?;
    if pages == Pages::Repaired {
        report.contradiction(
            "the pages of the metadata were damaged, and made again from others".to_owned(),
        );
    }
    if repair == Repair::RemoveOrphans {
        store.finish_removals()?;
        store.sweep()?;
        store.settle();
        // What the disk refused to remove is there still: only what is gone was removed.
        report.removed_orphans =
            report.orphan_count.saturating_sub(walk::count_orphans(&store.inner)?);
    }
    Ok(report)
}

/// The data files in a folder, whether or not there is metadata that knows them: at most so many by
/// name, in order, and how many there are. Nothing is changed.
///
/// # Errors
/// What the disk says.
pub fn data_files(dir: impl AsRef<Path>, named_max: usize) -> Result<(Vec<PathBuf>, u64)> {
    let disk = OsDisk::new(dir.as_ref());
    let (mut named, mut count) = (Vec::new(), 0);
    for folder in disk.folders().map_err(Error::io("listing data folders"))? {
        let files = disk.files(folder).map_err(Error::io("listing a data folder"))?;
        count += files.len() as u64;
        let room = named_max - named.len();
        named.extend(files.into_iter().take(room).map(FileId::path));
    }
    Ok((named, count))
}

impl Store {
    /// Reads everything and verifies every checksum. Takes as long as reading the disk; holds
    /// nobody up.
    ///
    /// # Errors
    /// That the metadata cannot be read at all. What is found wrong is not an error but in the
    /// report.
    pub fn check(&self) -> Result<CheckReport> {
        walk::Walk::new(&self.inner, &CheckProgress::default())?.run()
    }
}
