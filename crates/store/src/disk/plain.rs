//! Opens only regular files and real folders: symbolic links in the folder of a store are never
//! followed, and special files never opened.
//!
//! The target of a link does not belong to the store: emptying, truncating or deleting it would
//! destroy other data. A FIFO would block the process that opens it.

use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// The error for an entry in the folder of a store whose kind is not the one that its place
/// requires.
#[derive(Debug, thiserror::Error)]
#[error("{} is a {found} where a {expected} is expected", path.display())]
pub(crate) struct NotPlain {
    pub(crate) path: PathBuf,
    pub(crate) found: &'static str,
    pub(crate) expected: &'static str,
}

/// Opens a regular file.
///
/// # Errors
/// An error that contains [`NotPlain`] for any other kind of entry, or the disk's error.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    {
        use rustix::fs::OFlags;
        // Opening a FIFO without its other end would block; for a regular file, NONBLOCK has no
        // effect.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
    }
    match options.open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(not_plain(path, "regular file")),
        // For a link, or a FIFO without a reader, the system's own error is less clear.
        Err(error) => match expect(path, FileType::is_file, "regular file") {
            Err(other) if other.kind() != io::ErrorKind::NotFound => Err(other),
            _ => Err(error),
        },
    }
}

/// Opens a regular file for reading.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true))
}

/// Checks that a path is a folder and not a link to one.
///
/// # Errors
/// `NotFound`, an error that contains [`NotPlain`], or the disk's error.
pub(crate) fn expect_folder(path: &Path) -> io::Result<()> {
    expect(path, FileType::is_dir, "folder")
}

fn expect(path: &Path, is: impl Fn(&FileType) -> bool, expected: &'static str) -> io::Result<()> {
    match fs::symlink_metadata(path)?.file_type() {
        found if is(&found) => Ok(()),
        _ => Err(not_plain(path, expected)),
    }
}

fn not_plain(path: &Path, expected: &'static str) -> io::Error {
    let found = match fs::symlink_metadata(path).map(|metadata| metadata.file_type()) {
        Ok(found) if found.is_symlink() => "symbolic link",
        Ok(found) if found.is_dir() => "folder",
        Ok(found) if found.is_file() => "file",
        _ => "special file",
    };
    io::Error::other(NotPlain { path: path.to_owned(), found, expected })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn words(error: &io::Error) -> String {
        error.get_ref().expect("an error of ours").to_string()
    }

    /// Regression: a FIFO in the place of a data file blocked `store check` forever.
    #[test]
    fn links_folders_and_special_files_are_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "bytes").unwrap();
        fs::create_dir(path("folder")).unwrap();
        symlink(path("file"), path("link")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap();
        assert!(fifo.success());
        std::os::unix::net::UnixListener::bind(path("socket")).map(drop).unwrap();

        assert!(open_to_read(&path("file")).is_ok());
        assert_eq!(open_to_read(&path("absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
        for (name, found) in [
            ("link", "symbolic link"),
            ("dangling", "symbolic link"),
            ("folder", "folder"),
            ("fifo", "special file"),
            ("socket", "special file"),
        ] {
            let expected =
                format!("{} is a {found} where a regular file is expected", path(name).display());
            assert_eq!(words(&open_to_read(&path(name)).unwrap_err()), expected);
            let error =
                open(&path(name), OpenOptions::new().write(true).create(true).truncate(true));
            assert!(error.is_err(), "{name}");
        }
        assert!(!path("nowhere").exists(), "nothing was made through the dangling link");
        assert_eq!(
            fs::read(path("file")).unwrap(),
            b"bytes",
            "nothing was truncated through the link"
        );
    }

    #[test]
    fn a_link_to_a_folder_is_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        symlink(dir.path(), dir.path().join("link")).unwrap();
        assert!(expect_folder(dir.path()).is_ok());
        let words = words(&expect_folder(&dir.path().join("link")).unwrap_err());
        assert!(words.ends_with("is a symbolic link where a folder is expected"), "{words}");
    }
}
