//! The time of the last write that a downloaded file gets: that of the file which was uploaded,
//! else the object's.

use std::fs::File;
use std::time::SystemTime;

use crate::remote::ObjectHead;
use crate::transfer::mtime;

/// Of `head`'s object.
pub(in crate::transfer) fn of(head: &ObjectHead) -> Option<SystemTime> {
    mtime::stored(head).or_else(|| head.last_modified.map(SystemTime::from))
}

/// Sets it. A file system that keeps no times is no reason to fail.
pub(in crate::transfer) fn set(file: &File, modified: Option<SystemTime>) {
    if let Some(modified) = modified {
        let _ = file.set_modified(modified);
    }
}
