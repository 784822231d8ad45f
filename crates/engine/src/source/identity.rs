//! Distinguishes versions of a file, as far as the file system shows them (P4).
//!
//! Length and time of the last write (mtime) are not enough: programs restore the time (`rsync -t`,
//! `touch -r`, containers of VeraCrypt). The time of the last change of the inode (ctime) cannot be
//! set; it changes with names, links and permissions too. Both advance in ticks of the kernel, and
//! a write through a mapping updates neither while its page is already dirty. [`settle`] closes
//! both gaps when a file is opened. Not covered: tmpfs, which never writes back, and file systems
//! with coarser times than [`TICK`].

use std::fs::{File, Metadata};
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Change;

/// The version of a file: place on disk, length, times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Device and inode, if the platform has them.
    pub place: Option<(u64, u64)>,
    /// The length in bytes.
    pub size_bytes: u64,
    /// The time of the last write (mtime), in nanoseconds since 1970.
    pub modified_ns: Option<u64>,
    /// The time of the last change of the inode (ctime), in nanoseconds since 1970, if the platform
    /// has it.
    pub changed_ns: Option<u64>,
}

/// Longer than a tick of any kernel's clock, the finest step of most file systems' times (Linux: 1
/// to 10 ms).
const TICK: Duration = Duration::from_millis(20);

/// The maximum number of checks of a file that is being written all the time.
const LOOKS_MAX: u32 = 3;

impl FileIdentity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            place: place(metadata),
            size_bytes: metadata.len(),
            modified_ns: metadata.modified().ok().and_then(since_1970),
            changed_ns: changed(metadata),
        }
    }

    /// Returns true if both are one file without a write in between: device, inode, length and
    /// mtime are equal. A new name changes only ctime.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        self.place.is_some()
            && Self { changed_ns: None, ..self.clone() }
                == Self { changed_ns: None, ..other.clone() }
    }

    /// Returns the difference of `now`, if there is one.
    #[must_use]
    pub fn change_to(&self, now: &Self) -> Option<Change> {
        if self.size_bytes != now.size_bytes {
            return Some(Change::Size { before_bytes: self.size_bytes, now_bytes: now.size_bytes });
        }
        match (self.modified_ns == now.modified_ns, self.place == now.place, self == now) {
            (_, _, true) => None,
            (false, ..) => Some(Change::Modified),
            (true, false, _) => Some(Change::Replaced),
            (true, true, _) => Some(Change::Inode),
        }
    }
}

/// Makes the next write to a file detectable: writes dirty pages back, and waits until the tick of
/// its last change is over.
pub(super) fn settle(file: &File) -> io::Result<Metadata> {
    // This fails on a read-only file system, for example, where no page is dirty.
    let _ = file.sync_data();
    examine_settled(file)
}

/// Waits until the tick of the last change is over, without writing anything back.
pub(super) fn examine_settled(file: &File) -> io::Result<Metadata> {
    for _ in 1..LOOKS_MAX {
        let metadata = file.metadata()?;
        if !changed_just_now(&metadata) {
            return Ok(metadata);
        }
        std::thread::sleep(TICK);
    }
    file.metadata()
}

fn changed_just_now(metadata: &Metadata) -> bool {
    let last = changed(metadata).or_else(|| metadata.modified().ok().and_then(since_1970));
    let now = since_1970(SystemTime::now());
    // A time in the future comes from another clock: do not wait for it.
    last.zip(now)
        .and_then(|(last, now)| now.checked_sub(last))
        .is_some_and(|age| u128::from(age) < TICK.as_nanos())
}

fn since_1970(time: SystemTime) -> Option<u64> {
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

fn place(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

fn changed(metadata: &Metadata) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(metadata.ctime()).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(u64::try_from(metadata.ctime_nsec()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> FileIdentity {
        FileIdentity {
            place: Some((1, 2)),
            size_bytes: 3,
            modified_ns: Some(4),
            changed_ns: Some(5),
        }
    }

    #[test]
    fn every_difference_is_a_change_and_has_its_name() {
        let before = identity();
        assert!(before.change_to(&identity()).is_none());
        let changed = |now: FileIdentity| before.change_to(&now).unwrap();
        assert!(matches!(
            changed(FileIdentity { size_bytes: 9, ..identity() }),
            Change::Size { now_bytes: 9, .. }
        ));
        assert!(matches!(
            changed(FileIdentity { modified_ns: Some(9), ..identity() }),
            Change::Modified
        ));
        assert!(matches!(
            changed(FileIdentity { place: Some((1, 9)), ..identity() }),
            Change::Replaced
        ));
        assert!(matches!(
            changed(FileIdentity { changed_ns: Some(9), ..identity() }),
            Change::Inode
        ));
    }

    #[test]
    fn a_renamed_file_is_the_same_and_a_copy_is_not() {
        assert!(identity().is_same_file(&FileIdentity { changed_ns: Some(9), ..identity() }));
        assert!(!identity().is_same_file(&FileIdentity { place: Some((1, 9)), ..identity() }));
        let nowhere = FileIdentity { place: None, ..identity() };
        assert!(!nowhere.is_same_file(&nowhere), "without a place nothing is known");
    }

    /// Regression: times advance in ticks, so a write within the tick of the last check left the
    /// times unchanged and was never detected.
    #[test]
    fn a_write_right_behind_the_last_look_changes_the_times() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let path = folder.path().join(round.to_string());
            std::fs::write(&path, b"before").unwrap();
            let file = File::open(&path).unwrap();
            let before = FileIdentity::of(&settle(&file).unwrap());
            std::fs::write(&path, b"behind").unwrap();
            let after = FileIdentity::of(&file.metadata().unwrap());
            assert!(before.change_to(&after).is_some(), "round {round}");
        }
    }
}
