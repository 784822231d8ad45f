//! The journal of a tree: records which files were begun and which are done, so that the same
//! command resumes after a kill.
//!
//! ```text
//! file    "HAULTRE" 0x01, length of the beginning, u32 LE │ its CRC32C, u32 LE │ one JSON object
//! record  kind, u8 (1 begun, 2 done) │ fingerprint, 16 bytes │ CRC32C of both, u32 LE
//! ```
//!
//! A fingerprint is the beginning of the SHA-256 of a name and of the version that was found: a
//! record takes 21 bytes, whatever the name. Records are written without a sync: a kill loses none,
//! and a record that a power failure loses costs one request to the store.

use std::fs::{self, File, TryLockError};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use haul_parts::{ChecksumAlgorithm, Hasher};
use serde::{Deserialize, Serialize};

use super::file::{JournalError, io_error};
use super::folder::JournalFolder;
use super::lock::{is_locked, same_file};
use super::private;
use super::tree_records::{ENTRY_BYTES, SortedRecords, Sorting, TreeEntry};

const MAGIC: [u8; 8] = *b"HAULTRE\x01";
const BEGUN: u8 = 1;
const DONE: u8 = 2;
const RECORD_BYTES: usize = 21;
const BEGINNING_BYTES_MAX: usize = 1 << 20;
const ENDING: &str = "tree";

/// Identifies one version of one file of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Creates the fingerprint of a name and the text that identifies its version.
    pub fn new(name: &str, version: &str) -> Self {
        let mut hasher = Hasher::new(ChecksumAlgorithm::Sha256);
        hasher.update(name.as_bytes());
        hasher.update(b"\0");
        hasher.update(version.as_bytes());
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hasher.finish().bytes()).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }
}

/// Describes a tree, for people and for `haul transfers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeBeginning {
    /// The sources, as the user wrote them.
    pub sources: Vec<String>,
    /// The target, as the user wrote it.
    pub target: String,
    /// The name of the store.
    pub store: String,
    /// The start time in seconds since 1970, by this machine's clock.
    pub begun_at: i64,
}

/// The files that earlier runs recorded, in bounded memory, whatever their number.
#[derive(Debug, Default)]
pub struct EarlierTree {
    records: SortedRecords,
}

/// The state of a recorded file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeFileState {
    /// The file was begun, and its end was not recorded.
    Begun,
    /// The end of the file was recorded.
    Done,
}

impl EarlierTree {
    /// Returns the recorded state of a file. May block for a read from the disk.
    ///
    /// # Errors
    /// If the sorted records cannot be read.
    pub fn state_of(
        &self,
        fingerprint: &Fingerprint,
    ) -> Result<Option<TreeFileState>, JournalError> {
        let kind = self.records.kind_of(&fingerprint.0);
        let kind = kind.map_err(io_error("read", Path::new("the sorted records of a tree")))?;
        Ok(kind.map(|kind| if kind == DONE { TreeFileState::Done } else { TreeFileState::Begun }))
    }

    /// Returns true if no file was recorded.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// An unfinished tree of this machine.
#[derive(Clone, Debug)]
pub struct TreeSummary {
    /// The name of its journal.
    pub id: String,
    /// The sources and the target of the tree.
    pub beginning: TreeBeginning,
    /// The number of finished files.
    pub done: u64,
    /// Whether a process works on it now.
    pub running: bool,
}

/// The open, locked journal of a tree.
#[derive(Debug)]
pub struct TreeJournal {
    file: File,
    path: PathBuf,
}

impl JournalFolder {
    /// Returns the name of the journal of a tree: the same for the same command.
    pub fn tree_id(kind: &str, beginning: &TreeBeginning) -> String {
        let mut hasher = Hasher::new(ChecksumAlgorithm::Sha256);
        let words = [kind, &beginning.store, &beginning.target];
        for word in words.into_iter().chain(beginning.sources.iter().map(String::as_str)) {
            hasher.update(word.as_bytes());
            hasher.update(b"\0");
        }
        hasher.finish().bytes().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Lists the unfinished trees of this machine, oldest first. Journals that cannot be read are
    /// omitted: they contain nothing of use.
    ///
    /// # Errors
    /// If the folder cannot be listed, or belongs to another user.
    pub fn list_trees(&self) -> Result<Vec<TreeSummary>, JournalError> {
        if !private::check_folder(self.path())? {
            return Ok(vec![]);
        }
        let entries = fs::read_dir(self.path()).map_err(io_error("listed", self.path()))?;
        let mut found: Vec<TreeSummary> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let id = path.file_stem()?.to_str()?.to_owned();
                if path.extension()? != ENDING {
                    return None;
                }
                let running = is_locked(&path);
                let file = private::open(&path, false).ok()?;
                let mut journal = TreeJournal { file, path };
                let mut done = 0;
                let count = |entry: TreeEntry| {
                    done += u64::from(entry[16] == DONE);
                    Ok(())
                };
                let (beginning, _) = journal.read(count).ok()??;
                Some(TreeSummary { id, beginning, done, running })
            })
            .collect();
        // Several can begin in one second; their order must not depend on the file system.
        found.sort_by(|one, other| {
            (one.beginning.begun_at, &one.id).cmp(&(other.beginning.begun_at, &other.id))
        });
        Ok(found)
    }

    /// Removes the journal of a tree. Files that were copied stay; uploads in parts have journals
    /// of their own.
    ///
    /// # Errors
    /// If it does not exist, another process holds it, or it cannot be removed.
    pub fn forget_tree(&self, id: &str) -> Result<(), JournalError> {
        let path = self.path().join(format!("{id}.{ENDING}"));
        if !path.is_file() {
            return Err(JournalError::Missing { id: id.to_owned() });
        }
        if is_locked(&path) {
            return Err(JournalError::Locked { pid: None });
        }
        fs::remove_file(&path).map_err(io_error("removed", &path))
    }

    /// Opens or creates the journal of a tree and locks it. A journal that cannot be read is
    /// replaced: that costs requests, not bytes.
    ///
    /// # Errors
    /// [`JournalError::Locked`] while another process has it.
    pub fn open_tree(
        &self,
        id: &str,
        beginning: &TreeBeginning,
    ) -> Result<(TreeJournal, EarlierTree), JournalError> {
        private::make_folder(self.path())?;
        let path = self.path().join(format!("{id}.{ENDING}"));
        let file = loop {
            let file = private::open(&path, true)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(JournalError::Locked { pid: None }),
                Err(TryLockError::Error(error)) => return Err(io_error("locked", &path)(error)),
            }
            if same_file(&file, &path) {
                break file;
            }
        };
        let mut journal = TreeJournal { file, path };
        let mut sorting = Sorting::in_folder(self.path());
        let read = journal.read(|entry| sorting.add(entry));
        let earlier = match read.map_err(io_error("read", &journal.path))? {
            Some((_, good_bytes)) => {
                let cut = journal.file.set_len(good_bytes);
                cut.and_then(|()| journal.file.seek(SeekFrom::Start(good_bytes)))
                    .map_err(io_error("opened", &journal.path))?;
                let records = sorting.sorted().map_err(io_error("sorted", &journal.path))?;
                EarlierTree { records }
            }
            None => {
                journal.begin(beginning).map_err(io_error("written", &journal.path))?;
                EarlierTree::default()
            }
        };
        Ok((journal, earlier))
    }
}

impl TreeJournal {
    /// Records that a file is about to be sent.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn begun(&mut self, fingerprint: Fingerprint) -> Result<(), JournalError> {
        self.append(BEGUN, fingerprint)
    }

    /// Records that a file has arrived.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn done(&mut self, fingerprint: Fingerprint) -> Result<(), JournalError> {
        self.append(DONE, fingerprint)
    }

    /// Removes the journal of a finished tree.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(self) -> Result<(), JournalError> {
        fs::remove_file(&self.path).map_err(io_error("removed", &self.path))
    }

    /// Returns the path of the journal.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn append(&mut self, kind: u8, fingerprint: Fingerprint) -> Result<(), JournalError> {
        let mut record = Vec::with_capacity(RECORD_BYTES);
        record.push(kind);
        record.extend(fingerprint.0);
        record.extend(crc32c(&record));
        self.file.write_all(&record).map_err(io_error("written", &self.path))
    }

    fn begin(&mut self, beginning: &TreeBeginning) -> std::io::Result<()> {
        let payload = serde_json::to_vec(beginning)?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(crc32c(&payload));
        bytes.extend(payload);
        self.file.write_all(&bytes)?;
        self.file.sync_data()
    }

    /// Gives each record of the journal to `each`; returns the beginning and the number of valid
    /// bytes, or `None` if the file is not a journal of this version.
    fn read(
        &mut self,
        mut each: impl FnMut(TreeEntry) -> std::io::Result<()>,
    ) -> std::io::Result<Option<(TreeBeginning, u64)>> {
        self.file.rewind()?;
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        let mut head = [0; 16];
        if !fill(&mut reader, &mut head)? || head[..8] != MAGIC {
            return Ok(None);
        }
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        if length > BEGINNING_BYTES_MAX {
            return Ok(None);
        }
        let mut beginning = vec![0; length];
        if !fill(&mut reader, &mut beginning)? || crc32c(&beginning) != head[12..] {
            return Ok(None);
        }
        let Ok(beginning) = serde_json::from_slice(&beginning) else { return Ok(None) };
        let mut good_bytes = (head.len() + length) as u64;
        let mut record = [0; RECORD_BYTES];
        while fill(&mut reader, &mut record)? && crc32c(&record[..17]) == record[17..] {
            // Sorted by their fingerprints, and then by their kind.
            let mut entry = [0; ENTRY_BYTES];
            entry[..16].copy_from_slice(&record[1..17]);
            entry[16] = if record[0] == DONE { DONE } else { BEGUN };
            each(entry)?;
            good_bytes += RECORD_BYTES as u64;
        }
        Ok(Some((beginning, good_bytes)))
    }
}

/// Fills the buffer; returns false if fewer bytes are left.
pub(super) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let checksum = Hasher::checksum(ChecksumAlgorithm::Crc32c, bytes);
    let mut bytes: [u8; 4] = checksum.bytes().try_into().unwrap_or_default();
    bytes.reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning() -> TreeBeginning {
        TreeBeginning {
            sources: vec!["/a".into()],
            target: "s3://b/p/".into(),
            store: "http://h".into(),
            begun_at: 7,
        }
    }

    fn name(text: &str) -> Fingerprint {
        Fingerprint::new(text, "1")
    }

    /// Returns the states of the files a, b and c.
    fn states(earlier: &EarlierTree) -> [Option<TreeFileState>; 3] {
        ["a", "b", "c"].map(|text| earlier.state_of(&name(text)).unwrap())
    }

    #[test]
    fn what_was_begun_and_done_is_found_by_the_next_run() {
        let root = tempfile::tempdir().unwrap();
        let folder = JournalFolder::new(root.path().join("uploads"));
        let id = JournalFolder::tree_id("cp", &beginning());
        let (mut journal, earlier) = folder.open_tree(&id, &beginning()).unwrap();
        assert!(earlier.is_empty());
        for text in ["a", "b", "c"] {
            journal.begun(name(text)).unwrap();
        }
        journal.done(name("b")).unwrap();
        let taken = folder.open_tree(&id, &beginning()).unwrap_err();
        assert!(matches!(taken, JournalError::Locked { .. }), "{taken}");
        let path = journal.path().to_owned();
        drop(journal);

        // A torn record at its end.
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [whole.clone(), vec![DONE; 9]].concat()).unwrap();
        let (mut journal, earlier) = folder.open_tree(&id, &beginning()).unwrap();
        use TreeFileState::{Begun, Done};
        assert_eq!(states(&earlier), [Some(Begun), Some(Done), Some(Begun)]);
        journal.done(name("a")).unwrap();
        assert!(folder.list_trees().unwrap()[0].running);
        assert!(matches!(folder.forget_tree(&id), Err(JournalError::Locked { .. })));
        drop(journal);
        let listed = folder.list_trees().unwrap().remove(0);
        assert_eq!((listed.id, listed.beginning, listed.done), (id.clone(), beginning(), 2));
        let (journal, earlier) = folder.open_tree(&id, &beginning()).unwrap();
        assert_eq!(states(&earlier), [Some(Done), Some(Done), Some(Begun)]);
        journal.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn every_cut_of_a_journal_is_read_or_begun_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = JournalFolder::new(root.path().join("uploads"));
        let (mut journal, _) = folder.open_tree("id", &beginning()).unwrap();
        journal.done(name("a")).unwrap();
        journal.done(name("b")).unwrap();
        let path = journal.path().to_owned();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (_, earlier) = folder.open_tree("id", &beginning()).unwrap();
            let lost = (whole.len() - length).div_ceil(RECORD_BYTES).min(2);
            let done = Some(TreeFileState::Done);
            let expected = [done.filter(|_| lost < 2), done.filter(|_| lost < 1), None];
            assert_eq!(states(&earlier), expected, "{length}");
        }
    }

    #[test]
    fn another_version_of_a_file_has_another_fingerprint() {
        assert_ne!(Fingerprint::new("a", "1"), Fingerprint::new("a", "2"));
        assert_ne!(Fingerprint::new("a", "b1"), Fingerprint::new("ab", "1"));
    }
}
