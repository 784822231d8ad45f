//! Hashes side by side are the same hashes, however the bytes are cut and whoever travels along.

use haul_parts::lanes::{Hash, Job, Lanes, Md5, OneByOne, Sha256, SideBySide, Stream};
use proptest::prelude::*;
use sha2::Digest;

fn md5(bytes: &[u8]) -> Vec<u8> {
    md5::Md5::digest(bytes).to_vec()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    sha2::Sha256::digest(bytes).to_vec()
}

fn of_md5(stream: Stream<Md5>) -> Vec<u8> {
    stream.finish().to_vec()
}

fn of_sha256(stream: Stream<Sha256>) -> Vec<u8> {
    stream.finish().to_vec()
}

/// RFC 1321, appendix A.5.
#[test]
fn the_test_suite_of_rfc_1321() {
    for (text, expected) in [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("a", "0cc175b9c0f1b6a831c399e269772661"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
        (
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "d174ab98d277d9f5a5611c2c9f419d9f",
        ),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a",
        ),
    ] {
        let mut stream = Stream::<Md5>::new();
        stream.update(text.as_bytes());
        assert_eq!(hex::encode(stream.finish()), expected, "{text:?}");
    }
}

/// FIPS 180-4, the examples that NIST publishes with it; the last one is a million times `a`, two streams side by side.
#[test]
fn the_examples_of_fips_180_4() {
    for (text, expected) in [
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
    ] {
        let mut stream = Stream::<Sha256>::new();
        stream.update(text.as_bytes());
        assert_eq!(hex::encode(stream.finish()), expected, "{text:?}");
    }
    let million = vec![b'a'; 1_000_000];
    let mut streams = [Stream::<Sha256>::new(), Stream::new()];
    let mut jobs = streams.each_mut().map(|stream| Job { stream, bytes: &million });
    SideBySide::new().update(&mut jobs);
    for stream in streams {
        let expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
        assert_eq!(hex::encode(stream.finish()), expected);
    }
}

/// Otherwise the tests below would pass without the kernel on a machine that has it.
#[test]
#[cfg(target_arch = "x86_64")]
fn sha256_goes_in_pairs_where_the_processor_can() {
    let can = is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("avx512bitalg")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("gfni")
        && is_x86_feature_detected!("vaes");
    assert_eq!(Lanes::<Sha256>::lanes(&SideBySide::new()), if can { 2 } else { 1 });
}

/// Every place where padding or a block boundary may fall.
fn every_length_up_to_four_blocks<H: Hash>(expected: fn(&[u8]) -> Vec<u8>, finish: fn(Stream<H>) -> Vec<u8>) {
    let bytes: Vec<u8> = (0..=255).collect();
    for length in 0..=bytes.len() {
        let mut stream = Stream::new();
        stream.update(&bytes[..length]);
        assert_eq!(stream.length_bytes(), length as u64);
        assert_eq!(finish(stream), expected(&bytes[..length]), "{length} bytes");
    }
}

#[test]
fn every_length_of_md5() {
    every_length_up_to_four_blocks(md5, of_md5);
}

#[test]
fn every_length_of_sha256() {
    every_length_up_to_four_blocks(sha256, of_sha256);
}

/// What the lanes are for: equal blocks of more streams than there are lanes, twice in a row.
fn equal_blocks_of_many_streams<H: Hash>(expected: fn(&[u8]) -> Vec<u8>, finish: fn(Stream<H>) -> Vec<u8>) {
    for count in 1..=20_u8 {
        let blocks: Vec<Vec<u8>> = (0..count)
            .map(|lane| (0..=250).cycle().map(|byte: u8| byte ^ lane).take(4096).collect())
            .collect();
        let mut streams = vec![Stream::new(); blocks.len()];
        for _ in 0..2 {
            let jobs = streams.iter_mut().zip(&blocks);
            let mut jobs: Vec<Job<'_, H>> = jobs.map(|(stream, bytes)| Job { stream, bytes }).collect();
            SideBySide::new().update(&mut jobs);
        }
        for (stream, block) in streams.into_iter().zip(&blocks) {
            assert_eq!(finish(stream), expected(&[block.as_slice(), block].concat()));
        }
    }
}

#[test]
fn equal_blocks_of_md5() {
    equal_blocks_of_many_streams(md5, of_md5);
}

#[test]
fn equal_blocks_of_sha256() {
    equal_blocks_of_many_streams(sha256, of_sha256);
}

/// Rounds of pieces for several streams, one after the other and side by side.
fn any_company<H: Hash>(
    rounds: &[Vec<Vec<u8>>],
    expected: fn(&[u8]) -> Vec<u8>,
    finish: fn(Stream<H>) -> Vec<u8>,
) -> Result<(), TestCaseError> {
    let count = rounds.iter().map(Vec::len).max().unwrap_or(0);
    for lanes in [&OneByOne as &dyn Lanes<H>, &SideBySide::new()] {
        let mut streams = vec![Stream::new(); count];
        for round in rounds {
            let jobs = streams.iter_mut().zip(round);
            let mut jobs: Vec<Job<'_, H>> = jobs.map(|(stream, bytes)| Job { stream, bytes }).collect();
            lanes.update(&mut jobs);
        }
        for (index, stream) in streams.into_iter().enumerate() {
            let whole: Vec<u8> =
                rounds.iter().filter_map(|round| round.get(index)).flatten().copied().collect();
            prop_assert_eq!(stream.length_bytes(), whole.len() as u64);
            prop_assert_eq!(finish(stream), expected(&whole), "stream {} of {}", index, count);
        }
    }
    Ok(())
}

proptest! {
    /// Pieces of any length; some streams sit out a round.
    #[test]
    fn any_company_gives_the_same_digests(
        rounds in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..20), 1..5),
    ) {
        any_company(&rounds, md5, of_md5)?;
        any_company(&rounds, sha256, of_sha256)?;
    }
}
