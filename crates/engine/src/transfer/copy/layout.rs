//! Determines the part sizes of a source, so that its copy gets the same parts and the same ETag.
//!
//! HeadObject describes each part. If the store does not support `partNumber`, the number of parts
//! in the ETag is compared with the part sizes that common tools use. A wrong guess changes the
//! ETag, never the bytes: the parts cover the whole object in any case.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use haul_parts::limits::{DEFAULT_PART_SIZE_BYTES, MIB};
use haul_parts::{Limits, ObjectRef, PartNumber, PartPlan, PlannedPart};

use super::CopyOptions;
use super::origin::SourceObject;
use crate::error::Error;
use crate::remote::StoredPart;
use crate::transfer::upload;

/// HeadObject requests in flight, if every part has to be queried.
const HEADS_AT_ONCE: usize = 16;

/// Part sizes that tools use, in MiB: Haul and aws-cli 8, rclone and boto3 5 and 8, s5cmd 50, MinIO
/// 16 and 64.
const USUAL_MIB: [u64; 14] = [8, 5, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 256, 512];

/// The parts of a copy.
#[derive(Clone, Debug)]
pub(super) struct SourceLayout {
    plan: PartPlan,
    /// The parts, if they differ in size. The plan then only has the same number of parts.
    unequal: Option<Arc<[PlannedPart]>>,
}

impl SourceLayout {
    /// Chooses parts of equal size: the size that the caller gave, or one that follows from the
    /// length.
    pub(super) fn chosen(
        source: &ObjectRef,
        size_bytes: u64,
        options: &CopyOptions,
    ) -> Result<Self, Error> {
        let limits = options.limits.unwrap_or_default();
        let plan = PartPlan::new(size_bytes, &limits, options.part_size_bytes);
        let plan =
            plan.map_err(|error| Error::Plan { source_name: source.to_string(), source: error })?;
        Ok(Self { plan, unequal: None })
    }

    /// Determines the parts of the source; `None` if it was put in one request, or if its parts are
    /// unknown.
    pub(super) async fn of_source(origin: &SourceObject, limits: &Limits) -> Option<Self> {
        let head = origin.head();
        if head.size_bytes == 0 || head.etag.as_md5().is_some() {
            return None;
        }
        let named = head.etag.part_count();
        let first = part(origin, PartNumber::MIN).await;
        let told = first.as_ref().and_then(|first| Some((first.size_bytes, first.part_count?)));
        match (told, named) {
            // Garage reports one part for an object that was put in one request.
            (Some((_, 1)), None) => None,
            (Some((first_bytes, count)), _) => Self::told(origin, limits, first_bytes, count).await,
            (None, Some(count)) => Self::guessed(head.size_bytes, limits, count),
            (None, None) => None,
        }
    }

    async fn told(
        origin: &SourceObject,
        limits: &Limits,
        first_bytes: u64,
        count: u16,
    ) -> Option<Self> {
        let size_bytes = origin.head().size_bytes;
        if let Some(plan) = equal(size_bytes, limits, first_bytes, count)
            && follows(origin, &plan).await
        {
            return Some(Self { plan, unequal: None });
        }
        let unequal = match limits.equal_parts {
            true => None,
            false => Self::unequal(origin, limits, count).await,
        };
        unequal.or_else(|| {
            Some(Self { plan: PartPlan::new(size_bytes, limits, None).ok()?, unequal: None })
        })
    }

    fn guessed(size_bytes: u64, limits: &Limits, count: u16) -> Option<Self> {
        let default = PartPlan::new(size_bytes, limits, None).ok()?;
        let rounded = size_bytes.div_ceil(u64::from(count)).div_ceil(MIB) * MIB;
        let sizes = [default.part_size_bytes(), DEFAULT_PART_SIZE_BYTES];
        let sizes = sizes.into_iter().chain(USUAL_MIB.map(|mib| mib * MIB)).chain([rounded]);
        let plan = sizes.filter_map(|part| equal(size_bytes, limits, part, count)).next();
        Some(Self { plan: plan.unwrap_or(default), unequal: None })
    }

    /// Determines parts of different sizes, such as those of uploaded streams.
    async fn unequal(origin: &SourceObject, limits: &Limits, count: u16) -> Option<Self> {
        let size_bytes = origin.head().size_bytes;
        // This plan is only used to enumerate the part numbers.
        let loose = Limits { part_size_min_bytes: 1, ..*limits };
        let plan = equal(size_bytes, &loose, size_bytes.div_ceil(u64::from(count)), count)?;
        let heads = stream::iter(plan.parts().map(|planned| async move {
            part(origin, planned.number).await.map(|part| part.size_bytes).ok_or(())
        }));
        let sizes: Vec<u64> = heads.buffered(HEADS_AT_ONCE).try_collect().await.ok()?;
        let takes =
            |size: &u64| (limits.part_size_min_bytes..=limits.part_size_max_bytes).contains(size);
        let (last, before) = sizes.split_last()?;
        if !before.iter().all(takes) || *last > limits.part_size_max_bytes {
            return None;
        }
        let mut offset_bytes = 0;
        let parts = plan.parts().zip(sizes).map(|(planned, size_bytes)| {
            let number = planned.number;
            let part = PlannedPart { number, offset_bytes, size_bytes };
            offset_bytes += size_bytes;
            part
        });
        let parts: Arc<[PlannedPart]> = parts.collect();
        (offset_bytes == size_bytes).then_some(Self { plan, unequal: Some(parts) })
    }

    /// Returns the parts of the upload that makes the copy.
    pub(super) fn parts(&self) -> upload::PartsLayout {
        match &self.unequal {
            Some(parts) => upload::PartsLayout::AsSource(Arc::clone(parts)),
            None => upload::PartsLayout::Planned(self.plan),
        }
    }

    /// Returns whether all parts but the last are equal.
    pub(super) fn is_equal(&self) -> bool {
        self.unequal.is_none()
    }
}

/// Returns the plan with parts of this size, if it has `count` parts. The only part of a short
/// object may be smaller than the store's minimum.
fn equal(size_bytes: u64, limits: &Limits, part_size_bytes: u64, count: u16) -> Option<PartPlan> {
    let wanted = part_size_bytes.max(limits.part_size_min_bytes);
    let plan = PartPlan::new(size_bytes, limits, Some(wanted)).ok()?;
    (plan.part_count() == count).then_some(plan)
}

/// Returns whether the second part and the last part match the plan: parts that grow differ there.
async fn follows(origin: &SourceObject, plan: &PartPlan) -> bool {
    let second = plan.parts().nth(1);
    let last = plan.parts().next_back().filter(|_| plan.part_count() > 2);
    for planned in second.into_iter().chain(last) {
        if part(origin, planned.number)
            .await
            .is_none_or(|part| part.size_bytes != planned.size_bytes)
        {
            return false;
        }
    }
    true
}

async fn part(origin: &SourceObject, number: PartNumber) -> Option<StoredPart> {
    origin.retry.run(|| origin.store.head_part(&origin.object, number)).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_size_is_guessed_from_the_number_of_parts() {
        let guessed = |size_bytes, count| {
            let layout = SourceLayout::guessed(size_bytes, &Limits::AWS, count).unwrap();
            (layout.plan.part_size_bytes() / MIB, layout.plan.part_count())
        };
        assert_eq!(guessed(100 * MIB, 13), (8, 13));
        assert_eq!(guessed(100 * MIB, 20), (5, 20));
        assert_eq!(guessed(100 * MIB, 2), (50, 2));
        assert_eq!(guessed(77 * MIB, 7), (11, 7));
        assert_eq!(guessed(3 * MIB, 1), (8, 1));
        assert_eq!(
            guessed(100 * MIB, 99),
            (8, 13),
            "nothing fits: as an upload of this length is cut"
        );
    }
}
