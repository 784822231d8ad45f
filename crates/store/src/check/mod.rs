//! Implements `check`: reads all data and verifies every checksum and reference.
//!
//! Every part of every object and upload is read and hashed again, ETags and checksums of objects
//! are recomputed from those of their parts, and every reference to a data file is counted and
//! compared. The check works on one snapshot, so it may run while the store is in use; it ignores
//! later writes.

mod hashes;
mod progress;
mod report;
mod walk;

use std::path::{Path, PathBuf};

pub use progress::CheckProgress;
pub use report::{CheckReport, Owner, Problem, Repair};

use crate::disk::{Disk, FileId, OsDisk};
use crate::store::Pages;
use crate::{DiskStore, Error, Result, StoreOptions};

/// Checks the store in a folder that no process uses: its data files, its records, and the pages of
/// its database.
///
/// # Errors
/// [`Error::NotAStore`], [`Error::Locked`], [`Error::MetadataLost`] and the others of
/// [`DiskStore::open`], or the metadata cannot be read at all. Damage is not an error but part of
/// the report.
pub fn check(
    dir: impl AsRef<Path>,
    options: StoreOptions,
    repair: Repair,
    progress: &CheckProgress,
) -> Result<CheckReport> {
    let (store, pages) = DiskStore::open_for_check(dir.as_ref(), options)?;
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
        // The disk may have refused to remove some files: count only those that are gone.
        report.removed_orphans =
            report.orphan_count.saturating_sub(walk::count_orphans(&store.inner)?);
    }
    Ok(report)
}

/// Lists the data files in a folder, whether or not there is metadata for them: at most `named_max`
/// by name, in order, and the total. Changes nothing.
///
/// # Errors
/// The disk's error.
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

impl DiskStore {
    /// Reads all data and verifies every checksum. Takes as long as reading the disk; blocks no
    /// other operation.
    ///
    /// # Errors
    /// Fails if the metadata cannot be read at all. Damage is not an error but part of the report.
    pub fn check(&self) -> Result<CheckReport> {
        walk::Walk::new(&self.inner, &CheckProgress::default())?.run()
    }
}
