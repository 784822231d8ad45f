//! The record of a data file: the number of extents that refer to it, its length, and the MD5 with
//! which `check` verifies its bytes.

use super::record::Cursor;
use crate::Result;

const VERSION: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileRecord {
    pub(crate) references: u64,
    pub(crate) size_bytes: u64,
    pub(crate) md5: [u8; 16],
}

impl FileRecord {
    /// Encodes with a fixed layout: version, references and size in eight bytes each
    /// (little-endian), MD5.
    pub(crate) fn encode(&self) -> [u8; 33] {
        let mut record = [VERSION; 33];
        record[1..9].copy_from_slice(&self.references.to_le_bytes());
        record[9..17].copy_from_slice(&self.size_bytes.to_le_bytes());
        record[17..].copy_from_slice(&self.md5);
        record
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new("file", record);
        cursor.version(VERSION)?;
        Ok(Self {
            references: u64::from_le_bytes(cursor.array()?),
            size_bytes: u64::from_le_bytes(cursor.array()?),
            md5: cursor.array()?,
        })
    }
}
