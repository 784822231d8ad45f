//! Compares the length that a file announces with what can be read of it.
//!
//! The kernel makes some files up while they are read: those of /proc announce 0 bytes and have
//! content, those of /sys announce a page and have less, and a network file system may answer from
//! an old cache. Taken at their word, the first become empty objects, "proven", and the others fail
//! as if the disk were broken. Such a file is read once, to its real end, and sent from memory; one
//! that is too long for that is refused.

use std::fs::{File, Metadata};
use std::io::{self, Read};

use bytes::Bytes;

use super::file::read_at;

/// Most bytes of a file that are held in memory because its length is not what it announces.
pub(super) const HELD_MAX_BYTES: u64 = 16 << 20;

/// Of one read of such a file.
const READ_BYTES: usize = 64 * 1024;

/// Looks at a file whose length changes between two of them; after that its growth is noticed like
/// any other change.
const LOOKS_MAX: u32 = 3;

/// An open file, compared with its own announcement.
#[derive(Debug)]
pub(super) struct Examined {
    /// As it was when its content was compared with it.
    pub(super) metadata: Metadata,
    /// The content, of a file whose length is not what it announces.
    pub(super) held: Option<Bytes>,
}

/// Why a file cannot be examined.
#[derive(Debug)]
pub(super) enum Unexamined {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It has another length than it announces, and more than can be held.
    TooLong {
        /// What it announces.
        announced_bytes: u64,
    },
}

impl From<io::Error> for Unexamined {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Reads the last byte that the file announces (in this metadata) and the one behind it; where that
/// does not fit, the whole file.
pub(super) fn examine(file: &File, mut metadata: Metadata) -> Result<Examined, Unexamined> {
    for _ in 0..LOOKS_MAX {
        if ends_at(file, metadata.len())? {
            break;
        }
        let now = file.metadata()?;
        if now.len() == metadata.len() {
            let held = Some(read_whole(file, now.len())?);
            return Ok(Examined { metadata: now, held });
        }
        // Written to between the two looks: a file like any other.
        metadata = now;
    }
    Ok(Examined { metadata, held: None })
}

fn ends_at(file: &File, length_bytes: u64) -> io::Result<bool> {
    let has_byte_at = |offset_bytes| match read_at(file, offset_bytes, &mut [0]) {
        // Made up while it is read: some from the beginning only, some in units of their own.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotSeekable | io::ErrorKind::InvalidInput) =>
        {
            Ok(None)
        }
        read => read.map(|read_bytes| Some(read_bytes > 0)),
    };
    let last = match length_bytes.checked_sub(1) {
        Some(last) => has_byte_at(last)?,
        None => Some(true),
    };
    Ok(last == Some(true) && has_byte_at(length_bytes)? == Some(false))
}

fn read_whole(mut file: &File, announced_bytes: u64) -> Result<Bytes, Unexamined> {
    let mut content = vec![];
    // Always the same buffer, by the cursor, which nothing else moves: some take reads of certain
    // sizes only.
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(content.into()),
            Ok(read_bytes) => content.extend_from_slice(&buffer[..read_bytes]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if content.len() as u64 > HELD_MAX_BYTES {
            return Err(Unexamined::TooLong { announced_bytes });
        }
    }
}
