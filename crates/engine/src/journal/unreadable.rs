//! Handles journals that cannot be resumed: damaged, of another version of Haul, or of another
//! user.
//!
//! Such a journal may be the only record of parts at a store, so it is listed and never removed. A
//! damaged journal is moved aside when its upload restarts; a journal of another version stays in
//! place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{JournalError, io_error};
use super::folder::JournalFolder;
use super::format::{self, FormatError, MAGIC};
use super::lock::is_locked;
use super::private;
use super::record::Record;

/// The extension of a damaged journal that was moved aside: `ID.damaged`.
const ASIDE: &str = "damaged";

/// A journal that cannot be read.
#[derive(Debug)]
pub struct UnreadableJournal {
    /// The id of the journal: the name of its file without the extension.
    pub id: String,
    /// The path of the journal's file.
    pub path: PathBuf,
    /// The reason why it cannot be read: an I/O error, its content, or its owner.
    pub error: JournalError,
}

/// A damaged journal that was replaced by a new one.
#[derive(Clone, Debug)]
pub struct MovedAside {
    /// The path that the damaged journal has now (`ID.damaged`).
    pub path: PathBuf,
    /// The problem with the format of the damaged journal.
    pub reason: FormatError,
}

impl JournalFolder {
    /// Lists the journals that [`JournalFolder::list`] skips as unreadable, by id.
    ///
    /// # Errors
    /// The folder cannot be listed, or belongs to another user; a missing folder is empty.
    pub fn unreadable(&self) -> Result<Vec<UnreadableJournal>, JournalError> {
        let mut found: Vec<_> =
            self.files()?.into_iter().filter_map(|(id, path)| examine(id, path)).collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(found)
    }
}

fn examine(id: String, path: PathBuf) -> Option<UnreadableJournal> {
    let error = match private::read(&path) {
        Ok(bytes) => {
            let source = read(&bytes).err()?;
            JournalError::Format { path: path.clone(), source }
        }
        // The upload has just ended and removed its journal.
        Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return None;
        }
        Err(JournalError::NotPrivate { path: file, reason }) => {
            let error = JournalError::NotPrivate { path: file, reason };
            return Some(UnreadableJournal { id, path, error });
        }
        Err(error) => error,
    };
    // A locked journal is not damaged: a process is writing its first record right now.
    if is_locked(&path) { None } else { Some(UnreadableJournal { id, path, error }) }
}

/// Returns the records of a journal and the length of its intact part. Both are empty if the run
/// ended before it sent anything.
pub(super) fn read(file: &[u8]) -> Result<(Vec<Record>, usize), FormatError> {
    let decoded = match format::decode(file) {
        Err(FormatError::Empty) => return Ok((vec![], 0)),
        decoded => decoded?,
    };
    match decoded.records.first() {
        Some(Record::Begun(_) | Record::Downloading(_)) => {
            Ok((decoded.records, decoded.good_bytes))
        }
        _ if file.len() == MAGIC.len() => Ok((vec![], 0)),
        _ => Err(FormatError::Beginning),
    }
}

/// Moves a damaged journal aside, and replaces an earlier one of the same upload. The caller holds
/// the journal's lock.
pub(super) fn move_aside(path: &Path, reason: FormatError) -> Result<MovedAside, JournalError> {
    let aside = path.with_extension(ASIDE);
    fs::rename(path, &aside).map_err(io_error("moved aside", path))?;
    Ok(MovedAside { path: aside, reason })
}
