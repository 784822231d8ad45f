//! `check` finds what is wrong, names it, and takes nothing for wrong that is right.

use std::sync::Arc;

use haul_store::disk::FileId;
use haul_store::{CompleteOptions, CopyOptions, CopySource, Error, Problem, Repair, Store, check};

use crate::fixture::{Fixture, bucket, key, listed, options, part_number, pattern, try_put, try_put_part};
use crate::sim_disk::SimDisk;

/// A store with an object of one piece, one of two parts, a copy, and an open upload.
fn filled() -> (SimDisk, Store) {
    let disk = SimDisk::new();
    let store = Store::open_on(Arc::new(disk.clone()), options()).unwrap();
    let bucket = bucket("checked");
    store.create_bucket(&bucket).unwrap();
    try_put(&store, &bucket, "one", &pattern(1, 1000)).unwrap();
    let upload = store.create_multipart_upload(&bucket, &key("two"), Default::default()).unwrap().upload;
    let parts: Vec<_> = (1..=2)
        .map(|number| try_put_part(&store, &upload, number, &pattern(u64::from(number) + 1, 500)).unwrap())
        .collect();
    store.complete_multipart_upload(&upload, listed(&parts), CompleteOptions::default()).unwrap();
    let source = CopySource { bucket: bucket.clone(), key: key("two"), version: None };
    store.copy_object(source, &bucket, &key("copy"), CopyOptions::default()).unwrap();
    let open = store.create_multipart_upload(&bucket, &key("open"), Default::default()).unwrap().upload;
    let source = CopySource { bucket: bucket.clone(), key: key("two"), version: None };
    store.upload_part_copy(&open, part_number(3), source, Some(400..=599)).unwrap();
    (disk, store)
}

#[test]
fn a_sound_store_is_sound() {
    let (_, store) = filled();
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!((report.objects, report.uploads, report.parts, report.files), (3, 1, 1, 3));
    assert_eq!(report.read_bytes, 1000 + 1000 + 1000 + 200);
    assert_eq!(report.orphan_count, 0);
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    for (index, file) in filled().0.data_files().into_iter().enumerate() {
        for offset in [0, 137, 499] {
            let (disk, store) = filled();
            disk.rot(file, offset);
            let report = store.check().unwrap();
            let damaged: Vec<_> =
                report.problems.iter().filter(|p| matches!(p, Problem::DamagedPart { .. })).collect();
            assert!(!damaged.is_empty(), "file {index}, byte {offset}");
            let named = Problem::DamagedFile { file, what: "its bytes have another MD5".to_owned() };
            assert!(report.problems.contains(&named), "{:?}", report.problems);
        }
    }
}

#[test]
fn a_lost_file_is_found() {
    let (disk, store) = filled();
    let file = *disk.data_files().first().unwrap();
    disk.lose(file);
    let report = store.check().unwrap();
    assert!(!report.is_sound());
    let text: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(
        text.iter().any(|line| line.contains("checked/one") && line.contains("cannot be read")),
        "{text:?}"
    );
}

#[test]
fn orphans_are_told_and_removed_only_when_asked() {
    let fixture = Fixture::new();
    fixture.put("kept", b"kept");
    let dir = fixture.store_dir();
    let stray = dir.join("data/000/000/00000000000003ff");
    drop(fixture.store);
    std::fs::write(&stray, b"belongs to nothing").unwrap();
    let report = check(&dir, options(), Repair::ReportOnly, &Default::default()).unwrap();
    assert!(report.is_sound());
    assert_eq!(report.orphans, [FileId(0x3ff)]);
    assert!(stray.exists());
    let report = check(&dir, options(), Repair::RemoveOrphans, &Default::default()).unwrap();
    assert_eq!((report.orphan_count, report.removed_orphans), (1, 1));
    assert!(!stray.exists());
    let report = check(&dir, options(), Repair::ReportOnly, &Default::default()).unwrap();
    assert_eq!((report.orphan_count, report.files, report.objects), (0, 1, 1));
}

#[test]
fn a_sweep_removes_orphans_and_nothing_else() {
    let (disk, store) = filled();
    let before = disk.data_files();
    let staged = crate::fixture::stage(&store, b"on its way");
    disk.litter(FileId(77));
    disk.litter(FileId(7777));
    assert_eq!(store.sweep().unwrap(), 2);
    store.settle();
    try_put(&store, &bucket("checked"), "after", b"after").unwrap();
    drop(staged);
    store.delete_object(&bucket("checked"), &key("after"), haul_store::WriteCondition::Always).unwrap();
    store.settle();
    assert_eq!(disk.data_files(), before);
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn a_folder_without_a_store_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for folder in [dir.path().to_owned(), dir.path().join("absent")] {
        let error = check(&folder, options(), Repair::RemoveOrphans, &Default::default()).unwrap_err();
        assert!(matches!(error, Error::NotAStore { .. }), "{error:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
