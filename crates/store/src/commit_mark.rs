//! The mark of the newest commit, beside the data files: tells files that a kill left from files
//! of lost metadata.
//!
//! A process that is killed between the link of a file and its commit leaves a file that the
//! metadata does not list. Metadata that was restored from a backup does not list files either, but
//! those are the only remains of acknowledged objects. The mark names the newest commit, and lies
//! with the data files. So if the metadata ends with that commit, it is the newest, and every
//! unlisted file that was written since the store was opened is one that a kill left.
//!
//! The mark is written before and after each commit and never synced: it outlives the process. It
//! counts only in the file and during the boot of the system in which it was written, so after a
//! power failure, or in a restored or copied store, it proves nothing, and unlisted files are left
//! (decision 0022).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use haul_parts::{ChecksumAlgorithm, Hasher};

use crate::clock::{Clock, time};
use crate::disk::{Disk, FileId, FoundMark, MarkPlace};
use crate::{Error, Result};

/// The beginning of every mark, with the version of its format.
const MAGIC: [u8; 8] = *b"haulmrk1";
const MARK_BYTES: usize = 96;
/// The bytes of a mark before its checksum.
const COVERED_BYTES: usize = MARK_BYTES - 4;

/// The maximum time between the time in a mark and that of the last change of its file (`ctime`):
/// a mark that was restored in place from a backup was changed later.
const CHANGED_WITHIN: Duration = Duration::from_secs(2);

/// Names a commit: the run of the store that made it, which is a random number, and its number in
/// that run. The default is that of a store without commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommitId {
    run: u64,
    number: u64,
}

impl CommitId {
    pub(crate) fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.run.to_le_bytes());
        bytes[8..].copy_from_slice(&self.number.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        let (run, number) = (number_at(&bytes, 0), number_at(&bytes, 8));
        Self { run, number }
    }
}

/// Returns the eight bytes at an offset as a number, low end first.
fn number_at(bytes: &[u8], offset: usize) -> u64 {
    let eight = bytes.get(offset..offset + 8).and_then(|eight| eight.try_into().ok());
    u64::from_le_bytes(eight.unwrap_or_default())
}

/// How far a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing of it was acknowledged yet.
    Begun = 1,
    /// It is on disk, and may be acknowledged.
    Done = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    /// The commit before this one.
    before: CommitId,
    commit: CommitId,
    progress: Progress,
    /// No commit before this run refers to a file with this number or a higher one.
    first_file: FileId,
    written_ms: u64,
    place: MarkPlace,
}

impl Mark {
    fn encode(&self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(&self.before.bytes());
        bytes[24..40].copy_from_slice(&self.commit.bytes());
        bytes[40..48].copy_from_slice(&self.first_file.0.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.written_ms.to_le_bytes());
        bytes[56..88].copy_from_slice(&self.place.0);
        bytes[88] = self.progress as u8;
        let sum = sum(&bytes[..COVERED_BYTES]);
        bytes[COVERED_BYTES..].copy_from_slice(&sum);
        bytes
    }

    /// Parses a mark; `None` for anything else.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (covered, found) = bytes.split_at_checked(COVERED_BYTES)?;
        if !covered.starts_with(&MAGIC) || found != sum(covered) {
            return None;
        }
        let commit =
            |at| CommitId { run: number_at(covered, at), number: number_at(covered, at + 8) };
        Some(Self {
            before: commit(8),
            commit: commit(24),
            first_file: FileId(number_at(covered, 40)),
            written_ms: number_at(covered, 48),
            place: MarkPlace(covered[56..88].try_into().ok()?),
            progress: match covered[88] {
                1 => Progress::Begun,
                2 => Progress::Done,
                _ => return None,
            },
        })
    }

    /// Returns whether metadata that ends with this commit is the newest.
    fn proves(&self, newest: CommitId) -> bool {
        newest == self.commit || (self.progress == Progress::Begun && newest == self.before)
    }

    /// Returns whether the mark was written where it was found, and its file not changed since.
    fn is_untouched(&self, changed: SystemTime, place: MarkPlace) -> bool {
        let written = time(self.written_ms);
        let apart = changed.duration_since(written).unwrap_or_else(|error| error.duration());
        apart <= CHANGED_WITHIN && self.place == place
    }
}

fn sum(bytes: &[u8]) -> [u8; 4] {
    let mut hasher = Hasher::new(ChecksumAlgorithm::Crc32c);
    hasher.update(bytes);
    hasher.finish().bytes().try_into().expect("a CRC32C has four bytes")
}

/// Writes the mark for one run of the store.
#[derive(Debug)]
pub(crate) struct CommitMarks {
    disk: Arc<dyn Disk>,
    run: u64,
    newest: CommitId,
    /// The first file of the mark; `None` if nothing is known of unlisted files.
    first_file: Option<FileId>,
    writing: Writing,
}

/// Whether marks are still written.
#[derive(Debug, PartialEq, Eq)]
enum Writing {
    NotYet,
    At(MarkPlace),
    /// The disk refused one.
    Failed,
}

impl CommitMarks {
    /// Reads the mark of the last run. `newest` is the newest commit of the metadata.
    ///
    /// # Errors
    /// [`Error::NotPlain`]. A mark that cannot be read proves nothing.
    pub(crate) fn open(disk: Arc<dyn Disk>, newest: CommitId) -> Result<Self> {
        let found = disk.read_commit_mark().map_err(Error::io("reading data/last-commit"));
        let found = match found {
            Err(error @ Error::NotPlain { .. }) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "files that a kill left cannot be told from others");
                None
            }
            Ok(found) => found,
        };
        let proof = found.and_then(|FoundMark { bytes, changed, place }| {
            let mark = Mark::decode(&bytes)?;
            (mark.proves(newest) && mark.is_untouched(changed, place)).then_some(mark.first_file)
        });
        let (run, writing) = (rand::random(), Writing::NotYet);
        Ok(Self { disk, run, newest, first_file: proof, writing })
    }

    /// Returns the number from which on unlisted files are those that a kill left; `None` if that
    /// is not known of any file.
    pub(crate) fn killed_from(&self) -> Option<FileId> {
        self.first_file
    }

    /// Sets the number from which on unlisted files will be those of a kill; `None` if that is not
    /// known of any file.
    pub(crate) fn set_first_file(&mut self, first_file: Option<FileId>) {
        self.first_file = first_file;
    }

    /// Marks the next commit as begun, and returns its name, which must become part of it.
    pub(crate) fn begin(&mut self) -> CommitId {
        let number = if self.newest.run == self.run { self.newest.number + 1 } else { 1 };
        let commit = CommitId { run: self.run, number };
        self.write(commit, Progress::Begun);
        commit
    }

    /// Marks a commit as done. Call it before anything of the commit is acknowledged.
    pub(crate) fn done(&mut self, commit: CommitId) {
        self.write(commit, Progress::Done);
        self.newest = commit;
    }

    fn write(&mut self, commit: CommitId, progress: Progress) {
        if self.writing == Writing::Failed {
            return;
        }
        if let Err(error) = self.try_write(commit, progress) {
            self.writing = Writing::Failed;
            // The last mark must not be taken for that of the newest commit.
            let removed = self.disk.remove_commit_mark();
            tracing::warn!(%error, ?removed, "data/last-commit could not be written: files that a \
                kill leaves will stay until haul store check --repair");
        }
    }

    fn try_write(&mut self, commit: CommitId, progress: Progress) -> std::io::Result<()> {
        let place = match self.writing {
            Writing::At(place) => place,
            _ => self.disk.commit_mark_place()?,
        };
        self.writing = Writing::At(place);
        let mark = Mark {
            before: self.newest,
            commit,
            progress,
            first_file: self.first_file.unwrap_or(FileId(u64::MAX)),
            written_ms: Clock::default().now_ms(),
            place,
        };
        self.disk.write_commit_mark(&mark.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark {
            before: CommitId { run: 3, number: 70 },
            commit: CommitId { run: u64::MAX, number: 1 },
            progress: Progress::Begun,
            first_file: FileId(4096),
            written_ms: 1_795_000_000_000,
            place: MarkPlace([7; 32]),
        }
    }

    #[test]
    fn a_mark_is_read_back_and_nothing_else_is() {
        let bytes = mark().encode();
        assert_eq!(Mark::decode(&bytes), Some(mark()));
        let done = Mark { progress: Progress::Done, ..mark() };
        assert_eq!(Mark::decode(&done.encode()), Some(done));
        for bit in 0..MARK_BYTES * 8 {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::decode(&other), None, "bit {bit}");
        }
        for length in 0..MARK_BYTES {
            assert_eq!(Mark::decode(&bytes[..length]), None, "{length} bytes");
        }
        let longer = [&bytes[..], b"0"].concat();
        assert_eq!(Mark::decode(&longer), None);
    }

    #[test]
    fn a_mark_proves_the_newest_metadata_only() {
        let begun = mark();
        let done = Mark { progress: Progress::Done, ..mark() };
        assert!(begun.proves(begun.commit) && done.proves(done.commit));
        assert!(begun.proves(begun.before), "nothing of the commit was acknowledged");
        assert!(!done.proves(done.before), "the commit may have been acknowledged");
        for older in [CommitId::default(), CommitId { number: 69, ..begun.before }] {
            assert!(!begun.proves(older) && !done.proves(older), "{older:?}");
        }
    }

    #[test]
    fn a_mark_in_another_file_or_of_another_time_is_that_of_a_copy() {
        let (written, place) = (time(mark().written_ms), mark().place);
        assert!(mark().is_untouched(written, place));
        assert!(mark().is_untouched(written + CHANGED_WITHIN, place));
        for apart in [CHANGED_WITHIN + Duration::from_millis(1), Duration::from_hours(24)] {
            assert!(!mark().is_untouched(written + apart, place), "{apart:?} later");
            assert!(!mark().is_untouched(written - apart, place), "{apart:?} earlier");
        }
        assert!(!mark().is_untouched(written, MarkPlace([8; 32])));
    }
}
