//! The plan that a journal holds: a damaged one is refused, and one that is taken keeps the laws.

#![no_main]

use haul_parts::PartPlan;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    let Ok(plan) = serde_json::from_slice::<PartPlan>(json) else { return };
    assert!((1..=10_000).contains(&plan.part_count()));
    let mut covered_bytes = 0_u64;
    for part in plan.parts() {
        assert_eq!(part.offset_bytes, covered_bytes);
        covered_bytes += part.size_bytes;
    }
    assert_eq!(covered_bytes, plan.object_size_bytes());
    let again = serde_json::to_vec(&plan).expect("a plan is JSON");
    assert_eq!(serde_json::from_slice::<PartPlan>(&again).expect("as written"), plan);
});
