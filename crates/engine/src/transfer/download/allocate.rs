//! Allocates the disk space of a download before its first byte: a full disk is detected at once,
//! and pieces that arrive out of order do not fragment the file.

use std::fs::File;
use std::io;

/// Sets the length of the file, and allocates its space if the file system supports that.
///
/// # Errors
/// If there is not enough space.
pub(super) fn allocate(file: &File, size_bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, size_bytes) {
        Ok(()) => {}
        // NFS before version 4.2 and some FUSE file systems cannot allocate.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    // The file of an earlier run may be longer.
    file.set_len(size_bytes)
}
