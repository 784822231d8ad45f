//! MD5 side by side equals plain MD5, however the bytes are cut and whichever streams share the
//! lanes.

use std::time::Duration;

use haul_parts::lanes::{Choice, LANES, LaneInput, Md5Lanes, Md5Stream};
use md5::Digest;
use proptest::collection::vec;
use proptest::prelude::*;

/// Every code path that a machine may choose.
const CHOICES: [Choice; 4] = [
    Choice::OneByOne,
    Choice::SideBySide { streams_min: 2 },
    Choice::SideBySide { streams_min: 5 },
    Choice::SideBySide { streams_min: LANES },
];

fn md5(bytes: &[u8]) -> [u8; 16] {
    md5::Md5::digest(bytes).into()
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
        let mut stream = Md5Stream::new();
        stream.update(text.as_bytes());
        assert_eq!(hex::encode(stream.finish()), expected, "{text:?}");
    }
}

/// Covers every place where padding or a block boundary may fall.
#[test]
fn every_length_up_to_four_blocks() {
    let bytes: Vec<u8> = (0..=255).collect();
    for length in 0..=bytes.len() {
        let mut stream = Md5Stream::new();
        stream.update(&bytes[..length]);
        assert_eq!(stream.length_bytes(), length as u64);
        assert_eq!(stream.finish(), md5(&bytes[..length]), "{length} bytes");
    }
}

/// The main use of lanes: equal blocks of more streams than there are lanes, twice in a row.
#[test]
fn equal_blocks_of_many_streams() {
    for choice in CHOICES {
        for count in 1..=20_u8 {
            let blocks: Vec<Vec<u8>> = (0..count)
                .map(|lane| (0..=250).cycle().map(|byte: u8| byte ^ lane).take(4096).collect())
                .collect();
            let mut streams = vec![Md5Stream::new(); blocks.len()];
            for _ in 0..2 {
                let jobs = streams.iter_mut().zip(&blocks);
                let mut jobs: Vec<LaneInput<'_>> =
                    jobs.map(|(stream, bytes)| LaneInput { stream, bytes }).collect();
                Md5Lanes::new(choice).update(&mut jobs);
            }
            for (stream, block) in streams.into_iter().zip(&blocks) {
                assert_eq!(stream.finish(), md5(&[block.as_slice(), block].concat()), "{choice:?}");
            }
        }
    }
}

proptest! {
    /// Pieces of any length; some streams sit out a round.
    #[test]
    fn any_company_gives_the_same_digests(
        rounds in vec(vec(vec(any::<u8>(), 0..400), 1..20), 1..5),
        choice in prop::sample::select(&CHOICES[..]),
    ) {
        let lanes = Md5Lanes::new(choice);
        let count = rounds.iter().map(Vec::len).max().unwrap_or(0);
        let mut streams = vec![Md5Stream::new(); count];
        for round in &rounds {
            let jobs = streams.iter_mut().zip(round);
            let jobs = jobs.map(|(stream, bytes)| LaneInput { stream, bytes });
            let mut jobs: Vec<LaneInput<'_>> = jobs.collect();
            lanes.update(&mut jobs);
        }
        for (index, stream) in streams.into_iter().enumerate() {
            let whole: Vec<u8> =
                rounds.iter().filter_map(|round| round.get(index)).flatten().copied().collect();
            prop_assert_eq!(stream.length_bytes(), whole.len() as u64);
            prop_assert_eq!(stream.finish(), md5(&whole), "stream {} of {}", index, count);
        }
    }
}

/// The kernel that advanced two streams of SHA-256 at once made 3,600 MB/s on the AMD machine it
/// was written on and 12 MB/s on an Intel Xeon, a hundredth of a single stream there, and both
/// machines used it. Since then two measured times decide whether streams are advanced side by
/// side, and from how many on.
#[test]
fn a_side_by_side_path_that_loses_is_not_taken() {
    let choice = |one_stream, all_lanes| {
        Choice::from_times(Duration::from_micros(one_stream), Duration::from_micros(all_lanes))
    };
    // An AMD EPYC: 780 MB/s alone, 4,700 MB/s in eight lanes, so two streams already profit.
    assert_eq!(choice(1000, 1328), Choice::SideBySide { streams_min: 2 });
    // A vector unit half as fast: eight lanes take as long as three streams alone.
    assert_eq!(choice(1000, 3000), Choice::SideBySide { streams_min: 4 });
    assert_eq!(choice(1000, 7200), Choice::SideBySide { streams_min: 8 });
    // No gain, and the loss of the story above: a hundred times slower.
    assert_eq!(choice(1000, 8000), Choice::OneByOne);
    assert_eq!(choice(1000, 800_000), Choice::OneByOne);
    // Two measurements of the same code differ by up to a tenth.
    assert_eq!(choice(1000, 7300), Choice::OneByOne);
    // A clock that is too coarse decides for the plain path.
    assert_eq!(choice(0, 0), Choice::OneByOne);
}

#[test]
fn one_by_one_waits_for_no_company() {
    assert_eq!(Md5Lanes::new(Choice::OneByOne).streams(), 1);
    assert_eq!(Md5Lanes::new(Choice::SideBySide { streams_min: 4 }).streams(), LANES);
}
