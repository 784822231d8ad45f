//! Checksums: published values, combining, composing, and their texts.

use crc_fast::CrcAlgorithm;
use haul_parts::checksum::MULTI_HASHER_BLOCK_BYTES;
use haul_parts::{
    Checksum, ChecksumAlgorithm, ChecksumType, CompositeChecksum, Hasher, MultiHasher,
    combine_full_object,
};
use proptest::prelude::*;

const CRCS: [ChecksumAlgorithm; 3] =
    [ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc32];

fn algorithm() -> impl Strategy<Value = ChecksumAlgorithm> {
    prop::sample::select(ChecksumAlgorithm::ALL.to_vec())
}

/// Pieces of a message, some of them empty.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece =
        prop_oneof![1 => Just(Vec::new()), 4 => prop::collection::vec(any::<u8>(), 0..3000)];
    prop::collection::vec(piece, 1..12)
}

/// The check values of the CRC catalogue (reveng), RFC 3174/FIPS 180 implementations and RFC 1321,
/// all over "123456789"; the xxHash values are those that its reference tool `xxhsum` prints.
#[test]
fn published_check_values() {
    let check = |algorithm| hex::encode(Hasher::checksum(algorithm, b"123456789").bytes());
    assert_eq!(check(ChecksumAlgorithm::Crc64Nvme), "ae8b14860a799888");
    assert_eq!(check(ChecksumAlgorithm::Crc32c), "e3069283");
    assert_eq!(check(ChecksumAlgorithm::Crc32), "cbf43926");
    assert_eq!(check(ChecksumAlgorithm::Sha1), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
    assert_eq!(
        check(ChecksumAlgorithm::Sha256),
        "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"
    );
    assert_eq!(check(ChecksumAlgorithm::Md5), "25f9e794323b453885f5181f1b624d0b");
    assert_eq!(
        check(ChecksumAlgorithm::Sha512),
        "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274a\
         d27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85"
    );
    assert_eq!(check(ChecksumAlgorithm::Xxhash64), "8cb841db40e6ae83");
    let abc = |algorithm| hex::encode(Hasher::checksum(algorithm, b"abc").bytes());
    assert_eq!(abc(ChecksumAlgorithm::Xxhash64), "44bc2cf5ad770999");
    assert_eq!(abc(ChecksumAlgorithm::Xxhash3), "78af5f94892f3950");
    assert_eq!(abc(ChecksumAlgorithm::Xxhash128), "06b05ab6733a618578af5f94892f3950");
}

/// The values that AWS prints for an object of no bytes.
#[test]
fn values_of_no_bytes() {
    let empty = |algorithm| Hasher::new(algorithm).finish().to_base64();
    assert_eq!(empty(ChecksumAlgorithm::Crc64Nvme), "AAAAAAAAAAA=");
    assert_eq!(empty(ChecksumAlgorithm::Crc32c), "AAAAAA==");
    assert_eq!(empty(ChecksumAlgorithm::Crc32), "AAAAAA==");
    assert_eq!(empty(ChecksumAlgorithm::Sha1), "2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    assert_eq!(empty(ChecksumAlgorithm::Sha256), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(empty(ChecksumAlgorithm::Md5), "1B2M2Y8AsgTpgAmY7PhCfg==");
    let empty = |algorithm| hex::encode(Hasher::new(algorithm).finish().bytes());
    assert_eq!(empty(ChecksumAlgorithm::Xxhash64), "ef46db3751d8e999");
    assert_eq!(empty(ChecksumAlgorithm::Xxhash3), "2d06800538d394c2");
    assert_eq!(empty(ChecksumAlgorithm::Xxhash128), "99aa06d3014798d86001c324468d497f");
}

proptest! {
    #[test]
    fn pieces_hash_as_the_whole(algorithm in algorithm(), pieces in pieces()) {
        let mut hasher = Hasher::new(algorithm);
        for piece in &pieces {
            hasher.update(piece);
        }
        prop_assert_eq!(hasher.finish(), Hasher::checksum(algorithm, &pieces.concat()));
    }

    #[test]
    fn combined_crcs_of_pieces_are_that_of_the_whole(pieces in pieces(), which in 0..CRCS.len()) {
        let algorithm = CRCS[which];
        let part = |piece: &Vec<u8>| (Hasher::checksum(algorithm, piece), piece.len() as u64);
        let combined = combine_full_object(pieces.iter().map(part)).unwrap();
        prop_assert_eq!(combined, Hasher::checksum(algorithm, &pieces.concat()));
    }

    #[test]
    fn combining_agrees_with_another_implementation(
        a in any::<u64>(),
        b in any::<u64>(),
        size_bytes in any::<u64>(),
        which in 0..3_usize,
    ) {
        use CrcAlgorithm::{Crc32Iscsi, Crc32IsoHdlc, Crc64Nvme};
        let crc_fast_name = [Crc64Nvme, Crc32Iscsi, Crc32IsoHdlc][which];
        let width_bytes = CRCS[which].digest_len();
        let bytes = |value: u64| value.to_be_bytes()[8 - width_bytes..].to_vec();
        let number = |value: u64| value & (u64::MAX >> (64 - 8 * width_bytes));
        let value = |value: u64| Checksum::from_bytes(CRCS[which], &bytes(value)).unwrap();
        let expected = crc_fast::checksum_combine(crc_fast_name, number(a), number(b), size_bytes);
        let combined = combine_full_object([(value(a), 1), (value(b), size_bytes)]).unwrap();
        prop_assert_eq!(combined.bytes(), bytes(expected));
    }

    #[test]
    fn several_algorithms_in_one_pass_are_each_alone(
        bytes in prop::collection::vec(any::<u8>(), 0..3 * MULTI_HASHER_BLOCK_BYTES),
        algorithms in prop::sample::subsequence(ChecksumAlgorithm::ALL.to_vec(), 0..=6),
        split in any::<prop::sample::Index>(),
    ) {
        let (front, back) = bytes.split_at(split.index(bytes.len() + 1));
        let mut multi = MultiHasher::new(algorithms.iter().copied());
        multi.update(front);
        multi.update(back);
        let alone = algorithms.iter().map(|&algorithm| Hasher::checksum(algorithm, &bytes));
        let alone: Vec<_> = alone.collect();
        prop_assert_eq!(multi.finish(), alone);
    }

    #[test]
    fn a_composite_is_the_hash_of_the_digests(algorithm in algorithm(), pieces in pieces()) {
        let parts = pieces.iter().map(|piece| Hasher::checksum(algorithm, piece));
        let parts: Vec<Checksum> = parts.collect();
        let digests: Vec<u8> = parts.iter().flat_map(|part| part.bytes().to_vec()).collect();
        let composite = CompositeChecksum::from_parts(parts).unwrap();
        prop_assert_eq!(composite.checksum(), Hasher::checksum(algorithm, &digests));
        prop_assert_eq!(usize::from(composite.part_count()), pieces.len());
        prop_assert_eq!(CompositeChecksum::parse(algorithm, &composite.to_string()), Ok(composite));
    }

    #[test]
    fn values_come_back_from_their_texts(
        algorithm in algorithm(),
        bytes in prop::collection::vec(any::<u8>(), 64),
    ) {
        let value = Checksum::from_bytes(algorithm, &bytes[..algorithm.digest_len()]).unwrap();
        prop_assert_eq!(Checksum::from_base64(algorithm, &value.to_base64()), Ok(value));
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Checksum>(&json).unwrap(), value);
    }

    #[test]
    fn one_value_has_one_text(
        algorithm in algorithm(),
        text in "\\PC{0,50}|[A-Za-z0-9+/]{0,88}={0,3}",
    ) {
        if let Ok(value) = Checksum::from_base64(algorithm, &text) {
            prop_assert_eq!(value.to_base64(), text.as_str());
        }
        // `-01` and `-1` are the one exception: the number may have leading zeros.
        if let Ok(value) = CompositeChecksum::parse(algorithm, &format!("{text}-7")) {
            prop_assert_eq!(value.to_string(), format!("{text}-7"));
        }
    }
}

/// Hashing 48.8 TiB takes too long here, but combining halves must give the same as combining all
/// parts.
#[test]
fn combining_knows_no_length_limit() {
    let part_size_bytes = 5 << 30;
    for algorithm in CRCS {
        let part = Hasher::checksum(algorithm, b"a part");
        let all = combine_full_object(vec![(part, part_size_bytes); 10_000]).unwrap();
        let fifth = combine_full_object(vec![(part, part_size_bytes); 2_000]).unwrap();
        assert_eq!(combine_full_object([(fifth, 2_000 * part_size_bytes); 5]).unwrap(), all);
    }
}

#[test]
fn a_composite_of_as_many_parts_as_an_upload_can_have() {
    let part = Hasher::checksum(ChecksumAlgorithm::Sha256, b"a part");
    let composite = CompositeChecksum::from_parts(vec![part; 10_000]).unwrap();
    assert_eq!(composite.part_count(), 10_000);
    assert_eq!(
        CompositeChecksum::parse(ChecksumAlgorithm::Sha256, &composite.to_string()),
        Ok(composite)
    );
}

#[test]
fn an_algorithm_named_twice_runs_once() {
    let twice = [ChecksumAlgorithm::Md5, ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Md5];
    let algorithms: Vec<_> =
        MultiHasher::new(twice).finish().iter().map(Checksum::algorithm).collect();
    assert_eq!(algorithms, twice[..2]);
}

/// S3 User Guide and API model: CRC64NVME is full-object only, SHA composite only, the other CRCs
/// either.
#[test]
fn types_and_names_as_s3_has_them() {
    let rows: Vec<String> = ChecksumAlgorithm::ALL
        .into_iter()
        .map(|algorithm| {
            let types: Vec<_> = [ChecksumType::Composite, ChecksumType::FullObject]
                .into_iter()
                .filter(|&checksum_type| algorithm.supports(checksum_type))
                .map(ChecksumType::s3_name)
                .collect();
            assert!(algorithm.supports(algorithm.default_type()));
            assert_eq!(algorithm.s3_name().parse(), Ok(algorithm));
            assert_eq!(algorithm.default_type().to_string().parse(), Ok(algorithm.default_type()));
            format!(
                "{algorithm} {} {}: {}, default {}",
                algorithm.header_name(),
                algorithm.digest_len(),
                types.join(" or "),
                algorithm.default_type()
            )
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
        CRC64NVME x-amz-checksum-crc64nvme 8: FULL_OBJECT, default FULL_OBJECT
        CRC32C x-amz-checksum-crc32c 4: COMPOSITE or FULL_OBJECT, default COMPOSITE
        CRC32 x-amz-checksum-crc32 4: COMPOSITE or FULL_OBJECT, default COMPOSITE
        SHA1 x-amz-checksum-sha1 20: COMPOSITE, default COMPOSITE
        SHA256 x-amz-checksum-sha256 32: COMPOSITE, default COMPOSITE
        SHA512 x-amz-checksum-sha512 64: COMPOSITE, default COMPOSITE
        XXHASH3 x-amz-checksum-xxhash3 8: COMPOSITE, default COMPOSITE
        XXHASH64 x-amz-checksum-xxhash64 8: COMPOSITE, default COMPOSITE
        XXHASH128 x-amz-checksum-xxhash128 16: COMPOSITE, default COMPOSITE
        MD5 content-md5 16: COMPOSITE, default COMPOSITE
    "#);
}

#[test]
fn the_journal_form_of_a_value() {
    let value = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, b"123456789");
    let json = serde_json::to_string(&value).unwrap();
    insta::assert_snapshot!(json, @r#"{"algorithm":"CRC64NVME","value":"rosUhgp5mIg="}"#);
    insta::assert_debug_snapshot!(value, @"Checksum(CRC64NVME:rosUhgp5mIg=)");
}

#[test]
fn refusals_say_what_was_expected() {
    let crc = ChecksumAlgorithm::Crc32c;
    let value = Hasher::checksum(crc, b"a");
    let sha = Hasher::checksum(ChecksumAlgorithm::Sha256, b"a");
    insta::assert_snapshot!("CRC16".parse::<ChecksumAlgorithm>().unwrap_err(), @"unknown \
        checksum algorithm \"CRC16\"; known are CRC64NVME, CRC32C, CRC32, SHA1, SHA256, SHA512, \
        XXHASH3, XXHASH64, XXHASH128 and MD5");
    insta::assert_snapshot!("PARTIAL".parse::<ChecksumType>().unwrap_err(), @"unknown checksum \
        type \"PARTIAL\"; known are COMPOSITE and FULL_OBJECT");
    insta::assert_snapshot!(Checksum::from_base64(crc, "not base64").unwrap_err(), @"CRC32C \
        value \"not base64\" is not base64");
    insta::assert_snapshot!(Checksum::from_base64(crc, "AAAAAAAAAAA=").unwrap_err(), @"a CRC32C \
        value has 4 bytes, not 8");
    insta::assert_snapshot!(CompositeChecksum::parse(crc, "AAAAAA==").unwrap_err(), @"composite \
        CRC32C value \"AAAAAA==\" does not end in '-' and a number of parts from 1 to 10000");
    insta::assert_snapshot!(CompositeChecksum::parse(crc, "AAAAAA==-10001").unwrap_err(), @"\
        composite CRC32C value \"AAAAAA==-10001\" does not end in '-' and a number of parts from \
        1 to 10000");
    insta::assert_snapshot!(combine_full_object([]).unwrap_err(), @"there are no part checksums to \
        make one of the whole object from");
    let mixed = combine_full_object([(value, 1), (value, 1), (sha, 1)]);
    insta::assert_snapshot!(mixed.unwrap_err(), @"part 3 has a SHA256 value among CRC32C ones");
    insta::assert_snapshot!(combine_full_object([(sha, 1)]).unwrap_err(), @"SHA256 values of parts \
        cannot be combined into one of the whole object");
    insta::assert_snapshot!(CompositeChecksum::from_parts([value, sha]).unwrap_err(), @"part 2 has \
        a SHA256 value among CRC32C ones");
    insta::assert_snapshot!(CompositeChecksum::from_parts(vec![value; 10_001]).unwrap_err(), @"\
        10001 part checksums; an upload has at most 10000 parts");
}
