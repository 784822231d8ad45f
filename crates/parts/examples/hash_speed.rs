//! Measures how fast this machine hashes and which code path Haul chooses on it: `cargo run
//! --release -p haul-parts --example hash_speed`.
//!
//! Each figure is the best of several passes over a buffer larger than the caches, on one thread.
//! MB is 10^6 bytes. The last lines give the verdict for each optimised path: its speed relative to
//! the plain path, and whether Haul uses it.

// A program of its own, not the library.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::digest as aws_lc;
use haul_parts::lanes::{Choice, LANES, LaneInput, Md5Lanes, Md5Stream};
use haul_parts::{Checksum, ChecksumAlgorithm, Hasher, MultiHasher, combine_full_object};
use md5::Digest;

const SLICE_BYTES: usize = 256 * 1024;
const BUFFER_BYTES: usize = 64 << 20;

fn main() {
    let words = (0_u32..).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes());
    let buffer: Vec<u8> = words.flatten().take(BUFFER_BYTES).collect();
    println!("{}", processor());
    println!("slices of 256 KiB from a buffer of 64 MiB:");
    let sha256 = plain_checksums(&buffer);
    let others = Others::measure(&buffer);
    let md5 = md5_of_streams(&buffer);
    combining();

    println!("verdict for this machine:");
    let choice = Choice::from_times(md5.one_stream(), md5.all_lanes());
    for streams in [2, 4, LANES] {
        let gain = md5.one_by_one(streams) / md5.side_by_side(streams);
        let used = match choice {
            Choice::SideBySide { streams_min } => streams >= streams_min,
            Choice::OneByOne => false,
        };
        verdict(&format!("md5 {streams} side by side"), gain, "one by one", used);
    }
    verdict("md5 by md5-simd", others.md_5 / md5.one_by_one(1), "md-5", true);
    verdict("sha256 by sha2", others.sha256_aws_lc / sha256, "aws-lc-rs", true);
}

/// Compares an optimised path with the plain one. A path that is always used should not be far
/// below 1.
fn verdict(path: &str, gain: f64, plain: &str, used: bool) {
    let used = if used { "used" } else { "not used" };
    println!("  {path}: {gain:.1}x {plain} — {used}");
}

/// Hashes one stream with every algorithm, as Haul does. Returns the seconds that SHA-256 took.
fn plain_checksums(buffer: &[u8]) -> f64 {
    let mut sha256 = 0.0;
    for algorithm in ChecksumAlgorithm::ALL {
        let seconds = measure(algorithm.s3_name(), || {
            let mut hasher = Hasher::new(algorithm);
            buffer.chunks(SLICE_BYTES).for_each(|slice| hasher.update(slice));
            black_box(hasher.finish());
        });
        if algorithm == ChecksumAlgorithm::Sha256 {
            sha256 = seconds;
        }
    }
    measure("CRC64NVME and MD5 in one pass", || {
        let mut hasher = MultiHasher::new([ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Md5]);
        buffer.chunks(SLICE_BYTES).for_each(|slice| hasher.update(slice));
        black_box(hasher.finish());
    });
    sha256
}

/// Seconds that other implementations of the same hashes took.
struct Others {
    sha256_aws_lc: f64,
    md_5: f64,
}

impl Others {
    fn measure(buffer: &[u8]) -> Self {
        let sha256_aws_lc = measure("aws-lc-rs: SHA-256", || {
            let mut context = aws_lc::Context::new(&aws_lc::SHA256);
            buffer.chunks(SLICE_BYTES).for_each(|slice| context.update(slice));
            black_box(context.finish());
        });
        let md_5 = measure("md-5: MD5", || {
            let mut hasher = md5::Md5::new();
            buffer.chunks(SLICE_BYTES).for_each(|slice| hasher.update(slice));
            black_box(hasher.finalize());
        });
        Self { sha256_aws_lc, md_5 }
    }
}

/// Seconds that MD5 took over the buffer, by number of streams.
struct Md5Seconds(Vec<(usize, f64, f64)>);

fn md5_of_streams(buffer: &[u8]) -> Md5Seconds {
    let side_by_side = Choice::SideBySide { streams_min: 2 };
    let counts = [1, 2, 4, LANES, 2 * LANES].into_iter();
    let seconds = counts.map(|count| {
        let one_by_one = streams(buffer, count, Choice::OneByOne, "one by one");
        (count, one_by_one, streams(buffer, count, side_by_side, "side by side"))
    });
    let seconds = Md5Seconds(seconds.collect());
    for count in [LANES, 2 * LANES] {
        let messages: Vec<&[u8]> = buffer.chunks(BUFFER_BYTES / count).collect();
        let mut digests = vec![[0; 16]; count];
        measure(&format!("md5-simd: {count} whole messages"), || {
            md5_simd::md5_many(&messages, &mut digests);
            black_box(&digests);
        });
    }
    seconds
}

/// Hashes `count` streams together; each gets 256 KiB in every round.
fn streams(buffer: &[u8], count: usize, choice: Choice, name: &str) -> f64 {
    let lanes = Md5Lanes::new(choice);
    measure(&format!("MD5 {name}, {count} streams"), || {
        let mut streams = vec![Md5Stream::new(); count];
        for round in buffer.chunks(SLICE_BYTES * count) {
            let pairs = streams.iter_mut().zip(round.chunks(SLICE_BYTES));
            let mut jobs: Vec<LaneInput<'_>> =
                pairs.map(|(stream, bytes)| LaneInput { stream, bytes }).collect();
            lanes.update(&mut jobs);
        }
        for stream in streams {
            black_box(stream.finish());
        }
    })
}

impl Md5Seconds {
    fn of(&self, streams: usize) -> (f64, f64) {
        let found = self.0.iter().find(|(count, ..)| *count == streams);
        found.map_or((f64::NAN, f64::NAN), |&(_, one_by_one, side_by_side)| {
            (one_by_one, side_by_side)
        })
    }

    fn one_by_one(&self, streams: usize) -> f64 {
        self.of(streams).0
    }

    fn side_by_side(&self, streams: usize) -> f64 {
        self.of(streams).1
    }

    /// Returns how long one stream takes for its share of the buffer when it has no company.
    fn one_stream(&self) -> Duration {
        Duration::from_secs_f64(self.one_by_one(LANES) / LANES as f64)
    }

    /// Returns how long all lanes together take for one share each.
    fn all_lanes(&self) -> Duration {
        Duration::from_secs_f64(self.side_by_side(LANES))
    }
}

fn combining() {
    let part = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, b"a part");
    let parts: Vec<(Checksum, u64)> = vec![(part, 8 << 20); 10_000];
    let begin = Instant::now();
    black_box(combine_full_object(parts)).expect("CRC64NVME combines");
    println!("combining 10,000 parts: {:?}", begin.elapsed());
}

/// Prints how fast a pass over the buffer is, and returns its seconds.
fn measure(name: &str, mut pass: impl FnMut()) -> f64 {
    pass();
    let fastest = (0..8).map(|_| {
        let begin = Instant::now();
        pass();
        begin.elapsed()
    });
    let seconds = fastest.min().unwrap_or_default().as_secs_f64();
    println!("  {name:34} {:8.0} MB/s", BUFFER_BYTES as f64 / seconds / 1e6);
    seconds
}

/// Returns the processor's model name, where the system reports one.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |name| name.trim().to_owned())
}
