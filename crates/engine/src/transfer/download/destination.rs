//! Determines the destination of a download: a file that is replaced atomically, or a pipe or
//! device that is written in order.
//!
//! Symbolic links are followed: the link stays, and the file at its end is replaced in that file's
//! own folder. If that file does not exist, it is created. Only regular files are ever replaced.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

/// The maximum number of links in a chain: the limit of Linux.
const LINKS_MAX: usize = 40;

/// The kind of a download's target.
#[derive(Debug)]
pub(in crate::transfer) enum Destination {
    /// A regular file, or a path where no file exists yet. The last component of the path is not a
    /// link.
    File {
        path: PathBuf,
        /// The permissions of the existing file.
        permissions: Option<Permissions>,
    },
    /// A file that the caller has opened: written in order from its current position.
    Open(File),
    /// A pipe, a terminal or a device: opened by Haul and written in order.
    Stream {
        path: PathBuf,
        /// Whether to sync at the end: true for a block device, which keeps its data.
        syncs: bool,
    },
}

impl Destination {
    /// Determines the kind of the target without opening it.
    pub(in crate::transfer) fn find(path: &Path) -> io::Result<Self> {
        let named = fs::symlink_metadata(path);
        let metadata = match named {
            Ok(named) if named.is_symlink() => fs::metadata(path),
            named => named,
        };
        let metadata = match metadata {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::File { path: follow(path)?, permissions: None });
            }
            Err(error) => return Err(error),
        };
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if is_socket(&metadata) {
            return Err(io::Error::other("it is a socket; name a file, a pipe or a device"));
        }
        if !metadata.is_file() {
            return Ok(Self::Stream { path: path.to_owned(), syncs: is_block_device(&metadata) });
        }
        let settled = follow(path)?;
        match fs::symlink_metadata(&settled) {
            Ok(found) if same_file(&found, &metadata) => {
                Ok(Self::File { path: settled, permissions: Some(metadata.permissions()) })
            }
            // The text of a link below /proc is not always the path of its file: for `/dev/stdout`,
            // for example, it is not if that file was removed.
            _ => Ok(Self::Stream { path: path.to_owned(), syncs: true }),
        }
    }
}

/// Returns the path at the end of a chain of links. Parent folders may be links too; the system
/// resolves them.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = fs::read_link(&path)?;
                path = path.parent().unwrap_or(Path::new("")).join(target);
            }
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return creatable(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many symbolic links lead from one to the next"))
}

/// Returns the path if a file can be created there; fails if it ends in `/` and therefore names a
/// folder.
fn creatable(path: PathBuf) -> io::Result<PathBuf> {
    let is_folder = path.as_os_str().as_encoded_bytes().last() == Some(&b'/');
    if is_folder || path.file_name().is_none() {
        Err(io::ErrorKind::IsADirectory.into())
    } else {
        Ok(path)
    }
}

fn is_socket(metadata: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type())
}

fn is_block_device(metadata: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_block_device(&metadata.file_type())
}

pub(super) fn same_file(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
