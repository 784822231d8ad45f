//! Links and special files in the folder of a store are never followed, emptied or waited for.

use std::os::unix::fs::symlink;
use std::path::Path;

use haul_store::{DiskStore, Error, ReadRange, Repair, check, side_file};

use crate::fixture::{Fixture, key, options, pattern};

fn fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Regression: a link `staging` led to another folder, which was emptied; a link `lock` led to a
/// file, which was emptied too.
#[test]
fn a_link_in_place_of_what_the_store_needs_is_refused() {
    for name in ["staging", "data", "lock", "meta.redb", "meta.redb.new"] {
        let temp = tempfile::tempdir().unwrap();
        let (dir, elsewhere) = (temp.path().join("store"), temp.path().join("elsewhere"));
        std::fs::create_dir_all(&elsewhere).unwrap();
        std::fs::create_dir_all(&dir).unwrap();
        let precious = elsewhere.join("0000000000000001");
        std::fs::write(&precious, b"another's file").unwrap();
        let target =
            if matches!(name, "staging" | "data") { elsewhere.clone() } else { precious.clone() };
        symlink(&target, dir.join(name)).unwrap();
        let error = DiskStore::open(&dir, options()).unwrap_err();
        assert!(
            matches!(error, Error::NotPlain { found: "symbolic link", .. }),
            "{name}: {error:?}"
        );
        assert_eq!(std::fs::read(&precious).unwrap(), b"another's file", "{name}");

        // A dangling link: nothing is created at its target.
        std::fs::remove_file(dir.join(name)).unwrap();
        symlink(temp.path().join("nowhere"), dir.join(name)).unwrap();
        let error = DiskStore::open(&dir, options()).unwrap_err();
        assert!(matches!(error, Error::NotPlain { .. }), "{name}: {error:?}");
        assert!(!temp.path().join("nowhere").exists(), "{name}");

        std::fs::remove_file(dir.join(name)).unwrap();
        fifo(&dir.join(name));
        let error = DiskStore::open(&dir, options()).unwrap_err();
        assert!(
            matches!(error, Error::NotPlain { found: "special file", .. }),
            "{name}: {error:?}"
        );
    }
}

/// Regression: a FIFO in the place of a data file blocked `store check` forever.
#[test]
fn links_and_special_files_among_the_data_are_named_and_stay() {
    let fixture = Fixture::new();
    for name in ["fifo", "link", "kept"] {
        fixture.put(name, &pattern(1, 2000));
    }
    let dir = fixture.store_dir();
    let Fixture { store, bucket, dir: temp } = fixture;
    drop(store);
    let file = |number: u64| dir.join(format!("data/000/000/{number:016x}"));
    std::fs::remove_file(file(0)).unwrap();
    fifo(&file(0));
    let elsewhere = temp.path().join("elsewhere");
    std::fs::rename(file(1), &elsewhere).unwrap();
    symlink(&elsewhere, file(1)).unwrap();
    // These are names of files that nothing refers to, and the name of a whole folder.
    symlink(&elsewhere, file(900)).unwrap();
    fifo(&file(901));
    symlink(temp.path(), dir.join("data/000/005")).unwrap();

    let report = check(&dir, options(), Repair::RemoveOrphans, &Default::default()).unwrap();
    let text: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    for (number, kind) in [(0, "special file"), (1, "symbolic link")] {
        let words = format!("is a {kind} where a regular file is expected");
        assert!(
            text.iter()
                .any(|line| line.contains(&format!("{number:016x}")) && line.ends_with(&words)),
            "{text:?}"
        );
    }
    assert_eq!((report.orphan_count, report.stranger_count), (0, 5), "{:?}", report.strangers);

    let store = DiskStore::open(&dir, options()).unwrap();
    for name in ["fifo", "link"] {
        let mut reader = store.read_object(&bucket, &key(name), ReadRange::Whole).unwrap();
        let error = reader.read(&mut [0; 100]).unwrap_err();
        assert!(matches!(error, Error::NotPlain { .. }), "{error:?}");
    }
    for name in ["fifo", "link", "kept"] {
        store.delete_object(&bucket, &key(name), haul_store::WriteCondition::Always).unwrap();
    }
    store.settle();
    drop(store);
    assert!(elsewhere.exists() && dir.join("data/000/005").exists(), "what links lead to stays");
}

/// The link replaces a folder of data files while the store is closed.
#[test]
fn data_files_in_a_linked_folder_are_not_read_or_removed() {
    let fixture = Fixture::new();
    fixture.put("object", &pattern(1, 2000));
    let dir = fixture.store_dir();
    let Fixture { store, bucket, dir: temp } = fixture;
    drop(store);
    let elsewhere = temp.path().join("elsewhere");
    std::fs::rename(dir.join("data/000"), &elsewhere).unwrap();
    symlink(&elsewhere, dir.join("data/000")).unwrap();
    let store = DiskStore::open(&dir, options()).unwrap();
    let mut reader = store.read_object(&bucket, &key("object"), ReadRange::Whole).unwrap();
    assert!(matches!(reader.read(&mut [0; 10]).unwrap_err(), Error::NotPlain { .. }));
    drop(reader);
    store.delete_object(&bucket, &key("object"), haul_store::WriteCondition::Always).unwrap();
    store.settle();
    assert!(elsewhere.join("000/0000000000000000").exists());
}

#[test]
fn a_link_in_place_of_the_mark_of_the_newest_commit_is_refused() {
    let fixture = Fixture::new();
    let dir = fixture.store_dir();
    let Fixture { store, dir: temp, .. } = fixture;
    drop(store);
    let (mark, precious) = (dir.join("data/last-commit"), temp.path().join("precious"));
    std::fs::rename(&mark, &precious).unwrap();
    let before = std::fs::read(&precious).unwrap();
    symlink(&precious, &mark).unwrap();
    let error = DiskStore::open(&dir, options()).unwrap_err();
    assert!(matches!(error, Error::NotPlain { found: "symbolic link", .. }), "{error:?}");
    assert_eq!(std::fs::read(&precious).unwrap(), before);
}

#[test]
fn a_private_file_that_is_a_link_is_not_read_or_written() {
    let temp = tempfile::tempdir().unwrap();
    let precious = temp.path().join("precious");
    std::fs::write(&precious, b"another's file").unwrap();
    let dir = temp.path().join("store");
    std::fs::create_dir(&dir).unwrap();
    symlink(&precious, dir.join("keys.json")).unwrap();
    let error = side_file::read(&dir, "keys.json").unwrap_err();
    assert!(matches!(error, Error::NotPlain { .. }), "{error:?}");
    assert!(side_file::open_for_locking(&dir, "keys.json").is_err());
    side_file::write(&dir, "keys.json", b"new").unwrap();
    assert_eq!(side_file::read(&dir, "keys.json").unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(std::fs::read(&precious).unwrap(), b"another's file");
    fifo(&dir.join("fifo"));
    assert!(side_file::read(&dir, "fifo").is_err());
}
