//! Creates new files and folders of a store that are private to its owner, whatever the umask and
//! the parent folder allow.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

/// Returns options that create files with mode 0600.
pub(crate) fn file_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates a folder with mode 0700; returns whether it is new.
pub(crate) fn make_dir(dir: &Path) -> io::Result<bool> {
    match builder().create(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates a folder and its missing parents, all with mode 0700.
pub(crate) fn make_dirs(dir: &Path) -> io::Result<()> {
    builder().recursive(true).create(dir)
}

fn builder() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}
