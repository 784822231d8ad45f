//! A journal on disk: named by source and target, locked by one process, appended to and synced.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use haul_parts::{ChecksumAlgorithm, Hasher, PartNumber, UploadId};

use super::format::{self, FormatError, MAGIC};
use super::record::{Beginning, PartRecord, Record};
use super::remembered::Remembered;
use super::unreadable::{self, MovedAside};

/// Where journals are kept: `$XDG_STATE_HOME/haul/uploads`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFolder(PathBuf);

/// An open, locked journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Up to here the file is whole.
    good_bytes: u64,
    /// Behind that is the beginning of a record that found no room.
    torn: bool,
}

/// What was found when a journal was opened.
#[derive(Debug)]
pub struct Opened {
    /// To append to.
    pub journal: Journal,
    /// What it holds; empty for a new one.
    pub records: Vec<Record>,
    /// The damaged one that had its place.
    pub moved_aside: Option<MovedAside>,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process has this upload.
    #[error("{}", match pid { Some(pid) => format!("process {pid} is already working on this upload"), None => "another process is already working on this upload".into() })]
    Locked {
        /// Who, if its record was readable.
        pid: Option<u32>,
    },
    /// The disk said no.
    #[error("the journal {} cannot be {what}", path.display())]
    Io {
        /// Opened, written, synced…
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Damaged, or written by another version.
    #[error("the journal {} cannot be read", path.display())]
    Format {
        /// Where.
        path: PathBuf,
        /// What it is instead.
        source: FormatError,
    },
    /// More metadata than S3 would take.
    #[error("a record of the journal would be too long")]
    RecordTooLong,
}

/// An unfinished upload of this machine.
#[derive(Clone, Debug)]
pub struct JournalSummary {
    /// The name of its file: what `haul resume` and `haul abort` take.
    pub id: String,
    /// How it began.
    pub beginning: Beginning,
    /// If Create was answered.
    pub upload_id: Option<UploadId>,
    /// Parts that were recorded.
    pub parts: BTreeMap<PartNumber, PartRecord>,
    /// Complete was sent: the object may be there.
    pub completing: bool,
    /// Who works on it now.
    pub running_pid: Option<u32>,
    /// Why it stopped, if it stopped in good order.
    pub paused: Option<String>,
}

pub(super) const ENDING: &str = "journal";

impl JournalFolder {
    /// A folder; made when the first journal is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The id of the upload of `source_path` to `object` at a store: the same for the same command.
    pub fn id(source_path: &str, store: &str, object: &crate::store::ObjectRef) -> String {
        let identity = format!("{source_path}\0{store}\0{}\0{}", object.bucket, object.key);
        let digest = Hasher::checksum(ChecksumAlgorithm::Sha256, identity.as_bytes());
        digest.bytes().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Opens, or begins, the journal `id` and locks it. A file that is not a journal (zeros after a power cut) is moved
    /// aside to `ID.damaged`.
    ///
    /// # Errors
    /// [`JournalError::Locked`] while another process has it, [`JournalError::Format`] if another version wrote it.
    pub fn open(&self, id: &str) -> Result<Opened, JournalError> {
        fs::create_dir_all(&self.0).map_err(io_error("created", &self.0))?;
        let path = self.file_of(id);
        let mut moved_aside = None;
        loop {
            let (file, bytes) = lock_and_read(&path)?;
            match unreadable::read(&bytes) {
                Ok(good) => return Opened::new(file, path, good, moved_aside),
                Err(source @ FormatError::Version(_)) => return Err(JournalError::Format { path, source }),
                // Locked until it has its other name: nobody else appends to it.
                Err(reason) => moved_aside = Some(unreadable::move_aside(&path, reason)?),
            }
        }
    }

    /// Opens the journal `id` only if there is one.
    ///
    /// # Errors
    /// As [`JournalFolder::open`], and [`JournalError::Format`] for any file that cannot be read: it stays.
    pub fn open_existing(&self, id: &str) -> Result<Option<Opened>, JournalError> {
        let path = self.file_of(id);
        if !path.is_file() {
            return Ok(None);
        }
        let (file, bytes) = lock_and_read(&path)?;
        match unreadable::read(&bytes) {
            Ok(good) => Opened::new(file, path, good, None).map(Some),
            Err(source) => Err(JournalError::Format { path, source }),
        }
    }

    /// Whether there is a journal `id`; what it holds is another question.
    pub fn has(&self, id: &str) -> bool {
        self.file_of(id).is_file()
    }

    fn file_of(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.{ENDING}"))
    }

    /// Every unfinished upload of this machine, oldest first. Files that cannot be read are left out:
    /// [`JournalFolder::unreadable`] has them.
    ///
    /// # Errors
    /// When the folder cannot be listed; a missing folder is empty.
    pub fn list(&self) -> Result<Vec<JournalSummary>, JournalError> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(io_error("listed", &self.0)(error)),
        };
        let mut found: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let id = path.file_stem()?.to_str()?.to_owned();
                (path.extension()? == ENDING).then(|| summary(id, &path)).flatten()
            })
            .collect();
        found.sort_by_key(|summary| summary.beginning.begun_at);
        Ok(found)
    }
}

/// Locks a file, which is made if there is none, and reads it.
fn lock_and_read(path: &Path) -> Result<(File, Vec<u8>), JournalError> {
    loop {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(io_error("opened", path))?;
        if let Err(error) = file.try_lock() {
            return Err(match error {
                fs::TryLockError::WouldBlock => JournalError::Locked { pid: holder(path) },
                fs::TryLockError::Error(error) => io_error("locked", path)(error),
            });
        }
        // Its last holder may have finished and removed it between our open and our lock.
        if !same_file(&file, path) {
            continue;
        }
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).map_err(io_error("read", path))?;
        return Ok((file, bytes));
    }
}

impl Opened {
    fn new(
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
    /// When the disk is full or broken. Later records may find room again: what this one left is cut off, for a
    /// reader stops at a torn record.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let bytes = format::encode(record).ok_or(JournalError::RecordTooLong)?;
        if self.torn {
            self.cut(self.good_bytes)?;
        }
        if let Err(error) = self.file.write_all(&bytes) {
            self.torn = true;
            // If that fails too, the next append begins with it.
            let _ = self.cut(self.good_bytes);
            return Err(io_error("written", &self.path)(error));
        }
        self.good_bytes += bytes.len() as u64;
        Ok(())
    }

    /// What a disk that is full leaves behind.
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

    /// Forgets everything and begins anew, keeping the lock.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn restart(&mut self, beginning: Beginning) -> Result<(), JournalError> {
        self.cut(0)?;
        self.append(&Record::Begun(Box::new(beginning)))?;
        self.append_synced(&Record::Opened { pid: std::process::id() })?;
        sync_folder(&self.path)
    }

    /// The upload has ended: nothing is left to remember.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(self) -> Result<(), JournalError> {
        fs::remove_file(&self.path).map_err(io_error("removed", &self.path))
    }

    /// Cuts off what is not good, and puts the magic where there is nothing.
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

fn summary(id: String, path: &Path) -> Option<JournalSummary> {
    let Remembered { beginning, created, parts, completing, last_pid, paused } = read(path)?;
    Some(JournalSummary {
        id,
        beginning,
        upload_id: created.map(|created| created.upload_id),
        parts,
        completing,
        running_pid: last_pid.filter(|_| is_locked(path)),
        paused,
    })
}

fn read(path: &Path) -> Option<Remembered> {
    Remembered::fold(format::decode(&fs::read(path).ok()?).ok()?.records)
}

pub(super) fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
}

/// The process that took the upload up last.
fn holder(path: &Path) -> Option<u32> {
    read(path)?.last_pid
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn same_file(_: &File, path: &Path) -> bool {
    // A file that is open cannot be removed there.
    path.exists()
}

/// The file's name must survive a power cut too.
#[cfg(unix)]
fn sync_folder(path: &Path) -> Result<(), JournalError> {
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("synced", folder))
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), JournalError> {
    Ok(())
}

pub(super) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { what, path, source }
}
