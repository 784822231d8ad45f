//! Infers the plan of an upload from its parts alone: their numbers and sizes, as ListParts returns
//! them.
//!
//! Every tool cuts an object into equal parts and a shorter last one. So one part that is not the
//! last has the part size, and the last one alone determines it too if the rest divides evenly.
//! Pure, and a guess: matching sizes prove nothing about the bytes. A caller that adopts the upload
//! has to compare those.

use std::cmp::Reverse;

use crate::{Limits, PartNumber, PartPlan};

/// Returns the plans that an upload with these parts may follow, the one that fits most parts
/// first; none if there is no such plan.
///
/// A part may be shorter than its plan: it was truncated, or the source has grown since, and it has
/// to be sent again. A part that is longer, or lies behind the end of the object, belongs to
/// another plan.
pub fn plans_of_layout(
    object_size_bytes: u64,
    limits: &Limits,
    parts: &[(PartNumber, u64)],
) -> Vec<PartPlan> {
    let Some(largest) = parts.iter().map(|(_, size_bytes)| *size_bytes).max() else {
        return vec![];
    };
    let sizes = before_the_last(object_size_bytes, parts).into_iter().chain([largest]);
    let mut plans: Vec<PartPlan> = Vec::new();
    for size_bytes in sizes {
        // A single short part shows only that parts are not smaller than it.
        let wanted = size_bytes.max(limits.part_size_min_bytes);
        match PartPlan::new(object_size_bytes, limits, Some(wanted)) {
            Ok(plan) if may_follow(&plan, parts) && !plans.contains(&plan) => plans.push(plan),
            _ => {}
        }
    }
    plans.sort_by_key(|plan| Reverse(parts.iter().filter(|part| fits(plan, part)).count()));
    plans
}

/// Returns the part size if the highest part is the last one of the object.
fn before_the_last(object_size_bytes: u64, parts: &[(PartNumber, u64)]) -> Option<u64> {
    let (number, size_bytes) = parts.iter().max_by_key(|(number, _)| *number)?;
    let before = u64::from(number.get()) - 1;
    let rest = object_size_bytes.checked_sub(*size_bytes)?;
    (before > 0 && rest.is_multiple_of(before) && rest / before >= *size_bytes)
        .then(|| rest / before)
}

fn may_follow(plan: &PartPlan, parts: &[(PartNumber, u64)]) -> bool {
    let inside = |(number, size_bytes): &(PartNumber, u64)| {
        plan.part(*number).is_some_and(|planned| *size_bytes <= planned.size_bytes)
    };
    parts.iter().all(inside) && parts.iter().any(|part| fits(plan, part))
}

fn fits(plan: &PartPlan, (number, size_bytes): &(PartNumber, u64)) -> bool {
    plan.part(*number).is_some_and(|planned| planned.size_bytes == *size_bytes)
}
