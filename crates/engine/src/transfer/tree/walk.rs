//! Walks a folder of this machine: streams its files in the order of their names as keys.
//!
//! S3 sorts keys by their bytes, and the name of a folder includes its slash: `a-b` comes before
//! `a/b`, and `a0` after it. Each folder is read completely, sorted in this order, and then walked;
//! the memory holds the folders on the path to the current file. A folder with more than
//! [`HELD_MAX`] names is sorted on disk ([`super::runs`]).
//!
//! Links are followed unless the options disable that; a link that leads back to one of its own
//! parent folders is reported and not entered. Files that are reached through a link to a folder
//! are marked, because they are outside of the folder that the user named.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::entry::{Entry, Found, Place};
use super::runs::SortedNames;
use crate::error::Error;
use crate::source::FileIdentity;
use crate::transfer::mtime;

/// The options of a walk.
#[derive(Clone, Debug)]
pub(super) struct WalkOptions {
    /// Follow symbolic links to files and folders.
    pub(super) follow_links: bool,
    /// The maximum depth of the folders that are read: 1 is the folder itself.
    pub(super) depth_max: Option<u32>,
    /// Whether the folder is a target of downloads: then it need not exist yet, and temporary files
    /// of downloads are skipped.
    pub(super) is_target: bool,
    /// Whether the files are removed after they were copied. Files behind a link to a folder stay;
    /// a link that leads to a part of the walked folder is skipped, because that part is moved.
    pub(super) is_moved: bool,
}

/// Walks `root`. `give` receives each item, and returns false to end the walk. `prefix` is put in
/// front of every name.
pub(super) fn walk(
    root: &Path,
    prefix: &str,
    options: &WalkOptions,
    give: &mut dyn FnMut(Found) -> bool,
) {
    let metadata = match fs::metadata(root) {
        Ok(metadata) => metadata,
        Err(error) if options.is_target && error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            give(Found::Broken(unreadable(root, error)));
            return;
        }
    };
    let mut walk = Walk { options, give, above: vec![place(&metadata)], root, links: 0 };
    walk.folder(root, prefix, 1);
}

struct Walk<'a> {
    options: &'a WalkOptions,
    give: &'a mut dyn FnMut(Found) -> bool,
    /// Device and inode of the folders that contain the current one.
    above: Vec<(u64, u64)>,
    root: &'a Path,
    /// The number of links to folders on the path to the current folder.
    links: u32,
}

impl Walk<'_> {
    /// Walks one folder; returns false to end the walk.
    fn folder(&mut self, path: &Path, prefix: &str, depth: u32) -> bool {
        let mut names = SortedNames::default();
        let listed = fs::read_dir(path).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                let kind = entry.file_type()?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else {
                    if !self.options.is_target && !self.refuse(prefix, &entry.path()) {
                        return Ok(false);
                    }
                    continue;
                };
                if self.options.is_target && is_of_a_download(name) {
                    continue;
                }
                // The target of a link decides how its name is sorted.
                let is_folder = kind.is_dir()
                    || (kind.is_symlink() && self.options.follow_links && entry.path().is_dir());
                names.add(if is_folder { format!("{name}/") } else { name.to_owned() })?;
            }
            Ok(true)
        });
        let sorted = listed.and_then(|more| Ok((more, names.sorted()?)));
        let sorted = match sorted {
            Ok((true, sorted)) => sorted,
            Ok((false, _)) => return false,
            Err(error) => {
                let name = prefix.trim_end_matches('/').to_owned();
                return (self.give)(Found::Refused { name, error: unreadable(path, error) });
            }
        };
        for name in sorted {
            let name = match name {
                Ok(name) => name,
                Err(error) => {
                    (self.give)(Found::Broken(unreadable(path, error)));
                    return false;
                }
            };
            let more = match name.strip_suffix('/') {
                Some(folder) => self.enter(&path.join(folder), &format!("{prefix}{name}"), depth),
                None => self.file(path.join(&name), format!("{prefix}{name}")),
            };
            if !more {
                return false;
            }
        }
        true
    }

    fn enter(&mut self, path: &Path, prefix: &str, depth: u32) -> bool {
        if self.options.depth_max.is_some_and(|most| depth >= most) {
            return true;
        }
        let place = match fs::metadata(path) {
            Ok(metadata) => place(&metadata),
            Err(error) => {
                let name = prefix.trim_end_matches('/').to_owned();
                return (self.give)(Found::Refused { name, error: unreadable(path, error) });
            }
        };
        if self.above.contains(&place) {
            return (self.give)(Found::Warning(format!(
                "{} leads back to a folder above it and is skipped",
                path.display()
            )));
        }
        let is_link = path.is_symlink();
        if is_link && self.options.is_moved && self.links == 0 {
            let shown = path.display();
            let (warning, skip) = match self.leads_inside(path) {
                true => (
                    format!("{shown} leads to a folder that is moved itself, and is skipped"),
                    true,
                ),
                false => {
                    let what = "is a link to a folder; the files in it are copied and not removed";
                    (format!("{shown} {what}"), false)
                }
            };
            if !(self.give)(Found::Warning(warning)) {
                return false;
            }
            if skip {
                return true;
            }
        }
        self.above.push(place);
        self.links += u32::from(is_link);
        let more = self.folder(path, prefix, depth + 1);
        self.links -= u32::from(is_link);
        self.above.pop();
        more
    }

    /// Returns whether a link leads to a folder inside the walked one.
    fn leads_inside(&self, link: &Path) -> bool {
        match (fs::canonicalize(link), fs::canonicalize(self.root)) {
            (Ok(to), Ok(root)) => to.starts_with(root),
            _ => false,
        }
    }

    fn file(&mut self, path: PathBuf, name: String) -> bool {
        let looked = fs::symlink_metadata(&path).and_then(|metadata| {
            match (metadata.is_symlink(), self.options.follow_links) {
                (true, true) => fs::metadata(&path).map(Some),
                (true, false) => Ok(None),
                (false, _) => Ok(Some(metadata)),
            }
        });
        match looked {
            Ok(None) => true,
            Ok(Some(metadata)) if metadata.is_file() => {
                let entry = entry_of(path, name, &metadata);
                (self.give)(Found::Entry(Entry { is_behind_link: self.links > 0, ..entry }))
            }
            // The file was removed after the folder was read: it is treated as if it had never been
            // there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => true,
            Err(_) if self.options.is_target => true,
            Err(error) => (self.give)(Found::Refused { name, error: unreadable(&path, error) }),
            Ok(Some(_)) if self.options.is_target => true,
            Ok(Some(metadata)) => {
                let kind = kind_of(&metadata);
                (self.give)(Found::Warning(format!("{} is {kind} and is skipped", path.display())))
            }
        }
    }

    fn refuse(&mut self, prefix: &str, path: &Path) -> bool {
        let lossy = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{prefix}{lossy}");
        let reason = "its name is not valid UTF-8, so it cannot be part of a key".to_owned();
        (self.give)(Found::Refused {
            error: Error::UnusableName { name: path.display().to_string(), reason },
            name,
        })
    }
}

/// Creates the entry of a file.
pub(super) fn entry_of(path: PathBuf, name: String, metadata: &Metadata) -> Entry {
    let changed = FileIdentity::of(metadata).changed_ns;
    Entry {
        name,
        size_bytes: metadata.len(),
        modified_ns: metadata.modified().ok().and_then(mtime::nanoseconds),
        changed_ns: changed.and_then(|changed| i64::try_from(changed).ok()),
        is_behind_link: false,
        place: Place::File(path),
    }
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::SourceUnreadable { source_name: path.display().to_string(), source }
}

fn place(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

fn kind_of(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_dir() {
        "a folder by now"
    } else {
        "a device"
    }
}

/// Recognises `.haul-0123456789abcdef-0.part`: the temporary files of downloads.
fn is_of_a_download(name: &str) -> bool {
    name.starts_with(".haul-") && name.ends_with(".part")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(root: &Path, options: &WalkOptions) -> (Vec<String>, Vec<String>) {
        let (mut names, mut others) = (vec![], vec![]);
        walk(root, "", options, &mut |found| {
            match found {
                Found::Entry(entry) => names.push(entry.name),
                Found::Refused { name, .. } => others.push(format!("refused {name}")),
                Found::Warning(text) => others.push(text.replace(&root.display().to_string(), "")),
                Found::Broken(error) => others.push(error.to_string()),
            }
            true
        });
        (names, others)
    }

    const ALL: WalkOptions =
        WalkOptions { follow_links: true, depth_max: None, is_target: false, is_moved: false };

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        root
    }

    #[test]
    fn files_come_in_the_order_of_their_keys() {
        let files =
            ["a-b", "a/b", "a/a/z", "a0", "a.txt", "B", ".hidden", "ü", "a/\u{1f600}", "b/c"];
        let root = folder(&files);
        fs::create_dir(root.path().join("empty")).unwrap();
        let mut sorted = files.map(str::to_owned).to_vec();
        sorted.sort();
        assert_eq!(walked(root.path(), &ALL), (sorted, vec![]));
    }

    #[test]
    fn links_are_followed_and_loops_reported() {
        let root = folder(&["a/b", "c"]);
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, root.path().join(name)).unwrap();
        };
        link("../a", "a/loop");
        link("c", "d");
        link("a", "e");
        link("nowhere", "f");
        let (names, others) = walked(root.path(), &ALL);
        assert_eq!(names, ["a/b", "c", "d", "e/b"]);
        assert_eq!(
            others,
            [
                "/a/loop leads back to a folder above it and is skipped",
                "/e/loop leads back to a folder above it and is skipped",
                "refused f",
            ]
        );
        let plain = WalkOptions { follow_links: false, ..ALL };
        assert_eq!(walked(root.path(), &plain), (vec!["a/b".into(), "c".into()], vec![]));
    }

    #[test]
    fn special_files_are_skipped_and_names_of_bytes_refused() {
        use std::os::unix::ffi::OsStrExt;
        let root = folder(&["a"]);
        let pipe = root.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
        let odd = std::ffi::OsStr::from_bytes(b"odd\xff");
        fs::write(root.path().join(odd), "x").unwrap();
        let (names, others) = walked(root.path(), &ALL);
        assert_eq!(names, ["a"]);
        assert_eq!(others, ["refused odd\u{fffd}", "/pipe is a pipe and is skipped"]);
    }

    #[test]
    fn depth_is_limited() {
        let root = folder(&["a", "b/c", "b/d/e"]);
        let names = |depth| walked(root.path(), &WalkOptions { depth_max: Some(depth), ..ALL }).0;
        assert_eq!(names(1), ["a"]);
        assert_eq!(names(2), ["a", "b/c"]);
    }
}
