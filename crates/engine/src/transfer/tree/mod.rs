//! Transfers many files at once: folders, prefixes, lists of files.
//!
//! ```text
//! walk, listing   stream the source, and for a sync the target, in key order
//! filter          selects entries
//! names           converts the name of an entry to a key or path, or reports why it cannot
//! compare         decides whether an entry is already present at the target
//! plan            joins the two streams and decides for each entry
//! queue           chooses the next file: large ones early, so that none is left alone at the end
//! file            transfers one file up, down or between stores, with the shared resources
//! landing         renames downloaded files, many with one sync
//! removal         removes sources of a move, and files that only the target of a sync has
//! run             carries the plan out, and counts
//! ```
//!
//! The guarantees of single transfers apply to each file; the files share the gate, the memory and
//! the retry budget of the engine. The memory does not grow with the number of files: streams are
//! bounded, and names that are needed later are on disk ([`spool`], [`runs`]). The only exception
//! is the record of an earlier run, which takes 16 bytes for each file
//! ([`crate::journal::Fingerprint`]).

mod compare;
mod entry;
mod feed;
mod file;
mod filter;
mod fold;
mod landing;
mod leftovers;
mod listing;
mod look;
mod names;
mod plan;
mod queue;
mod reach;
mod removal;
mod run;
mod runs;
mod spool;
mod walk;

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use haul_parts::{Bucket, ObjectRef};

pub use self::compare::CompareBy;
pub use self::filter::Filter;
use super::Transfer;
use super::copy::CopyOptions;
use super::download::DownloadOptions;
use super::upload::{JournalOptions, UploadOptions};
use crate::error::Error;
use crate::pace::Resources;
use crate::remote::Store;

/// One source of a tree. All sources of a tree are on this machine, or all are in one store.
pub enum TreeSource {
    /// A file; `name` is its name below the target.
    File {
        /// The path of the file.
        path: PathBuf,
        /// The name below the target.
        name: String,
    },
    /// A file whose name cannot be part of a key: it fails, and the other files do not.
    Unusable {
        /// The path of the file.
        path: PathBuf,
    },
    /// Every file below a folder, named relative to that folder.
    Folder {
        /// The path of the folder.
        path: PathBuf,
        /// Text that is put in front of each name: empty, or ends with a slash.
        before: String,
    },
    /// An object; `name` is its name below the target.
    Object {
        /// The bucket and key.
        object: ObjectRef,
        /// The name below the target.
        name: String,
    },
    /// Every object below a prefix, named by the rest of its key.
    Prefix {
        /// The bucket of the objects.
        bucket: Bucket,
        /// The prefix: empty, or ends with a slash.
        prefix: String,
        /// Text that is put in front of each name: empty, or ends with a slash.
        before: String,
    },
    /// Every object whose key matches, named by the rest of its key after the last slash before the
    /// first `*`, `?` or `[`.
    Pattern {
        /// The bucket of the objects.
        bucket: Bucket,
        /// The pattern for whole keys.
        pattern: String,
    },
    /// The files or objects that a list names, one per line, below a folder or a prefix.
    Names {
        /// The folder or prefix that the names are relative to.
        base: TreeBase,
        /// The list, with one name per line. A line that begins with `"` is a JSON string.
        names: Box<dyn BufRead + Send>,
    },
}

/// The base of the names in a list.
#[derive(Clone, Debug)]
pub enum TreeBase {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket and a prefix: empty, or ends with a slash.
    Prefix(Bucket, String),
}

/// The target of a tree.
#[derive(Clone, Debug)]
pub enum TreeTarget {
    /// A folder, which is created if it does not exist.
    Folder(PathBuf),
    /// A bucket and a prefix, which is put in front of each name unchanged.
    Prefix(Bucket, String),
}

/// Guesses the Content-Type of an upload from its key and its path.
pub type ContentTypeGuess = Arc<dyn Fn(&str, &Path) -> Option<String> + Send + Sync>;

/// Options of a tree. Construct with `..Default::default()`.
pub struct TreeOptions {
    /// The condition for copying a file.
    pub compare: CompareBy,
    /// The selection of files.
    pub filter: Filter,
    /// Follow symbolic links to files and folders.
    pub follow_links: bool,
    /// What to do with files that only the target has, in a sync.
    pub delete: Option<DeleteExtra>,
    /// Remove each source once its copy is proven.
    pub remove_sources: bool,
    /// Only report what would be done: send, write and remove nothing.
    pub dry_run: bool,
    /// Stop at the first file that fails.
    pub fail_fast: bool,
    /// Receives the names of failed files, one per line, as [`TreeSource::Names`] reads them.
    pub failed_names: Option<Box<dyn Write + Send + Sync>>,
    /// The journal of finished files; `None`: no journal. The field `choice` is ignored, because
    /// the tree has its own journal, and so has each upload in parts.
    pub journal: Option<JournalOptions>,
    /// The options of each upload, except its journal.
    pub upload: UploadOptions,
    /// The options of each download, except its journal.
    pub download: DownloadOptions,
    /// The options of each copy from store to store.
    pub copy: CopyOptions,
    /// The connection for reading the source, if it is not the target's: to another store, or to
    /// the same one with other headers ([`CopyOptions::source_is_at_target`]).
    pub source_store: Option<Arc<dyn Store>>,
    /// Guesses the Content-Type of uploads for which the options give none.
    pub content_type: Option<ContentTypeGuess>,
    /// Whether the file system of the target is case-sensitive; `None`: detect it.
    pub tells_cases_apart: Option<bool>,
}

impl TreeOptions {
    /// Returns whether source and target are in two stores.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.source_store.is_some() && !self.copy.source_is_at_target
    }
}

/// Removes files that only the target has.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeleteExtra {
    /// Remove them even if the source has no files.
    pub even_if_source_is_empty: bool,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            compare: CompareBy::default(),
            filter: Filter::default(),
            follow_links: true,
            delete: None,
            remove_sources: false,
            dry_run: false,
            fail_fast: false,
            failed_names: None,
            journal: None,
            upload: UploadOptions::default(),
            download: DownloadOptions::default(),
            copy: CopyOptions::default(),
            source_store: None,
            content_type: None,
            tells_cases_apart: None,
        }
    }
}

/// A number of files and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCount {
    /// The number of files.
    pub files: u64,
    /// The sum of their lengths.
    pub bytes: u64,
}

impl FileCount {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// The maximum number of failures in a report; further ones are only counted.
pub const FAILURES_NAMED_MAX: usize = 1000;

/// The result of a tree, including the failures of single files.
#[derive(Debug, Default)]
pub struct TreeReport {
    /// Files that were copied or, in a dry run, would be copied.
    pub copied: FileCount,
    /// Files that were present already.
    pub unchanged: FileCount,
    /// Files that an earlier run of the same tree had copied.
    pub resumed: FileCount,
    /// Files of the target that were removed or, in a dry run, would be removed.
    pub removed: u64,
    /// The number of files that failed.
    pub failed: u64,
    /// Whether the sources had at least one file, selected or not.
    pub found: bool,
    /// The failures, at most [`FAILURES_NAMED_MAX`] of them.
    pub failures: Vec<TreeFailure>,
    /// The error that ended the tree early: a failed listing, `fail_fast`, a stop.
    pub ended_by: Option<Error>,
    /// Whether the tree ended because the store refuses credentials that it accepted before, or
    /// cannot be reached any more, and its journal allows to resume the same tree.
    pub paused: bool,
    /// Whether the caller stopped the tree; if it has a journal, the same tree can be resumed.
    pub stopped: bool,
}

/// A file that failed, with its error.
#[derive(Debug)]
pub struct TreeFailure {
    /// The name below the source.
    pub name: String,
    /// The source, for messages.
    pub source: String,
    /// The target, for messages.
    pub target: String,
    /// The cause of the failure.
    pub error: Error,
}

/// Starts a tree with the shared resources of an engine.
pub(crate) fn start(
    resources: &Resources,
    sources: Vec<TreeSource>,
    target: TreeTarget,
    options: TreeOptions,
) -> Transfer<TreeReport> {
    Transfer::start(resources, |line| run::run(resources.clone(), line, sources, target, options))
}
