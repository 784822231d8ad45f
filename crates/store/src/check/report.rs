//! What a check found.

use std::fmt;
use std::path::PathBuf;

use crate::disk::FileId;

/// How many problems and orphans are named; the rest is only counted.
pub(super) const NAMED_MAX: usize = 1000;

/// Whether a check may change anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repair {
    /// It only looks.
    #[default]
    ReportOnly,
    /// It removes files that nothing refers to. What is damaged stays as it is: throwing it away is
    /// for people to decide.
    RemoveOrphans,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// How many objects were read.
    pub objects: u64,
    /// How many open uploads there are.
    pub uploads: u64,
    /// How many parts of open uploads were read.
    pub parts: u64,
    /// How many data files the metadata knows.
    pub files: u64,
    /// How many bytes were read.
    pub read_bytes: u64,
    /// What is wrong, at most 1,000 of it.
    pub problems: Vec<Problem>,
    /// How much is wrong in all.
    pub problem_count: u64,
    /// Files that nothing refers to, from the folder of the store on: data files that the metadata
    /// does not know, and what a crash left in the staging folder. They only take space, unless the
    /// metadata is from a backup and older than they are. At most 1,000 are named.
    pub orphans: Vec<PathBuf>,
    /// How many orphans there are in all.
    pub orphan_count: u64,
    /// What lies among the data files and is none by its name and place, as found below the folder
    /// of the store. Nobody here made it, so nobody here removes it. At most 1,000 are named.
    pub strangers: Vec<PathBuf>,
    /// How many strangers there are in all.
    pub stranger_count: u64,
    /// How many orphans were removed, and are gone.
    pub removed_orphans: u64,
}

/// To which object or open upload something belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Which upload, when it is an open one; `unknown` when even that cannot be read.
    pub upload_id: Option<String>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes of a part are not those that were written.
    DamagedPart {
        /// Of which object or upload.
        owner: Owner,
        /// Which part, as it was numbered when it was uploaded.
        part_number: u16,
        /// What does not fit.
        what: String,
    },
    /// A data file is missing, too short or too long, or has other bytes.
    DamagedFile {
        /// Which file.
        file: FileId,
        /// What does not fit.
        what: String,
    },
    /// A data file has another number of references than extents.
    WrongReferences {
        /// Which file.
        file: FileId,
        /// How many are recorded.
        recorded: u64,
        /// How many there are.
        counted: u64,
    },
    /// Records contradict each other.
    Contradiction {
        /// Which, and how.
        what: String,
    },
}

impl CheckReport {
    /// Whether everything is as it was written. Orphans are not counted: they are no damage.
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
