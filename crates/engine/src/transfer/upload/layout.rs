//! The byte range of each part of an upload: from the plan of a file, from the parts of a copy's
//! source, or from the parts of a stream that have been read so far.

use std::sync::Arc;

use haul_parts::{PartNumber, PartPlan, PlannedPart};

use crate::journal::RecordedPlan;

/// The parts of one upload, in order.
#[derive(Clone, Debug)]
pub(crate) enum PartsLayout {
    /// All parts, equal in size; known before the first byte is sent.
    Planned(PartPlan),
    /// All parts, with the sizes of the parts of a copy's source.
    AsSource(Arc<[PlannedPart]>),
    /// The parts of a stream that have been read so far; there may be more.
    Read(Vec<PlannedPart>),
}

impl PartsLayout {
    /// Restores the layout that an earlier run recorded; `None` if it does not fit `wanted`, the
    /// layout that this run would choose.
    pub(super) fn recorded(plan: &RecordedPlan, wanted: &Self) -> Option<Self> {
        match (plan, wanted) {
            (RecordedPlan::Equal(plan), _) => Some(Self::Planned(*plan)),
            (RecordedPlan::AsSource { size_bytes, source_part_count }, Self::AsSource(_)) => {
                let same = wanted.size_bytes() == *size_bytes
                    && wanted.part_count() == u32::from(*source_part_count);
                same.then(|| wanted.clone())
            }
            (RecordedPlan::AsSource { .. } | RecordedPlan::Growing(_), _) => None,
        }
    }

    /// Returns the plan as the journal records it; `None` for a stream.
    pub(super) fn record(&self) -> Option<RecordedPlan> {
        match self {
            Self::Planned(plan) => Some((*plan).into()),
            Self::AsSource(parts) => Some(RecordedPlan::AsSource {
                size_bytes: self.size_bytes(),
                source_part_count: u16::try_from(parts.len()).ok()?,
            }),
            Self::Read(_) => None,
        }
    }

    /// Returns the part with this number.
    pub(super) fn part(&self, number: PartNumber) -> Option<PlannedPart> {
        match self {
            Self::Planned(plan) => plan.part(number),
            Self::AsSource(parts) => parts.get(number.index()).copied(),
            Self::Read(parts) => parts.get(number.index()).copied(),
        }
    }

    /// Appends the next part of a stream.
    pub(super) fn push(&mut self, part: PlannedPart) {
        if let Self::Read(parts) = self {
            parts.push(part);
        }
    }

    /// Returns the number of parts.
    pub(crate) fn part_count(&self) -> u32 {
        match self {
            Self::Planned(plan) => plan.part_count().into(),
            Self::AsSource(parts) => count(parts),
            Self::Read(parts) => count(parts),
        }
    }

    /// Returns the length of the first part, which all parts but the last have if they are equal.
    pub(super) fn first_part_size_bytes(&self) -> u64 {
        match self {
            Self::Planned(plan) => plan.part_size_bytes(),
            Self::AsSource(parts) => parts.first().map_or(0, |part| part.size_bytes),
            Self::Read(parts) => parts.first().map_or(0, |part| part.size_bytes),
        }
    }

    /// Returns the length of all parts together.
    pub(super) fn size_bytes(&self) -> u64 {
        match self {
            Self::Planned(plan) => plan.object_size_bytes(),
            Self::AsSource(parts) => end(parts),
            Self::Read(parts) => end(parts),
        }
    }
}

fn count(parts: &[PlannedPart]) -> u32 {
    u32::try_from(parts.len()).unwrap_or(u32::MAX)
}

fn end(parts: &[PlannedPart]) -> u64 {
    parts.last().map_or(0, |last| last.offset_bytes + last.size_bytes)
}
