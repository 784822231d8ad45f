//! Laws of inferring a plan from the parts of an upload.

use haul_parts::layout::plans_of_layout;
use haul_parts::limits::MIB;
use haul_parts::{Limits, PartNumber, PartPlan};
use proptest::prelude::*;

fn part(number: u32, size_bytes: u64) -> (PartNumber, u64) {
    (PartNumber::new(number).expect("from 1 to 10,000"), size_bytes)
}

fn sizes(object_size_bytes: u64, parts: &[(PartNumber, u64)]) -> Vec<u64> {
    let plans = plans_of_layout(object_size_bytes, &Limits::AWS, parts);
    plans.iter().map(PartPlan::part_size_bytes).collect()
}

proptest! {
    /// The plan of any subset of parts is among those found, and it is the first if one of the
    /// parts is not the last.
    #[test]
    fn the_plan_of_any_parts_of_it_is_found(
        object_size_bytes in 1..4_000 * MIB,
        part_size_bytes in 5 * MIB..200 * MIB,
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
    ) {
        let plan = PartPlan::new(object_size_bytes, &Limits::AWS, Some(part_size_bytes)).unwrap();
        let all: Vec<_> = plan.parts().map(|part| (part.number, part.size_bytes)).collect();
        let mut some: Vec<_> = picks.iter().map(|pick| *pick.get(&all)).collect();
        some.sort();
        some.dedup();
        let found = plans_of_layout(object_size_bytes, &Limits::AWS, &some);
        let same = |found: &PartPlan| found.parts().eq(plan.parts());
        prop_assert!(found.iter().any(same), "{some:?}: {found:?}");
        if some.iter().filter(|(_, size_bytes)| *size_bytes == part_size_bytes).count() > 1 {
            prop_assert!(same(&found[0]), "{some:?}: {found:?}");
        }
    }

    /// Every plan found fits the parts: no part is longer than planned, none is behind the end, and
    /// at least one has its planned size.
    #[test]
    fn what_is_found_fits(
        object_size_bytes in 1..400 * MIB,
        parts in prop::collection::vec((1..60_u32, 1..40 * MIB), 0..8),
    ) {
        let parts = parts.into_iter().map(|(number, size_bytes)| part(number, size_bytes));
        let parts: Vec<_> = parts.collect();
        for plan in plans_of_layout(object_size_bytes, &Limits::AWS, &parts) {
            let planned = |number| plan.part(number).map_or(0, |planned| planned.size_bytes);
            prop_assert!(parts.iter().all(|(number, size_bytes)| *size_bytes <= planned(*number)));
            prop_assert!(parts.iter().any(|(number, size_bytes)| *size_bytes == planned(*number)));
        }
    }
}

#[test]
fn the_last_part_alone_tells_the_size_of_the_others() {
    assert_eq!(sizes(100 * MIB, &[part(13, 4 * MIB)]), [8 * MIB]);
    // Too short to be a part before the last one, and the rest does not divide evenly.
    assert_eq!(sizes(100 * MIB + 1, &[part(13, 4 * MIB)]), [0; 0]);
}

#[test]
fn a_part_of_another_plan_is_no_plan() {
    // A part behind the end of the object.
    assert_eq!(sizes(16 * MIB, &[part(1, 8 * MIB), part(3, 8 * MIB)]), [0; 0]);
    // Parts that grow: Haul would have to send the small ones again, and the plan has no room for
    // them.
    assert_eq!(sizes(100 * MIB, &[part(1, 5 * MIB), part(2, 5 * MIB), part(13, 50 * MIB)]), [0; 0]);
    assert_eq!(sizes(100 * MIB, &[]), [0; 0]);
}

#[test]
fn a_part_that_is_shorter_than_planned_is_to_be_sent_again() {
    // The file had 20 MiB when the upload started and has 100 MiB now.
    let found = sizes(100 * MIB, &[part(1, 8 * MIB), part(2, 8 * MIB), part(3, 4 * MIB)]);
    // Two parts support the first plan; the second fits only one part and makes the others too
    // short.
    assert_eq!(found, [8 * MIB, 48 * MIB]);
}
