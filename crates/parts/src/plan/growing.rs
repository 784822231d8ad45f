//! Decides the part size along a stream whose length nobody knows: small parts at first, larger
//! ones the further it gets.
//!
//! Without a word about its length, the parts of a stream begin at 8 MiB and grow by 8 MiB every
//! 800 MiB, up to the largest part of the store: a part is about a hundredth of what lies before
//! it. In symbols, a part that begins at offset `o` has `min(largest, base + base × ⌊(o − steady) /
//! (base × parts / 100)⌋)` bytes, where `parts` is the most parts that the store takes, and nothing
//! grows before `steady`: 0, or the length that was expected.
//!
//! Guarantees: same arguments, same parts; never more parts than the store takes, and none outside
//! its sizes; no part is smaller than the one before, except the one that ends the object at the
//! store's limit. Growth costs reach, which cannot be otherwise: 10,000 × 5 GiB, the longest object
//! of AWS, needs 5 GiB from the first part on. A stream that nothing is known of ends at 45.9 TiB,
//! one whose length was expected reaches any length that a store takes.

use super::{PartPlan, PlanError, PlannedPart};
use crate::PartNumber;
use crate::limits::{Limits, MIB, PART_COUNT_MAX};

/// One part is about this share of what lies before it: growing to the largest part takes six or
/// seven hundredths of all parts.
const SHARE: u64 = 100;

/// How a stream is cut into parts while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrowingPlan {
    base_bytes: u64,
    part_size_max_bytes: u64,
    /// Parts have the first size up to here.
    steady_bytes: u64,
    /// From there on they grow by the first size whenever so many bytes have passed; `None`: never.
    grow_every_bytes: Option<u64>,
    part_count_max: u16,
    object_size_max_bytes: u64,
}

impl GrowingPlan {
    /// The plan of a stream of unknown length. `expected_size_bytes` is an estimate of it, which
    /// may be exceeded; `wanted_part_size_bytes` the size of the first parts, which is taken as it
    /// is or refused.
    ///
    /// Where the store wants equal parts they never grow, so the expected length decides how long
    /// the stream can be.
    ///
    /// # Errors
    /// As [`PartPlan::new`] for the expected length.
    pub fn new(
        limits: &Limits,
        expected_size_bytes: Option<u64>,
        wanted_part_size_bytes: Option<u64>,
    ) -> Result<Self, PlanError> {
        let plan = PartPlan::new(expected_size_bytes.unwrap_or(0), limits, wanted_part_size_bytes)?;
        let part_count_max = limits.part_count_max.min(PART_COUNT_MAX);
        let base_bytes = match (expected_size_bytes, wanted_part_size_bytes) {
            // Half of the parts, so that an estimate that was too low leaves parts to grow in.
            (Some(expected), None) => {
                let roomy =
                    expected.div_ceil(u64::from(part_count_max / 2).max(1)).next_multiple_of(MIB);
                roomy.max(plan.part_size_bytes()).min(limits.part_size_max_bytes)
            }
            _ => plan.part_size_bytes(),
        };
        let parts_until_growth = (u64::from(part_count_max) / SHARE).max(1);
        Ok(Self {
            base_bytes,
            part_size_max_bytes: limits.part_size_max_bytes,
            steady_bytes: expected_size_bytes.unwrap_or(0),
            grow_every_bytes: (!limits.equal_parts)
                .then(|| base_bytes.saturating_mul(parts_until_growth)),
            part_count_max,
            object_size_max_bytes: limits.object_size_max_bytes,
        })
    }

    /// The plan of a stream whose length is known: that of a file of this length.
    ///
    /// # Errors
    /// As [`PartPlan::new`].
    pub fn exact(
        size_bytes: u64,
        limits: &Limits,
        wanted_part_size_bytes: Option<u64>,
    ) -> Result<Self, PlanError> {
        let plan = PartPlan::new(size_bytes, limits, wanted_part_size_bytes)?;
        Ok(Self {
            base_bytes: plan.part_size_bytes(),
            part_size_max_bytes: plan.part_size_bytes(),
            steady_bytes: size_bytes,
            grow_every_bytes: None,
            part_count_max: plan.part_count(),
            object_size_max_bytes: size_bytes,
        })
    }

    /// The size of the first part, if the stream is that long.
    pub const fn first_part_size_bytes(&self) -> u64 {
        self.base_bytes
    }

    /// The part that begins at `offset_bytes`, with `before` parts before it: as long as it can be.
    /// `None` where the stream must have ended.
    pub fn part(&self, before: u16, offset_bytes: u64) -> Option<PlannedPart> {
        let left_bytes =
            self.object_size_max_bytes.checked_sub(offset_bytes).filter(|left| *left > 0)?;
        if before >= self.part_count_max {
            return None;
        }
        let passed_bytes = offset_bytes.saturating_sub(self.steady_bytes);
        let steps = self.grow_every_bytes.map_or(0, |every| passed_bytes / every);
        let grown_bytes = self.base_bytes.saturating_mul(steps.saturating_add(1));
        let number = PartNumber::new(u32::from(before) + 1).ok()?;
        Some(PlannedPart {
            number,
            offset_bytes,
            size_bytes: grown_bytes.min(self.part_size_max_bytes).min(left_bytes),
        })
    }

    /// The parts of a stream that does not end before it must.
    pub fn parts(&self) -> impl Iterator<Item = PlannedPart> + use<> {
        let plan = *self;
        std::iter::successors(plan.part(0, 0), move |last| {
            plan.part(last.number.get(), last.offset_bytes + last.size_bytes)
        })
    }

    /// The longest stream that these parts hold.
    pub fn capacity_bytes(&self) -> u64 {
        self.parts().last().map_or(0, |last| last.offset_bytes + last.size_bytes)
    }
}
