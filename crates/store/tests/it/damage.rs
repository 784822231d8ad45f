//! `check` finds and names damage, and reports no intact data as damaged.

use std::path::Path;
use std::sync::Arc;

use haul_store::disk::FileId;
use haul_store::{
    CompleteOptions, CopyOptions, CopySource, DiskStore, Error, Problem, ReadRange, Repair, check,
};

use crate::fixture::{
    Fixture, bucket, key, listed, options, part_number, pattern, read, try_put, try_put_part,
};
use crate::sim_disk::SimDisk;

/// Creates a store with an object of one piece, one of two parts, a copy, and an open upload.
fn filled() -> (SimDisk, DiskStore) {
    let disk = SimDisk::new();
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    let bucket = bucket("checked");
    store.create_bucket(&bucket).unwrap();
    try_put(&store, &bucket, "one", &pattern(1, 1000)).unwrap();
    let upload =
        store.create_multipart_upload(&bucket, &key("two"), Default::default()).unwrap().upload;
    let parts: Vec<_> = (1..=2)
        .map(|number| {
            try_put_part(&store, &upload, number, &pattern(u64::from(number) + 1, 500)).unwrap()
        })
        .collect();
    store.complete_multipart_upload(&upload, listed(&parts), CompleteOptions::default()).unwrap();
    let source = CopySource { bucket: bucket.clone(), key: key("two"), version: None };
    store.copy_object(source, &bucket, &key("copy"), CopyOptions::default()).unwrap();
    let open =
        store.create_multipart_upload(&bucket, &key("open"), Default::default()).unwrap().upload;
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
            let damaged: Vec<_> = report
                .problems
                .iter()
                .filter(|p| matches!(p, Problem::DamagedPart { .. }))
                .collect();
            assert!(!damaged.is_empty(), "file {index}, byte {offset}");
            let named = |problem: &Problem| {
                matches!(problem, Problem::DamagedFile { file: named, what }
                    if *named == file && what.ends_with(" are not those that were written"))
            };
            assert!(report.problems.iter().any(named), "{:?}", report.problems);
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
    assert_eq!(report.orphans, [FileId(0x3ff).path()]);
    assert!(stray.exists());
    let report = check(&dir, options(), Repair::RemoveOrphans, &Default::default()).unwrap();
    assert_eq!((report.orphan_count, report.removed_orphans), (1, 1));
    assert!(!stray.exists());
    let report = check(&dir, options(), Repair::ReportOnly, &Default::default()).unwrap();
    assert_eq!((report.orphan_count, report.files, report.objects), (0, 1, 1));
}

/// Regression: a file with a valid name in the wrong folder was looked for in its proper place,
/// counted as removed, and stayed.
#[test]
fn strangers_among_the_data_files_are_named_and_stay() {
    let fixture = Fixture::new();
    fixture.put("kept", b"kept");
    let dir = fixture.store_dir();
    drop(fixture.store);
    std::fs::create_dir_all(dir.join("data/zzz/000")).unwrap();
    std::fs::create_dir_all(dir.join("data/000/fff")).unwrap();
    let strangers = [
        "data/000/000/0000000000fffffe",
        "data/000/000/3ff",
        "data/000/000/junk.txt",
        "data/000/3fe",
        "data/000/fff",
        "data/001",
        "data/junk.txt",
        "data/zzz",
    ];
    for file in strangers.iter().filter(|name| !dir.join(name).exists()) {
        std::fs::write(dir.join(file), b"another's file").unwrap();
    }
    std::fs::write(dir.join("data/000/000/00000000000003ff"), b"belongs to nothing").unwrap();
    let report = check(&dir, options(), Repair::RemoveOrphans, &Default::default()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!((&report.orphans[..], report.removed_orphans), (&[FileId(0x3ff).path()][..], 1));
    assert_eq!(report.strangers, strangers.map(std::path::PathBuf::from));
    assert_eq!(report.stranger_count, 8);
    assert!(strangers.iter().all(|name| dir.join(name).exists()));
    assert!(!dir.join("data/000/000/00000000000003ff").exists());
    drop(DiskStore::open(&dir, options()).unwrap());
    assert!(strangers.iter().all(|name| dir.join(name).exists()));
}

/// Regression: opening a store removed every file that the metadata does not know. With metadata
/// from a backup, those files are the objects written since.
#[test]
fn opening_leaves_files_that_the_metadata_does_not_know() {
    let fixture = Fixture::new();
    fixture.put("old", b"old");
    let (dir, bucket) = (fixture.store_dir(), fixture.bucket.clone());
    drop(fixture.store);
    let backup = std::fs::read(dir.join("meta.redb")).unwrap();
    let store = DiskStore::open(&dir, options()).unwrap();
    for number in 0..3 {
        try_put(&store, &bucket, &format!("new{number}"), &pattern(number, 5000)).unwrap();
    }
    drop(store);
    let later = std::fs::read(dir.join("meta.redb")).unwrap();

    std::fs::write(dir.join("meta.redb"), backup).unwrap();
    let store = DiskStore::open(&dir, options()).unwrap();
    assert_eq!(store.check().unwrap().orphan_count, 3);
    // A new file does not replace one of them either.
    try_put(&store, &bucket, "other", b"other").unwrap();
    assert_eq!(store.check().unwrap().orphan_count, 3);
    drop(store);

    std::fs::write(dir.join("meta.redb"), later).unwrap();
    let store = DiskStore::open(&dir, options()).unwrap();
    for number in 0..3 {
        let found = read(&store, &bucket, &format!("new{number}"), ReadRange::Whole);
        assert_eq!(found, pattern(number, 5000));
    }
}

/// The store crashes after the commit that releases a file and before its removal; opening the
/// store removes the file.
#[test]
fn opening_removes_what_the_metadata_let_go() {
    let (disk, store) = filled();
    let bucket = bucket("checked");
    let reader = store.read_object(&bucket, &key("one"), ReadRange::Whole).unwrap();
    store.delete_object(&bucket, &key("one"), haul_store::WriteCondition::Always).unwrap();
    let before = disk.data_files();
    // The power fails while the reader holds the file.
    let after = disk.power_on(1);
    drop(reader);
    let store = DiskStore::open_on(Arc::new(after.clone()), options()).unwrap();
    assert_eq!(store.check().unwrap().orphan_count, 0);
    assert_eq!(after.data_files().len(), before.len() - 1);
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
    store
        .delete_object(&bucket("checked"), &key("after"), haul_store::WriteCondition::Always)
        .unwrap();
    store.settle();
    assert_eq!(disk.data_files(), before);
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn a_folder_without_a_store_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for folder in [dir.path().to_owned(), dir.path().join("absent")] {
        let error =
            check(&folder, options(), Repair::RemoveOrphans, &Default::default()).unwrap_err();
        assert!(matches!(error, Error::NotAStore { .. }), "{error:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Damaged metadata is never used, whichever byte changed: either opening fails, or no operation
/// reads that byte. The database still has the state before the last transaction, but must not fall
/// back to it, because later writes were acknowledged.
#[test]
fn a_changed_metadata_byte_never_reverts_acknowledged_data() {
    let fixture = Fixture::new();
    fixture.put("one", &pattern(1, 1000));
    let upload = fixture.create("two");
    let parts: Vec<_> =
        (1..=2).map(|number| fixture.put_part(&upload, number, &pattern(2, 500))).collect();
    fixture
        .store
        .complete_multipart_upload(&upload, listed(&parts), CompleteOptions::default())
        .unwrap();
    // `kill -9` leaves the files on disk as they are while the store is open.
    let killed = fixture.dir.path().join("killed");
    copy_folder(&fixture.store_dir().join("data"), &killed.join("data"));
    let metadata = std::fs::read(fixture.store_dir().join("meta.redb")).unwrap();

    let mut found = 0;
    for (at, bit) in changes(&metadata) {
        let mut damaged = metadata.clone();
        damaged[at] ^= bit;
        std::fs::write(killed.join("meta.redb"), damaged).unwrap();
        match check(&killed, options(), Repair::ReportOnly, &Default::default()) {
            Err(Error::MetadataDamaged { .. }) => found += 1,
            Err(error) => panic!("byte {at}, bit {bit}: {error:?}"),
            Ok(report) => {
                assert!(report.is_sound(), "byte {at}, bit {bit}: {:?}", report.problems);
                let counts = (report.objects, report.uploads, report.parts, report.files);
                assert_eq!(counts, (2, 0, 0, 3), "byte {at}, bit {bit}");
            }
        }
    }
    assert!(found > 20, "{found} changes were found");
}

/// Returns the changes to try: every bit of the header, and every 41st byte of the pages, except
/// zeros.
fn changes(metadata: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    const HEADER_BYTES: usize = 512;
    /// The bit that selects the newer of two headers: redb has no checksum over it.
    const WHICH_HEADER: (usize, u8) = (9, 1);
    let header = (0..HEADER_BYTES).flat_map(|at| (0..8).map(move |bit| (at, 1 << bit)));
    let pages = (HEADER_BYTES..metadata.len())
        .filter(|at| metadata[*at] != 0)
        .step_by(41)
        .map(|at| (at, 4));
    header.chain(pages).filter(|change| *change != WHICH_HEADER)
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
