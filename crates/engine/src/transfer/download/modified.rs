//! The modification time of a downloaded file: the uploaded file's time if the object's metadata
//! has it, otherwise the object's.

use std::fs::File;
use std::time::SystemTime;

use crate::remote::ObjectHead;
use crate::transfer::mtime;

/// Returns the modification time for a file with the bytes of this object.
pub(in crate::transfer) fn of(head: &ObjectHead) -> Option<SystemTime> {
    mtime::stored(head).or_else(|| head.last_modified.map(SystemTime::from))
}

/// Sets the modification time. A file system that cannot store times is not an error.
pub(in crate::transfer) fn set(file: &File, modified: Option<SystemTime>) {
    if let Some(modified) = modified {
        let _ = file.set_modified(modified);
    }
}
