//! Compares the reported length of a file with the readable one.
//!
//! The kernel generates some files while they are read: those of /proc report 0 bytes and have
//! content, those of /sys report a page and have less, and a network file system may answer from an
//! old cache. Without this check the first would become empty objects, "proven", and the others
//! would fail like a broken disk. Such a file is read once, to its real end, and sent from memory;
//! one that is too long for that is refused.

use std::fs::{File, Metadata};
use std::io::{self, Read};

use bytes::Bytes;

use super::file::read_at;

/// The maximum size of a file with a wrong reported length, which is held in memory.
pub(super) const HELD_MAX_BYTES: u64 = 16 << 20;

/// The size of one read of such a file.
const READ_BYTES: usize = 64 * 1024;

/// The maximum number of checks of a file whose length changes in between; later growth is detected
/// like any other change.
const LOOKS_MAX: u32 = 3;

/// An open file, with its reported length checked.
#[derive(Debug)]
pub(super) struct Examined {
    /// The metadata when the content was compared with it.
    pub(super) metadata: Metadata,
    /// The content, if the reported length is wrong.
    pub(super) held: Option<Bytes>,
}

/// The reason why a file cannot be examined.
#[derive(Debug)]
pub(super) enum Unexamined {
    /// The file cannot be read.
    Unreadable(io::Error),
    /// The reported length is wrong, and the file is too long for memory.
    TooLong {
        /// The reported length in bytes.
        announced_bytes: u64,
    },
}

impl From<io::Error> for Unexamined {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Reads the last byte within the reported length (in this metadata) and the one after it; if that
/// does not match, the whole file.
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
        // The file was written to between the two checks, so it is an ordinary file.
        metadata = now;
    }
    Ok(Examined { metadata, held: None })
}

fn ends_at(file: &File, length_bytes: u64) -> io::Result<bool> {
    let has_byte_at = |offset_bytes| match read_at(file, offset_bytes, &mut [0]) {
        // The file is generated while it is read: some can be read only from the beginning, or in
        // fixed units.
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
    // Reads with buffers of one size and with the file's cursor, which no other code moves: some
    // files accept only reads of certain sizes.
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
