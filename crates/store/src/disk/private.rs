//! New files and folders of a store, which are private to its owner whatever the umask and the
//! folder above allow.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

/// Options that make new files 0600.
pub(crate) fn file_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a folder, 0700; says whether it is new.
pub(crate) fn make_dir(dir: &Path) -> io::Result<bool> {
    match builder().create(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a folder and those above it that are missing, all of them 0700.
pub(crate) fn make_dirs(dir: &Path) -> io::Result<()> {
    builder().recursive(true).create(dir)
}

fn builder() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}
