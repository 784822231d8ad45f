//! The boundaries of the parts of an object of any tool: equal parts and a shorter last one, or any
//! sizes.
//!
//! A [`PartPlan`] is what Haul sends and obeys the limits of a store; a layout is what an object
//! was made of, by any tool, at any store. An ETag or a composite checksum of an object in parts
//! can be recomputed only with its layout.

mod guess;

use std::ops::Range;
use std::sync::Arc;

use crate::PartPlan;
use crate::limits::PART_COUNT_MAX;

pub use guess::{LAYOUTS_GUESSED_MAX, layouts_of_count};

/// The parts of an object: at least one, at most 10,000, every byte in exactly one of them.
#[derive(Clone, Debug)]
pub struct PartLayout {
    size_bytes: u64,
    part_count: u16,
    cut: Cut,
}

#[derive(Clone, Debug)]
enum Cut {
    /// Every part but the last has this many bytes.
    Equal { part_size_bytes: u64 },
    /// Where each part ends.
    Ends(Arc<[u64]>),
}

impl PartLayout {
    /// Creates the layout of an object that is one part, or was put in one piece.
    pub const fn one_part(size_bytes: u64) -> Self {
        Self { size_bytes, part_count: 1, cut: Cut::Equal { part_size_bytes: size_bytes } }
    }

    /// Creates the layout of equal parts and a last one that may be shorter; `None` if that takes
    /// more than 10,000 parts, or the part size is 0.
    pub fn equal(size_bytes: u64, part_size_bytes: u64) -> Option<Self> {
        if part_size_bytes == 0 {
            return None;
        }
        let part_count = u16::try_from(size_bytes.div_ceil(part_size_bytes).max(1)).ok()?;
        (part_count <= PART_COUNT_MAX).then_some(Self {
            size_bytes,
            part_count,
            cut: Cut::Equal { part_size_bytes },
        })
    }

    /// Creates the layout of parts of these sizes, in order; `None` if there are none or more than
    /// 10,000, or their sum is no size.
    pub fn of_sizes(sizes: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut ends = Vec::new();
        let mut size_bytes = 0_u64;
        for size in sizes.into_iter().take(usize::from(PART_COUNT_MAX) + 1) {
            size_bytes = size_bytes.checked_add(size)?;
            ends.push(size_bytes);
        }
        let part_count = u16::try_from(ends.len()).ok()?;
        (1..=PART_COUNT_MAX).contains(&part_count).then(|| Self {
            size_bytes,
            part_count,
            cut: Cut::Ends(ends.into()),
        })
    }

    /// Returns the length of the object, in bytes.
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the number of parts.
    pub const fn part_count(&self) -> u16 {
        self.part_count
    }

    /// Returns the size of every part but the last, in bytes, if the layout was made of equal
    /// parts.
    pub const fn part_size_bytes(&self) -> Option<u64> {
        match self.cut {
            Cut::Equal { part_size_bytes } => Some(part_size_bytes),
            Cut::Ends(_) => None,
        }
    }

    /// Returns the bytes of a part, counted from 0; `None` behind the last one.
    pub fn part(&self, index: usize) -> Option<Range<u64>> {
        if index >= usize::from(self.part_count) {
            return None;
        }
        Some(match &self.cut {
            Cut::Equal { part_size_bytes } => {
                let start = part_size_bytes * index as u64;
                start..start.saturating_add(*part_size_bytes).min(self.size_bytes)
            }
            Cut::Ends(ends) => {
                let start = index.checked_sub(1).map_or(0, |before| ends[before]);
                start..ends[index]
            }
        })
    }

    /// Returns the bytes of every part, in order.
    pub fn parts(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        (0..usize::from(self.part_count)).filter_map(|index| self.part(index))
    }
}

impl From<&PartPlan> for PartLayout {
    fn from(plan: &PartPlan) -> Self {
        let (size_bytes, part_count) = (plan.object_size_bytes(), plan.part_count());
        let cut = Cut::Equal { part_size_bytes: plan.part_size_bytes() };
        Self { size_bytes, part_count, cut }
    }
}

/// Two layouts are equal if their parts are, however they were described.
impl PartialEq for PartLayout {
    fn eq(&self, other: &Self) -> bool {
        self.size_bytes == other.size_bytes
            && self.part_count == other.part_count
            && self.parts().eq(other.parts())
    }
}

impl Eq for PartLayout {}
