//! One journal on disk: locked by one process, appended to and synced.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::format::{self, FormatError, MAGIC};
use super::record::{Beginning, Record};
use super::unreadable::MovedAside;

/// An open, locked journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// The length of the intact part of the file.
    good_bytes: u64,
    /// Whether a partial record follows, which did not fit on the disk.
    torn: bool,
}

/// The result of opening a journal.
#[derive(Debug)]
pub struct Opened {
    /// The journal, ready to append.
    pub journal: Journal,
    /// Its records; empty for a new one.
    pub records: Vec<Record>,
    /// The damaged journal that was replaced.
    pub moved_aside: Option<MovedAside>,
}

/// The reason why a journal is unusable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process holds this upload.
    #[error("{}", match pid { Some(pid) => format!("process {pid} is already working on this \
        upload"), None => "another process is already working on this upload".into() })]
    Locked {
        /// The id of that process, if readable.
        pid: Option<u32>,
    },
    /// A file operation failed.
    #[error("the journal {} cannot be {what}", path.display())]
    Io {
        /// The operation: opened, written, synced, …
        what: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The journal is damaged, or of another version.
    #[error("the journal {} cannot be read", path.display())]
    Format {
        /// The path of the journal.
        path: PathBuf,
        /// The problem with its format.
        source: FormatError,
    },
    /// Other users can access it.
    #[error("{} is not used: {reason}", path.display())]
    NotPrivate {
        /// The path of the journal or of the folder.
        path: PathBuf,
        /// The owner or kind of the file.
        reason: String,
    },
    /// The requested journal does not exist: its upload has ended.
    #[error("there is no journal {id}: its upload was completed or aborted meanwhile")]
    Missing {
        /// The requested id.
        id: String,
    },
    /// The record is too long: more metadata than S3 accepts.
    #[error("a record of the journal would be too long")]
    RecordTooLong,
}

impl Opened {
    pub(super) fn new(
        file: File,
        path: PathBuf,
        (records, good_bytes): (Vec<Record>, usize),
        moved_aside: Option<MovedAside>,
    ) -> Result<Self, JournalError> {
        let mut journal = Journal { file, path, good_bytes: 0, torn: false };
        journal.cut(good_bytes as u64)?;
        Ok(Self { journal, records, moved_aside })
    }
}

impl Journal {
    /// Appends a record; it survives the end of this process.
    ///
    /// # Errors
    /// The disk is full or broken. Later records may fit again: the partial record is cut off,
    /// because a reader stops at a torn record.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let bytes = format::encode(record).ok_or(JournalError::RecordTooLong)?;
        if self.torn {
            self.cut(self.good_bytes)?;
        }
        if let Err(error) = self.file.write_all(&bytes) {
            self.torn = true;
            // If this fails too, the next append repeats it first.
            let _ = self.cut(self.good_bytes);
            return Err(io_error("written", &self.path)(error));
        }
        self.good_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes a partial record, as a full disk leaves it.
    #[cfg(test)]
    pub(super) fn tear(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.torn = true;
        self.file.write_all(bytes)
    }

    /// Appends a record; it survives a power cut, and so does everything before it.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_synced(&mut self, record: &Record) -> Result<(), JournalError> {
        self.append(record)?;
        self.file.sync_data().map_err(io_error("synced", &self.path))?;
        Ok(())
    }

    /// Discards everything and starts over, keeping the lock.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn restart(&mut self, beginning: Beginning) -> Result<(), JournalError> {
        self.restart_with(&Record::Begun(Box::new(beginning)))
    }

    /// Discards everything and starts over with this record, keeping the lock.
    pub(crate) fn restart_with(&mut self, first: &Record) -> Result<(), JournalError> {
        self.cut(0)?;
        self.append(first)?;
        self.append_synced(&Record::Opened { pid: std::process::id() })?;
        sync_folder(&self.path)
    }

    /// Removes the journal of an upload that has ended.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(self) -> Result<(), JournalError> {
        fs::remove_file(&self.path).map_err(io_error("removed", &self.path))
    }

    /// Cuts the file to its intact part, and writes the magic into an empty one.
    fn cut(&mut self, good_bytes: u64) -> Result<(), JournalError> {
        let path = &self.path;
        self.file.set_len(good_bytes).map_err(io_error("truncated", path))?;
        self.file.seek(SeekFrom::End(0)).map_err(io_error("positioned", path))?;
        self.good_bytes = good_bytes;
        if good_bytes == 0 {
            self.file.write_all(&MAGIC).map_err(io_error("written", path))?;
            self.good_bytes = MAGIC.len() as u64;
        }
        self.torn = false;
        Ok(())
    }
}

/// Syncs the folder: the file's name must survive a power cut too.
fn sync_folder(path: &Path) -> Result<(), JournalError> {
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("synced", folder))
}

pub(super) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { what, path, source }
}
