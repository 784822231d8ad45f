//! What the client must remember to go on after `kill -9`, a power cut or a closed lid.
//!
//! One append-only file per transfer under the state folder, of an upload or of a download
//! ([`download`]): [`record`] says what is remembered, [`mod@format`] how it lies on disk, [`file`]
//! how it is written, [`lock`] who has it, [`private`] whose it must be, [`find`] which one belongs
//! to a source and a target, [`remembered`] what all records come to, [`unreadable`] what becomes
//! of a file that cannot be read. The journal is never the truth about parts – ListParts is – but
//! it is the truth about the plan, the source, the store and the UploadId. A journal that is lost
//! or damaged costs parts sent again, never a wrong object.

mod download;
mod file;
mod find;
mod folder;
pub mod format;
mod lock;
mod private;
mod record;
mod remembered;
mod unreadable;

#[cfg(test)]
mod tests;

pub(crate) use download::RememberedDownload;
pub use download::{DownloadBeginning, DownloadSummary, ObjectVersion, RangeRecord};
pub use file::{Journal, JournalError, Opened};
pub use find::{FoundJournal, RelatedJournal, Relation};
pub use folder::{JournalFolder, JournalSummary};
pub(crate) use remembered::Remembered;

pub use record::{Beginning, PartRecord, Record};
pub use unreadable::{MovedAside, UnreadableJournal};
