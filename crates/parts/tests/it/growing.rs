//! Laws of the growing plan: how a stream of unknown length is cut.

use haul_parts::limits::{
    DEFAULT_PART_SIZE_BYTES, GIB, MIB, OBJECT_SIZE_MAX_BYTES, PART_COUNT_MAX, PART_SIZE_MAX_BYTES,
    TIB,
};
use haul_parts::{GrowingPlan, Limits, PartPlan, PlanError};
use proptest::prelude::*;

/// The limits of AWS, and those of stores that differ in every field.
fn limits() -> impl Strategy<Value = Limits> {
    let other = (
        1..=64 * MIB,
        0..=PART_SIZE_MAX_BYTES,
        1..=PART_COUNT_MAX,
        any::<bool>(),
        1..=OBJECT_SIZE_MAX_BYTES,
    )
        .prop_map(
            |(part_size_min_bytes, spread, part_count_max, equal_parts, object_size_max_bytes)| {
                Limits {
                    part_size_min_bytes,
                    part_size_max_bytes: part_size_min_bytes + spread,
                    part_count_max,
                    object_size_max_bytes,
                    part_size_default_bytes: DEFAULT_PART_SIZE_BYTES,
                    equal_parts,
                }
            },
        );
    prop_oneof![Just(Limits::AWS), other]
}

fn size_bytes() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        (0..=OBJECT_SIZE_MAX_BYTES).prop_map(Some),
        (0..=100 * GIB).prop_map(Some),
        (0..=64 * MIB).prop_map(Some)
    ]
}

fn wish_bytes() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        (1..=PART_SIZE_MAX_BYTES).prop_map(Some),
        (5 * MIB..=64 * MIB).prop_map(Some)
    ]
}

/// Asserts: every byte in exactly one part, numbers from 1 on, everything inside the limits, and no
/// part but the last smaller than its predecessor.
fn assert_lawful(plan: &GrowingPlan, limits: &Limits) {
    let parts: Vec<_> = plan.parts().collect();
    assert!(parts.len() <= usize::from(limits.part_count_max));
    let mut covered_bytes = 0;
    for (index, part) in parts.iter().enumerate() {
        assert_eq!((part.number.index(), part.offset_bytes), (index, covered_bytes));
        assert!(part.size_bytes > 0 && part.size_bytes <= limits.part_size_max_bytes);
        if let Some(next) = parts.get(index + 1) {
            assert!(part.size_bytes >= limits.part_size_min_bytes);
            let ends_the_object = index + 2 == parts.len();
            assert!(
                next.size_bytes >= part.size_bytes || ends_the_object,
                "part {} shrinks",
                next.number
            );
            if limits.equal_parts {
                assert!(next.size_bytes == part.size_bytes || ends_the_object);
            }
        }
        covered_bytes += part.size_bytes;
    }
    assert_eq!(covered_bytes, plan.capacity_bytes());
    assert!(covered_bytes <= limits.object_size_max_bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_stream_is_cut_inside_the_limits(
        limits in limits(),
        expected in size_bytes(),
        wish in wish_bytes(),
    ) {
        match GrowingPlan::new(&limits, expected, wish) {
            Ok(plan) => {
                assert_lawful(&plan, &limits);
                prop_assert_eq!(GrowingPlan::new(&limits, expected, wish), Ok(plan), "same input, \
                    same plan");
                prop_assert!(plan.capacity_bytes() >= expected.unwrap_or(0), "what was expected \
                    fits");
                if let Some(wish) = wish {
                    prop_assert_eq!(plan.first_part_size_bytes(), wish, "a wish is never changed");
                }
            }
            Err(error) => {
                let of_file = PartPlan::new(expected.unwrap_or(0), &limits, wish);
                prop_assert_eq!(of_file.unwrap_err(), error);
            }
        }
    }

    #[test]
    fn a_stream_of_known_length_is_cut_like_a_file(
        size in 0..=OBJECT_SIZE_MAX_BYTES,
        wish in wish_bytes(),
    ) {
        if let Ok(file) = PartPlan::new(size, &Limits::AWS, wish) {
            let plan = GrowingPlan::exact(size, &Limits::AWS, wish).unwrap();
            let stream: Vec<_> = plan.parts().collect();
            // An empty stream has no part, where a file's plan has an empty one.
            let of_file: Vec<_> = file.parts().filter(|part| part.size_bytes > 0).collect();
            prop_assert_eq!(stream, of_file);
        }
    }

    #[test]
    fn a_part_is_no_more_than_a_hundredth_of_what_lies_before_it(wish in 5 * MIB..=GIB) {
        for part in GrowingPlan::new(&Limits::AWS, None, Some(wish)).unwrap().parts() {
            prop_assert!(part.size_bytes <= wish + part.offset_bytes / 100);
        }
    }
}

/// The table of `docs/semantics.md`.
#[test]
fn the_documented_schedule() {
    let plan = GrowingPlan::new(&Limits::AWS, None, None).unwrap();
    let at = |offset_bytes| {
        let part =
            plan.parts().find(|part| part.offset_bytes + part.size_bytes > offset_bytes).unwrap();
        (part.number.get(), part.size_bytes / MIB)
    };
    assert_eq!(
        plan.parts().take(100).map(|part| part.size_bytes).collect::<Vec<_>>(),
        vec![8 * MIB; 100]
    );
    assert_eq!([at(0), at(GIB), at(10 * GIB)], [(1, 8), (115, 16), (318, 104)]);
    assert_eq!([at(100 * GIB), at(TIB), at(10 * TIB)], [(546, 1024), (812, 5120), (2655, 5120)]);
    // 94 % of what equal parts of 5 GiB hold.
    assert_eq!(plan.capacity_bytes() / GIB, 46_967);
    assert_eq!(plan.parts().count(), 10_000);
}

#[test]
fn the_expected_length_reaches_the_stores_limit() {
    let plan = GrowingPlan::new(&Limits::AWS, Some(OBJECT_SIZE_MAX_BYTES), None).unwrap();
    assert_eq!(
        (plan.first_part_size_bytes(), plan.capacity_bytes()),
        (PART_SIZE_MAX_BYTES, OBJECT_SIZE_MAX_BYTES)
    );
    let error = GrowingPlan::new(&Limits::AWS, Some(OBJECT_SIZE_MAX_BYTES + 1), None).unwrap_err();
    assert!(matches!(error, PlanError::ObjectTooLarge { .. }));
}

#[test]
fn an_estimate_that_was_too_low_leaves_parts_to_grow_in() {
    for expected in [GIB, 100 * GIB, TIB, 10 * TIB] {
        let plan = GrowingPlan::new(&Limits::AWS, Some(expected), None).unwrap();
        assert!(plan.capacity_bytes() >= 20 * TIB, "{expected}: {}", plan.capacity_bytes() / GIB);
    }
    let equal = Limits { equal_parts: true, ..Limits::AWS };
    let plan = GrowingPlan::new(&equal, Some(TIB), None).unwrap();
    assert!((TIB..3 * TIB).contains(&plan.capacity_bytes()));
}
