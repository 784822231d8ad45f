//! One file or object of a tree, as found by a walk or a listing.

use std::path::PathBuf;

use haul_parts::{ETag, Key};

/// A file or an object of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The name below the source or the target, with `/` between its components. Streams of entries
    /// are sorted by this name.
    pub(super) name: String,
    /// The length in bytes.
    pub(super) size_bytes: u64,
    /// The modification time of a file, or LastModified of an object; nanoseconds since 1970.
    pub(super) modified_ns: Option<i64>,
    /// The time of the last change of a file's inode; nanoseconds since 1970.
    pub(super) changed_ns: Option<i64>,
    /// Whether the path leads through a symbolic link to a folder: then the file is outside of the
    /// folder that was named, and is never removed.
    pub(super) is_behind_link: bool,
    pub(super) place: Place,
}

/// The location of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On this machine.
    File(PathBuf),
    /// In a store.
    Object { key: Key, etag: Option<ETag> },
}

impl Default for Place {
    fn default() -> Self {
        Self::File(PathBuf::new())
    }
}

impl Entry {
    /// Returns a text that identifies this version of the entry.
    pub(super) fn version(&self) -> String {
        let etag = match &self.place {
            Place::Object { etag: Some(etag), .. } => etag.as_given(),
            _ => "",
        };
        format!("{}\0{:?}\0{:?}\0{etag}", self.size_bytes, self.modified_ns, self.changed_ns)
    }
}

/// An item of a walk or a listing, in the order of names.
#[derive(Debug)]
pub(super) enum Found {
    Entry(Entry),
    /// An entry that cannot be copied. The stream continues after it.
    Refused {
        name: String,
        error: crate::error::Error,
    },
    /// Something was left out that the user should know about.
    Warning(String),
    /// The stream fails here and has no further items.
    Broken(crate::error::Error),
}
