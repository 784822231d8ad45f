//! Walks the files below a folder in the order of their keys at a store.
//!
//! A key is the file's path below the folder, with `/` between the names. Folders sort as if their
//! name ended in `/`, which is the order of keys in a listing, so the two can be merged without
//! keeping either in memory. The memory needed is one sorted folder per level. Links are followed,
//! except a link to a folder above it, which is reported.

use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file below the folder, or the error of one entry.
pub(super) type Found = Result<LocalFile, WalkError>;

/// A file below the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocalFile {
    /// The path below the folder, with `/`.
    pub(super) key: String,
    pub(super) path: PathBuf,
}

/// An entry of the folder that cannot be compared.
#[derive(Debug, thiserror::Error)]
pub(super) enum WalkError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the name of {} is not valid UTF-8: it cannot be a key", .0.display())]
    NotUtf8(PathBuf),
    #[error("{} leads to a folder that it is in", .0.display())]
    Loop(PathBuf),
    #[error("{} is neither a file nor a folder", .0.display())]
    Special(PathBuf),
}

/// An iterator over the files; it reads the folders on its caller's thread.
pub(super) struct Walk {
    levels: Vec<Level>,
}

struct Level {
    /// The sorted entries in reverse order, so that the next one is last.
    entries: Vec<Entry>,
    /// The key of the folder with a trailing `/`; empty at the root.
    prefix: String,
    path: PathBuf,
    /// The folder's identity, to detect loops.
    device_and_inode: (u64, u64),
}

struct Entry {
    /// The sort key: the name, with `/` appended for a folder.
    sort_name: Vec<u8>,
    name: OsString,
    kind: io::Result<FileType>,
}

impl Walk {
    /// Starts a walk of the files below `folder`.
    pub(super) fn below(folder: &Path) -> Result<Self, WalkError> {
        Ok(Self { levels: vec![level(folder.to_owned(), String::new())?] })
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let above = self.levels.last_mut()?;
            let Some(entry) = above.entries.pop() else {
                self.levels.pop();
                continue;
            };
            let path = above.path.join(&entry.name);
            let Some(name) = entry.name.to_str() else {
                return Some(Err(WalkError::NotUtf8(path)));
            };
            let key = format!("{}{name}", above.prefix);
            match entry.kind {
                Err(source) => return Some(Err(WalkError::Unreadable { path, source })),
                Ok(kind) if kind.is_file() => return Some(Ok(LocalFile { key, path })),
                Ok(kind) if kind.is_dir() => match level(path.clone(), key + "/") {
                    Err(error) => return Some(Err(error)),
                    Ok(below) => {
                        let itself = below.device_and_inode;
                        if self.levels.iter().any(|level| level.device_and_inode == itself) {
                            return Some(Err(WalkError::Loop(path)));
                        }
                        self.levels.push(below);
                    }
                },
                Ok(_) => return Some(Err(WalkError::Special(path))),
            }
        }
    }
}

fn level(path: PathBuf, prefix: String) -> Result<Level, WalkError> {
    let unreadable = |source| WalkError::Unreadable { path: path.clone(), source };
    let itself = fs::metadata(&path).map_err(unreadable)?;
    let mut entries = Vec::new();
    for entry in fs::read_dir(&path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = match entry.file_type() {
            Ok(kind) if kind.is_symlink() => {
                fs::metadata(entry.path()).map(|target| target.file_type())
            }
            other => other,
        };
        let name = entry.file_name();
        let mut sort_name = name.as_encoded_bytes().to_owned();
        if kind.as_ref().is_ok_and(FileType::is_dir) {
            sort_name.push(b'/');
        }
        entries.push(Entry { sort_name, name, kind });
    }
    entries.sort_by(|one, other| other.sort_name.cmp(&one.sort_name));
    let device_and_inode = (itself.dev(), itself.ino());
    Ok(Level { entries, prefix, path, device_and_inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(folder: &Path) -> Vec<String> {
        let found = Walk::below(folder).unwrap();
        found.map(|found| found.map_or_else(|error| error.to_string(), |file| file.key)).collect()
    }

    #[test]
    fn files_come_in_the_order_of_their_keys() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a/b", "a-b", "a.b", "a0", "b/c/d", "b/c.d", "é", "Z"];
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        fs::create_dir(folder.path().join("empty")).unwrap();
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        assert_eq!(keys(folder.path()), sorted);
    }

    #[test]
    fn links_are_followed_and_loops_are_not() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/file"), b"").unwrap();
        symlink("real", root.join("again")).unwrap();
        symlink("real/file", root.join("file")).unwrap();
        symlink("..", root.join("real/up")).unwrap();
        symlink("missing", root.join("dangling")).unwrap();
        let found = keys(root);
        let files: Vec<&String> = found.iter().filter(|key| !key.contains(' ')).collect();
        assert_eq!(files, ["again/file", "file", "real/file"]);
        assert_eq!(found.len(), 6, "{found:?}");
    }
}
