//! The checksum that a store keeps of a whole object, of either type.

use std::fmt;

use super::{Checksum, ChecksumAlgorithm, ChecksumType, CompositeChecksum};

/// The checksum of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectChecksum {
    /// A checksum of all bytes, independent of the parts.
    FullObject(Checksum),
    /// A checksum of the checksums of the parts.
    Composite(CompositeChecksum),
}

impl ObjectChecksum {
    /// Parses a value as HeadObject gives it: one that ends in `-N` is composite, whatever type the
    /// store names. `None` if it is no value of the algorithm.
    pub fn parse(algorithm: ChecksumAlgorithm, text: &str) -> Option<Self> {
        let composite = || CompositeChecksum::parse(algorithm, text).ok().map(Self::Composite);
        Checksum::from_base64(algorithm, text).ok().map(Self::FullObject).or_else(composite)
    }

    /// Returns the algorithm of the value.
    pub const fn algorithm(&self) -> ChecksumAlgorithm {
        match self {
            Self::FullObject(checksum) => checksum.algorithm(),
            Self::Composite(composite) => composite.checksum().algorithm(),
        }
    }

    /// Returns how the value follows from the parts.
    pub const fn checksum_type(&self) -> ChecksumType {
        match self {
            Self::FullObject(_) => ChecksumType::FullObject,
            Self::Composite(_) => ChecksumType::Composite,
        }
    }

    /// Returns the value as S3 writes it, `base64` or `base64-N`.
    pub fn value(&self) -> String {
        match self {
            Self::FullObject(checksum) => checksum.to_base64(),
            Self::Composite(composite) => composite.to_string(),
        }
    }
}

/// Prints algorithm and value: `CRC32C:yZRlqg==`, `SHA256:…-3`.
impl fmt::Display for ObjectChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.value())
    }
}
