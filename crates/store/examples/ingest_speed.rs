//! Measures how fast a real folder takes bytes, and how long Complete takes: `ingest_speed DIR
//! [GIB]`.
//!
//! Sends parts of 16 MiB, 8 in flight, in blocks of 64 KiB as a server receives them; a sender
//! continues only when its part is on disk. CPU seconds are those of this process.

// A program of its own, not the library.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
#![expect(clippy::print_stdout, reason = "a program for people who measure")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use bytes::Bytes;
use haul_parts::limits::{GIB, MIB};
use haul_parts::{Bucket, ChecksumAlgorithm, Key, Limits, PartNumber};
use haul_store::{
    CompleteOptions, CompletedPart, DiskStore, PartInfo, StoreOptions, UploadOptions, UploadRef,
    WriteCondition, WriteOptions,
};

const SENDERS: u32 = 8;
const PART_BYTES: u64 = 16 * MIB;
const BLOCK_BYTES: usize = 64 << 10;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let gib: u64 = arguments.next().map_or(Ok(4), |gib| gib.parse())?;
    let limits = Limits { part_size_min_bytes: 1, ..Limits::AWS };
    let store = DiskStore::open(dir, StoreOptions { limits, ..StoreOptions::default() })?;
    let bucket = Bucket::new("ingest-speed")?;
    if store.head_bucket(&bucket).is_err() {
        store.create_bucket(&bucket)?;
    }

    let parts = u32::try_from(gib * GIB / PART_BYTES)?;
    measure(&store, &bucket, "large parts", parts, PART_BYTES)?;
    measure(&store, &bucket, "10,000 small parts", 10_000, 100)?;
    Ok(())
}

fn measure(
    store: &DiskStore,
    bucket: &Bucket,
    name: &str,
    parts: u32,
    part_bytes: u64,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let key = Key::new(name)?;
    let upload = store.create_multipart_upload(bucket, &key, UploadOptions::default())?.upload;
    let (begin, cpu) = (Instant::now(), cpu_seconds()?);
    let mut sent = send(store, &upload, parts, part_bytes)?;
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    let gib = (u64::from(parts) * part_bytes) as f64 / GIB as f64;
    println!(
        "{name}: {gib:.3} GiB in {wall:.2} s, {:.2} GiB/s, {:.2} CPU-s/GiB",
        gib / wall,
        cpu / gib
    );

    sent.sort_by_key(|part| part.part_number);
    let list = sent
        .into_iter()
        .map(|part| CompletedPart { number: part.part_number, etag: part.etag, checksum: None })
        .collect();
    let begin = Instant::now();
    store.complete_multipart_upload(&upload, list, CompleteOptions::default())?;
    println!("{name}: Complete of {parts} parts in {:?}", begin.elapsed());
    let begin = Instant::now();
    store.delete_object(bucket, &key, WriteCondition::Always)?;
    println!("{name}: Delete in {:?}", begin.elapsed());
    store.settle();
    Ok(())
}

fn send(
    store: &DiskStore,
    upload: &UploadRef,
    parts: u32,
    part_bytes: u64,
) -> Result<Vec<PartInfo>, Box<dyn Error + Send + Sync>> {
    let sent = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let sent = &sent;
                scope.spawn(move || -> Result<(), Box<dyn Error + Send + Sync>> {
                    for number in (1..=parts).filter(|number| number % SENDERS == sender) {
                        let part = send_part(store, upload, number, part_bytes)?;
                        sent.lock().map_err(|_| "a sender panicked")?.push(part);
                    }
                    Ok(())
                })
            })
            .collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| "a sender panicked")?)
    })?;
    Ok(sent.into_inner()?)
}

fn send_part(
    store: &DiskStore,
    upload: &UploadRef,
    number: u32,
    part_bytes: u64,
) -> Result<PartInfo, Box<dyn Error + Send + Sync>> {
    let mut writer = store.begin_part(WriteOptions {
        size_hint_bytes: Some(part_bytes),
        checksums: vec![ChecksumAlgorithm::Crc64Nvme],
    })?;
    let mut left = part_bytes;
    while left > 0 {
        let length = usize::try_from(left)?.min(BLOCK_BYTES);
        // New memory each time, as it comes from a socket.
        writer.write_block(Bytes::from(vec![number.to_le_bytes()[0]; length]))?;
        left -= length as u64;
    }
    Ok(store.put_part(upload, PartNumber::new(number)?, writer.finish()?, None)?)
}

/// User and system time of this process.
fn cpu_seconds() -> Result<f64, Box<dyn Error + Send + Sync>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("no stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}
