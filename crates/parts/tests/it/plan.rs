//! Laws of the part plan for any length and requested size, and its errors.

use haul_parts::limits::{
    DEFAULT_PART_SIZE_BYTES, GIB, MIB, OBJECT_SIZE_MAX_BYTES, PART_COUNT_MAX, PART_SIZE_MAX_BYTES,
    PART_SIZE_MIN_BYTES,
};
use haul_parts::{Limits, PartNumber, PartPlan, PlanError};
use proptest::prelude::*;

/// Lengths at which plans are likely to break: around zero, part sizes, 10,000 parts, and the
/// maximum.
fn object_size_bytes() -> impl Strategy<Value = u64> {
    let around = |center: u64| {
        (center.saturating_sub(2))..=(center.saturating_add(2)).min(OBJECT_SIZE_MAX_BYTES)
    };
    let sizes = [PART_SIZE_MIN_BYTES, DEFAULT_PART_SIZE_BYTES, 64 * MIB, GIB];
    prop_oneof![
        4 => 0..=OBJECT_SIZE_MAX_BYTES,
        2 => 0..=200 * GIB,
        2 => 0..=64 * MIB,
        1 => around(0),
        1 => around(OBJECT_SIZE_MAX_BYTES),
        1 => (1..=10_000_u64, prop::sample::select(sizes.to_vec()))
            .prop_flat_map(move |(count, size)| around(count * size)),
    ]
}

fn wish_bytes() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        2 => Just(None),
        2 => (0..=PART_SIZE_MAX_BYTES + 2).prop_map(Some),
        2 => (PART_SIZE_MIN_BYTES..=64 * MIB).prop_map(Some),
        1 => (0..=2 * PART_SIZE_MIN_BYTES).prop_map(Some),
        1 => any::<u64>().prop_map(Some),
    ]
}

/// The limits of AWS, and those of stores that differ in every field.
fn limits() -> impl Strategy<Value = Limits> {
    let other = (
        1..=64 * MIB,
        0..=PART_SIZE_MAX_BYTES,
        1..=PART_COUNT_MAX,
        any::<bool>(),
        0..=PART_SIZE_MAX_BYTES,
    )
        .prop_map(|(part_size_min_bytes, spread, part_count_max, equal_parts, default)| Limits {
            part_size_min_bytes,
            part_size_max_bytes: part_size_min_bytes + spread,
            part_count_max,
            object_size_max_bytes: OBJECT_SIZE_MAX_BYTES,
            part_size_default_bytes: default,
            equal_parts,
        });
    prop_oneof![Just(Limits::AWS), other]
}

/// Asserts: every byte in exactly one part, all parts but the last equal, numbers from 1 on, all
/// inside the limits.
fn assert_lawful(plan: &PartPlan, object_size_bytes: u64, limits: &Limits) {
    assert_eq!(plan.object_size_bytes(), object_size_bytes);
    assert!(plan.part_count() >= 1 && plan.part_count() <= limits.part_count_max);
    assert!(plan.part_size_bytes() >= limits.part_size_min_bytes);
    assert!(plan.part_size_bytes() <= limits.part_size_max_bytes);
    assert_eq!(plan.parts().len(), usize::from(plan.part_count()));

    let mut covered_bytes = 0;
    for (index, part) in plan.parts().enumerate() {
        let last = index + 1 == usize::from(plan.part_count());
        assert_eq!(part.number.index(), index);
        assert_eq!(
            part.offset_bytes, covered_bytes,
            "part {} begins where the one before ends",
            part.number
        );
        if last {
            assert!(part.size_bytes <= plan.part_size_bytes());
            assert!(
                part.size_bytes > 0 || object_size_bytes == 0,
                "only an empty object has an empty part"
            );
        } else {
            assert_eq!(part.size_bytes, plan.part_size_bytes());
        }
        covered_bytes += part.size_bytes;
    }
    assert_eq!(covered_bytes, object_size_bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn without_a_wish_every_object_that_s3_takes_has_a_lawful_plan(size in object_size_bytes()) {
        let plan = PartPlan::new(size, &Limits::AWS, None).unwrap();
        assert_lawful(&plan, size, &Limits::AWS);
        // The documented default, computed in another way.
        let mut expected = DEFAULT_PART_SIZE_BYTES;
        while u128::from(expected) * u128::from(PART_COUNT_MAX) < u128::from(size) {
            expected += MIB;
        }
        prop_assert_eq!(plan.part_size_bytes(), expected);
    }

    #[test]
    fn a_plan_is_lawful_or_names_the_limit_in_its_way(
        size in object_size_bytes(),
        wish in wish_bytes(),
        limits in limits(),
    ) {
        let capacity = u128::from(limits.part_size_max_bytes) * u128::from(limits.part_count_max);
        let fits = u128::from(size) <= capacity;
        match PartPlan::new(size, &limits, wish) {
            Ok(plan) => {
                assert_lawful(&plan, size, &limits);
                if let Some(wish) = wish {
                    prop_assert_eq!(plan.part_size_bytes(), wish, "a wish is never changed");
                }
                prop_assert_eq!(PartPlan::new(size, &limits, wish), Ok(plan), "same input, same \
                    plan");
            }
            Err(PlanError::PartsCannotHold { .. }) => prop_assert!(!fits),
            Err(PlanError::PartSizeTooSmall { part_size_bytes, part_size_needed_bytes, .. }) => {
                prop_assert!(fits && Some(part_size_bytes) == wish);
                prop_assert!(part_size_bytes < limits.part_size_min_bytes);
                prop_assert!(PartPlan::new(size, &limits, Some(part_size_needed_bytes)).is_ok());
            }
            Err(PlanError::PartSizeTooLarge { part_size_bytes, .. }) => {
                prop_assert!(fits && Some(part_size_bytes) == wish);
                prop_assert!(part_size_bytes > limits.part_size_max_bytes);
            }
            Err(PlanError::TooManyParts {
                part_size_bytes,
                part_count,
                part_size_needed_bytes,
                ..
            }) => {
                prop_assert!(fits && Some(part_size_bytes) == wish);
                prop_assert_eq!(part_count, size.div_ceil(part_size_bytes));
                prop_assert!(part_count > u64::from(limits.part_count_max));
                prop_assert!(PartPlan::new(size, &limits, Some(part_size_needed_bytes)).is_ok());
            }
            Err(other) => prop_assert!(false, "no other limit stands in the way: {other}"),
        }
    }

    #[test]
    fn nothing_above_the_object_limit_has_a_plan(
        size in OBJECT_SIZE_MAX_BYTES + 1..,
        wish in wish_bytes(),
    ) {
        let error = PartPlan::new(size, &Limits::AWS, wish).unwrap_err();
        prop_assert!(matches!(error, PlanError::ObjectTooLarge { .. }), "{error}");
    }

    #[test]
    fn part_finds_what_parts_lists(size in object_size_bytes(), number in 1..=10_000_u32) {
        let plan = PartPlan::new(size, &Limits::AWS, None).unwrap();
        let number = PartNumber::new(number).unwrap();
        prop_assert_eq!(plan.part(number), plan.parts().nth(number.index()));
    }

    #[test]
    fn a_plan_survives_the_journal(size in object_size_bytes(), wish in wish_bytes()) {
        if let Ok(plan) = PartPlan::new(size, &Limits::AWS, wish) {
            let text = serde_json::to_string(&plan).unwrap();
            prop_assert_eq!(serde_json::from_str::<PartPlan>(&text).unwrap(), plan);
        }
    }
}

#[test]
fn an_empty_object_has_one_empty_part() {
    let plan = PartPlan::new(0, &Limits::AWS, None).unwrap();
    let parts: Vec<_> = plan.parts().collect();
    assert_eq!(parts.len(), 1);
    assert_eq!(
        (parts[0].number, parts[0].offset_bytes, parts[0].size_bytes),
        (PartNumber::MIN, 0, 0)
    );
}

#[test]
fn the_longest_object_takes_every_part_at_its_largest() {
    let plan = PartPlan::new(OBJECT_SIZE_MAX_BYTES, &Limits::AWS, None).unwrap();
    assert_eq!((plan.part_count(), plan.part_size_bytes()), (PART_COUNT_MAX, PART_SIZE_MAX_BYTES));
    assert_eq!(plan.part(PartNumber::MAX).unwrap().size_bytes, PART_SIZE_MAX_BYTES);
}

#[test]
fn the_journal_form_is_two_numbers() {
    let plan = PartPlan::new(20 * MIB + 1, &Limits::AWS, None).unwrap();
    let json = serde_json::to_string(&plan).unwrap();
    insta::assert_snapshot!(json, @r#"{"object_size_bytes":20971521,"part_size_bytes":8388608}"#);
}

#[test]
fn refusals_name_the_limit_and_what_would_do() {
    let refuse =
        |size, limits: &Limits, wish| PartPlan::new(size, limits, wish).unwrap_err().to_string();
    let small = Limits { part_size_min_bytes: MIB, part_count_max: 1000, ..Limits::AWS };

    insta::assert_snapshot!(refuse(10_000 * 5 * MIB + 1, &Limits::AWS, Some(5 * MIB)), @"5,242,880 \
        bytes (5 MiB) x 10,001 parts: the store takes at most 10,000 parts; use a part size of at \
        least 6,291,456 bytes (6 MiB)");
    insta::assert_snapshot!(refuse(1000 * MIB + 1, &small, Some(MIB)), @"1,048,576 bytes (1 MiB) x \
        1,001 parts: the store takes at most 1,000 parts; use a part size of at least 2,097,152 \
        bytes (2 MiB)");
    insta::assert_snapshot!(refuse(GIB, &Limits::AWS, Some(MIB)), @"a part size of 1,048,576 bytes \
        (1 MiB) is too small: the store takes parts of at least 5,242,880 bytes (5 MiB)");
    insta::assert_snapshot!(refuse(100 * GIB, &Limits::AWS, Some(0)), @"a part size of 0 bytes is \
        too small: the store takes parts of at least 5,242,880 bytes (5 MiB), and an object of \
        this length needs parts of at least 11,534,336 bytes (11 MiB)");
    insta::assert_snapshot!(refuse(GIB, &Limits::AWS, Some(PART_SIZE_MAX_BYTES + 1)), @"a part \
        size of 5,368,709,121 bytes (about 5.0 GiB) is too large: the store takes parts of at \
        most 5,368,709,120 bytes (5 GiB)");
    insta::assert_snapshot!(refuse(OBJECT_SIZE_MAX_BYTES + 1, &Limits::AWS, None), @"an object of \
        53,687,091,200,001 bytes (about 48.8 TiB) is too large: the store takes at most \
        53,687,091,200,000 bytes (about 48.8 TiB)");
    insta::assert_snapshot!(refuse(1001 * PART_SIZE_MAX_BYTES, &small, None), @"an object of \
        5,374,077,829,120 bytes (about 4.9 TiB) is too large: 1,000 parts of at most 5,368,709,120 \
        bytes (5 GiB) do not hold it");
    let no_part = Limits { part_count_max: 0, ..Limits::AWS };
    insta::assert_snapshot!(refuse(1, &no_part, None), @"limits that allow no part: at most 0 \
        parts of 5,242,880 bytes (5 MiB) to 5,368,709,120 bytes (5 GiB)");
    let no_size = Limits { part_size_max_bytes: MIB, ..Limits::AWS };
    insta::assert_snapshot!(refuse(1, &no_size, None), @"limits that allow no part: at most \
        10,000 parts of 5,242,880 bytes (5 MiB) to 1,048,576 bytes (1 MiB)");
}

#[test]
fn a_damaged_record_is_refused() {
    let read = |text| serde_json::from_str::<PartPlan>(text).unwrap_err().to_string();
    insta::assert_snapshot!(read(r#"{"object_size_bytes":1,"part_size_bytes":0}"#), @"a recorded \
        plan has a part size of 0 bytes");
    insta::assert_snapshot!(read(r#"{"object_size_bytes":10001,"part_size_bytes":1}"#), @"1 byte \
        x 10,001 parts: the store takes at most 10,000 parts; use a part size of at least 2 \
        bytes");
    let longest = r#"{"object_size_bytes":18446744073709551615,"part_size_bytes":1}"#;
    insta::assert_snapshot!(read(longest), @"1 byte x 18,446,744,073,709,551,615 parts: the \
        store takes at most 10,000 parts; use a part size of at least 1,844,674,407,370,956 \
        bytes (about 1677.7 TiB)");
}
