//! Power cuts: at every step of a script, and at random steps of several clients at once. After opening again, everything
//! that was acknowledged is there and right, nothing is half there, and nothing unneeded is left on the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use haul_parts::{Bucket, ETag};
use haul_store::{
    CompleteOptions, CopyOptions, CopySource, Error, ListObjects, ReadRange, Store, UploadOptions, UploadRef,
    WriteCondition, WriteOptions,
};

use crate::fixture::{bucket, key, listed, options, part_number, pattern, read, try_put, try_put_part};
use crate::sim_disk::{Dice, Fault, SimDisk};

/// What a client was promised of one key: its object now, and, when the last answer never came, what else it may be.
#[derive(Clone, Debug, Default)]
struct Promise {
    object: Option<Vec<u8>>,
    in_doubt: Option<Option<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct Promises {
    keys: BTreeMap<String, Promise>,
    /// Open uploads with the parts that were acknowledged.
    uploads: Vec<(UploadRef, BTreeMap<u32, ETag>)>,
}

impl Promises {
    /// Tries to change a key, and remembers what was promised of it.
    fn change(
        &mut self,
        name: &str,
        to: Option<Vec<u8>>,
        operation: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let promise = self.keys.entry(name.to_owned()).or_default();
        match operation() {
            Ok(()) => {
                promise.object = to;
                Ok(())
            }
            Err(error) => {
                promise.in_doubt = Some(to);
                Err(error)
            }
        }
    }

    /// Opens the disk again and holds it to what was promised.
    fn verify(&self, disk: &SimDisk, seed: u64, case: &str) {
        let disk = disk.power_on(seed);
        let store = Store::open_on(Arc::new(disk.clone()), options())
            .unwrap_or_else(|error| panic!("{case}: the store does not open: {error:?}"));
        let report = store.check().unwrap();
        assert!(report.is_sound(), "{case}: {:?}", report.problems);
        assert_eq!(report.orphan_count, 0, "{case}: files that nothing refers to");
        assert_eq!(disk.data_files().len() as u64, report.files, "{case}: swept space is free");
        let bucket = bucket("power");
        for (name, promise) in &self.keys {
            let found = match store.read_object(&bucket, &key(name), ReadRange::Whole) {
                Ok(_) => Some(read(&store, &bucket, name, ReadRange::Whole)),
                Err(Error::NoSuchKey { .. } | Error::NoSuchBucket { .. }) => None,
                Err(error) => panic!("{case}: {name}: {error}"),
            };
            let allowed = found == promise.object || Some(&found) == promise.in_doubt.as_ref();
            assert!(allowed, "{case}: {name} is neither what was promised nor what was in doubt");
        }
        for (upload, parts) in &self.uploads {
            self.verify_upload(&store, upload, parts, case);
        }
        // And it still works.
        if store.head_bucket(&bucket).is_ok() {
            try_put(&store, &bucket, "after", b"after the cut").unwrap();
        }
    }

    fn verify_upload(&self, store: &Store, upload: &UploadRef, parts: &BTreeMap<u32, ETag>, case: &str) {
        let page = match store.list_parts(upload, None, None) {
            Ok(page) => page,
            // Completing or aborting it was in doubt, or done.
            Err(Error::NoSuchUpload { .. }) if parts.is_empty() => return,
            Err(error) => panic!("{case}: {upload:?}: {error}"),
        };
        for (number, etag) in parts {
            let found = page.parts.iter().find(|part| part.part_number == part_number(*number));
            assert_eq!(found.map(|part| &part.etag), Some(etag), "{case}: part {number}");
        }
    }
}

/// Does a little of everything, until it is done or the power goes.
fn script(store: &Store, promises: &mut Promises) -> Result<(), Error> {
    let bucket = bucket("power");
    store.create_bucket(&bucket)?;
    let small = pattern(1, 700);
    promises.change("small", Some(small.clone()), || try_put(store, &bucket, "small", &small).map(drop))?;
    let second = pattern(2, 3000);
    promises.change("small", Some(second.clone()), || try_put(store, &bucket, "small", &second).map(drop))?;
    promises.change("empty", Some(Vec::new()), || try_put(store, &bucket, "empty", b"").map(drop))?;

    let created = store.create_multipart_upload(&bucket, &key("large"), UploadOptions::default())?;
    let upload = created.upload;
    promises.uploads.push((upload.clone(), BTreeMap::new()));
    let bytes: Vec<Vec<u8>> = (0..4).map(|seed| pattern(10 + seed, 600)).collect();
    let mut parts = Vec::new();
    for (number, bytes) in (1..).zip(&bytes) {
        let part = try_put_part(store, &upload, number, bytes)?;
        promises.uploads[0].1.insert(number, part.etag.clone());
        parts.push(part);
        store.settle();
    }
    // One again: the old file goes. Until the answer both are possible, so nothing is promised of it.
    promises.uploads[0].1.remove(&2);
    parts[1] = try_put_part(store, &upload, 2, &bytes[3])?;
    promises.uploads[0].1.insert(2, parts[1].etag.clone());
    store.settle();

    let large = [&bytes[0][..], &bytes[3], &bytes[2]].concat();
    promises.uploads[0].1.clear();
    let list = listed(&parts[..3]);
    promises.change("large", Some(large.clone()), || {
        store.complete_multipart_upload(&upload, list, CompleteOptions::default()).map(drop)
    })?;
    store.settle();
    promises.change("copy", Some(large.clone()), || {
        let source = CopySource { bucket: bucket.clone(), key: key("large"), version: None };
        store.copy_object(source, &bucket, &key("copy"), CopyOptions::default()).map(drop)
    })?;
    promises.change("large", None, || delete(store, &bucket, "large"))?;
    store.settle();

    let aborted = store.create_multipart_upload(&bucket, &key("aborted"), UploadOptions::default())?.upload;
    try_put_part(store, &aborted, 7, &bytes[0])?;
    store.abort_multipart_upload(&aborted)?;
    store.settle();
    promises.change("copy", None, || delete(store, &bucket, "copy"))?;
    store.settle();
    Ok(())
}

fn delete(store: &Store, bucket: &Bucket, name: &str) -> Result<(), Error> {
    store.delete_object(bucket, &key(name), WriteCondition::Always).map(drop)
}

/// Runs the script on a new disk with a fault.
fn run_script(fault: Fault) -> (SimDisk, Promises, Result<(), Error>) {
    let disk = SimDisk::new();
    disk.set_fault(fault);
    let mut promises = Promises::default();
    let result =
        Store::open_on(Arc::new(disk.clone()), options()).and_then(|store| script(&store, &mut promises));
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
            promises.verify(&disk, cut * 3 + seed, &format!("cut at step {cut} of {steps}, seed {seed}"));
        }
    }
}

/// A store that goes on after a failed sync may call something safe that the disk has dropped.
#[test]
fn after_a_failed_sync_nothing_more_is_written_and_nothing_is_lost() {
    let (whole, _, _) = run_script(Fault::None);
    let mut stopped = 0;
    for step in (0..whole.steps()).step_by(3) {
        let disk = SimDisk::new();
        disk.set_fault(Fault::SyncFailsFrom(step));
        let mut promises = Promises::default();
        let Ok(store) = Store::open_on(Arc::new(disk.clone()), options()) else { continue };
        if script(&store, &mut promises).is_err() {
            stopped += 1;
            let refused = try_put(&store, &bucket("power"), "more", b"more").unwrap_err();
            assert!(matches!(refused, Error::ReadOnlyAfterSyncFailure { .. }), "step {step}: {refused:?}");
            drop(store);
            promises.verify(&disk, step, &format!("sync failed from step {step}"));
        }
    }
    assert!(stopped > 10, "only {stopped} syncs failed");
}

/// Several clients, each with keys of its own, until the power goes somewhere.
#[test]
fn a_cut_under_several_clients_loses_nothing() {
    for round in 0..40 {
        let disk = SimDisk::new();
        let store = Store::open_on(Arc::new(disk.clone()), options()).unwrap();
        store.create_bucket(&bucket("power")).unwrap();
        let mut dice = Dice::new(round);
        disk.set_fault(Fault::CutAt(disk.steps() + 20 + dice.below(600)));
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (store, disk) = (store.clone(), disk.clone());
                std::thread::spawn(move || random_client(&store, &disk, client, round))
            })
            .collect();
        drop(store);
        let promises: Vec<Promises> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        for (client, promises) in promises.iter().enumerate() {
            promises.verify(&disk, round, &format!("round {round}, client {client}"));
        }
    }
}

fn random_client(store: &Store, disk: &SimDisk, client: u64, round: u64) -> Promises {
    let mut dice = Dice::new(round * 100 + client);
    let mut promises = Promises::default();
    while !disk.is_off() {
        // One that fails ends the client: its last promise is in doubt.
        if random_step(store, &mut dice, client, &mut promises).is_err() {
            break;
        }
    }
    promises
}

fn random_step(store: &Store, dice: &mut Dice, client: u64, promises: &mut Promises) -> Result<(), Error> {
    let bucket = bucket("power");
    let name = format!("client-{client}/{}", dice.below(3));
    let bytes = pattern(dice.below(1 << 40), usize::try_from(dice.below(2000)).unwrap());
    match dice.below(4) {
        0 | 1 => {
            promises.change(&name, Some(bytes.clone()), || try_put(store, &bucket, &name, &bytes).map(drop))
        }
        2 => promises.change(&name, None, || delete(store, &bucket, &name)),
        _ => {
            let upload =
                store.create_multipart_upload(&bucket, &key(&name), UploadOptions::default())?.upload;
            let first = try_put_part(store, &upload, 1, &pattern(client, 500))?;
            let last = try_put_part(store, &upload, 3, &bytes)?;
            let whole = [pattern(client, 500), bytes].concat();
            promises.change(&name, Some(whole), || {
                store
                    .complete_multipart_upload(&upload, listed([&first, &last]), CompleteOptions::default())
                    .map(drop)
            })
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(8 << 20));
    let store = Store::open_on(Arc::new(disk.clone()), options()).unwrap();
    let bucket = bucket("power");
    store.create_bucket(&bucket).unwrap();
    let kept = pattern(1, 5000);
    try_put(&store, &bucket, "kept", &kept).unwrap();
    let used = disk.used_bytes();
    // With a hint it is refused before the first byte, without one when it does not fit any more.
    let hint = Some(8 << 20);
    let refused =
        store.begin_part(WriteOptions { size_hint_bytes: hint, checksums: Vec::new() }).unwrap_err();
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

/// Metadata alone fills the disk: it stops before the database does, and deleting goes on.
#[test]
fn a_disk_full_of_metadata_refuses_and_goes_on() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(8 << 20));
    let store = Store::open_on(Arc::new(disk.clone()), options()).unwrap();
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
    // The room is the database's own until the store is opened again.
    drop(store);
    let full_bytes = disk.used_bytes();
    disk.set_capacity(Some(full_bytes + (64 << 10)));
    let store = Store::open_on(Arc::new(disk.clone()), options()).unwrap();
    assert!(disk.used_bytes() < full_bytes / 2, "{} of {full_bytes}", disk.used_bytes());
    try_put(&store, &bucket, "room", b"").unwrap();
    assert_eq!(store.check().unwrap().objects, 1);
}
