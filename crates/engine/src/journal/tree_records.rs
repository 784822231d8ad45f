//! The files that earlier runs of a tree recorded, in bounded memory.
//!
//! The journal has its records in the order in which files ended, and a tree asks for them in the
//! order of its names. So the fingerprints are sorted once: a few in memory, more in runs on disk
//! that are merged into one unlinked file beside the journal. Fingerprints are hashes, evenly
//! spread: an index of their first two bytes and the position between two entries of it lead to a
//! fingerprint in one read, as a rule. Before, a continued run held 64 bytes per file in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use crate::source::read_exact_at;

/// A fingerprint and the kind of its record.
pub(super) const ENTRY_BYTES: usize = 17;
pub(super) type TreeEntry = [u8; ENTRY_BYTES];

/// The maximum number of records that are sorted in memory: 4.3 MiB.
const HELD_MAX: usize = 1 << 18;

/// The bytes of a run that are read in one step: a merge holds this for each run.
const RUN_READ_BYTES: usize = 8 * 1024;

/// The entries of the index: one for each beginning of two bytes, and the end.
const INDEX_LENGTH: usize = (1 << 16) + 1;

/// The entries on each side of the expected position that are read at once.
const WINDOW: u64 = 240;

/// Collects records in any order.
pub(super) struct Sorting<'a> {
    folder: &'a Path,
    held: Vec<TreeEntry>,
    held_max: usize,
    spilled: Option<Spilled>,
}

/// Sorted runs, one after the other in one file.
struct Spilled {
    file: BufWriter<File>,
    written_bytes: u64,
    /// The beginning and the end of each run.
    runs: Vec<(u64, u64)>,
}

/// Sorted records, one for each fingerprint, of the highest kind.
#[derive(Debug, Default)]
pub(super) enum SortedRecords {
    #[default]
    None,
    Held(Vec<TreeEntry>),
    OnDisk(Table),
}

/// A file of sorted records.
#[derive(Debug)]
pub(super) struct Table {
    file: File,
    /// The number of records before the first one with each beginning of two bytes.
    index: Vec<u64>,
}

impl<'a> Sorting<'a> {
    /// Creates an empty collection; runs are written to unlinked files in `folder`.
    pub(super) fn in_folder(folder: &'a Path) -> Self {
        Self { folder, held: vec![], held_max: HELD_MAX, spilled: None }
    }

    pub(super) fn add(&mut self, entry: TreeEntry) -> io::Result<()> {
        self.held.push(entry);
        if self.held.len() >= self.held_max { self.spill() } else { Ok(()) }
    }

    fn sort_held(&mut self) {
        self.held.sort_unstable();
        keep_highest(&mut self.held);
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort_held();
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            None => {
                let file = BufWriter::new(unlinked(self.folder)?);
                self.spilled.insert(Spilled { file, written_bytes: 0, runs: vec![] })
            }
        };
        let begin = spilled.written_bytes;
        for entry in self.held.drain(..) {
            spilled.file.write_all(&entry)?;
            spilled.written_bytes += ENTRY_BYTES as u64;
        }
        spilled.runs.push((begin, spilled.written_bytes));
        Ok(())
    }

    /// Returns all records.
    pub(super) fn sorted(mut self) -> io::Result<SortedRecords> {
        if self.spilled.is_none() {
            self.sort_held();
            return Ok(match self.held.is_empty() {
                true => SortedRecords::None,
                false => SortedRecords::Held(self.held),
            });
        }
        self.spill()?;
        let Some(spilled) = self.spilled else { return Ok(SortedRecords::None) };
        // The merge needs memory of its own.
        drop(self.held);
        merge(self.folder, spilled).map(SortedRecords::OnDisk)
    }
}

/// Keeps the last of the entries with one fingerprint: the kind is the last byte.
fn keep_highest(sorted: &mut Vec<TreeEntry>) {
    sorted.reverse();
    sorted.dedup_by_key(|entry| fingerprint_of(entry));
    sorted.reverse();
}

fn fingerprint_of(entry: &TreeEntry) -> [u8; 16] {
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&entry[..16]);
    fingerprint
}

fn beginning_of(entry: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([entry[0], entry[1]]))
}

fn merge(folder: &Path, spilled: Spilled) -> io::Result<Table> {
    let file = spilled.file.into_inner().map_err(io::IntoInnerError::into_error)?;
    let runs = spilled.runs.into_iter().map(|(at, end)| Run { file: &file, at, end });
    let mut readers: Vec<_> =
        runs.map(|run| BufReader::with_capacity(RUN_READ_BYTES, run)).collect();
    let mut heads = BinaryHeap::new();
    for (number, reader) in readers.iter_mut().enumerate() {
        heads.extend(next_of(reader)?.map(|entry| Reverse((entry, number))));
    }
    let mut table = TableWriter::new(BufWriter::new(unlinked(folder)?));
    while let Some(Reverse((entry, number))) = heads.pop() {
        table.add(entry)?;
        heads.extend(next_of(&mut readers[number])?.map(|entry| Reverse((entry, number))));
    }
    table.finish()
}

fn next_of(reader: &mut impl Read) -> io::Result<Option<TreeEntry>> {
    let mut entry = [0; ENTRY_BYTES];
    Ok(super::tree::fill(reader, &mut entry)?.then_some(entry))
}

/// A sorted run on disk.
struct Run<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Run<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let left_bytes = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let count = left_bytes.min(space.len());
        read_exact_at(self.file, self.at, &mut space[..count])?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Writes sorted entries, which may have one fingerprint several times.
struct TableWriter {
    file: BufWriter<File>,
    index: Vec<u64>,
    written: u64,
    last: Option<TreeEntry>,
}

impl TableWriter {
    fn new(file: BufWriter<File>) -> Self {
        Self { file, index: Vec::with_capacity(INDEX_LENGTH), written: 0, last: None }
    }

    fn add(&mut self, entry: TreeEntry) -> io::Result<()> {
        if self.last.is_some_and(|last| last[..16] != entry[..16]) {
            self.write_last()?;
        }
        self.last = Some(entry);
        Ok(())
    }

    fn write_last(&mut self) -> io::Result<()> {
        let Some(entry) = self.last.take() else { return Ok(()) };
        let known = self.index.len();
        self.index.resize(known.max(beginning_of(&entry) + 1), self.written);
        self.file.write_all(&entry)?;
        self.written += 1;
        Ok(())
    }

    fn finish(mut self) -> io::Result<Table> {
        self.write_last()?;
        self.index.resize(INDEX_LENGTH, self.written);
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Table { file, index: self.index })
    }
}

impl SortedRecords {
    /// Returns the kind of the record of a fingerprint.
    pub(super) fn kind_of(&self, fingerprint: &[u8; 16]) -> io::Result<Option<u8>> {
        match self {
            Self::None => Ok(None),
            Self::Held(entries) => Ok(found(entries, fingerprint).ok()),
            Self::OnDisk(table) => table.kind_of(fingerprint),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Returns the kind of a fingerprint's record, or its place.
fn found(entries: &[TreeEntry], fingerprint: &[u8; 16]) -> Result<u8, usize> {
    let place = entries.binary_search_by(|entry| entry[..16].cmp(fingerprint));
    place.map(|index| entries[index][16])
}

impl Table {
    fn kind_of(&self, fingerprint: &[u8; 16]) -> io::Result<Option<u8>> {
        let beginning = beginning_of(fingerprint);
        let (mut from, mut until) = (self.index[beginning], self.index[beginning + 1]);
        // The next four bytes say where between the two the fingerprint is, give or take a window.
        let [.., a, b, c, d] = fingerprint[..6] else { return Ok(None) };
        let share = u64::from(u32::from_be_bytes([a, b, c, d]));
        let length = u128::from(until - from) * u128::from(share);
        let mut expected = from + u64::try_from(length >> 32).unwrap_or_default();
        while from < until {
            let begin = expected.saturating_sub(WINDOW).max(from);
            let end = (expected + WINDOW).min(until);
            let window = self.read(begin, end)?;
            match found(&window, fingerprint) {
                Ok(kind) => return Ok(Some(kind)),
                Err(0) if begin > from => until = begin,
                Err(place) if place == window.len() && end < until => from = end,
                Err(_) => return Ok(None),
            }
            expected = from + (until - from) / 2;
        }
        Ok(None)
    }

    fn read(&self, begin: u64, end: u64) -> io::Result<Vec<TreeEntry>> {
        let count = usize::try_from(end - begin).map_err(io::Error::other)?;
        let mut entries = vec![[0; ENTRY_BYTES]; count];
        read_exact_at(&self.file, begin * ENTRY_BYTES as u64, entries.as_flattened_mut())?;
        Ok(entries)
    }
}

/// Creates a file without a name in a folder of this user; it disappears with the process.
fn unlinked(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".sorted-{:032x}", rand::random::<u128>()));
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, kind: u8) -> TreeEntry {
        let mut entry = [kind; ENTRY_BYTES];
        entry[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        entry[8..16].copy_from_slice(&number.to_be_bytes());
        entry
    }

    #[test]
    fn records_are_found_whether_they_are_sorted_in_memory_or_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        for held_max in [100, 7000, 100_000] {
            let mut sorting = Sorting { held_max, ..Sorting::in_folder(folder.path()) };
            for number in 0..20_000 {
                sorting.add(entry(number, 1)).unwrap();
                // A file that ended is found as such, wherever its other record is.
                if number >= 10 && number % 2 == 0 {
                    sorting.add(entry(number - 10, 2)).unwrap();
                }
            }
            let sorted = sorting.sorted().unwrap();
            assert_eq!(matches!(sorted, SortedRecords::OnDisk(_)), held_max < 20_000);
            for number in 0..20_000 {
                let kind = sorted.kind_of(&fingerprint_of(&entry(number, 0))).unwrap();
                let done = number % 2 == 0 && number < 19_990;
                assert_eq!(kind, Some(1 + u8::from(done)), "{number}");
                let other = fingerprint_of(&entry(number + 20_000, 0));
                assert_eq!(sorted.kind_of(&other).unwrap(), None);
            }
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    /// Hashes are spread evenly, but nothing must depend on it.
    #[test]
    fn records_that_are_close_together_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorting = Sorting { held_max: 1000, ..Sorting::in_folder(folder.path()) };
        let close = |number: u32| {
            let mut entry = [1; ENTRY_BYTES];
            entry[..12].fill(0xab);
            entry[12..16].copy_from_slice(&number.to_be_bytes());
            entry
        };
        (0..10_000).for_each(|number| sorting.add(close(3 * number)).unwrap());
        let sorted = sorting.sorted().unwrap();
        for number in 0..10_000 {
            assert_eq!(sorted.kind_of(&fingerprint_of(&close(3 * number))).unwrap(), Some(1));
            assert_eq!(sorted.kind_of(&fingerprint_of(&close(3 * number + 1))).unwrap(), None);
        }
    }

    #[test]
    fn without_records_nothing_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let sorted = Sorting::in_folder(folder.path()).sorted().unwrap();
        assert!(sorted.is_empty() && sorted.kind_of(&[7; 16]).unwrap().is_none());
    }
}
