//! Finds strangers: entries under `data/` that are not data files, because a person or program put
//! them there or moved them. A link or a special file is a stranger whatever its name. Strangers
//! are reported by their path and never changed or followed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{COMMIT_MARK, DATA, FileId, FolderId, STORE_ID};

/// A folder of the store's own layout.
#[derive(Clone, Copy)]
enum OwnFolder {
    Data,
    Group(u64),
    Folder(FolderId),
}

/// The kind of an entry, by its name.
enum Entry {
    OwnFolder(OwnFolder),
    File,
    Stranger,
}

impl OwnFolder {
    fn entry(self, name: &str) -> Entry {
        match self {
            Self::Data if matches!(name, STORE_ID | COMMIT_MARK) => Entry::File,
            Self::Data => {
                hex(name, 3).map_or(Entry::Stranger, |group| Entry::OwnFolder(Self::Group(group)))
            }
            Self::Group(group) => match hex(name, 3).filter(|number| *number < 1024) {
                Some(number) => Entry::OwnFolder(Self::Folder(FolderId((group << 10) | number))),
                None => Entry::Stranger,
            },
            Self::Folder(folder) => match hex(name, 16) {
                Some(file) if FileId(file).folder() == folder => Entry::File,
                _ => Entry::Stranger,
            },
        }
    }
}

/// Searches below the folder of a store: returns at most `named_max` by name, in order, and the
/// total.
pub(super) fn find(root: &Path, named_max: usize) -> io::Result<(Vec<PathBuf>, u64)> {
    let mut strangers = Strangers { root, named_max, named: Vec::new(), count: 0 };
    strangers.look(OwnFolder::Data, Path::new(DATA))?;
    Ok((strangers.named, strangers.count))
}

struct Strangers<'r> {
    root: &'r Path,
    named_max: usize,
    named: Vec<PathBuf>,
    count: u64,
}

impl Strangers<'_> {
    /// Searches a folder, given by its path from the root, and the store's own folders in it.
    fn look(&mut self, place: OwnFolder, folder: &Path) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(folder))? {
            let entry = entry?;
            names.push((entry.file_name(), entry.file_type()?));
        }
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, kind) in names {
            let path = folder.join(&name);
            match place.entry(name.to_str().unwrap_or("")) {
                Entry::OwnFolder(place) if kind.is_dir() => self.look(place, &path)?,
                Entry::File if kind.is_file() => {}
                _ => self.stranger(path),
            }
        }
        Ok(())
    }

    fn stranger(&mut self, path: PathBuf) {
        self.count += 1;
        if self.named.len() < self.named_max {
            self.named.push(path);
        }
    }
}

/// Parses a number in our spelling: lower case, at least `digits` digits and no superfluous zero.
fn hex(name: &str, digits: usize) -> Option<u64> {
    let number = u64::from_str_radix(name, 16).ok()?;
    (format!("{number:0digits$x}") == name).then_some(number)
}
