//! Takes the disk space of a download before its first byte: a full disk is found at once, and
//! pieces that arrive out of order do not scatter the file.

use std::fs::File;
use std::io;

/// Gives the file its length, with the space for it where the file system can do that.
///
/// # Errors
/// When there is no room.
pub(super) fn allocate(file: &File, size_bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, size_bytes) {
        Ok(()) => {}
        // NFS before version 4.2 and some FUSE file systems.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    // One that an earlier run left may be longer.
    file.set_len(size_bytes)
}
