//! Locks a journal: one process at a time holds the lock, and loses it when it ends.
//!
//! Listing the journals has to show which are in use, and can detect that only by taking a shared
//! lock for an instant. A process that opens the journal at that instant must not mistake the list
//! for another holder: if it can get a shared lock too, no process holds the exclusive one, and it
//! retries.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::file::{JournalError, io_error};
use super::format;
use super::private;
use super::record::Record;

/// The maximum number of retries when opening: each conflict with a list is over in microseconds.
const TRIES_MAX: u32 = 1000;
const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// Locks a file and reads it. With `create`, a missing file is created.
pub(super) fn lock_and_read(path: &Path, create: bool) -> Result<(File, Vec<u8>), JournalError> {
    loop {
        let mut file = private::open(path, create)?;
        lock(&file, path)?;
        // Its last holder may have finished and removed it between open and lock.
        if !same_file(&file, path) {
            continue;
        }
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).map_err(io_error("read", path))?;
        return Ok((file, bytes));
    }
}

fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    let failed = |error| io_error("locked", path)(error);
    for _ in 0..TRIES_MAX {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
            Err(fs::TryLockError::WouldBlock) => {}
        }
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map_err(failed)?,
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
            Err(fs::TryLockError::WouldBlock) => break,
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    Err(JournalError::Locked { pid: holder(path) })
}

pub(super) fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
}

/// Returns the process that opened the upload last.
fn holder(path: &Path) -> Option<u32> {
    let records = format::decode(&private::read(path).ok()?).ok()?.records;
    records.iter().rev().find_map(|record| match record {
        Record::Opened { pid } => Some(*pid),
        _ => None,
    })
}

pub(super) fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::JournalFolder;
    use super::*;

    /// Regression: `ls * | xargs -P8 -n1 haul cp …` sometimes failed with "another process is
    /// already working on this upload", although none was: each command lists all journals, and the
    /// list took the lock of each for an instant.
    #[test]
    fn a_list_keeps_no_process_from_opening() {
        let root = tempfile::tempdir().unwrap();
        let folder = JournalFolder::new(root.path());
        drop(folder.open("id").unwrap());
        let path = root.path().join("id.journal");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        is_locked(&path);
                    }
                });
            }
            let opened: Result<Vec<_>, _> = (0..200).map(|_| folder.open("id").map(drop)).collect();
            done.store(true, Ordering::Relaxed);
            opened.unwrap();
        });
    }

    #[test]
    fn a_shared_lock_of_a_list_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let folder = JournalFolder::new(root.path());
        drop(folder.open("id").unwrap());
        let listing = File::open(root.path().join("id.journal")).unwrap();
        listing.lock_shared().unwrap();
        std::thread::scope(|scope| {
            let opener = scope.spawn(|| folder.open("id").map(drop));
            std::thread::sleep(Duration::from_millis(5));
            listing.unlock().unwrap();
            opener.join().unwrap().unwrap();
        });
    }
}
