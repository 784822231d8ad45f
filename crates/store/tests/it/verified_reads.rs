//! Bytes leave the store only after verification of their checksum: whole objects, ranges, and
//! sources of copies.

use std::sync::Arc;

use haul_store::disk::FileId;
use haul_store::{
    CompleteOptions, CopyOptions, CopySource, DiskStore, Error, ReadRange, UploadOptions, UploadRef,
};
use proptest::prelude::*;

use crate::fixture::{
    bucket, key, listed, options, part_number, pattern, read, try_put, try_put_part,
};
use crate::sim_disk::SimDisk;

const SPAN_BYTES: usize = 64 << 10;
const OBJECT_BYTES: usize = 3 * SPAN_BYTES + 1000;

/// Creates a store with one object in file 0.
fn one_object() -> (SimDisk, DiskStore) {
    let disk = SimDisk::new();
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    store.create_bucket(&bucket("verified")).unwrap();
    try_put(&store, &bucket("verified"), "object", &pattern(1, OBJECT_BYTES)).unwrap();
    (disk, store)
}

/// Reads with a buffer of this size until the reader fails or ends.
fn read_until(
    store: &DiskStore,
    name: &str,
    range: ReadRange,
    buffer_bytes: usize,
) -> (Vec<u8>, Option<Error>) {
    let mut reader = store.read_object(&bucket("verified"), &key(name), range).unwrap();
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; buffer_bytes]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return (bytes, None),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) => return (bytes, Some(error)),
        }
    }
}

/// Like [`read_until`], as `haul serve` reads: bytes in memory without a thread, the others with
/// one. Also returns the number of bytes that were in memory.
fn read_cached_until(
    store: &DiskStore,
    name: &str,
    range: ReadRange,
    buffer_bytes: usize,
) -> (Vec<u8>, Option<Error>, usize) {
    let mut reader = store.read_object(&bucket("verified"), &key(name), range).unwrap();
    let (mut bytes, mut buffer, mut cached) = (Vec::new(), vec![0; buffer_bytes], 0);
    loop {
        let wanted = reader.next_read_bytes(buffer_bytes);
        assert!((1..=buffer_bytes).contains(&wanted), "{wanted}");
        if reader.read_cached(&mut buffer[..wanted]) {
            bytes.extend_from_slice(&buffer[..wanted]);
            cached += wanted;
            continue;
        }
        match reader.read(&mut buffer[..wanted]) {
            Ok(0) => return (bytes, None, cached),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) => return (bytes, Some(error), cached),
        }
    }
}

fn upload(store: &DiskStore, name: &str) -> UploadRef {
    let options = UploadOptions::default();
    store.create_multipart_upload(&bucket("verified"), &key(name), options).unwrap().upload
}

/// Regression: an object with a flipped bit was returned with status 200 and wrong bytes.
#[test]
fn a_flipped_bit_never_leaves_the_store() {
    let whole = pattern(1, OBJECT_BYTES);
    for buffer_bytes in [1000, SPAN_BYTES, 256 << 10] {
        for at in [0, 5, SPAN_BYTES - 1, SPAN_BYTES, 2 * SPAN_BYTES + 77, OBJECT_BYTES - 1] {
            let (disk, store) = one_object();
            disk.rot(FileId(0), at);
            let (bytes, error) = read_until(&store, "object", ReadRange::Whole, buffer_bytes);
            assert!(matches!(error, Some(Error::DamagedFile { .. })), "{at}: {error:?}");
            // Everything before the damaged span is returned, and no byte of the span.
            assert_eq!(
                bytes.len(),
                at / SPAN_BYTES * SPAN_BYTES,
                "byte {at}, buffer of {buffer_bytes}"
            );
            assert_eq!(bytes, whole[..bytes.len()]);
            assert_eq!(store.damage_count(), 1);
            let (again, error, _) =
                read_cached_until(&store, "object", ReadRange::Whole, buffer_bytes);
            assert!(matches!(error, Some(Error::DamagedFile { .. })), "{at}: {error:?}");
            assert_eq!(again, bytes);
            assert_eq!(store.damage_count(), 2);
        }
    }
}

#[test]
fn reads_without_a_thread_begin_at_the_second_span() {
    let (_disk, store) = one_object();
    let whole = pattern(1, OBJECT_BYTES);
    for (first, length, expected) in [
        (0, OBJECT_BYTES, 2 * SPAN_BYTES + 1000),
        (100, OBJECT_BYTES - 100, 2 * SPAN_BYTES + 1000),
        // The last span is read in part, so it is verified as a whole elsewhere.
        (SPAN_BYTES - 1, SPAN_BYTES + 10, SPAN_BYTES),
        (SPAN_BYTES, SPAN_BYTES, 0),
        (5, 10, 0),
    ] {
        let range = ReadRange::Bytes(first as u64..=(first + length - 1) as u64);
        let (bytes, error, cached) = read_cached_until(&store, "object", range, SPAN_BYTES);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(bytes, whole[first..first + length]);
        assert_eq!(cached, expected, "{length} bytes from {first}");
    }
}

#[test]
fn a_range_is_verified_and_needs_only_its_own_spans() {
    let (disk, store) = one_object();
    disk.rot(FileId(0), SPAN_BYTES + 10);
    let range = |first: usize, last: usize| ReadRange::Bytes(first as u64..=last as u64);
    let (bytes, error) =
        read_until(&store, "object", range(SPAN_BYTES + 500, SPAN_BYTES + 600), 4096);
    assert!(bytes.is_empty() && matches!(error, Some(Error::DamagedFile { .. })), "{error:?}");
    for (first, last) in [(0, SPAN_BYTES - 1), (17, 4000), (2 * SPAN_BYTES, OBJECT_BYTES - 1)] {
        let (bytes, error) = read_until(&store, "object", range(first, last), 4096);
        assert!(error.is_none(), "{first}: {error:?}");
        assert_eq!(bytes, pattern(1, OBJECT_BYTES)[first..=last]);
    }
}

/// The checksums are on the same disk as the bytes: a damaged checksum counts as damage, and no
/// wrong byte is accepted.
#[test]
fn a_damaged_checksum_is_damage() {
    let (disk, store) = one_object();
    disk.rot(FileId(0), OBJECT_BYTES + 4);
    let (bytes, error) = read_until(&store, "object", ReadRange::Whole, 256 << 10);
    assert_eq!(bytes.len(), SPAN_BYTES);
    assert!(matches!(error, Some(Error::DamagedFile { .. })), "{error:?}");
}

/// Both files are whole and of the same size: only their places are swapped.
#[test]
fn swapped_data_files_are_found() {
    let (disk, store) = one_object();
    try_put(&store, &bucket("verified"), "other", &pattern(2, OBJECT_BYTES)).unwrap();
    disk.swap(FileId(0), FileId(1));
    for name in ["object", "other"] {
        let (bytes, error) = read_until(&store, name, ReadRange::Whole, 256 << 10);
        assert!(
            bytes.is_empty() && matches!(error, Some(Error::DamagedFile { .. })),
            "{name}: {error:?}"
        );
    }
    assert!(!store.check().unwrap().is_sound());
}

/// A copy shares the files of its source, so it has the same damage; a part made from a range reads
/// the source, and is refused.
#[test]
fn copies_of_damaged_objects_give_no_wrong_bytes() {
    let (disk, store) = one_object();
    disk.rot(FileId(0), SPAN_BYTES);
    let source = || CopySource { bucket: bucket("verified"), key: key("object"), version: None };
    store.copy_object(source(), &bucket("verified"), &key("copy"), CopyOptions::default()).unwrap();
    let (bytes, error) = read_until(&store, "copy", ReadRange::Whole, 256 << 10);
    assert_eq!(bytes.len(), SPAN_BYTES);
    assert!(matches!(error, Some(Error::DamagedFile { .. })), "{error:?}");

    let upload = upload(&store, "parts");
    let last = OBJECT_BYTES as u64 - 1;
    let refused =
        store.upload_part_copy(&upload, part_number(1), source(), Some(100..=last)).unwrap_err();
    assert!(matches!(refused, Error::DamagedFile { .. }), "{refused:?}");
    let sound = 2 * SPAN_BYTES as u64;
    store.upload_part_copy(&upload, part_number(1), source(), Some(sound..=last)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// Reads ranges of objects whose parts begin anywhere in the spans of their files.
    #[test]
    fn any_range_of_any_parts_is_read_right(
        cuts in proptest::collection::vec((0..OBJECT_BYTES as u64 - 20, 16..150_000_u64), 1..4),
        tail in 1..70_000_usize,
        first in 0..300_000_u64,
        length in 1..200_000_u64,
    ) {
        let (_disk, store) = one_object();
        let whole = pattern(1, OBJECT_BYTES);
        let upload = upload(&store, "parts");
        let (mut parts, mut expected) = (Vec::new(), Vec::new());
        for (number, (from, size)) in (1..).zip(cuts) {
            let last = (from + size - 1).min(OBJECT_BYTES as u64 - 1);
            let source =
                CopySource { bucket: bucket("verified"), key: key("object"), version: None };
            let range = Some(from..=last);
            let part = store.upload_part_copy(&upload, part_number(number), source, range);
            parts.push(part.unwrap());
            let (from, last) = (usize::try_from(from).unwrap(), usize::try_from(last).unwrap());
            expected.extend_from_slice(&whole[from..=last]);
        }
        parts.push(try_put_part(&store, &upload, 9, &pattern(9, tail)).unwrap());
        expected.extend(pattern(9, tail));
        let complete = CompleteOptions::default();
        store.complete_multipart_upload(&upload, listed(&parts), complete).unwrap();
        prop_assert_eq!(&read(&store, &bucket("verified"), "parts", ReadRange::Whole), &expected);
        let first = first.min(expected.len() as u64 - 1);
        let last = (first + length - 1).min(expected.len() as u64 - 1);
        let (bytes, error) = read_until(&store, "parts", ReadRange::Bytes(first..=last), 100_000);
        prop_assert!(error.is_none());
        let (first, last) = (usize::try_from(first).unwrap(), usize::try_from(last).unwrap());
        prop_assert_eq!(&bytes[..], &expected[first..=last]);
        for buffer_bytes in [100_000, 4 * SPAN_BYTES] {
            let range = ReadRange::Bytes(first as u64..=last as u64);
            let (bytes, error, _) = read_cached_until(&store, "parts", range, buffer_bytes);
            prop_assert!(error.is_none());
            prop_assert_eq!(&bytes[..], &expected[first..=last]);
        }
    }
}
