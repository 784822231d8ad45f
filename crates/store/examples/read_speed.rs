//! Measures the cost of verifying reads: `read_speed DIR [MIB]`.
//!
//! Writes one object, reads it whole and in small ranges (from the page cache after the first
//! pass), and for comparison reads its data file without verifying. CPU seconds are those of this
//! process.

// A program of its own, not the library.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
#![expect(clippy::print_stdout, reason = "a program for people who measure")]

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use haul_parts::limits::MIB;
use haul_parts::{Bucket, ChecksumAlgorithm, Key};
use haul_store::disk::FileId;
use haul_store::{DiskStore, PutOptions, ReadRange, StoreOptions, WriteOptions};

const BUFFER_BYTES: usize = 256 << 10;
const ROUNDS: u32 = 5;
const RANGES: u64 = 2000;

type Done = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let size_bytes = arguments.next().map_or(Ok(1024), |mib| mib.parse::<u64>())? * MIB;
    let store = DiskStore::open(&dir, StoreOptions::default())?;
    let (bucket, key) = (Bucket::new("read-speed")?, Key::new("object")?);
    store.create_bucket(&bucket)?;
    let checksums = vec![ChecksumAlgorithm::Crc64Nvme];
    let mut writer =
        store.begin_part(WriteOptions { size_hint_bytes: Some(size_bytes), checksums })?;
    let block: Vec<u8> =
        (0..1 << 20).map(|at: u32| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    for _ in 0..size_bytes / MIB {
        writer.write(&block)?;
    }
    store.put_object(&bucket, &key, writer.finish()?, PutOptions::default())?;

    for _ in 0..ROUNDS {
        whole("verified, whole", size_bytes, || {
            let mut reader = store.read_object(&bucket, &key, ReadRange::Whole)?;
            let mut buffer = vec![0; BUFFER_BYTES];
            while reader.read(&mut buffer)? > 0 {}
            Ok(())
        })?;
        whole("unverified, whole", size_bytes, || read_plainly(&dir.join(FileId(0).path())))?;
    }
    for length in [1, 4 << 10, 64 << 10, 1 << 20] {
        let begin = Instant::now();
        for index in 0..RANGES {
            let first = index * 7_919 * 4_099 % (size_bytes - length);
            let range = ReadRange::Bytes(first..=first + length - 1);
            let mut reader = store.read_object(&bucket, &key, range)?;
            let mut buffer = vec![0; BUFFER_BYTES];
            while reader.read(&mut buffer)? > 0 {}
        }
        println!("ranges of {length} bytes: {:?} each", begin.elapsed() / u32::try_from(RANGES)?);
    }
    Ok(())
}

fn read_plainly(path: &Path) -> Done {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

fn whole(name: &str, size_bytes: u64, read: impl FnOnce() -> Done) -> Done {
    let (begin, cpu) = (Instant::now(), cpu_seconds()?);
    read()?;
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    let gib = size_bytes as f64 / (1_u64 << 30) as f64;
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    println!("{name}: {:.2} GiB/s, {:.3} CPU-s/GiB", gib / wall, cpu / gib);
    Ok(())
}

fn cpu_seconds() -> Result<f64, Box<dyn Error + Send + Sync>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("no stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}
