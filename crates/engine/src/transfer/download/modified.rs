//! The modification time of a downloaded file: that of the uploaded file, else the object's.

use std::fs::File;
use std::time::SystemTime;

use crate::remote::ObjectHead;
use crate::transfer::mtime;

/// Returns the time for `head`'s object.
pub(in crate::transfer) fn of(head: &ObjectHead) -> Option<SystemTime> {
    mtime::stored(head).or_else(|| head.last_modified.map(SystemTime::from))
}

/// Sets the time. A file system without times is no error.
pub(in crate::transfer) fn set(file: &File, modified: Option<SystemTime>) {
    if let Some(modified) = modified {
        let _ = file.set_modified(modified);
    }
}
