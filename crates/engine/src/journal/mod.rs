//! What the client must remember to go on after `kill -9`, a power cut or a closed lid.
//!
//! One append-only file per upload under the state folder: [`record`] says what is remembered, [`format`] how
//! it lies on disk, [`file`] how it is written, locked and found again, [`remembered`] what all records come to,
//! [`unreadable`] what becomes of a file that cannot be read. The journal is never the truth about parts – ListParts
//! is – but it is the truth about the plan, the source and the UploadId. A journal that is lost or damaged costs
//! parts sent again, never a wrong object.
//!
//! The file's name is made of source and target, so the same command again finds it without a search.

mod file;
pub mod format;
mod record;
mod remembered;
mod unreadable;

#[cfg(test)]
mod tests;

pub use file::{Journal, JournalError, JournalFolder, JournalSummary, Opened};
pub(crate) use remembered::Remembered;

pub use record::{Beginning, PartRecord, Record, SourceRecord};
pub use unreadable::{MovedAside, UnreadableJournal};
