//! Data files without their metadata: the store creates nothing and removes nothing.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use haul_store::{DiskStore, Error, Repair, check, data_files};

use crate::fixture::{Fixture, bucket, options, pattern, try_put};
use crate::sim_disk::SimDisk;

/// Returns the folder of a closed store with three objects.
fn closed() -> (tempfile::TempDir, std::path::PathBuf) {
    let fixture = Fixture::new();
    for number in 0..3 {
        fixture.put(&format!("object{number}"), &pattern(number, 3000));
    }
    let dir = fixture.store_dir();
    let Fixture { store, dir: temp, .. } = fixture;
    drop(store);
    (temp, dir)
}

/// Returns every file below a folder with its bytes.
fn contents(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(contents(&entry.path()));
        } else if entry.file_name() != "lock" {
            found.push((entry.path(), std::fs::read(entry.path()).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

/// Regression: after `rm meta.redb`, one command removed all data files with exit code 0. It
/// created new metadata and removed every file that this metadata did not know.
#[test]
fn data_files_without_metadata_are_refused_and_stay() {
    let (_temp, dir) = closed();
    std::fs::remove_file(dir.join("meta.redb")).unwrap();
    let before = contents(&dir);
    for _ in 0..2 {
        let error = DiskStore::open(&dir, options()).unwrap_err();
        assert!(matches!(error, Error::MetadataLost { files: 3, .. }), "{error:?}");
        let error = check(&dir, options(), Repair::RemoveOrphans, &Default::default()).unwrap_err();
        assert!(matches!(error, Error::MetadataLost { files: 3, .. }), "{error:?}");
    }
    assert!(contents(&dir) == before, "something changed");
    let (named, count) = data_files(&dir, 2).unwrap();
    assert_eq!((named.len(), count), (2, 3));
    assert!(dir.join(&named[0]).exists());
}

/// Truncated metadata does not make the store start empty either.
#[test]
fn empty_metadata_is_damaged_and_not_made_new() {
    let (_temp, dir) = closed();
    std::fs::write(dir.join("meta.redb"), b"").unwrap();
    let before = contents(&dir);
    let error = DiskStore::open(&dir, options()).unwrap_err();
    assert!(matches!(error, Error::MetadataDamaged { .. }), "{error:?}");
    assert!(contents(&dir) == before, "something changed");
}

/// A store whose objects are all empty has no data files, and is still a store.
#[test]
fn a_store_without_data_files_is_not_made_twice() {
    let fixture = Fixture::new();
    let dir = fixture.store_dir();
    drop(fixture.store);
    std::fs::remove_file(dir.join("meta.redb")).unwrap();
    let error = DiskStore::open(&dir, options()).unwrap_err();
    assert!(matches!(error, Error::MetadataLost { files: 0, .. }), "{error:?}");
}

#[test]
fn metadata_of_another_store_is_refused() {
    let ((_one, dir), (_other, other)) = (closed(), closed());
    let own = std::fs::read(dir.join("meta.redb")).unwrap();
    std::fs::copy(other.join("meta.redb"), dir.join("meta.redb")).unwrap();
    let before = contents(&dir.join("data"));
    let error = DiskStore::open(&dir, options()).unwrap_err();
    assert!(matches!(error, Error::ForeignMetadata { data: Some(_), .. }), "{error:?}");
    assert!(contents(&dir.join("data")) == before, "data files changed");
    // Without the identifying line beside the data files, their store is unknown.
    std::fs::remove_file(dir.join("data/store-id")).unwrap();
    let error = DiskStore::open(&dir, options()).unwrap_err();
    assert!(matches!(error, Error::ForeignMetadata { data: None, .. }), "{error:?}");

    std::fs::write(dir.join("meta.redb"), own).unwrap();
    let (path, line) = before.iter().find(|(path, _)| path.ends_with("store-id")).unwrap();
    std::fs::write(path, line).unwrap();
    assert!(DiskStore::open(&dir, options()).unwrap().check().unwrap().is_sound());
}

#[test]
fn a_simulated_disk_without_its_database_is_refused() {
    let disk = SimDisk::new();
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    store.create_bucket(&bucket("lost")).unwrap();
    try_put(&store, &bucket("lost"), "object", b"bytes").unwrap();
    drop(store);
    let files = disk.data_files();
    disk.lose_database();
    let error = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap_err();
    assert!(matches!(error, Error::MetadataLost { files: 1, .. }), "{error:?}");
    assert_eq!(disk.data_files(), files);
}

/// A backup is restored over a newer store, with its times, and the data files written since stay
/// where they are: their objects are lost, and their bytes must not be.
#[test]
fn a_backup_restored_over_a_newer_store_removes_no_data_file() {
    let fixture = Fixture::new();
    fixture.put("kept", &pattern(8, 3000));
    let dir = fixture.store_dir();
    let [metadata, mark] = [dir.join("meta.redb"), dir.join("data/last-commit")];
    // The store is in use, so that the number of the later file is assigned in this metadata.
    let backup = [&metadata, &mark].map(|path| {
        (path, std::fs::read(path).unwrap(), std::fs::metadata(path).unwrap().modified().unwrap())
    });
    fixture.put("later", &pattern(9, 3000));
    let Fixture { store, dir: _temp, .. } = fixture;
    drop(store);
    // A mark that was changed within two seconds of its time counts as written then.
    std::thread::sleep(Duration::from_millis(2100));
    for (path, bytes, modified) in backup {
        let mut file = std::fs::File::options().write(true).truncate(true).open(path).unwrap();
        file.write_all(&bytes).unwrap();
        file.set_modified(modified).unwrap();
    }
    let store = DiskStore::open(&dir, options()).unwrap();
    assert_eq!(store.check().unwrap().orphan_count, 1);
    assert_eq!(data_files(&dir, 0).unwrap().1, 2);
}
