//! The report of a check.

use std::fmt;
use std::path::PathBuf;

use crate::disk::FileId;

/// The maximum number of problems and orphans listed by name; further ones are only counted.
pub(super) const NAMED_MAX: usize = 1000;

/// Whether a check may change the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repair {
    /// Reports and changes nothing.
    #[default]
    ReportOnly,
    /// Removes files that nothing refers to. Damaged data is kept, because discarding it is the
    /// operator's decision.
    RemoveOrphans,
}

/// The result of a check.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// The number of objects read.
    pub objects: u64,
    /// The number of open uploads.
    pub uploads: u64,
    /// The number of parts of open uploads read.
    pub parts: u64,
    /// The number of data files that the metadata lists.
    pub files: u64,
    /// The number of bytes read.
    pub read_bytes: u64,
    /// The problems found, at most 1,000 of them.
    pub problems: Vec<Problem>,
    /// The total number of problems.
    pub problem_count: u64,
    /// Files that nothing refers to, relative to the folder of the store: data files unknown to the
    /// metadata, and files that a crash left in the staging folder. They only take space, unless
    /// the metadata comes from a backup older than the files. At most 1,000.
    pub orphans: Vec<PathBuf>,
    /// The total number of orphans.
    pub orphan_count: u64,
    /// Entries among the data files whose name or place is not that of a data file, with their
    /// paths below the folder of the store. The store did not create them, so it does not remove
    /// them. At most 1,000.
    pub strangers: Vec<PathBuf>,
    /// The total number of strangers.
    pub stranger_count: u64,
    /// The number of orphans that were removed.
    pub removed_orphans: u64,
}

/// The object or open upload that a part belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The name of the bucket.
    pub bucket: String,
    /// The key of the object or upload.
    pub key: String,
    /// The id of the upload, if it is an open one; `unknown` if even that cannot be read.
    pub upload_id: Option<String>,
}

/// A problem that a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes of a part are not those that were written.
    DamagedPart {
        /// The object or upload of the part.
        owner: Owner,
        /// The part number from the upload.
        part_number: u16,
        /// The mismatch, in words.
        what: String,
    },
    /// A data file is missing, too short or too long, or has other bytes.
    DamagedFile {
        /// The id of the data file.
        file: FileId,
        /// The mismatch, in words.
        what: String,
    },
    /// A data file has more or fewer references than extents.
    WrongReferences {
        /// The id of the data file.
        file: FileId,
        /// The recorded number of references.
        recorded: u64,
        /// The counted number of extents.
        counted: u64,
    },
    /// Two records contradict each other.
    Contradiction {
        /// The contradiction, in words.
        what: String,
    },
}

impl CheckReport {
    /// Returns whether all data is as it was written. Orphans are not damage and do not count.
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.problem_count += 1;
        if self.problems.len() < NAMED_MAX {
            self.problems.push(problem);
        }
    }

    pub(super) fn contradiction(&mut self, what: String) {
        self.problem(Problem::Contradiction { what });
    }

    pub(super) fn damaged_part(&mut self, owner: &Owner, part_number: u16, what: String) {
        self.problem(Problem::DamagedPart { owner: owner.clone(), part_number, what });
    }

    pub(super) fn orphan(&mut self, file: PathBuf) {
        self.orphan_count += 1;
        if self.orphans.len() < NAMED_MAX {
            self.orphans.push(file);
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)?;
        match &self.upload_id {
            Some(upload_id) => write!(f, " (open upload {upload_id})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DamagedPart { owner, part_number, what } => {
                write!(f, "part {part_number} of {owner}: {what}")
            }
            Self::DamagedFile { file, what } => write!(f, "{}: {what}", file.path().display()),
            Self::WrongReferences { file, recorded, counted } => {
                write!(
                    f,
                    "{} has {counted} references, {recorded} are recorded",
                    file.path().display()
                )
            }
            Self::Contradiction { what } => f.write_str(what),
        }
    }
}
