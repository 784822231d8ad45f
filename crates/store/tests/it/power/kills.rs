//! Kills of the process, whose system keeps running: every write stays, also those that were not
//! synced. No file is left, and none that may have been acknowledged is taken.

use haul_store::disk::FileId;

use super::*;
use crate::sim_disk::Refused;

#[test]
fn a_kill_at_every_step_of_a_script_leaves_no_file() {
    let (whole, _, _) = run_script(Fault::None);
    let mut left = 0;
    for cut in 0..whole.steps() {
        let (disk, promises, _) = run_script(Fault::CutAt(cut));
        let case = format!("killed at step {cut} of {}", whole.steps());
        promises.verify_after_kill(&disk, &case);
        // Without the mark of the newest commit nothing is taken: so there was something to take.
        let found = disk.process_killed();
        found.lose_commit_mark();
        let Ok(store) = DiskStore::open_on(Arc::new(found), options()) else { continue };
        left += store.check().unwrap().orphan_count;
    }
    assert!(left > 10, "the kills left {left} files only");
}

/// A kill while the files of an earlier kill are removed.
#[test]
fn a_kill_at_every_step_of_opening_again_leaves_no_file() {
    let (whole, _, _) = run_script(Fault::None);
    let mut kills = 0;
    for first in (0..whole.steps()).step_by(3) {
        let (killed_once, promises, _) = run_script(Fault::CutAt(first));
        let opened = killed_once.process_killed();
        open(&opened).unwrap();
        for second in 0..opened.steps() {
            let again = killed_once.process_killed();
            again.set_fault(Fault::CutAt(second));
            let _ = open(&again);
            let case = format!("killed at step {first}, and at step {second} of opening");
            promises.verify_after_kill(&again, &case);
            // If the power fails then, everything acknowledged is there all the same.
            promises.verify(&again, second, &case);
            kills += 1;
        }
    }
    assert!(kills > 300, "opening was killed {kills} times only");
}

#[test]
fn a_kill_under_several_clients_leaves_no_file() {
    for round in 0..60 {
        let (disk, promises) = under_several_clients(1000 + round);
        for (client, promises) in promises.iter().enumerate() {
            let case = format!("round {round}, client {client}");
            promises.verify_after_kill(&disk, &case);
        }
    }
}

/// Returns a disk with an object `kept`, as a backup, and the disk with `later` on it too.
fn with_backup() -> (SimDisk, SimDisk) {
    let disk = SimDisk::new();
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    store.create_bucket(&bucket("power")).unwrap();
    try_put(&store, &bucket("power"), "kept", &pattern(1, 3000)).unwrap();
    let backup = disk.process_killed();
    try_put(&store, &bucket("power"), "later", &pattern(2, 3000)).unwrap();
    drop(store);
    (backup, disk)
}

/// Returns a disk with two objects, and one file that a kill left.
fn killed_before_a_commit() -> SimDisk {
    let (_, disk) = with_backup();
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    let _staged = crate::fixture::stage(&store, b"never committed");
    let killed = disk.process_killed();
    assert_eq!(killed.data_files().len(), 3);
    killed
}

/// Opens the disk with metadata of a backup, and asserts that the file of the later object stays,
/// also when a kill leaves another one.
fn later_files_stay(disk: &SimDisk) {
    let files = disk.data_files();
    assert_eq!(files.len(), 2);
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    assert_eq!(store.check().unwrap().orphan_count, 1);
    assert_eq!(disk.data_files(), files);
    let staged = crate::fixture::stage(&store, b"never committed");
    let killed = disk.process_killed();
    drop((staged, store));
    assert_eq!(killed.data_files().len(), 3);
    let store = DiskStore::open_on(Arc::new(killed.clone()), options()).unwrap();
    assert_eq!(killed.data_files(), files, "only the file that the kill left is gone");
    assert_eq!(store.check().unwrap().orphan_count, 1);
}

/// The metadata alone is restored from a backup.
#[test]
fn files_of_lost_metadata_are_not_taken_for_those_of_a_kill() {
    let (backup, disk) = with_backup();
    disk.restore_database(&backup);
    later_files_stay(&disk);
}

/// A backup is restored over a newer store, whose other files stay: the mark fits the metadata.
#[test]
fn a_restored_mark_proves_nothing() {
    let (backup, disk) = with_backup();
    disk.restore_database(&backup);
    disk.restore_commit_mark(&backup);
    later_files_stay(&disk);
}

/// The power failed before the newest marks had reached the disk, and the metadata was restored
/// from a backup of that time.
#[test]
fn a_mark_that_a_power_cut_undid_proves_nothing() {
    for seed in 0..8 {
        let (backup, disk) = with_backup();
        disk.undo_marks(&backup);
        disk.restore_database(&backup);
        later_files_stay(&disk.power_on(seed));
    }
}

/// The store was copied while it was in use: the metadata and the mark first, then the data files.
#[test]
fn a_copied_mark_proves_nothing() {
    let (backup, disk) = with_backup();
    disk.undo_marks(&backup);
    disk.restore_database(&backup);
    later_files_stay(&disk.copied());
}

/// The disk refuses the mark of a commit that is then acknowledged.
#[test]
fn a_mark_that_could_not_be_written_proves_nothing() {
    let (_, disk) = with_backup();
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    try_put(&store, &bucket("power"), "more", &pattern(3, 3000)).unwrap();
    let backup = disk.process_killed();
    // The next mark is that a commit has begun, and the one that it is done is refused.
    disk.refuse(Refused::EverySecondMark);
    try_put(&store, &bucket("power"), "latest", &pattern(4, 3000)).unwrap();
    drop(store);
    let files = disk.data_files();
    disk.restore_database(&backup);
    open(&disk).unwrap();
    assert_eq!(disk.data_files(), files);
}

#[test]
fn a_mark_that_cannot_be_read_proves_nothing() {
    let killed = killed_before_a_commit();
    killed.refuse(Refused::ReadingMarks);
    let store = DiskStore::open_on(Arc::new(killed), options()).unwrap();
    assert_eq!(store.check().unwrap().orphan_count, 1);
}

/// A file whose number was never assigned belongs to newer metadata, which may also be that of
/// every other unknown file. Regression: the next opening took it for one of a kill.
#[test]
fn files_with_numbers_that_were_never_assigned_stay() {
    let killed = killed_before_a_commit();
    killed.litter(FileId(1 << 20));
    let files = killed.data_files();
    for _ in 0..3 {
        open(&killed).unwrap();
        assert_eq!(killed.data_files(), files);
    }
}

/// What the disk did not remove is removed by the opening after that.
#[test]
fn files_of_a_kill_that_the_disk_keeps_are_removed_later() {
    let killed = killed_before_a_commit();
    killed.refuse(Refused::Removals);
    let store = DiskStore::open_on(Arc::new(killed.clone()), options()).unwrap();
    try_put(&store, &bucket("power"), "another", b"bytes").unwrap();
    drop(store);
    assert_eq!(killed.data_files().len(), 4);
    killed.refuse(Refused::Nothing);
    open(&killed).unwrap();
    assert_eq!(killed.data_files().len(), 3);
}
