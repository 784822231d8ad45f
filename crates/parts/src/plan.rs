//! Decides part size and boundaries for an upload. Pure: same length, limits and requested size,
//! same plan.
//!
//! Guarantees: every byte is in exactly one part; all parts but the last are equal and inside the
//! limits; the count is inside the limits. A requested part size is used unchanged or rejected with
//! the limit that it breaks: a silent change from 5 to 6 MiB would send its user looking for the
//! reason in the wrong place. An object of no bytes has one empty part, because
//! CompleteMultipartUpload needs at least one. Deliberately unaware of files and networks.

mod growing;

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::PartNumber;
use crate::grouped::{Bytes, Grouped};
use crate::limits::{Limits, MIB, PART_COUNT_MAX};

pub use growing::GrowingPlan;

/// The division of an object of known size into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "PlanRecord", into = "PlanRecord")]
pub struct PartPlan {
    object_size_bytes: u64,
    part_size_bytes: NonZeroU64,
    part_count: u16,
}

/// One part of a plan: a range of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlannedPart {
    /// The part number, from 1.
    pub number: PartNumber,
    /// The offset of the part in the object, in bytes.
    pub offset_bytes: u64,
    /// The length of the part, in bytes.
    pub size_bytes: u64,
}

/// The reason why there is no plan: the limit, the requested value, and a value that would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The object is larger than the store allows.
    #[error(
        "an object of {} is too large: the store takes at most {}",
        Bytes(*object_size_bytes),
        Bytes(*object_size_max_bytes)
    )]
    ObjectTooLarge {
        /// The length of the object, in bytes.
        object_size_bytes: u64,
        /// The largest object that the limits allow, in bytes.
        object_size_max_bytes: u64,
    },
    /// The object does not fit into the largest number of the largest parts.
    #[error(
        "an object of {} is too large: {} parts of at most {} do not hold it",
        Bytes(*object_size_bytes),
        Grouped(u64::from(*part_count_max)),
        Bytes(*part_size_max_bytes)
    )]
    PartsCannotHold {
        /// The length of the object, in bytes.
        object_size_bytes: u64,
        /// The largest number of parts.
        part_count_max: u16,
        /// The largest part, in bytes.
        part_size_max_bytes: u64,
    },
    /// The requested part size is below the minimum.
    #[error(
        "a part size of {} is too small: the store takes parts of at least {}{}",
        Bytes(*part_size_bytes),
        Bytes(*part_size_min_bytes),
        NeededBeyond { min: *part_size_min_bytes, needed: *part_size_needed_bytes }
    )]
    PartSizeTooSmall {
        /// The requested part size, in bytes.
        part_size_bytes: u64,
        /// The smallest part that the store allows, in bytes.
        part_size_min_bytes: u64,
        /// A part size that would do for this object, in bytes: above the minimum if the object is
        /// long.
        part_size_needed_bytes: u64,
    },
    /// The requested part size is above the maximum.
    #[error(
        "a part size of {} is too large: the store takes parts of at most {}",
        Bytes(*part_size_bytes),
        Bytes(*part_size_max_bytes)
    )]
    PartSizeTooLarge {
        /// The requested part size, in bytes.
        part_size_bytes: u64,
        /// The largest part that the store allows, in bytes.
        part_size_max_bytes: u64,
    },
    /// The requested part size results in too many parts.
    #[error(
        "{} x {} parts: the store takes at most {} parts; use a part size of at least {}",
        Bytes(*part_size_bytes),
        Grouped(*part_count),
        Grouped(u64::from(*part_count_max)),
        Bytes(*part_size_needed_bytes)
    )]
    TooManyParts {
        /// The requested part size, in bytes.
        part_size_bytes: u64,
        /// The number of parts that would result.
        part_count: u64,
        /// The largest number of parts.
        part_count_max: u16,
        /// A part size that would do, in bytes: the smallest one, rounded up to a MiB if the limits
        /// allow that.
        part_size_needed_bytes: u64,
    },
    /// The limits allow no part at all: zero parts, zero bytes, or a minimum above the maximum.
    #[error(
        "limits that allow no part: at most {} parts of {} to {}",
        Grouped(u64::from(*part_count_max)),
        Bytes(*part_size_min_bytes),
        Bytes(*part_size_max_bytes)
    )]
    ImpossibleLimits {
        /// The largest number of parts.
        part_count_max: u16,
        /// The smallest part, in bytes.
        part_size_min_bytes: u64,
        /// The largest part, in bytes.
        part_size_max_bytes: u64,
    },
    /// The part size of a recorded plan is zero.
    #[error("a recorded plan has a part size of 0 bytes")]
    RecordedPartSizeZero,
}

impl PartPlan {
    /// Cuts `object_size_bytes` into parts within `limits`.
    ///
    /// Without a requested part size it is the default of the limits (8 MiB at AWS), or for long
    /// objects the smallest multiple of 1 MiB that needs no more than the allowed number of parts;
    /// always inside the limits.
    ///
    /// # Errors
    /// The limit that prevents a plan, and for a request that needs too many parts the size that
    /// would do.
    pub fn new(
        object_size_bytes: u64,
        limits: &Limits,
        wanted_part_size_bytes: Option<u64>,
    ) -> Result<Self, PlanError> {
        let part_count_max = limits.part_count_max.min(PART_COUNT_MAX);
        let least = least_part_size_bytes(object_size_bytes, limits, part_count_max)?;
        let part_size_bytes = match wanted_part_size_bytes {
            None => least.max(
                limits
                    .part_size_default_bytes
                    .clamp(limits.part_size_min_bytes, limits.part_size_max_bytes),
            ),
            Some(wanted) => check_wish(wanted, object_size_bytes, limits, part_count_max, least)?,
        };
        let part_size_bytes =
            NonZeroU64::new(part_size_bytes).expect("limits with empty parts are refused above");
        Self::cut(object_size_bytes, part_size_bytes, part_count_max)
    }

    /// Returns the length of the whole object in bytes.
    pub const fn object_size_bytes(&self) -> u64 {
        self.object_size_bytes
    }

    /// Returns the length of every part but the last, in bytes; the only part of a short object is
    /// shorter.
    pub const fn part_size_bytes(&self) -> u64 {
        self.part_size_bytes.get()
    }

    /// Returns the number of parts: at least 1.
    pub const fn part_count(&self) -> u16 {
        self.part_count
    }

    /// Iterates over all parts in order.
    pub fn parts(
        &self,
    ) -> impl ExactSizeIterator<Item = PlannedPart> + DoubleEndedIterator + use<> {
        let plan = *self;
        (0..plan.part_count).map(move |index| plan.part_at(index))
    }

    /// Returns the part with this number, or `None` if the plan has fewer parts.
    pub fn part(&self, number: PartNumber) -> Option<PlannedPart> {
        let index = number.get() - 1;
        (index < self.part_count).then(|| self.part_at(index))
    }

    fn part_at(&self, index: u16) -> PlannedPart {
        let number =
            PartNumber::new(u32::from(index) + 1).expect("a plan has at most 10,000 parts");
        let offset_bytes = u64::from(index) * self.part_size_bytes.get();
        let size_bytes = self.part_size_bytes.get().min(self.object_size_bytes - offset_bytes);
        PlannedPart { number, offset_bytes, size_bytes }
    }

    fn cut(
        object_size_bytes: u64,
        part_size_bytes: NonZeroU64,
        part_count_max: u16,
    ) -> Result<Self, PlanError> {
        let part_count = part_count(object_size_bytes, part_size_bytes);
        match u16::try_from(part_count) {
            Ok(count) if count <= part_count_max => {
                Ok(Self { object_size_bytes, part_size_bytes, part_count: count })
            }
            _ => Err(PlanError::TooManyParts {
                part_size_bytes: part_size_bytes.get(),
                part_count,
                part_count_max,
                part_size_needed_bytes: object_size_bytes
                    .div_ceil(u64::from(part_count_max.max(1))),
            }),
        }
    }
}

/// Returns the smallest part size that needs no more parts than allowed: rounded up to 1 MiB,
/// inside the limits. Fails if no part size can do.
fn least_part_size_bytes(
    object_size_bytes: u64,
    limits: &Limits,
    part_count_max: u16,
) -> Result<u64, PlanError> {
    let Limits { part_size_min_bytes, part_size_max_bytes, object_size_max_bytes, .. } = *limits;
    if part_count_max == 0 || part_size_max_bytes == 0 || part_size_min_bytes > part_size_max_bytes
    {
        return Err(PlanError::ImpossibleLimits {
            part_count_max,
            part_size_min_bytes,
            part_size_max_bytes,
        });
    }
    if object_size_bytes > object_size_max_bytes {
        return Err(PlanError::ObjectTooLarge { object_size_bytes, object_size_max_bytes });
    }
    let exact = object_size_bytes.div_ceil(u64::from(part_count_max));
    if exact > part_size_max_bytes {
        return Err(PlanError::PartsCannotHold {
            object_size_bytes,
            part_count_max,
            part_size_max_bytes,
        });
    }
    let rounded = exact.checked_next_multiple_of(MIB).unwrap_or(exact);
    Ok(rounded.clamp(part_size_min_bytes.max(1), part_size_max_bytes))
}

fn check_wish(
    wanted: u64,
    object_size_bytes: u64,
    limits: &Limits,
    part_count_max: u16,
    least: u64,
) -> Result<u64, PlanError> {
    let Limits { part_size_min_bytes, part_size_max_bytes, .. } = *limits;
    let Some(wanted_nonzero) =
        NonZeroU64::new(wanted).filter(|size| size.get() >= part_size_min_bytes)
    else {
        return Err(PlanError::PartSizeTooSmall {
            part_size_bytes: wanted,
            part_size_min_bytes: part_size_min_bytes.max(1),
            part_size_needed_bytes: least,
        });
    };
    if wanted > part_size_max_bytes {
        return Err(PlanError::PartSizeTooLarge { part_size_bytes: wanted, part_size_max_bytes });
    }
    let part_count = part_count(object_size_bytes, wanted_nonzero);
    if part_count > u64::from(part_count_max) {
        return Err(PlanError::TooManyParts {
            part_size_bytes: wanted,
            part_count,
            part_count_max,
            part_size_needed_bytes: least,
        });
    }
    Ok(wanted)
}

/// Counts parts; an object of no bytes still has one empty part.
fn part_count(object_size_bytes: u64, part_size_bytes: NonZeroU64) -> u64 {
    object_size_bytes.div_ceil(part_size_bytes.get()).max(1)
}

/// The end of a message about the smallest part size, for objects that even the smallest size does
/// not fit.
struct NeededBeyond {
    min: u64,
    needed: u64,
}

impl fmt::Display for NeededBeyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.needed > self.min {
            write!(
                f,
                ", and an object of this length needs parts of at least {}",
                Bytes(self.needed)
            )?;
        }
        Ok(())
    }
}

/// The serialized form of a plan; everything else is derived from it.
#[derive(Serialize, Deserialize)]
struct PlanRecord {
    object_size_bytes: u64,
    part_size_bytes: u64,
}

impl From<PartPlan> for PlanRecord {
    fn from(plan: PartPlan) -> Self {
        Self {
            object_size_bytes: plan.object_size_bytes,
            part_size_bytes: plan.part_size_bytes.get(),
        }
    }
}

/// Rejects only what no store allows: the record was once a valid plan, under limits that are not
/// recorded.
impl TryFrom<PlanRecord> for PartPlan {
    type Error = PlanError;

    fn try_from(record: PlanRecord) -> Result<Self, PlanError> {
        let part_size_bytes =
            NonZeroU64::new(record.part_size_bytes).ok_or(PlanError::RecordedPartSizeZero)?;
        Self::cut(record.object_size_bytes, part_size_bytes, PART_COUNT_MAX)
    }
}
