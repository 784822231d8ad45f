//! Writes until it is killed: `keep_writing DIR SEED`. The process that `tests/it/kill.rs` kills.
//!
//! Every line on standard output is a promise, printed only after the store has returned: `put NAME
//! SEED LENGTH` or `delete NAME`; before each operation it prints `begin NAME`. Seed and length
//! determine the bytes of an object.

// A program of its own, not the library.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::error::Error;
use std::io::Write;

use haul_parts::{Bucket, ChecksumAlgorithm, Key, Limits, PartNumber};
use haul_store::{
    CompleteOptions, CompletedPart, DiskStore, PutOptions, StagedPart, StoreOptions, UploadOptions,
    UploadRef, WriteCondition, WriteOptions,
};

const CLIENTS: u64 = 3;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("which folder?")?;
    let seed: u64 = arguments.next().ok_or("which seed?")?.parse()?;
    let limits = Limits { part_size_min_bytes: 1, ..Limits::AWS };
    let store = DiskStore::open(dir, StoreOptions { limits, ..StoreOptions::default() })?;
    let bucket = Bucket::new("killed")?;
    if store.head_bucket(&bucket).is_err() {
        store.create_bucket(&bucket)?;
    }
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (store, bucket) = (&store, &bucket);
                scope.spawn(move || write_on(store, bucket, client, seed))
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| "a client panicked")?)
    })
}

fn write_on(store: &DiskStore, bucket: &Bucket, client: u64, seed: u64) -> Result<(), Failure> {
    for step in 0.. {
        let name = format!("client-{client}/{}", step % 5);
        let key = Key::new(name.as_str())?;
        let bytes_seed = seed * 1_000_000 + client * 100_000 + step;
        let length = usize::try_from(bytes_seed * 7919 % 300_000)?;
        promise(&format!("begin {name}"))?;
        match step % 7 {
            3 => {
                store.delete_object(bucket, &key, WriteCondition::Always)?;
                promise(&format!("delete {name}"))?;
                continue;
            }
            1 | 4 => upload(store, bucket, &key, bytes_seed, length)?,
            _ => {
                let part = stage(store, &bytes(bytes_seed, length))?;
                store.put_object(bucket, &key, part, PutOptions::default())?;
            }
        }
        promise(&format!("put {name} {bytes_seed} {length}"))?;
    }
    Ok(())
}

fn upload(
    store: &DiskStore,
    bucket: &Bucket,
    key: &Key,
    seed: u64,
    length: usize,
) -> Result<(), Failure> {
    let upload = store.create_multipart_upload(bucket, key, UploadOptions::default())?.upload;
    let bytes = bytes(seed, length);
    let (head, tail) = bytes.split_at(length / 2);
    let list = vec![put_part(store, &upload, 1, head)?, put_part(store, &upload, 2, tail)?];
    store.complete_multipart_upload(&upload, list, CompleteOptions::default())?;
    Ok(())
}

fn put_part(
    store: &DiskStore,
    upload: &UploadRef,
    number: u32,
    bytes: &[u8],
) -> Result<CompletedPart, Failure> {
    // A part of no bytes before the last one is too small, and this is not a test of limits.
    let bytes = if bytes.is_empty() { b"-" } else { bytes };
    let part = store.put_part(upload, PartNumber::new(number)?, stage(store, bytes)?, None)?;
    Ok(CompletedPart { number: part.part_number, etag: part.etag, checksum: None })
}

fn stage(store: &DiskStore, bytes: &[u8]) -> Result<StagedPart, Failure> {
    let mut writer = store.begin_part(WriteOptions {
        size_hint_bytes: Some(bytes.len() as u64),
        checksums: vec![ChecksumAlgorithm::Crc64Nvme],
    })?;
    for slice in bytes.chunks(16 << 10) {
        writer.write(slice)?;
    }
    Ok(writer.finish()?)
}

/// The test computes the same bytes.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(seed | 1) >> 3).to_le_bytes()[0]).collect()
}

/// Prints a line in one write, so that lines of several clients do not mix.
fn promise(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
