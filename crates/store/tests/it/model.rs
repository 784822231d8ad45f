//! Random operations against the store and against a simple model: in any order, both return the
//! same.
//!
//! Every client has its own keys, so that only its own operations determine its results; the test
//! is about the things that clients share (commits, files of copies, the sweep).

use haul_testkit::random::Random;
use std::collections::BTreeMap;
use std::sync::Arc;

use haul_parts::ETag;
use haul_store::{
    CompleteOptions, CopyOptions, CopySource, Deleted, DiskStore, Error, ListObjects, ReadRange,
    UploadRef, WriteCondition,
};

use crate::fixture::{
    bucket, key, listed, options, part_number, pattern, read, try_put, try_put_part,
};
use crate::sim_disk::SimDisk;

const CLIENTS: u64 = 4;
const STEPS: usize = 1500;
const KEYS: u64 = 6;

/// The state that one client expects.
#[derive(Default)]
struct Model {
    objects: BTreeMap<String, Vec<u8>>,
    /// The tag of an object, if it has one.
    tags: BTreeMap<String, String>,
    uploads: Vec<(UploadRef, BTreeMap<u32, Vec<u8>>)>,
}

struct Client {
    store: DiskStore,
    number: u64,
    dice: Random,
    model: Model,
}

impl Client {
    fn name(&mut self) -> String {
        format!("client-{}/key-{}", self.number, self.dice.below(KEYS))
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::try_from(self.dice.below(300)).unwrap();
        pattern(self.dice.below(u64::MAX >> 12), length)
    }

    fn step(&mut self) {
        match self.dice.below(13) {
            0 | 1 => self.put(),
            2 => self.delete(),
            3 => self.copy(),
            4 => self.create(),
            5 | 6 => self.put_part(),
            7 => self.copy_part(),
            8 => self.complete(),
            9 => self.abort(),
            10 => self.read_range(),
            11 => self.tag(),
            _ => self.look(),
        }
    }

    fn put(&mut self) {
        let (name, bytes) = (self.name(), self.bytes());
        try_put(&self.store, &bucket("model"), &name, &bytes).unwrap();
        self.model.tags.remove(&name);
        self.model.objects.insert(name, bytes);
    }

    fn tag(&mut self) {
        let (name, value) = (self.name(), self.dice.below(100).to_string());
        let tags = BTreeMap::from([("tag".to_owned(), value.clone())]);
        match self.store.set_object_tags(&bucket("model"), &key(&name), tags) {
            Ok(()) => drop(self.model.tags.insert(name.clone(), value)),
            Err(Error::NoSuchKey { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(self.model.objects.contains_key(&name), self.model.tags.contains_key(&name));
    }

    fn delete(&mut self) {
        let name = self.name();
        let deleted = self
            .store
            .delete_object(&bucket("model"), &key(&name), WriteCondition::Always)
            .unwrap();
        let was_there = self.model.objects.remove(&name).is_some();
        self.model.tags.remove(&name);
        assert_eq!(deleted == Deleted::Removed, was_there);
    }

    fn copy(&mut self) {
        let (from, to) = (self.name(), self.name());
        let source = CopySource { bucket: bucket("model"), key: key(&from), version: None };
        let copied =
            self.store.copy_object(source, &bucket("model"), &key(&to), CopyOptions::default());
        match (copied, self.model.objects.get(&from).cloned()) {
            (Ok(_), Some(bytes)) => {
                // Tags are copied unless the request says otherwise.
                match self.model.tags.get(&from).cloned() {
                    Some(tag) => self.model.tags.insert(to.clone(), tag),
                    None => self.model.tags.remove(&to),
                };
                self.model.objects.insert(to, bytes);
            }
            (Err(Error::NoSuchKey { .. }), None) => {}
            (answer, model) => panic!("{answer:?} but {}", model.is_some()),
        }
    }

    fn create(&mut self) {
        if self.model.uploads.len() < 5 {
            let name = self.name();
            let upload = self.store.create_multipart_upload(
                &bucket("model"),
                &key(&name),
                Default::default(),
            );
            self.model.uploads.push((upload.unwrap().upload, BTreeMap::new()));
        }
    }

    fn upload(&mut self) -> Option<usize> {
        let count = self.model.uploads.len() as u64;
        (count > 0).then(|| usize::try_from(self.dice.below(count)).unwrap())
    }

    fn put_part(&mut self) {
        let Some(index) = self.upload() else { return };
        let number = u32::try_from(self.dice.below(5)).unwrap() + 1;
        let mut bytes = self.bytes();
        bytes.extend(pattern(1, 16));
        let (upload, parts) = &mut self.model.uploads[index];
        try_put_part(&self.store, upload, number, &bytes).unwrap();
        parts.insert(number, bytes);
    }

    fn copy_part(&mut self) {
        let Some(index) = self.upload() else { return };
        let name = self.name();
        let number = u32::try_from(self.dice.below(5)).unwrap() + 1;
        let Some(object) = self.model.objects.get(&name).filter(|object| object.len() > 40) else {
            return;
        };
        let first = usize::try_from(self.dice.below(20)).unwrap();
        let last = object.len() - 1 - usize::try_from(self.dice.below(4)).unwrap();
        let copied = object[first..=last].to_vec();
        let source = CopySource { bucket: bucket("model"), key: key(&name), version: None };
        let (upload, parts) = &mut self.model.uploads[index];
        let range = Some(first as u64..=last as u64);
        self.store.upload_part_copy(upload, part_number(number), source, range).unwrap();
        parts.insert(number, copied);
    }

    fn complete(&mut self) {
        let Some(index) = self.upload() else { return };
        let (upload, parts) = &self.model.uploads[index];
        let mut page = self.store.list_parts(upload, None, None).unwrap();
        let numbers: Vec<u32> = page.parts.iter().map(|part| part.part_number.into()).collect();
        assert_eq!(numbers, parts.keys().copied().collect::<Vec<_>>());
        if self.dice.below(3) == 0 && page.parts.len() > 1 {
            page.parts.remove(0);
        }
        let list = listed(&page.parts);
        let completed =
            self.store.complete_multipart_upload(upload, list, CompleteOptions::default());
        if page.parts.is_empty() {
            assert!(matches!(completed, Err(Error::NoPartsListed)));
            return;
        }
        completed.unwrap();
        let whole =
            page.parts.iter().flat_map(|part| parts[&part.part_number.into()].clone()).collect();
        self.model.objects.insert(upload.object.key.to_string(), whole);
        self.model.tags.remove(upload.object.key.as_str());
        self.model.uploads.remove(index);
    }

    fn abort(&mut self) {
        let Some(index) = self.upload() else { return };
        let (upload, _) = self.model.uploads.remove(index);
        self.store.abort_multipart_upload(&upload).unwrap();
        let again = self.store.abort_multipart_upload(&upload).unwrap_err();
        assert!(matches!(again, Error::NoSuchUpload { .. }));
    }

    fn read_range(&mut self) {
        let name = self.name();
        let (first, length) = (self.dice.below(400), self.dice.below(400));
        let range = ReadRange::Bytes(first..=first + length);
        let Some(object) = self.model.objects.get(&name) else {
            let missing = self.store.read_object(&bucket("model"), &key(&name), range).unwrap_err();
            assert!(matches!(missing, Error::NoSuchKey { .. }));
            return;
        };
        let first = usize::try_from(first).unwrap();
        if first >= object.len() {
            let outside = self.store.read_object(&bucket("model"), &key(&name), range).unwrap_err();
            assert!(matches!(outside, Error::InvalidRange { .. }));
        } else {
            let end = (first + usize::try_from(length).unwrap() + 1).min(object.len());
            assert_eq!(read(&self.store, &bucket("model"), &name, range), object[first..end]);
        }
    }

    /// Checks that everything of this client matches the model.
    fn look(&mut self) {
        let prefix = format!("client-{}/", self.number);
        let what = ListObjects { prefix, ..ListObjects::default() };
        let page = self.store.list_objects(&bucket("model"), what).unwrap();
        let found: Vec<(&str, u64)> =
            page.objects.iter().map(|object| (object.key.as_str(), object.size_bytes)).collect();
        let expected: Vec<(&str, u64)> = self
            .model
            .objects
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.len() as u64))
            .collect();
        assert_eq!(found, expected);
        for (name, bytes) in &self.model.objects {
            assert_eq!(read(&self.store, &bucket("model"), name, ReadRange::Whole), *bytes);
            let tags =
                self.store.head_object(&bucket("model"), &key(name)).unwrap().attributes.tags;
            assert_eq!(tags.get("tag"), self.model.tags.get(name), "{name}");
        }
    }
}

fn run(seed: u64) {
    let disk = SimDisk::new();
    let store = DiskStore::open_on(Arc::new(disk.clone()), options()).unwrap();
    store.create_bucket(&bucket("model")).unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let dice = Random::new(seed * 1000 + number);
            let mut client = Client { store: store.clone(), number, dice, model: Model::default() };
            std::thread::spawn(move || {
                for _ in 0..STEPS {
                    client.step();
                }
                client.look();
                client
            })
        })
        .collect();
    // A sweep that runs all the time must not remove a file in use.
    for _ in 0..50 {
        store.sweep().unwrap();
    }
    let clients: Vec<Client> = clients.into_iter().map(|client| client.join().unwrap()).collect();

    let report = store.check().unwrap();
    assert!(report.is_sound(), "seed {seed}: {:?}", report.problems);
    store.settle();
    assert_eq!(
        disk.data_files().len() as u64,
        report.files,
        "seed {seed}: files that nothing refers to"
    );
    for mut client in clients {
        while !client.model.uploads.is_empty() {
            client.abort();
        }
        for name in std::mem::take(&mut client.model.objects).into_keys() {
            let etag = store.head_object(&bucket("model"), &key(&name)).unwrap().etag;
            let wrong = WriteCondition::IfMatch(ETag::new("another"));
            assert!(store.delete_object(&bucket("model"), &key(&name), wrong).is_err());
            let right = WriteCondition::IfMatch(etag);
            store.delete_object(&bucket("model"), &key(&name), right).unwrap();
        }
    }
    store.settle();
    assert!(disk.data_files().is_empty(), "seed {seed}: space that was not given back");
    store.delete_bucket(&bucket("model")).unwrap();
}

#[test]
fn random_operations_agree_with_the_model() {
    for seed in 0..3 {
        run(seed);
    }
}
