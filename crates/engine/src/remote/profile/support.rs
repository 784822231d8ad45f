//! Whether a store supports something, as far as that is known.

use haul_parts::ChecksumAlgorithm;
use serde::{Deserialize, Serialize};

/// Whether a store supports a feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// The store has it: a checksum is verified, a condition holds.
    Yes,
    /// The store accepts the request and ignores the feature: a wrong checksum is taken, an object
    /// is overwritten in spite of the condition.
    Ignored,
    /// The store refuses the request.
    No,
    /// No source says; the store's answers show it.
    #[default]
    Unknown,
}

impl Support {
    /// Returns true if the store is known to have the feature.
    pub fn is_yes(self) -> bool {
        self == Self::Yes
    }

    /// Returns true if the store is known not to have the feature, whatever it answers.
    pub fn is_missing(self) -> bool {
        matches!(self, Self::Ignored | Self::No)
    }

    /// Returns this value, or `other` if it is unknown.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::Unknown { other } else { self }
    }

    /// Returns the name in files and tables: `yes`, `ignored`, `no`, `unknown`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Ignored => "ignored",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// The algorithms that S3 had until 2025, with MD5 as `Content-MD5`. A table names them, because
/// AWS's later ones are not in every store.
pub(super) const CLASSIC: [ChecksumAlgorithm; 6] = [
    ChecksumAlgorithm::Crc64Nvme,
    ChecksumAlgorithm::Crc32c,
    ChecksumAlgorithm::Crc32,
    ChecksumAlgorithm::Sha1,
    ChecksumAlgorithm::Sha256,
    ChecksumAlgorithm::Md5,
];

/// The algorithms that AWS added on 2026-04-22 ("Amazon S3 adds five additional checksum
/// algorithms"); the fifth is MD5 in a header of its own, which Haul reads and does not send.
pub(super) const OF_2026: [ChecksumAlgorithm; 4] = [
    ChecksumAlgorithm::Sha512,
    ChecksumAlgorithm::Xxhash3,
    ChecksumAlgorithm::Xxhash64,
    ChecksumAlgorithm::Xxhash128,
];

/// Room for more algorithms than S3 has.
const ALGORITHMS_MAX: usize = 16;

/// The support for each checksum algorithm in a header, with the checksum type that Haul declares:
/// `FULL_OBJECT` for CRCs, `COMPOSITE` for the others. MD5 stands for `Content-MD5`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChecksumSupport([Support; ALGORITHMS_MAX]);

impl ChecksumSupport {
    /// Returns the support for an algorithm.
    pub fn of(&self, algorithm: ChecksumAlgorithm) -> Support {
        position(algorithm).map_or(Support::Unknown, |position| self.0[position])
    }

    /// Returns the same table with another value for these algorithms.
    #[must_use]
    pub fn with(mut self, support: Support, algorithms: &[ChecksumAlgorithm]) -> Self {
        for position in algorithms.iter().filter_map(|algorithm| position(*algorithm)) {
            self.0[position] = support;
        }
        self
    }

    /// Returns the preferred algorithm among those that the store verifies, without MD5.
    pub fn best_verified(&self) -> Option<ChecksumAlgorithm> {
        let verified = |algorithm: &ChecksumAlgorithm| {
            *algorithm != ChecksumAlgorithm::Md5 && self.of(*algorithm).is_yes()
        };
        ChecksumAlgorithm::ALL.into_iter().find(verified)
    }
}

fn position(algorithm: ChecksumAlgorithm) -> Option<usize> {
    let position = ChecksumAlgorithm::ALL.iter().position(|known| *known == algorithm);
    position.filter(|position| *position < ALGORITHMS_MAX)
}
