//! A store in a folder of its own, and helpers for every test.

use haul_testkit::random::Random;
use std::path::Path;

use haul_parts::{Bucket, ChecksumAlgorithm, Key, Limits, PartNumber};
use haul_store::{
    CompletedPart, DiskStore, Error, ObjectInfo, PartInfo, PutOptions, ReadRange, StagedPart,
    StoreOptions, UploadOptions, UploadRef, WriteOptions,
};
use tempfile::TempDir;

/// A store that is removed with its folder.
pub(crate) struct Fixture {
    pub(crate) store: DiskStore,
    pub(crate) bucket: Bucket,
    pub(crate) dir: TempDir,
}

/// The smallest part size in tests; one test checks AWS's value.
pub(crate) const PART_MIN_BYTES: u64 = 16;

pub(crate) fn options() -> StoreOptions {
    let limits = Limits { part_size_min_bytes: PART_MIN_BYTES, ..Limits::AWS };
    StoreOptions { limits, cache_bytes: 4 << 20, ..StoreOptions::default() }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path().join("store"), options()).unwrap();
        let bucket = bucket("test-bucket");
        store.create_bucket(&bucket).unwrap();
        Self { store, bucket, dir }
    }

    pub(crate) fn store_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("store")
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(self) -> Self {
        let Self { store, bucket, dir } = self;
        drop(store);
        let store = DiskStore::open(dir.path().join("store"), options()).unwrap();
        Self { store, bucket, dir }
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> ObjectInfo {
        self.store
            .put_object(&self.bucket, &key(name), stage(&self.store, bytes), PutOptions::default())
            .unwrap()
    }

    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        read(&self.store, &self.bucket, name, ReadRange::Whole)
    }

    pub(crate) fn create(&self, name: &str) -> UploadRef {
        self.store
            .create_multipart_upload(&self.bucket, &key(name), UploadOptions::default())
            .unwrap()
            .upload
    }

    pub(crate) fn put_part(&self, upload: &UploadRef, number: u32, bytes: &[u8]) -> PartInfo {
        self.store.put_part(upload, part_number(number), stage(&self.store, bytes), None).unwrap()
    }

    /// Returns the number of data files, and of the bytes that they hold.
    pub(crate) fn data_files(&self) -> (usize, u64) {
        self.store.settle();
        count_files(&self.store_dir().join("data"))
    }
}

fn count_files(dir: &Path) -> (usize, u64) {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            let inside = count_files(&entry.path());
            files += inside.0;
            bytes += inside.1;
        } else if entry.file_name() != "store-id" && entry.file_name() != "last-commit" {
            files += 1;
            let length = entry.metadata().unwrap().len();
            // Each 64 KiB, and the shorter rest, are followed by four bytes of checksum.
            bytes += length - 4 * length.div_ceil((64 << 10) + 4);
        }
    }
    (files, bytes)
}

pub(crate) fn bucket(name: &str) -> Bucket {
    Bucket::new(name).unwrap()
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

pub(crate) fn part_number(number: u32) -> PartNumber {
    PartNumber::new(number).unwrap()
}

/// Writes bytes with the default checksum, in two slices.
pub(crate) fn stage(store: &DiskStore, bytes: &[u8]) -> StagedPart {
    stage_with(store, bytes, &[ChecksumAlgorithm::Crc64Nvme])
}

pub(crate) fn stage_with(
    store: &DiskStore,
    bytes: &[u8],
    checksums: &[ChecksumAlgorithm],
) -> StagedPart {
    let options =
        WriteOptions { size_hint_bytes: Some(bytes.len() as u64), checksums: checksums.to_vec() };
    let mut writer = store.begin_part(options).unwrap();
    let (head, tail) = bytes.split_at(bytes.len() / 3);
    writer.write(head).unwrap();
    writer.write(tail).unwrap();
    writer.finish().unwrap()
}

pub(crate) fn read(store: &DiskStore, bucket: &Bucket, name: &str, range: ReadRange) -> Vec<u8> {
    let mut reader = store.read_object(bucket, &key(name), range).unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer).unwrap() {
            0 => break,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    assert_eq!(bytes.len() as u64, reader.range().end - reader.range().start);
    assert_eq!(reader.remaining_bytes(), 0);
    bytes
}

/// Lists parts for Complete, without their checksums.
pub(crate) fn listed<'p>(parts: impl IntoIterator<Item = &'p PartInfo>) -> Vec<CompletedPart> {
    parts
        .into_iter()
        .map(|part| CompletedPart {
            number: part.part_number,
            etag: part.etag.clone(),
            checksum: None,
        })
        .collect()
}

/// Returns bytes that differ at each position and for each seed.
pub(crate) fn pattern(seed: u64, length: usize) -> Vec<u8> {
    Random::new(seed).bytes(length)
}

/// Puts an object, or returns the error.
pub(crate) fn try_put(
    store: &DiskStore,
    bucket: &Bucket,
    name: &str,
    bytes: &[u8],
) -> Result<ObjectInfo, Error> {
    store.put_object(bucket, &key(name), try_stage(store, bytes)?, PutOptions::default())
}

/// Puts a part, or returns the error.
pub(crate) fn try_put_part(
    store: &DiskStore,
    upload: &UploadRef,
    number: u32,
    bytes: &[u8],
) -> Result<PartInfo, Error> {
    store.put_part(upload, part_number(number), try_stage(store, bytes)?, None)
}

fn try_stage(store: &DiskStore, bytes: &[u8]) -> Result<StagedPart, Error> {
    let mut writer = store.begin_part(WriteOptions {
        size_hint_bytes: Some(bytes.len() as u64),
        checksums: vec![ChecksumAlgorithm::Crc64Nvme],
    })?;
    let (head, tail) = bytes.split_at(bytes.len() / 3);
    writer.write(head)?;
    writer.write(tail)?;
    writer.finish()
}
