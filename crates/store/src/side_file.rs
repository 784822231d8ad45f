//! Reads and writes small private files beside the data, for the server that runs the store: its
//! keys and its address.
//!
//! Files are replaced atomically (a new file is written, synced and renamed over the old one) and
//! only their owner may read them. Names are constants of the caller and never come from outside.
//! Links in their place are not followed.

use std::fs::{self, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::disk::{plain, private};
use crate::{Error, Result};

/// The maximum size of a file to read; the store writes no larger one.
const READ_MAX_BYTES: u64 = 1 << 20;

/// Writes `DIR/name`, readable by its owner only (0600 on Unix). Creates the folder if it does not
/// exist.
///
/// # Errors
/// The disk's error.
pub fn write(dir: &Path, name: &'static str, bytes: &[u8]) -> Result<()> {
    replace(dir, name, bytes).map_err(Error::io("writing a private file of the store"))
}

/// Reads `DIR/name`; `None` if it does not exist.
///
/// # Errors
/// The disk's error, or the file is larger than 1 MiB.
pub fn read(dir: &Path, name: &'static str) -> Result<Option<Vec<u8>>> {
    let path = dir.join(name);
    match read_whole(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some).map_err(Error::io("reading a private file of the store")),
    }
}

fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    plain::open_to_read(path)?.take(READ_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > READ_MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Removes `DIR/name`; succeeds if it does not exist.
///
/// # Errors
/// The disk's error.
pub fn remove(dir: &Path, name: &'static str) -> Result<()> {
    match fs::remove_file(dir.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("removing a private file of the store")(error))
        }
        _ => Ok(()),
    }
}

/// Opens `DIR/name` for locking, and creates it if it does not exist. The folder must exist.
///
/// # Errors
/// The disk's error.
pub fn open_for_locking(dir: &Path, name: &'static str) -> Result<fs::File> {
    let mut options = private::file_options();
    options.create(true).truncate(false).write(true);
    plain::open(&dir.join(name), &mut options)
        .map_err(Error::io("opening a lock file of the store"))
}

/// Returns whether a process currently holds the store in this folder.
///
/// # Errors
/// The disk's error.
pub fn is_in_use(dir: &Path) -> Result<bool> {
    let file = match plain::open_to_read(&dir.join("lock")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file.map_err(Error::io("opening the lock of the store"))?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => {
            Err(Error::io("asking for the lock of the store")(error))
        }
    }
}

fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    private::make_dirs(dir)?;
    let new = dir.join(format!("{name}.new"));
    // A file left by a crash may be readable by others: replace it instead of writing into it.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = plain::open(&new, private::file_options().write(true).create_new(true))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, dir.join(name))?;
    fs::File::open(dir)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_replaced_whole_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path(), "keys.json").unwrap(), None);
        fs::write(dir.path().join("keys.json.new"), b"left by a crash").unwrap();
        for bytes in [&b"one"[..], b"a longer two", b"3"] {
            write(dir.path(), "keys.json", bytes).unwrap();
            assert_eq!(read(dir.path(), "keys.json").unwrap().as_deref(), Some(bytes));
        }
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join("keys.json")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        remove(dir.path(), "keys.json").unwrap();
        remove(dir.path(), "keys.json").unwrap();
        assert_eq!(read(dir.path(), "keys.json").unwrap(), None);
    }

    #[test]
    fn a_folder_is_in_use_while_its_lock_is_held() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_in_use(dir.path()).unwrap());
        let lock = fs::File::create(dir.path().join("lock")).unwrap();
        assert!(!is_in_use(dir.path()).unwrap());
        lock.try_lock().unwrap();
        assert!(is_in_use(dir.path()).unwrap());
        drop(lock);
        assert!(!is_in_use(dir.path()).unwrap());
    }
}
