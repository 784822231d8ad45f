//! The journal: the state that a client needs to resume after `kill -9`, a power cut or a closed
//! lid.
//!
//! One append-only file per transfer under the state folder, of an upload or of a download
//! ([`download`]): [`record`] has the records, [`mod@format`] their layout on disk, [`file`] the
//! writing, [`lock`] the lock, [`private`] the permissions, [`find`] finds the journal of a source
//! and a target, [`remembered`] folds all records, [`unreadable`] handles files that cannot be
//! read. ListParts, not the journal, is the truth about parts; the journal is the truth about the
//! plan, the source, the store and the UploadId. A lost or damaged journal costs parts sent again,
//! never a wrong object.

mod download;
mod file;
mod find;
mod folder;
pub mod format;
mod lock;
mod plan;
pub(crate) mod private;
mod record;
mod remembered;
mod tree;
mod tree_records;
mod unreadable;

#[cfg(test)]
mod tests;

pub(crate) use download::RememberedDownload;
pub use download::{DownloadBeginning, DownloadSummary, RangeRecord};
pub use file::{Journal, JournalError, Opened};
pub use find::{FoundJournal, RelatedJournal, Relation};
pub use folder::{JournalFolder, JournalSummary};
pub use plan::RecordedPlan;
pub(crate) use remembered::Remembered;

pub use crate::source::ObjectVersion;
pub use record::{Beginning, PartRecord, Record};
pub use tree::{EarlierTree, Fingerprint, TreeBeginning, TreeFileState, TreeJournal, TreeSummary};
pub use unreadable::{MovedAside, UnreadableJournal};
