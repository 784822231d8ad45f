//! The content of the simulated disk: bytes and names now, the durable ones, and the changes since.

use haul_testkit::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use haul_store::disk::FileId;

const SECTOR_BYTES: usize = 512;
pub(super) const PAGE_BYTES: usize = 4096;

/// Returns the pages that a range of bytes touches.
pub(super) fn pages(offset: usize, length: usize) -> std::ops::Range<usize> {
    offset / PAGE_BYTES..(offset + length).div_ceil(PAGE_BYTES)
}

pub(super) type Shared = Arc<Mutex<Inode>>;

/// The bytes of a file: current, durable, and the changes since.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) now: Vec<u8>,
    pub(super) safe: Vec<u8>,
    pub(super) pending: Vec<Change>,
    /// The pages that were ever written: the others are holes, which take no space.
    pub(super) pages: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

/// The names in a folder: current, durable, and the changes since.
#[derive(Clone, Debug, Default)]
pub(super) struct Folder {
    pub(super) now: BTreeMap<FileId, Shared>,
    pub(super) safe: BTreeMap<FileId, Shared>,
    pub(super) pending: Vec<Name>,
}

#[derive(Clone, Debug)]
pub(super) enum Name {
    Add(FileId, Shared),
    Remove(FileId),
}

impl Inode {
    pub(super) fn apply(bytes: &mut Vec<u8>, change: &Change) {
        match change {
            Change::Write { offset, bytes: written } => {
                let end = offset + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(written);
            }
            Change::Resize(size) => bytes.resize(*size, 0),
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        match &change {
            Change::Write { offset, bytes } => self.pages.extend(pages(*offset, bytes.len())),
            Change::Resize(size) => drop(self.pages.split_off(&size.div_ceil(PAGE_BYTES))),
        }
        Self::apply(&mut self.now, &change);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            Self::apply(&mut self.safe, &change);
        }
    }

    /// Returns the bytes as found after the power cut.
    pub(super) fn found(&self, dice: &mut Random) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        for change in &self.pending {
            match change {
                Change::Resize(_) if dice.below(2) == 0 => {}
                Change::Resize(_) => Self::apply(&mut bytes, change),
                Change::Write { offset, bytes: written } => match dice.below(4) {
                    0 => {}
                    1 => tear(&mut bytes, *offset, written, dice),
                    _ => Self::apply(&mut bytes, change),
                },
            }
        }
        bytes
    }
}

/// Applies some of the sectors of a write.
fn tear(bytes: &mut Vec<u8>, offset: usize, written: &[u8], dice: &mut Random) {
    let mut at = 0;
    while at < written.len() {
        // Sectors are aligned on the disk, not in the write.
        let end = ((offset + at) / SECTOR_BYTES + 1) * SECTOR_BYTES - offset;
        let end = end.min(written.len());
        if dice.below(2) == 0 {
            let change = Change::Write { offset: offset + at, bytes: written[at..end].to_vec() };
            Inode::apply(bytes, &change);
        }
        at = end;
    }
}

impl Folder {
    pub(super) fn change(&mut self, change: Name) {
        Self::apply(&mut self.now, &change);
        self.pending.push(change);
    }

    pub(super) fn apply(names: &mut BTreeMap<FileId, Shared>, change: &Name) {
        match change {
            Name::Add(file, inode) => drop(names.insert(*file, Arc::clone(inode))),
            Name::Remove(file) => drop(names.remove(file)),
        }
    }
}
