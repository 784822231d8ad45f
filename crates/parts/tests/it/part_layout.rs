//! Layouts, their guesses, and the checksums of parts.

use haul_parts::lanes::{Choice, Md5Lanes};
use haul_parts::limits::{GIB, MIB};
use haul_parts::{
    Checksum, ChecksumAlgorithm, CompositeChecksum, ETag, GrowingPlan, Hasher, LAYOUTS_GUESSED_MAX,
    Limits, ObjectChecksum, PartChecksums, PartHasher, PartLayout, PartPlan, layouts_of_count,
};
use proptest::prelude::*;

#[test]
fn a_layout_has_every_byte_in_one_part() {
    let layouts = [
        PartLayout::one_part(0),
        PartLayout::one_part(7),
        PartLayout::equal(10, 3).unwrap(),
        PartLayout::equal(9, 3).unwrap(),
        PartLayout::of_sizes([5, 1, 9]).unwrap(),
    ];
    for layout in layouts {
        let mut end = 0;
        for part in layout.parts() {
            assert_eq!(part.start, end, "{layout:?}");
            end = part.end;
        }
        assert_eq!(end, layout.size_bytes());
        assert_eq!(layout.parts().count(), usize::from(layout.part_count()));
        assert_eq!(layout.part(usize::from(layout.part_count())), None);
    }
    assert_eq!(PartLayout::equal(10, 3).unwrap(), PartLayout::of_sizes([3, 3, 3, 1]).unwrap());
}

#[test]
fn impossible_layouts_are_none() {
    assert_eq!(PartLayout::equal(10, 0), None);
    assert_eq!(PartLayout::equal(10_001, 1), None);
    assert_eq!(PartLayout::of_sizes([]), None);
    assert_eq!(PartLayout::of_sizes(std::iter::repeat_n(1, 10_001)), None);
    assert_eq!(PartLayout::of_sizes([u64::MAX, 1]), None);
}

#[track_caller]
fn assert_guessed(size_bytes: u64, layout: &PartLayout) {
    let guesses = layouts_of_count(size_bytes, layout.part_count());
    assert!(guesses.contains(layout), "{layout:?} is not among {guesses:?}");
    assert!(guesses.len() <= LAYOUTS_GUESSED_MAX);
}

#[test]
fn the_part_sizes_of_known_tools_are_guessed() {
    let sizes_mib = [5, 8, 10, 15, 16, 32, 50, 64, 100, 128, 256, 512, 1024];
    for part_mib in sizes_mib {
        for size_bytes in [part_mib * MIB + 1, 5 * part_mib * MIB, 37 * part_mib * MIB - 12_345] {
            assert_guessed(size_bytes, &PartLayout::equal(size_bytes, part_mib * MIB).unwrap());
        }
    }
}

/// Each tool grows its parts in another way where 10,000 of its own size are not enough.
#[test]
fn the_grown_part_sizes_of_known_tools_are_guessed() {
    let size_bytes = 170 * GIB + 77;
    let share = size_bytes.div_ceil(10_000);
    let aws_cli = 32 * MIB;
    let minio = share.next_multiple_of(16 * MIB);
    let rclone = share.next_multiple_of(MIB);
    let sdk_for_go = size_bytes / 10_000 + 1;
    for part_size in [aws_cli, minio, rclone, sdk_for_go] {
        assert_guessed(size_bytes, &PartLayout::equal(size_bytes, part_size).unwrap());
    }
}

#[test]
fn own_plans_and_streams_are_guessed() {
    for size_bytes in [17 * MIB, 100 * GIB, 3000 * GIB] {
        let plan = PartPlan::new(size_bytes, &Limits::AWS, None).unwrap();
        assert_guessed(size_bytes, &PartLayout::from(&plan));
    }
    let plan = GrowingPlan::new(&Limits::AWS, None, None).unwrap();
    let sizes: Vec<u64> = plan.parts().take(150).map(|part| part.size_bytes).collect();
    let layout = PartLayout::of_sizes(sizes).unwrap();
    assert_guessed(layout.size_bytes(), &layout);
}

#[test]
fn a_guess_has_the_given_length_and_count() {
    for (size_bytes, count) in [(0, 1), (1, 1), (100 * MIB, 2), (77 * MIB, 7), (5, 5), (3, 7)] {
        for layout in layouts_of_count(size_bytes, count) {
            assert_eq!((layout.size_bytes(), layout.part_count()), (size_bytes, count));
        }
    }
    assert_eq!(layouts_of_count(3, 7), [], "three bytes are not seven parts");
    assert!(
        layouts_of_count(77 * MIB, 7).contains(&PartLayout::equal(77 * MIB, 11 * MIB).unwrap())
    );
}

/// Of the bytes as a whole, part by part, without any of our passes.
#[allow(clippy::unwrap_used)] // the tests' bytes fit into memory
fn simple(bytes: &[u8], layout: &PartLayout, algorithm: ChecksumAlgorithm) -> Vec<Checksum> {
    let part = |range: std::ops::Range<u64>| {
        let at = |offset: u64| usize::try_from(offset).expect("a few thousand bytes");
        let range = at(range.start)..at(range.end);
        Hasher::checksum(algorithm, &bytes[range])
    };
    layout.parts().map(part).collect()
}

fn lanes() -> impl Strategy<Value = Md5Lanes> {
    prop_oneof![Just(Choice::OneByOne), Just(Choice::SideBySide { streams_min: 2 })]
        .prop_map(Md5Lanes::new)
}

proptest! {
    #[test]
    fn one_pass_gives_the_checksums_of_every_layout(
        bytes in proptest::collection::vec(any::<u8>(), 0..5000),
        part_sizes in proptest::collection::vec(1_u64..4000, 1..5),
        cuts in proptest::collection::vec(1_usize..3000, 1..20),
        lanes in lanes(),
    ) {
        let size = bytes.len() as u64;
        let layouts = part_sizes.iter().filter_map(|part| PartLayout::equal(size, *part));
        let wanted: Vec<_> = layouts
            .chain([PartLayout::one_part(size)])
            .flat_map(|layout| ChecksumAlgorithm::ALL.map(|algorithm| (layout.clone(), algorithm)))
            .collect();
        let mut hasher = PartHasher::new(wanted.clone(), lanes);
        let mut rest = &bytes[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            hasher.update(now);
            rest = later;
        }
        hasher.update(rest);
        for ((layout, algorithm), found) in wanted.into_iter().zip(hasher.finish()) {
            prop_assert_eq!(&found.checksums, &simple(&bytes, &layout, algorithm));
            prop_assert_eq!(&found.layout, &layout);
            if algorithm.combines() {
                prop_assert_eq!(found.full_object().unwrap(), Hasher::checksum(algorithm, &bytes));
            }
        }
    }
}

#[test]
fn part_checksums_give_the_values_of_the_object() {
    let layout = PartLayout::equal(10, 4).unwrap();
    let of = |algorithm| PartChecksums {
        checksums: simple(b"0123456789", &layout, algorithm),
        layout: layout.clone(),
    };
    let md5s = of(ChecksumAlgorithm::Md5);
    let plain: Vec<_> = md5s.checksums.iter().map(|md5| md5.as_md5().unwrap()).collect();
    assert_eq!(md5s.etag(), Some(ETag::composite(plain)));
    let sha = of(ChecksumAlgorithm::Sha256);
    assert_eq!(sha.etag(), None);
    let composite = CompositeChecksum::from_parts(sha.checksums.iter().copied()).unwrap();
    assert_eq!(sha.composite().unwrap(), composite);
    assert!(sha.full_object().is_err(), "hashes of parts do not make one of the whole");
}

#[test]
fn an_object_checksum_knows_its_type_by_its_text() {
    let parse = |text| ObjectChecksum::parse(ChecksumAlgorithm::Crc32c, text);
    let full = parse("yZRlqg==").unwrap();
    assert!(matches!(full, ObjectChecksum::FullObject(_)));
    let composite = parse("yZRlqg==-3").unwrap();
    assert!(matches!(composite, ObjectChecksum::Composite(value) if value.part_count() == 3));
    assert_eq!(composite.to_string(), "CRC32C:yZRlqg==-3");
    assert_eq!(parse("yZRlqg==-0"), None);
    assert_eq!(parse("no"), None);
}
