//! Decides part sizes for a stream of unknown length: small parts first, larger ones the longer the
//! stream becomes.
//!
//! Without an expected length, parts begin at 8 MiB and grow by 8 MiB every 800 MiB, up to the
//! largest part of the store: a part is about a hundredth of the bytes before it. In symbols, a
//! part that begins at offset `o` has `min(largest, base + base × ⌊(o − steady) / (base × parts /
//! 100)⌋)` bytes, where `parts` is the largest number of parts of the store, and parts do not grow
//! before offset `steady`: 0, or the expected length.
//!
//! Guarantees: same arguments, same parts; never more parts than the store allows, and none outside
//! its sizes; no part is smaller than its predecessor, except the one that ends the object at the
//! store's limit. Growing limits the total length, which is unavoidable: 10,000 × 5 GiB, the
//! longest object of AWS, needs 5 GiB from the first part on. A stream without an expected length
//! ends at 45.9 TiB; one with an expected length reaches any length that the store allows.

use serde::{Deserialize, Serialize};

use super::{PartPlan, PlanError, PlannedPart};
use crate::PartNumber;
use crate::limits::{Limits, MIB, PART_COUNT_MAX};

/// The size of a part is about one `SHARE`th of the bytes before it: growing to the largest part
/// takes six or seven percent of all parts.
const SHARE: u64 = 100;

/// The division of a stream into parts while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "GrowingPlanRecord", into = "GrowingPlanRecord")]
pub struct GrowingPlan {
    base_bytes: u64,
    part_size_max_bytes: u64,
    /// The offset up to which parts have the first size.
    steady_bytes: u64,
    /// Beyond that, parts grow by the first size after each run of this many bytes; `None`: never.
    grow_every_bytes: Option<u64>,
    part_count_max: u16,
    object_size_max_bytes: u64,
}

impl GrowingPlan {
    /// Creates the plan of a stream of unknown length. `expected_size_bytes` is an estimate that
    /// the stream may exceed; `wanted_part_size_bytes` is the size of the first parts, used
    /// unchanged or rejected.
    ///
    /// If the store requires equal parts, they never grow, so the expected length decides how long
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
            // Plan for half of the parts, so that parts can still grow if the estimate was too low.
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

    /// Creates the plan of a stream of known length: that of a file of this length.
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

    /// Returns the size of the first part in bytes, if the stream is that long.
    pub const fn first_part_size_bytes(&self) -> u64 {
        self.base_bytes
    }

    /// Returns the part that begins at `offset_bytes` after `before` parts, at its maximum length.
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

    /// Iterates over the parts of a stream of maximum length.
    pub fn parts(&self) -> impl Iterator<Item = PlannedPart> + use<> {
        let plan = *self;
        std::iter::successors(plan.part(0, 0), move |last| {
            plan.part(last.number.get(), last.offset_bytes + last.size_bytes)
        })
    }

    /// Returns the longest stream that these parts hold, in bytes.
    pub fn capacity_bytes(&self) -> u64 {
        self.parts().last().map_or(0, |last| last.offset_bytes + last.size_bytes)
    }
}

/// What is written down of a plan.
#[derive(Serialize, Deserialize)]
struct GrowingPlanRecord {
    base_bytes: u64,
    part_size_max_bytes: u64,
    steady_bytes: u64,
    grow_every_bytes: Option<u64>,
    part_count_max: u16,
    stream_size_max_bytes: u64,
}

impl From<GrowingPlan> for GrowingPlanRecord {
    fn from(plan: GrowingPlan) -> Self {
        Self {
            base_bytes: plan.base_bytes,
            part_size_max_bytes: plan.part_size_max_bytes,
            steady_bytes: plan.steady_bytes,
            grow_every_bytes: plan.grow_every_bytes,
            part_count_max: plan.part_count_max,
            stream_size_max_bytes: plan.object_size_max_bytes,
        }
    }
}

/// A record was a plan once; only what would cut a stream into empty parts is refused.
impl TryFrom<GrowingPlanRecord> for GrowingPlan {
    type Error = PlanError;

    fn try_from(record: GrowingPlanRecord) -> Result<Self, PlanError> {
        let sizes = [record.base_bytes, record.part_size_max_bytes];
        if sizes.contains(&0) || record.grow_every_bytes == Some(0) {
            return Err(PlanError::RecordedPartSizeZero);
        }
        Ok(Self {
            base_bytes: record.base_bytes,
            part_size_max_bytes: record.part_size_max_bytes,
            steady_bytes: record.steady_bytes,
            grow_every_bytes: record.grow_every_bytes,
            part_count_max: record.part_count_max.min(PART_COUNT_MAX),
            object_size_max_bytes: record.stream_size_max_bytes,
        })
    }
}
