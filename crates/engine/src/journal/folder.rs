//! The folder of all journals of a user: opens one by its name, and lists them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use haul_parts::{PartNumber, UploadId};

use super::file::{JournalError, Opened, io_error};
use super::format::{self, FormatError};
use super::lock::{is_locked, lock_and_read};
use super::private;
use super::record::{Beginning, PartRecord};
use super::remembered::Remembered;
use super::unreadable;

/// The folder of the journals: `$XDG_STATE_HOME/haul/uploads`. Only its user may access it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFolder(PathBuf);

/// An unfinished upload of this machine.
#[derive(Clone, Debug)]
pub struct JournalSummary {
    /// The id of its journal, for `haul resume` and `haul abort`.
    pub id: String,
    /// The parameters of the upload, with the source as last seen.
    pub beginning: Beginning,
    /// The id of the upload, if Create was answered.
    pub upload_id: Option<UploadId>,
    /// The recorded parts.
    pub parts: BTreeMap<PartNumber, PartRecord>,
    /// Whether Complete was sent: the object may exist.
    pub completing: bool,
    /// Whether a process holds it now.
    pub running: bool,
    /// The id of that process.
    pub running_pid: Option<u32>,
    /// The reason why it stopped, if it stopped regularly.
    pub paused: Option<String>,
}

pub(super) const ENDING: &str = "journal";

impl JournalFolder {
    /// Creates the value for a folder, which is created with the first journal.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the folder's path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Opens or creates the journal `id` and locks it. A file that is not a journal (zeros after a
    /// power cut) is moved aside to `ID.damaged`.
    ///
    /// # Errors
    /// [`JournalError::Locked`] while another process holds it, [`JournalError::Format`] if another
    /// version wrote it, [`JournalError::NotPrivate`] if it, or the folder, belongs to another
    /// user.
    pub fn open(&self, id: &str) -> Result<Opened, JournalError> {
        private::make_folder(&self.0)?;
        let path = self.file_of(id);
        let mut moved_aside = None;
        loop {
            let (file, bytes) = lock_and_read(&path, true)?;
            match unreadable::read(&bytes) {
                Ok(good) => return Opened::new(file, path, good, moved_aside),
                Err(source @ (FormatError::Version(_) | FormatError::UnknownRecord(_))) => {
                    return Err(JournalError::Format { path, source });
                }
                // Keep the lock until the file has its new name: no other process appends to it.
                Err(reason) => moved_aside = Some(unreadable::move_aside(&path, reason)?),
            }
        }
    }

    /// Opens the journal `id` only if it exists.
    ///
    /// # Errors
    /// As [`JournalFolder::open`], and [`JournalError::Format`] for any unreadable file: it stays.
    pub fn open_existing(&self, id: &str) -> Result<Option<Opened>, JournalError> {
        let path = self.file_of(id);
        if !private::check_folder(&self.0)? || fs::symlink_metadata(&path).is_err() {
            return Ok(None);
        }
        let (file, bytes) = match lock_and_read(&path, false) {
            Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            locked => locked?,
        };
        match unreadable::read(&bytes) {
            Ok(good) => Opened::new(file, path, good, None).map(Some),
            Err(source) => Err(JournalError::Format { path, source }),
        }
    }

    /// Removes the journal `id` without a request to a store: its parts may be left there. `false`:
    /// there is no such journal.
    ///
    /// # Errors
    /// As [`JournalFolder::open_existing`]; an unreadable journal stays.
    pub fn forget(&self, id: &str) -> Result<bool, JournalError> {
        let Some(opened) = self.open_existing(id)? else { return Ok(false) };
        opened.journal.remove()?;
        Ok(true)
    }

    /// Returns whether a journal `id` exists, readable or not.
    pub fn has(&self, id: &str) -> bool {
        self.file_of(id).is_file()
    }

    pub(super) fn file_of(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.{ENDING}"))
    }

    /// Lists every unfinished upload of this machine, oldest first. Skips unreadable files:
    /// [`JournalFolder::unreadable`] has them.
    ///
    /// # Errors
    /// The folder cannot be listed, or belongs to another user; a missing folder is empty.
    pub fn list(&self) -> Result<Vec<JournalSummary>, JournalError> {
        let mut found: Vec<_> =
            self.files()?.into_iter().filter_map(|(id, path)| summary(id, &path)).collect();
        // Several can begin in one second; their order must not depend on the file system.
        found.sort_by(|one, other| {
            (one.beginning.begun_at, &one.id).cmp(&(other.beginning.begun_at, &other.id))
        });
        Ok(found)
    }

    /// Returns every journal by name and path; none if there is no folder.
    pub(super) fn files(&self) -> Result<Vec<(String, PathBuf)>, JournalError> {
        if !private::check_folder(&self.0)? {
            return Ok(vec![]);
        }
        let entries = fs::read_dir(&self.0).map_err(io_error("listed", &self.0))?;
        let journal = |path: PathBuf| {
            let id = path.file_stem()?.to_str()?.to_owned();
            (path.extension()? == ENDING).then_some((id, path))
        };
        Ok(entries.filter_map(|entry| journal(entry.ok()?.path())).collect())
    }
}

fn summary(id: String, path: &Path) -> Option<JournalSummary> {
    let Remembered { beginning, created, parts, completing, last_pid, paused } = read(path)?;
    let running = is_locked(path);
    Some(JournalSummary {
        id,
        beginning,
        upload_id: created.map(|created| created.upload_id),
        parts,
        completing,
        running,
        running_pid: last_pid.filter(|_| running),
        paused,
    })
}

pub(super) fn read(path: &Path) -> Option<Remembered> {
    Remembered::fold(format::decode(&private::read(path).ok()?).ok()?.records)
}
