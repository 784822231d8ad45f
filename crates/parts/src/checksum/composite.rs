//! The composite checksum of a multipart object: the hash of the concatenated digests of its parts.
//!
//! Headers and responses spell it `base64-N`, with the number of parts; the CompleteMultipartUpload
//! request spells it without. Every algorithm can be computed this way;
//! [`ChecksumAlgorithm::supports`] has the ones that S3 accepts. The composite ETag is the same
//! idea in hex: [`ETag::composite`](crate::ETag::composite).

use std::fmt;

use super::{Checksum, ChecksumAlgorithm, ChecksumError, Hasher};
use crate::PartNumber;
use crate::limits::PART_COUNT_MAX;

/// A checksum of part checksums, with the number of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CompositeChecksum {
    checksum: Checksum,
    part_count: u16,
}

impl CompositeChecksum {
    /// Computes the value from the checksums of all parts, in order.
    ///
    /// # Errors
    /// There is no part, there are more than 10,000, or their algorithms differ.
    pub fn from_parts(parts: impl IntoIterator<Item = Checksum>) -> Result<Self, ChecksumError> {
        let mut parts = parts.into_iter();
        let first = parts.next().ok_or(ChecksumError::NoParts)?;
        let expected = first.algorithm();
        let mut hasher = Hasher::new(expected);
        hasher.update(first.bytes());
        let mut given = 1;
        for part in parts {
            given += 1;
            if part.algorithm() != expected {
                return Err(ChecksumError::MixedAlgorithms {
                    expected,
                    found: part.algorithm(),
                    part: given,
                });
            }
            hasher.update(part.bytes());
        }
        match u16::try_from(given) {
            Ok(part_count) if part_count <= PART_COUNT_MAX => {
                Ok(Self { checksum: hasher.finish(), part_count })
            }
            _ => Err(ChecksumError::TooManyParts { given }),
        }
    }

    /// Parses `base64-N`.
    ///
    /// # Errors
    /// `-N` is missing or out of range, or the rest is not a value of the algorithm.
    pub fn parse(algorithm: ChecksumAlgorithm, text: &str) -> Result<Self, ChecksumError> {
        let not_composite = || ChecksumError::NotComposite { algorithm, text: text.to_owned() };
        // Standard base64 has no '-', so the first one found from the end is the only one.
        let (value, count) = text.rsplit_once('-').ok_or_else(not_composite)?;
        let part_count = count.parse::<PartNumber>().map_err(|_| not_composite())?.get();
        Ok(Self { checksum: Checksum::from_base64(algorithm, value)?, part_count })
    }

    /// Returns the value without the number of parts.
    pub const fn checksum(&self) -> Checksum {
        self.checksum
    }

    /// Returns the number of parts.
    pub const fn part_count(&self) -> u16 {
        self.part_count
    }
}

/// Prints `base64-N`, as S3 writes it.
impl fmt::Display for CompositeChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.checksum.to_base64(), self.part_count)
    }
}
