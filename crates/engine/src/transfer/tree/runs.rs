//! Sorts any number of names: beyond a limit, names are sorted in runs on disk, which are merged.
//!
//! The runs are stored one after the other in one unlinked temporary file; each name is preceded by
//! its length.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

/// Maximum number of names in memory.
pub(super) const HELD_MAX: usize = 200_000;

/// Bytes of a run that are read in one step.
const READ_BYTES: usize = 64 * 1024;

/// A collection that takes names in any order and returns them sorted.
#[derive(Debug)]
pub(super) struct SortedNames {
    held: Vec<String>,
    held_max: usize,
    spilled: Option<Spilled>,
}

#[derive(Debug)]
struct Spilled {
    file: BufWriter<File>,
    written_bytes: u64,
    /// The beginning and the end of each run.
    runs: Vec<(u64, u64)>,
}

impl Default for SortedNames {
    fn default() -> Self {
        Self::holding(HELD_MAX)
    }
}

impl SortedNames {
    fn holding(held_max: usize) -> Self {
        Self { held: vec![], held_max, spilled: None }
    }

    pub(super) fn add(&mut self, name: String) -> io::Result<()> {
        self.held.push(name);
        if self.held.len() >= self.held_max { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.held.sort_unstable();
        if self.spilled.is_none() {
            let file = BufWriter::new(super::spool::unlinked()?);
            self.spilled = Some(Spilled { file, written_bytes: 0, runs: vec![] });
        }
        let Some(spilled) = &mut self.spilled else { return Ok(()) };
        let begin = spilled.written_bytes;
        for name in self.held.drain(..) {
            let length = u32::try_from(name.len()).map_err(io::Error::other)?;
            spilled.file.write_all(&length.to_le_bytes())?;
            spilled.file.write_all(name.as_bytes())?;
            spilled.written_bytes += 4 + u64::from(length);
        }
        spilled.runs.push((begin, spilled.written_bytes));
        Ok(())
    }

    /// Returns all names, sorted by their bytes.
    pub(super) fn sorted(mut self) -> io::Result<Sorted> {
        if self.spilled.is_none() {
            self.held.sort_unstable();
            return Ok(Sorted::Held(self.held.into_iter()));
        }
        self.spill()?;
        let Some(spilled) = self.spilled else { return Ok(Sorted::Held(vec![].into_iter())) };
        let file = Arc::new(spilled.file.into_inner().map_err(io::IntoInnerError::into_error)?);
        let mut runs: Vec<Run> = spilled
            .runs
            .into_iter()
            .map(|(at, end)| Run { file: Arc::clone(&file), at, end, block: vec![], used: 0 })
            .collect();
        let mut heads = BinaryHeap::new();
        for (index, run) in runs.iter_mut().enumerate() {
            if let Some(name) = run.next()? {
                heads.push(Reverse((name, index)));
            }
        }
        Ok(Sorted::Merged { runs, heads })
    }
}

/// The sorted names.
#[derive(Debug)]
pub(super) enum Sorted {
    Held(std::vec::IntoIter<String>),
    Merged { runs: Vec<Run>, heads: BinaryHeap<Reverse<(String, usize)>> },
}

impl Iterator for Sorted {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Held(names) => names.next().map(Ok),
            Self::Merged { runs, heads } => {
                let Reverse((name, index)) = heads.pop()?;
                match runs[index].next() {
                    Ok(Some(next)) => heads.push(Reverse((next, index))),
                    Ok(None) => {}
                    Err(error) => return Some(Err(error)),
                }
                Some(Ok(name))
            }
        }
    }
}

/// A sorted run on disk.
#[derive(Debug)]
pub(super) struct Run {
    file: Arc<File>,
    at: u64,
    end: u64,
    block: Vec<u8>,
    used: usize,
}

impl Run {
    fn next(&mut self) -> io::Result<Option<String>> {
        let Some(length) = self.take(4)? else { return Ok(None) };
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default());
        let name = self.take(usize::try_from(length).map_err(io::Error::other)?)?;
        let name = name.ok_or(io::ErrorKind::UnexpectedEof)?;
        String::from_utf8(name).map(Some).map_err(io::Error::other)
    }

    /// Returns the next bytes; `None` at the end of the run.
    fn take(&mut self, length: usize) -> io::Result<Option<Vec<u8>>> {
        while self.block.len() - self.used < length {
            let left_bytes = usize::try_from(self.end - self.at).unwrap_or(READ_BYTES);
            if left_bytes == 0 {
                let at_the_end = self.block.len() == self.used;
                return if at_the_end {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
            self.block.drain(..self.used);
            self.used = 0;
            let begin = self.block.len();
            self.block.resize(begin + left_bytes.min(READ_BYTES), 0);
            crate::source::read_exact_at(&self.file, self.at, &mut self.block[begin..])?;
            self.at += (self.block.len() - begin) as u64;
        }
        let taken = self.block[self.used..self.used + length].to_vec();
        self.used += length;
        Ok(Some(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_limit_are_sorted_on_disk() {
        let mut state = 7_u64;
        let mut names: Vec<String> = (0..5000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                format!("{:x}", state >> (state % 60))
            })
            .collect();
        for held_max in [64, 5000, 10_000] {
            let mut sorted = SortedNames::holding(held_max);
            names.iter().for_each(|name| sorted.add(name.clone()).unwrap());
            let given: Vec<String> = sorted.sorted().unwrap().map(Result::unwrap).collect();
            names.sort();
            assert_eq!(given, names, "{held_max}");
        }
        assert_eq!(SortedNames::default().sorted().unwrap().count(), 0);
    }

    /// A folder of 10^9 names makes 5,000 runs. Here each run is shorter, which the merge does not
    /// know: it holds one block and one name of each.
    #[test]
    fn a_merge_of_5000_runs_holds_one_block_of_each() {
        let mut names = SortedNames::holding(10);
        (0..50_000_u64).for_each(|number| {
            names.add(format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).unwrap();
        });
        let mut sorted = names.sorted().unwrap();
        let mut last = String::new();
        for count in 0..50_000 {
            let name = sorted.next().unwrap().unwrap();
            assert!(name > last);
            last = name;
            let Sorted::Merged { runs, heads } = &sorted else { panic!("it was spilled") };
            assert!(runs.len() >= 5000 && heads.len() <= runs.len());
            if count % 5000 == 0 {
                assert!(runs.iter().all(|run| run.block.capacity() <= 2 * READ_BYTES));
            }
        }
        assert!(sorted.next().is_none());
    }
}
