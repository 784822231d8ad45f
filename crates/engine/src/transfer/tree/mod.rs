//! Many files in one transfer: folders, prefixes, lists of files.
//!
//! ```text
//! walk, listing   the source, and for a sync the target, as streams in key order
//! filter          which entries are taken
//! names           which key or path an entry gets, or why it can have none
//! compare         whether it is there already
//! plan            joins the two streams and decides, entry by entry
//! queue           which file is next: large ones early, so that none is left alone at the end
//! file            one file: up, down or between stores, over what the engine shares
//! landing         gives downloaded files their names, many with one sync
//! removal         sources of a move, and what a sync finds only at its target
//! run             carries the plan out, and counts
//! ```
//!
//! Everything that a transfer of one file promises holds for each file here; the files share the
//! gate, the memory and the retry budget of the engine. What is held in memory does not grow with
//! the number of files: streams are bounded, and names that are needed later lie on disk
//! ([`spool`], [`runs`]). Only what an earlier run has done is held, 16 bytes for each file
//! ([`crate::journal::Fingerprint`]).

mod compare;
mod entry;
mod feed;
mod file;
mod filter;
mod fold;
mod landing;
mod listing;
mod look;
mod names;
mod plan;
mod queue;
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

/// One source of a tree. All sources of a tree are of this machine, or all are of one store.
pub enum TreeSource {
    /// A file; `name` is its name below the target.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its name below the target.
        name: String,
    },
    /// A file whose name cannot be part of a key: it fails, and the others do not.
    Unusable {
        /// Where it is.
        path: PathBuf,
    },
    /// Every file below a folder, by its name below that folder.
    Folder {
        /// Where it is.
        path: PathBuf,
        /// Stands before each name: empty, or ends with a slash.
        before: String,
    },
    /// An object; `name` is its name below the target.
    Object {
        /// Which.
        object: ObjectRef,
        /// Its name below the target.
        name: String,
    },
    /// Every object below a prefix, by what its key has behind it.
    Prefix {
        /// The bucket.
        bucket: Bucket,
        /// Empty, or ends with a slash.
        prefix: String,
        /// Stands before each name: empty, or ends with a slash.
        before: String,
    },
    /// Every object whose key matches, by what its key has behind the last slash before the first
    /// `*`, `?` or `[`.
    Pattern {
        /// The bucket.
        bucket: Bucket,
        /// For whole keys.
        pattern: String,
    },
    /// The files or objects that a list names, one a line, below a folder or a prefix.
    Names {
        /// What the names are below.
        base: TreeBase,
        /// A line for each. One that begins with `"` is a JSON string.
        names: Box<dyn BufRead + Send>,
    },
}

/// What the names of a list are below.
#[derive(Clone, Debug)]
pub enum TreeBase {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A prefix: empty, or ends with a slash.
    Prefix(Bucket, String),
}

/// Where a tree goes.
#[derive(Clone, Debug)]
pub enum TreeTarget {
    /// Below a folder, which is made if there is none.
    Folder(PathBuf),
    /// Below a prefix, which stands before each name as it is.
    Prefix(Bucket, String),
}

/// Guesses the Content-Type of an upload by its key and its path.
pub type ContentTypeGuess = Arc<dyn Fn(&str, &Path) -> Option<String> + Send + Sync>;

/// How to copy a tree. Construct with `..Default::default()`.
pub struct TreeOptions {
    /// When a file is copied.
    pub compare: CompareBy,
    /// Which files are.
    pub filter: Filter,
    /// Links to files and folders are taken as what they lead to.
    pub follow_links: bool,
    /// What becomes of files that only the target has, in a sync.
    pub delete: Option<DeleteExtra>,
    /// Each source is removed when its copy is proven.
    pub remove_sources: bool,
    /// Nothing is sent, written or removed; the events show what would be.
    pub dry_run: bool,
    /// The first file that fails ends the tree.
    pub fail_fast: bool,
    /// The names of files that failed are written here, one a line, as [`TreeSource::Names`] reads
    /// them.
    pub failed_names: Option<Box<dyn Write + Send + Sync>>,
    /// Where what is done is remembered; `None`: nowhere. Its choice of a journal is not looked
    /// at: the tree has its own, and so has each upload in parts.
    pub journal: Option<JournalOptions>,
    /// Of each upload. Its journal is not looked at.
    pub upload: UploadOptions,
    /// Of each download. Its journal is not looked at.
    pub download: DownloadOptions,
    /// Of each copy from store to store.
    pub copy: CopyOptions,
    /// The store of the source, where source and target are in two stores.
    pub source_store: Option<Arc<dyn Store>>,
    /// The Content-Type of uploads that have none.
    pub content_type: Option<ContentTypeGuess>,
    /// Whether the file system of the target tells upper from lower case; `None`: it is looked at.
    pub tells_cases_apart: Option<bool>,
}

/// Removes what only the target has.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeleteExtra {
    /// Even where the source has no files at all.
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

/// Files and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCount {
    /// How many.
    pub files: u64,
    /// Their lengths together.
    pub bytes: u64,
}

impl FileCount {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Failures that a report names; more are only counted.
pub const FAILURES_NAMED_MAX: usize = 1000;

/// What a tree came to. Failures of single files are part of it.
#[derive(Debug, Default)]
pub struct TreeReport {
    /// Files that were copied; in a dry run, that would be.
    pub copied: FileCount,
    /// Files that were there already.
    pub unchanged: FileCount,
    /// Files that an earlier run of the same tree had copied.
    pub resumed: FileCount,
    /// Files of the target that were removed, or would be.
    pub removed: u64,
    /// Files that failed.
    pub failed: u64,
    /// The sources had at least one file, taken or not.
    pub found: bool,
    /// Up to [`FAILURES_NAMED_MAX`] of them.
    pub failures: Vec<TreeFailure>,
    /// What ended the tree before its end: a listing that broke, `fail_fast`, a stop.
    pub ended_by: Option<Error>,
    /// The caller stopped it; the same tree can be continued if it has a journal.
    pub stopped: bool,
}

/// A file that failed.
#[derive(Debug)]
pub struct TreeFailure {
    /// Below the source.
    pub name: String,
    /// Where from.
    pub source: String,
    /// Where to.
    pub target: String,
    /// Why it failed.
    pub error: Error,
}

/// Starts a tree over what an engine shares.
pub(crate) fn start(
    resources: &Resources,
    sources: Vec<TreeSource>,
    target: TreeTarget,
    options: TreeOptions,
) -> Transfer<TreeReport> {
    Transfer::start(resources, |line| run::run(resources.clone(), line, sources, target, options))
}
