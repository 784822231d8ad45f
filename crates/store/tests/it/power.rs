//! Power cuts: at every step of a script and of random workloads, of opening the store afterwards,
//! and at random steps of several concurrent clients. After opening again, everything acknowledged
//! is present and correct, nothing is partial, and no released file is left on the disk.

mod kills;
mod promises;
mod workload;

use haul_testkit::random::Random;
use std::collections::BTreeSet;
use std::sync::Arc;

use haul_parts::Bucket;
use haul_store::{
    CompleteOptions, CopyOptions, CopySource, DiskStore, Error, ListObjects, ReadRange,
    UploadOptions, WriteCondition, WriteOptions,
};
use promises::{Object, Phase, Promises, Upload};
use workload::{Client, Company, Hours};

use crate::fixture::{bucket, key, listed, options, pattern, read, try_put, try_put_part};
use crate::sim_disk::{Fault, SimDisk};

/// Runs a few of every kind of operation, until all are done or the power fails.
fn script(store: &DiskStore, promises: &mut Promises) -> Result<(), Error> {
    let bucket = bucket("power");
    store.create_bucket(&bucket)?;
    for (name, bytes) in
        [("small", pattern(1, 700)), ("small", pattern(2, 3000)), ("empty", Vec::new())]
    {
        promises.change(name, Some(Object::of(&bytes)), try_put(store, &bucket, name, &bytes))?;
    }

    let created =
        store.create_multipart_upload(&bucket, &key("large"), UploadOptions::default())?;
    let upload = created.upload;
    promises.uploads.push(Upload::new(upload.clone()));
    let bytes: Vec<Vec<u8>> = (0..4).map(|seed| pattern(10 + seed, 600)).collect();
    let mut parts = Vec::new();
    // The last part replaces part 2, and its old file is removed.
    for (number, bytes) in
        [(1, &bytes[0]), (2, &bytes[1]), (3, &bytes[2]), (4, &bytes[0]), (2, &bytes[3])]
    {
        promises.uploads[0].part_in_doubt = Some(number);
        let part = try_put_part(store, &upload, number, bytes)?;
        promises.uploads[0].part_in_doubt = None;
        promises.uploads[0].parts.insert(number, (part.etag.clone(), bytes.clone()));
        parts.push(part);
        store.settle();
    }

    let large = Object::of(&[&bytes[0][..], &bytes[3], &bytes[2]].concat());
    let list = listed([&parts[0], &parts[4], &parts[2]]);
    let done = store.complete_multipart_upload(&upload, list, CompleteOptions::default());
    promises.uploads[0].phase.change(Phase::Ended, &done);
    promises.change("large", Some(large.clone()), done)?;
    store.settle();
    let source = CopySource { bucket: bucket.clone(), key: key("large"), version: None };
    let copied = store.copy_object(source, &bucket, &key("copy"), CopyOptions::default());
    promises.change("copy", Some(large), copied)?;
    promises.change("large", None, delete(store, &bucket, "large"))?;
    store.settle();

    let aborted =
        store.create_multipart_upload(&bucket, &key("aborted"), UploadOptions::default())?.upload;
    try_put_part(store, &aborted, 7, &bytes[0])?;
    promises.uploads.push(Upload::new(aborted.clone()));
    promises.uploads[1].part_in_doubt = Some(7);
    let ended = store.abort_multipart_upload(&aborted);
    promises.uploads[1].phase.change(Phase::Ended, &ended);
    ended?;
    store.settle();
    promises.change("copy", None, delete(store, &bucket, "copy"))?;
    store.settle();
    Ok(())
}

fn delete(store: &DiskStore, bucket: &Bucket, name: &str) -> Result<(), Error> {
    store.delete_object(bucket, &key(name), WriteCondition::Always).map(drop)
}

/// Runs the script on a new disk with a fault.
fn run_script(fault: Fault) -> (SimDisk, Promises, Result<(), Error>) {
    let disk = SimDisk::new();
    disk.set_fault(fault);
    let mut promises = Promises::default();
    let result = DiskStore::open_on(Arc::new(disk.clone()), options())
        .and_then(|store| script(&store, &mut promises));
    (disk, promises, result)
}

#[test]
fn a_cut_at_every_step_of_a_script_loses_nothing() {
    let (whole, promises, result) = run_script(Fault::None);
    result.unwrap();
    promises.verify(&whole, 0, "no cut");
    let steps = whole.steps();
    assert!(steps > 100, "the script has only {steps} steps");
    for cut in 0..steps {
        let (disk, promises, _) = run_script(Fault::CutAt(cut));
        for seed in 0..3 {
            promises.verify(
                &disk,
                cut * 3 + seed,
                &format!("cut at step {cut} of {steps}, seed {seed}"),
            );
        }
    }
}

/// Recovery writes too. A second power cut during recovery must not lose promises either.
#[test]
fn a_cut_at_every_step_of_opening_again_loses_nothing() {
    let (whole, _, _) = run_script(Fault::None);
    let mut cuts = 0;
    for first in (0..whole.steps()).step_by(3) {
        let (cut_once, promises, _) = run_script(Fault::CutAt(first));
        let opened = cut_once.power_on(first);
        open(&opened).unwrap();
        for second in 0..opened.steps() {
            let again = cut_once.power_on(first);
            again.set_fault(Fault::CutAt(second));
            let _ = open(&again);
            promises.verify(
                &again,
                second,
                &format!("cut at step {first}, and at step {second} of opening"),
            );
            cuts += 1;
        }
    }
    assert!(cuts > 300, "opening was cut {cuts} times only");
}

/// Opens the store, waits until all released files are removed, and closes it.
fn open(disk: &SimDisk) -> Result<(), Error> {
    DiskStore::open_on(Arc::new(disk.clone()), options()).map(|store| store.settle())
}

/// All operations that write run in a random order, which the seed determines.
#[test]
fn a_cut_at_every_step_of_random_workloads_loses_nothing() {
    let mut done = BTreeSet::new();
    for seed in 0..WORKLOADS {
        let whole = run_workload(seed, Power::Stays);
        whole.promises.verify(&whole.disk, seed, &format!("workload {seed}, no cut"));
        done.extend(whole.done);
        for cut in 0..whole.steps {
            let case = format!("workload {seed}, cut at step {cut} of {}", whole.steps);
            let run = run_workload(seed, Power::GoesAfter(cut));
            run.promises.verify(&run.disk, cut, &case);
            // The power fails again while the store is opened.
            let again = run.disk.power_on(cut);
            again.set_fault(Fault::CutAt(Random::new(cut).below(40)));
            let _ = open(&again);
            run.promises.verify(&again, cut, &format!("{case}, and in opening"));
        }
    }
    assert_eq!(done.len() as u64, workload::KINDS, "the workloads did only {done:?}");
}

const WORKLOADS: u64 = 6;
const OPERATIONS: usize = 40;

#[derive(Clone, Copy)]
enum Power {
    Stays,
    GoesAfter(u64),
}

struct Run {
    disk: SimDisk,
    promises: Promises,
    /// The kinds of operations that ran.
    done: BTreeSet<u64>,
    steps: u64,
}

/// Runs one client alone, until it has done enough or the power fails.
fn run_workload(seed: u64, power: Power) -> Run {
    let disk = SimDisk::new();
    let hours = Hours::default();
    let store = DiskStore::open_on(Arc::new(disk.clone()), hours.options()).unwrap();
    store.create_bucket(&bucket("power")).unwrap();
    let first = disk.steps();
    if let Power::GoesAfter(steps) = power {
        disk.set_fault(Fault::CutAt(first + steps));
    }
    let mut client = Client::new(store, 0, seed, hours, Company::Alone);
    for _ in 0..OPERATIONS {
        if let Err(error) = client.step() {
            assert!(disk.is_off(), "workload {seed}: {error:?}");
            break;
        }
        // Settling makes the step numbers the same in every run.
        client.store.settle();
    }
    let Client { promises, done, .. } = client;
    let steps = disk.steps() - first;
    Run { disk, promises, done, steps }
}

/// A store that continues after a failed sync may acknowledge bytes that the disk has dropped.
#[test]
fn after_a_failed_sync_nothing_is_written_and_nothing_lost() {
    let (whole, _, _) = run_script(Fault::None);
    let mut stopped = 0;
    for step in 0..whole.steps() {
        let disk = SimDisk::new();
        disk.set_fault(Fault::SyncFailsFrom(step));
        let mut promises = Promises::default();
        let Ok(store) = DiskStore::open_on(Arc::new(disk.clone()), options()) else { continue };
        if script(&store, &mut promises).is_err() {
            stopped += 1;
            let refused = try_put(&store, &bucket("power"), "more", b"more").unwrap_err();
            assert!(
                matches!(refused, Error::ReadOnlyAfterSyncFailure { .. }),
                "step {step}: {refused:?}"
            );
            assert!(!store.is_writable());
            drop(store);
            promises.verify(&disk, step, &format!("sync failed from step {step}"));
        }
    }
    assert!(stopped > 30, "only {stopped} syncs failed");
}

/// Runs several clients, each with its own keys, until the power fails at some step.
fn under_several_clients(seed: u64) -> (SimDisk, Vec<Promises>) {
    let disk = SimDisk::new();
    let hours = Hours::default();
    let store = DiskStore::open_on(Arc::new(disk.clone()), hours.options()).unwrap();
    store.create_bucket(&bucket("power")).unwrap();
    let mut dice = Random::new(seed);
    disk.set_fault(Fault::CutAt(disk.steps() + 20 + dice.below(600)));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let (disk, seed) = (disk.clone(), seed * 100 + number);
            let mut client =
                Client::new(store.clone(), number, seed, hours.clone(), Company::Others);
            std::thread::spawn(move || {
                while !disk.is_off() && client.step().is_ok() {}
                client.promises
            })
        })
        .collect();
    drop(store);
    (disk, clients.into_iter().map(|client| client.join().unwrap()).collect())
}

#[test]
fn a_cut_under_several_clients_loses_nothing() {
    for round in 0..60 {
        let (disk, promises) = under_several_clients(round);
        for (client, promises) in promises.iter().enumerate() {
            promises.verify(&disk, round, &format!("round {round}, client {client}"));
        }
    }
}

/// The metadata forgets a removed file only when the removal is durable. Otherwise the file would
/// return after a power cut, unknown to the metadata.
#[test]
fn removed_files_that_the_metadata_forgot_stay_removed() {
    const FOLDER_FILES: usize = 1024;
    let disk = SimDisk::new();
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    let bucket = bucket("power");
    store.create_bucket(&bucket).unwrap();
    for number in 0..FOLDER_FILES {
        try_put(&store, &bucket, &number.to_string(), b"bytes").unwrap();
    }
    let gone =
        (0..300).map(|number: u32| (key(&number.to_string()), WriteCondition::Always)).collect();
    store.delete_objects(&bucket, gone).unwrap();
    store.settle();
    // The new file goes into the next folder; syncing that folder does not sync the previous one.
    try_put(&store, &bucket, "after", b"bytes").unwrap();
    for seed in 0..8 {
        let found = disk.power_on(seed);
        let store = DiskStore::open_on(Arc::new(found.clone()), options()).unwrap();
        assert_eq!(store.check().unwrap().orphan_count, 0, "seed {seed}");
        assert_eq!(found.data_files().len(), FOLDER_FILES - 300 + 1, "seed {seed}");
    }
}

#[test]
fn a_full_disk_refuses_writes_and_recovers() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(8 << 20));
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    let bucket = bucket("power");
    store.create_bucket(&bucket).unwrap();
    let kept = pattern(1, 5000);
    try_put(&store, &bucket, "kept", &kept).unwrap();
    let used = disk.used_bytes();
    // With a hint of the length, the write is refused before the first byte; without one, when the
    // space runs out.
    let hint = Some(8 << 20);
    let refused = store
        .begin_part(WriteOptions { size_hint_bytes: hint, checksums: Vec::new() })
        .unwrap_err();
    assert!(matches!(refused, Error::StorageFull), "{refused:?}");
    let mut writer = store.begin_part(WriteOptions::default()).unwrap();
    let slice = pattern(2, 1 << 20);
    let full = (0..8).find_map(|_| writer.write(&slice).err()).unwrap();
    drop(writer);
    assert!(matches!(full, Error::StorageFull), "{full:?}");
    assert_eq!(disk.used_bytes(), used, "the space of what failed was given back");
    assert_eq!(read(&store, &bucket, "kept", ReadRange::Whole), kept);
    try_put(&store, &bucket, "fits", &pattern(3, 100_000)).unwrap();
    delete(&store, &bucket, "fits").unwrap();
    let page = store.list_objects(&bucket, ListObjects::default()).unwrap();
    assert_eq!(page.objects.len(), 1);
}

/// Metadata alone fills the disk: the store refuses writes before the database fails, and deletes
/// still work.
#[test]
fn a_disk_full_of_metadata_refuses_and_recovers() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(8 << 20));
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    let bucket = bucket("power");
    store.create_bucket(&bucket).unwrap();
    let mut put = 0;
    let full = loop {
        let name = format!("{put:05}{}", "-".repeat(900));
        match try_put(&store, &bucket, &name, b"") {
            Ok(_) => put += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::StorageFull), "after {put}: {full:?}");
    assert!(put > 1000, "only {put} objects fit");
    let report = store.check().unwrap();
    assert_eq!((report.objects, report.problem_count), (put, 0));
    assert!(try_put(&store, &bucket, "still full", b"").is_err());
    for number in 0..put {
        let name = format!("{number:05}{}", "-".repeat(900));
        delete(&store, &bucket, &name).unwrap();
    }
    // The database keeps its space until the store is opened again.
    drop(store);
    let full_bytes = disk.used_bytes();
    disk.set_capacity(Some(full_bytes + (64 << 10)));
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    assert!(disk.used_bytes() < full_bytes / 2, "{} of {full_bytes}", disk.used_bytes());
    try_put(&store, &bucket, "room", b"").unwrap();
    assert_eq!(store.check().unwrap().objects, 1);
}
