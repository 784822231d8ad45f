//! How fast this machine hashes: `cargo run --release -p haul-parts --example hash_speed`.
//!
//! Best of several passes over a buffer larger than the caches, one thread. MB is 10^6 bytes.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::hint::black_box;
use std::time::Instant;

use haul_parts::lanes::{Hash, Job, Lanes, Md5, OneByOne, Sha256, SideBySide, Stream};
use haul_parts::{Checksum, ChecksumAlgorithm, Hasher, MultiHasher, combine_full_object};

const SLICE_BYTES: usize = 256 * 1024;
const BUFFER_BYTES: usize = 64 << 20;

fn main() {
    let words = (0_u32..).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes());
    let buffer: Vec<u8> = words.flatten().take(BUFFER_BYTES).collect();

    println!("slices of 256 KiB from a buffer of 64 MiB:");
    for algorithm in ChecksumAlgorithm::ALL {
        measure(algorithm.s3_name(), BUFFER_BYTES, || {
            let mut hasher = Hasher::new(algorithm);
            buffer.chunks(SLICE_BYTES).for_each(|slice| hasher.update(slice));
            black_box(hasher.finish());
        });
    }
    let pair = [ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Md5];
    measure("CRC64NVME and MD5 in one pass", BUFFER_BYTES, || {
        let mut hasher = MultiHasher::new(pair);
        buffer.chunks(SLICE_BYTES).for_each(|slice| hasher.update(slice));
        black_box(hasher.finish());
    });

    for streams in [1, 2, 4, 8, 16] {
        side_by_side::<Md5>("MD5", &buffer, streams);
        side_by_side::<Sha256>("SHA-256", &buffer, streams);
    }
    for streams in [8, 16] {
        let messages: Vec<&[u8]> = buffer.chunks(BUFFER_BYTES / streams).collect();
        let mut digests = vec![[0; 16]; streams];
        measure(&format!("md5-simd, {streams} whole messages"), BUFFER_BYTES, || {
            md5_simd::md5_many(&messages, &mut digests);
            black_box(&digests);
        });
    }

    let part = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, b"a part");
    let parts: Vec<(Checksum, u64)> = vec![(part, 8 << 20); 10_000];
    let begin = Instant::now();
    black_box(combine_full_object(parts)).expect("CRC64NVME combines");
    println!("combining 10,000 parts: {:?}", begin.elapsed());
}

/// As many streams as asked for, each given 256 KiB in every round.
fn side_by_side<H: Hash>(hash: &str, buffer: &[u8], count: usize) {
    for (name, lanes) in [("one by one", &OneByOne as &dyn Lanes<H>), ("side by side", &SideBySide::new())] {
        measure(&format!("{hash} {name}, {count} streams"), BUFFER_BYTES, || {
            let mut streams = vec![Stream::<H>::new(); count];
            for round in buffer.chunks(SLICE_BYTES * count) {
                let pairs = streams.iter_mut().zip(round.chunks(SLICE_BYTES));
                let mut jobs: Vec<Job<'_, H>> = pairs.map(|(stream, bytes)| Job { stream, bytes }).collect();
                lanes.update(&mut jobs);
            }
            for stream in streams {
                black_box(stream.finish());
            }
        });
    }
}

fn measure(name: &str, bytes: usize, mut pass: impl FnMut()) {
    pass();
    let fastest = (0..8).map(|_| {
        let begin = Instant::now();
        pass();
        begin.elapsed()
    });
    let seconds = fastest.min().unwrap_or_default().as_secs_f64();
    println!("  {name:34} {:8.0} MB/s", bytes as f64 / seconds / 1e6);
}
