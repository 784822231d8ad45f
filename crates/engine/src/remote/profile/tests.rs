//! The choice of a profile, and the laws that every profile keeps.

use haul_parts::{ChecksumAlgorithm, GrowingPlan, Limits, PartPlan};
use proptest::prelude::*;

use super::*;

#[test]
fn hosts_choose_the_store_that_owns_them() {
    for (host, kind) in [
        ("0123abc.r2.cloudflarestorage.com", StoreKind::R2),
        ("0123abc.eu.r2.cloudflarestorage.com", StoreKind::R2),
        ("bucket.0123abc.R2.CloudflareStorage.com.", StoreKind::R2),
        ("s3.us-west-004.backblazeb2.com", StoreKind::B2),
        ("bucket.s3.eu-central-003.backblazeb2.com", StoreKind::B2),
        ("storage.googleapis.com", StoreKind::Gcs),
        ("bucket.storage.googleapis.com", StoreKind::Gcs),
        ("storage.us-central1.rep.googleapis.com", StoreKind::Gcs),
        ("s3.wasabisys.com", StoreKind::Wasabi),
        ("s3.eu-central-1.wasabisys.com", StoreKind::Wasabi),
        ("s3.fr-par.scw.cloud", StoreKind::Scaleway),
        ("gateway.storjshare.io", StoreKind::Storj),
        ("gateway.eu1.storjshare.io", StoreKind::Storj),
        ("nyc3.digitaloceanspaces.com", StoreKind::DigitalOcean),
        ("s3.gra.io.cloud.ovh.net", StoreKind::Ovh),
        ("s3.gra.perf.cloud.ovh.net", StoreKind::Ovh),
        ("s3.us-east-va.io.cloud.ovh.us", StoreKind::Ovh),
        ("localhost.localstack.cloud", StoreKind::LocalStack),
    ] {
        assert_eq!(StoreKind::of_host(host), Some(kind), "{host}");
    }
}

/// Anybody can own the domain behind a store's name, or a name that ends like it.
#[test]
fn hosts_of_others_choose_no_profile() {
    for host in [
        "evil-r2.cloudflarestorage.com.example.org",
        "0123abc.r2.cloudflarestorage.com.example.org",
        "evil-r2.cloudflarestorage.com",
        "r2.cloudflarestorage.com",
        ".r2.cloudflarestorage.com",
        "0123abc.r2.evilcloudflarestorage.com",
        "backblazeb2.com",
        "s3.backblazeb2.com",
        "api.us-west-004.backblazeb2.com",
        "evilstorage.googleapis.com",
        "compute.googleapis.com",
        "evils3.wasabisys.com",
        "scw.cloud",
        "link.storjshare.io",
        "digitaloceanspaces.com",
        "s3.gra.cloud.ovh.net",
        "s3.amazonaws.com",
        "127.0.0.1",
        "localhost",
        "",
    ] {
        assert_eq!(StoreKind::of_host(host), None, "{host}");
    }
}

#[test]
fn answers_name_the_stores_that_people_run_themselves() {
    const CEPH_16_ID: &str = "tx000005312d113a46ec5f1-006b08bb5e-102a-default";
    for (name, value, kind) in [
        ("server", "Haul", Some(StoreKind::HaulServe)),
        ("server", "Ceph Object Gateway (reef)", Some(StoreKind::CephRgw)),
        ("server", "Garage", Some(StoreKind::Garage)),
        ("server", "MinIO", Some(StoreKind::MinIo)),
        ("server", "AmazonS3", None), // anybody's: AWS is known by its host
        ("server", "hypercorn-h11", None),
        ("x-localstack", "true", Some(StoreKind::LocalStack)),
        ("x-amz-request-id", CEPH_16_ID, Some(StoreKind::CephRgw)),
        ("x-amz-request-id", "tx000005312d113a46ec5f1-006b08bb5e-102a-", None),
        // OpenStack Swift.
        ("x-amz-request-id", "tx7d1cf0c81d5b4e2b9f3a1-006b08bb5e", None),
        ("x-amz-request-id", "6b9b5aa1-8bf9-4339-8bcb-e142ba356bd7", None),
        ("x-amz-request-id", "", None),
    ] {
        let header = |wanted: &str| (wanted == name).then_some(value);
        assert_eq!(StoreKind::of_answer(header), kind, "{name}: {value}");
    }
}

#[test]
fn names_lead_back_to_their_kinds() {
    for kind in StoreKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(kind.profile().kind, kind);
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
    let unknown = "r3".parse::<StoreKind>().unwrap_err().to_string();
    assert!(unknown.starts_with("\"r3\" is not a store profile; known are aws, b2,"), "{unknown}");
    assert!(unknown.ends_with("wasabi, generic"), "{unknown}");
}

#[test]
fn trailers_are_sent_only_where_they_are_verified() {
    let verifying: Vec<_> =
        StoreKind::ALL.into_iter().filter(|kind| kind.profile().trailers.is_yes()).collect();
    assert_eq!(verifying, [StoreKind::Aws, StoreKind::HaulServe]);
}

/// The plan is made before the first answer, so a store that is known only by its answers must
/// take the plan of the generic profile.
#[test]
fn profiles_known_by_answers_take_every_generic_plan() {
    use StoreKind::{CephRgw, Garage, Generic, HaulServe, LocalStack, MinIo};
    let generic = Generic.profile();
    for kind in [CephRgw, Garage, HaulServe, LocalStack, MinIo] {
        let profile = kind.profile();
        let (ours, theirs) = (generic.limits, profile.limits);
        assert!(theirs.part_size_min_bytes <= ours.part_size_min_bytes, "{kind}");
        assert!(theirs.part_size_max_bytes >= ours.part_size_max_bytes, "{kind}");
        assert!(theirs.part_count_max >= ours.part_count_max, "{kind}");
        assert!(theirs.object_size_max_bytes >= ours.object_size_max_bytes, "{kind}");
        assert!(!theirs.equal_parts, "{kind}");
        assert!(profile.put_object_max_bytes >= generic.put_object_max_bytes, "{kind}");
        assert!(profile.copy_object_max_bytes >= generic.copy_object_max_bytes, "{kind}");
    }
}

#[test]
fn the_default_checksum_is_one_that_the_store_verifies() {
    use ChecksumAlgorithm::{Crc32, Crc64Nvme};
    let default = |kind: StoreKind| kind.profile().default_checksum(Crc64Nvme);
    assert_eq!(default(StoreKind::Aws), Some(Crc64Nvme));
    assert_eq!(default(StoreKind::R2), Some(Crc64Nvme));
    assert_eq!(default(StoreKind::Generic), Some(Crc64Nvme), "its answers show more");
    assert_eq!(default(StoreKind::B2), None, "it refuses all of them");
    assert_eq!(default(StoreKind::Gcs), None, "it ignores all of them");
    let checksums = [(Crc64Nvme, Support::No), (Crc32, Support::Yes)].into();
    let found = StoreFindings { checksums, ..StoreFindings::default() };
    let refined = StoreKind::Generic.profile().refined_by(&found);
    assert_eq!(refined.default_checksum(Crc64Nvme), Some(Crc32));
}

/// What was measured at the store itself counts more than the table, and only where something was
/// measured.
#[test]
fn findings_replace_the_values_that_they_measured() {
    let found = StoreFindings {
        equal_parts: Some(false),
        checksums: [
            (ChecksumAlgorithm::Sha256, Support::Ignored),
            (ChecksumAlgorithm::Md5, Support::Unknown),
        ]
        .into(),
        on_complete: Conditions { if_none_match: Support::Yes, ..Conditions::default() },
        upload_part_copy: Support::No,
        ..StoreFindings::default()
    };
    let table = StoreKind::R2.profile();
    let refined = table.refined_by(&found);
    assert!(!refined.limits.equal_parts && table.limits.equal_parts);
    assert_eq!(refined.limits.object_size_max_bytes, table.limits.object_size_max_bytes);
    assert_eq!(refined.checksums.of(ChecksumAlgorithm::Sha256), Support::Ignored);
    assert!(!refined.trusts(ChecksumAlgorithm::Sha256));
    assert_eq!(refined.checksums.of(ChecksumAlgorithm::Md5), Support::Yes);
    assert_eq!(refined.checksums.of(ChecksumAlgorithm::Crc64Nvme), Support::Yes);
    assert_eq!(refined.on_complete.if_none_match, Support::Yes);
    assert_eq!(refined.on_put, table.on_put);
    assert_eq!(refined.upload_part_copy, Support::No);
    assert_eq!(table.refined_by(&StoreFindings::default()), table);
}

fn kinds() -> impl Strategy<Value = StoreKind> {
    prop::sample::select(StoreKind::ALL.to_vec())
}

/// Asserts that a part is one that the store takes.
fn assert_taken(size_bytes: u64, is_last: bool, limits: &Limits) {
    assert!(size_bytes <= limits.part_size_max_bytes);
    assert!(is_last || size_bytes >= limits.part_size_min_bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_plan_under_any_profile_breaks_none_of_its_limits(
        kind in kinds(),
        size in 0..=60_u64 << 40,
        wanted in prop::option::of(1..=6_u64 << 30),
    ) {
        let limits = kind.profile().limits;
        let Ok(plan) = PartPlan::new(size, &limits, wanted) else {
            // Without a requested part size only the object's length is a reason.
            let room = u64::from(limits.part_count_max) * limits.part_size_max_bytes;
            prop_assert!(wanted.is_some() || size > limits.object_size_max_bytes.min(room));
            return Ok(());
        };
        prop_assert!(size <= limits.object_size_max_bytes);
        prop_assert!(plan.part_count() <= limits.part_count_max);
        let parts: Vec<_> = plan.parts().collect();
        for part in &parts {
            let is_last = part.number.get() == plan.part_count();
            assert_taken(part.size_bytes, is_last, &limits);
            // Equal but for the last, which is no larger: R2's rule, kept at every store.
            prop_assert!(part.size_bytes == parts[0].size_bytes || is_last);
            prop_assert!(part.size_bytes <= parts[0].size_bytes);
        }
    }

    #[test]
    fn a_stream_under_any_profile_breaks_none_of_its_limits(
        kind in kinds(),
        expected in prop::option::of(0..=60_u64 << 40),
    ) {
        let limits = kind.profile().limits;
        let Ok(plan) = GrowingPlan::new(&limits, expected, None) else {
            prop_assert!(expected.is_some_and(|size| size > limits.object_size_max_bytes));
            return Ok(());
        };
        let parts: Vec<_> = plan.parts().collect();
        prop_assert!(parts.len() <= usize::from(limits.part_count_max));
        for part in &parts {
            assert_taken(part.size_bytes, part.number.index() + 1 == parts.len(), &limits);
            prop_assert!(!limits.equal_parts
                || part.size_bytes == parts[0].size_bytes
                || part.number.index() + 1 == parts.len());
        }
        prop_assert!(plan.capacity_bytes() <= limits.object_size_max_bytes);
        prop_assert!(plan.capacity_bytes() >= expected.unwrap_or(0));
    }
}
