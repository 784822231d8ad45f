//! The layout of records in a journal file. Pure: bytes in, records out. Described byte by byte in
//! `docs/formats.md`.
//!
//! ```text
//! file    "HAULJNL" 0x02, then records
//! record  length of payload, u32 LE │ CRC32C of 0x02 and payload, u32 LE
//!         │ payload: one JSON object
//! ```
//!
//! Reading stops at the first record that is torn or damaged: a crash leaves a torn tail, and
//! records after a damaged one cannot be trusted.

use haul_parts::{ChecksumAlgorithm, Hasher};

use super::record::Record;

/// The version of the format. The checksums of records cover it, so that a file of another version
/// is never mistaken for a damaged one. Version 1 did not record the store that the environment
/// selected.
pub const VERSION: u8 = 2;

/// The first bytes of every journal.
pub const MAGIC: [u8; 8] = [b'H', b'A', b'U', b'L', b'J', b'N', b'L', VERSION];

/// The maximum length of a record: metadata of an object is at most 2 KiB, a key 1 KiB, a path 4
/// KiB.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

const FRAME_BYTES: usize = 8;

/// The content of a journal file.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The intact records, in order.
    pub records: Vec<Record>,
    /// The length up to the end of the last intact record; the rest is cut off before appending.
    pub good_bytes: usize,
}

/// The reason why a file is not a journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file is empty, or shorter than its first eight bytes: a crash before anything was sent.
    #[error("the journal is empty")]
    Empty,
    /// The first bytes are wrong.
    #[error("the file is not a journal")]
    NotAJournal,
    /// The first bytes are right, but no intact record follows.
    #[error("its beginning is damaged")]
    Beginning,
    /// Another version of Haul wrote the file.
    #[error("the journal has format version {0}; this Haul reads version 2")]
    Version(u8),
    /// A record is intact, but names something that this Haul does not know, such as a checksum
    /// algorithm.
    #[error("a record is intact, but this Haul does not understand it: {0}")]
    UnknownRecord(String),
}

/// Encodes one record. `None` if it would be longer than [`RECORD_BYTES_MAX`].
pub fn encode(record: &Record) -> Option<Vec<u8>> {
    let payload =
        serde_json::to_vec(record).ok().filter(|payload| payload.len() <= RECORD_BYTES_MAX)?;
    Some(frame(&payload))
}

/// Adds length and checksum before a payload.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRAME_BYTES + payload.len());
    bytes.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(crc32c(payload));
    bytes.extend(payload);
    bytes
}

/// Decodes all records up to the first that is torn or damaged.
///
/// # Errors
/// The whole file is not a journal of this version, or an intact record is not understood: cutting
/// it off would lose what a newer Haul recorded.
pub fn decode(file: &[u8]) -> Result<Decoded, FormatError> {
    let Some((magic, mut rest)) = file.split_first_chunk::<8>() else {
        return Err(FormatError::Empty);
    };
    // A flipped bit in the magic is not a reason to lose an upload: the records prove that they are
    // intact and of this version, because other versions compute their checksums differently.
    if *magic != MAGIC && decode_one(rest).is_none() {
        let same_kind = magic[..7] == MAGIC[..7];
        return Err(if same_kind {
            FormatError::Version(magic[7])
        } else {
            FormatError::NotAJournal
        });
    }
    let mut records = vec![];
    while let Some((record, after)) = decode_one(rest) {
        records.push(record.map_err(|error| FormatError::UnknownRecord(error.to_string()))?);
        rest = after;
    }
    Ok(Decoded { records, good_bytes: file.len() - rest.len() })
}

/// Returns the first record, if its checksum is right, and the bytes after it.
fn decode_one(bytes: &[u8]) -> Option<(Result<Record, serde_json::Error>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if length > RECORD_BYTES_MAX {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(length)?;
    if crc32c(payload) != *checksum {
        return None;
    }
    Some((serde_json::from_slice(payload), rest))
}

fn crc32c(payload: &[u8]) -> [u8; 4] {
    let mut hasher = Hasher::new(ChecksumAlgorithm::Crc32c);
    hasher.update(&[VERSION]);
    hasher.update(payload);
    let checksum = hasher.finish();
    let mut bytes: [u8; 4] = checksum.bytes().try_into().unwrap_or_default();
    bytes.reverse();
    bytes
}
