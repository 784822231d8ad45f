//! Files among the journals that cannot be resumed: damaged, of another version of Haul, or of
//! another user.
//!
//! They may be all that is known of parts at a store, so they are listed and never removed: a
//! damaged one is moved aside when its upload begins anew, one of another version stays where it
//! is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{JournalError, io_error};
use super::folder::JournalFolder;
use super::format::{self, FormatError, MAGIC};
use super::lock::is_locked;
use super::private;
use super::record::Record;

/// Of the last one that was moved aside for its upload: `ID.damaged`.
const ASIDE: &str = "damaged";

/// A journal that cannot be read.
#[derive(Debug)]
pub struct UnreadableJournal {
    /// The name of its file, as of a readable one.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// Why: the disk, what it holds, or whose it is.
    pub error: JournalError,
}

/// A damaged journal that made room for a new one.
#[derive(Clone, Debug)]
pub struct MovedAside {
    /// Where it is now.
    pub path: PathBuf,
    /// What it is instead of a journal.
    pub reason: FormatError,
}

impl JournalFolder {
    /// What [`JournalFolder::list`] leaves out because it cannot be read, by id.
    ///
    /// # Errors
    /// When the folder cannot be listed, or is another user's; a missing folder is empty.
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
        // Its upload has just ended.
        Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return None;
        }
        Err(JournalError::NotPrivate { path: file, reason }) => {
            let error = JournalError::NotPrivate { path: file, reason };
            return Some(UnreadableJournal { id, path, error });
        }
        Err(error) => error,
    };
    // A process is writing its beginning right now.
    if is_locked(&path) { None } else { Some(UnreadableJournal { id, path, error }) }
}

/// The records of a file and how many of its bytes are good. None of either: nothing had been sent.
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

/// Makes room for a new journal; the caller holds its lock. An earlier one of the same upload is
/// replaced.
pub(super) fn move_aside(path: &Path, reason: FormatError) -> Result<MovedAside, JournalError> {
    let aside = path.with_extension(ASIDE);
    fs::rename(path, &aside).map_err(io_error("moved aside", path))?;
    Ok(MovedAside { path: aside, reason })
}
