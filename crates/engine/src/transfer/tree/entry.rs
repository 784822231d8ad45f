//! One file or object of a tree, as a walk or a listing shows it.

use std::path::PathBuf;

use haul_parts::{ETag, Key};

/// A file or an object of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Below the source or the target, with `/` between its pieces. Streams are sorted by it.
    pub(super) name: String,
    /// Its length.
    pub(super) size_bytes: u64,
    /// Time of the last write of a file, LastModified of an object; nanoseconds since 1970.
    pub(super) modified_ns: Option<i64>,
    /// Of a file, the time of the last change of its inode; nanoseconds since 1970.
    pub(super) changed_ns: Option<i64>,
    pub(super) place: Place,
}

/// Where an entry is.
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
    /// What tells this version of the entry from every other one.
    pub(super) fn version(&self) -> String {
        let etag = match &self.place {
            Place::Object { etag: Some(etag), .. } => etag.as_given(),
            _ => "",
        };
        format!("{}\0{:?}\0{:?}\0{etag}", self.size_bytes, self.modified_ns, self.changed_ns)
    }
}

/// What a walk or a listing gives, in the order of names.
#[derive(Debug)]
pub(super) enum Found {
    Entry(Entry),
    /// An entry that cannot be taken. The stream continues behind it.
    Refused {
        name: String,
        error: crate::error::Error,
    },
    /// Something that is left out and that a person should know of.
    Warning(String),
    /// The stream ends here, before its end.
    Broken(crate::error::Error),
}
