//! The record of the parts of an upload in a journal.

use haul_parts::{GrowingPlan, PartPlan};
use serde::{Deserialize, Serialize};

/// The parts of an upload's object, as a journal records them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordedPlan {
    /// Equal parts.
    Equal(PartPlan),
    /// Unequal parts, those of the source of a copy. Their sizes follow from the version of the
    /// source, which is recorded too.
    AsSource {
        /// The length of the object in bytes.
        size_bytes: u64,
        /// Number of parts of the source.
        source_part_count: u16,
    },
    /// A stream whose parts grow along it.
    Growing(GrowingPlan),
}

impl RecordedPlan {
    /// Returns the length of the whole object in bytes; `None` for a stream, whose length is known
    /// only at its end.
    pub fn size_bytes(&self) -> Option<u64> {
        match self {
            Self::Equal(plan) => Some(plan.object_size_bytes()),
            Self::AsSource { size_bytes, .. } => Some(*size_bytes),
            Self::Growing(_) => None,
        }
    }

    /// Returns the number of parts; `None` for a stream.
    pub fn part_count(&self) -> Option<u16> {
        match self {
            Self::Equal(plan) => Some(plan.part_count()),
            Self::AsSource { source_part_count, .. } => Some(*source_part_count),
            Self::Growing(_) => None,
        }
    }

    /// Returns the plan of a stream.
    pub(crate) fn growing(&self) -> Option<GrowingPlan> {
        match self {
            Self::Growing(plan) => Some(*plan),
            Self::Equal(_) | Self::AsSource { .. } => None,
        }
    }

    /// Returns the length of every part but the last, if they are equal; for a stream, that of its
    /// first parts.
    pub fn part_size_bytes(&self) -> Option<u64> {
        match self {
            Self::Equal(plan) => Some(plan.part_size_bytes()),
            Self::AsSource { .. } => None,
            Self::Growing(plan) => Some(plan.first_part_size_bytes()),
        }
    }
}

impl From<PartPlan> for RecordedPlan {
    fn from(plan: PartPlan) -> Self {
        Self::Equal(plan)
    }
}
