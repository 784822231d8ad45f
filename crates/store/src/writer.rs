//! Bytes on their way in: written to a file without a name, hashed in the same pass.

use haul_parts::{Checksum, ChecksumAlgorithm, ETag};

use crate::Result;

/// Takes the bytes of one part (or of one whole object). Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct PartWriter {
    _private: (),
}

impl PartWriter {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`StorageFull`](crate::Error::StorageFull), [`EntityTooLarge`](crate::Error::EntityTooLarge) past 5 GiB, or what
    /// the disk says. After an error only dropping makes sense.
    pub fn write(&mut self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }

    /// How many bytes were taken.
    pub fn size_bytes(&self) -> u64 {
        0
    }

    /// Brings the bytes to the disk and gives the file its name. Blocks until the bytes are safe.
    ///
    /// # Errors
    /// [`StorageFull`](crate::Error::StorageFull), or that a sync failed.
    pub fn finish(self) -> Result<StagedPart> {
        Err(crate::Error::Closed)
    }
}

/// Bytes that are on disk and belong to nothing yet. Dropping it removes them.
#[derive(Debug)]
pub struct StagedPart {
    checksums: Vec<Checksum>,
    md5: [u8; 16],
    size_bytes: u64,
}

impl StagedPart {
    /// How many bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Their MD5.
    pub fn md5(&self) -> [u8; 16] {
        self.md5
    }

    /// Their MD5 as an ETag.
    pub fn etag(&self) -> ETag {
        ETag::from_md5(self.md5)
    }

    /// What was asked for in [`WriteOptions::checksums`](crate::WriteOptions::checksums).
    pub fn checksums(&self) -> &[Checksum] {
        &self.checksums
    }

    /// The one of this algorithm, MD5 included, when it was computed.
    pub fn checksum(&self, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
        self.checksums.iter().copied().find(|checksum| checksum.algorithm() == algorithm)
    }
}
