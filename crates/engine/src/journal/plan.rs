//! Which bytes are which part, as a journal keeps it.

use haul_parts::PartPlan;
use serde::{Deserialize, Serialize};

/// How the object of an upload is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordedPlan {
    /// Into equal parts.
    Equal(PartPlan),
    /// A copy whose source has unequal parts: it is cut as its source is. Where that is follows
    /// from the version of the source, which is recorded too.
    AsSource {
        /// Bytes of the object.
        size_bytes: u64,
        /// Parts of the source.
        source_part_count: u16,
    },
}

impl RecordedPlan {
    /// The length of the whole object.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Equal(plan) => plan.object_size_bytes(),
            Self::AsSource { size_bytes, .. } => *size_bytes,
        }
    }

    /// How many parts there are.
    pub fn part_count(&self) -> u16 {
        match self {
            Self::Equal(plan) => plan.part_count(),
            Self::AsSource { source_part_count, .. } => *source_part_count,
        }
    }

    /// The length of every part but the last, if that is one.
    pub fn part_size_bytes(&self) -> Option<u64> {
        match self {
            Self::Equal(plan) => Some(plan.part_size_bytes()),
            Self::AsSource { .. } => None,
        }
    }
}

impl From<PartPlan> for RecordedPlan {
    fn from(plan: PartPlan) -> Self {
        Self::Equal(plan)
    }
}
