//! Which bytes each part of an upload has: from the plan of a file, or from what was read of a
//! stream so far.

use haul_parts::{PartNumber, PartPlan, PlannedPart};

/// The parts of one upload, in order.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// All of them, decided before the first byte.
    Planned(PartPlan),
    /// Those that were read, of a stream that may have more.
    Read(Vec<PlannedPart>),
}

impl Layout {
    /// The part with this number.
    pub(super) fn part(&self, number: PartNumber) -> Option<PlannedPart> {
        match self {
            Self::Planned(plan) => plan.part(number),
            Self::Read(parts) => parts.get(number.index()).copied(),
        }
    }

    /// Takes the next part of a stream.
    pub(super) fn push(&mut self, part: PlannedPart) {
        if let Self::Read(parts) = self {
            parts.push(part);
        }
    }

    /// How many there are.
    pub(super) fn part_count(&self) -> u32 {
        match self {
            Self::Planned(plan) => plan.part_count().into(),
            Self::Read(parts) => u32::try_from(parts.len()).unwrap_or(u32::MAX),
        }
    }

    /// How long they are together.
    pub(super) fn size_bytes(&self) -> u64 {
        match self {
            Self::Planned(plan) => plan.object_size_bytes(),
            Self::Read(parts) => parts.last().map_or(0, |last| last.offset_bytes + last.size_bytes),
        }
    }
}
