//! The promises to clients, and whether a disk keeps them.

use std::collections::BTreeMap;
use std::sync::Arc;

use haul_parts::{Bucket, ETag};
use haul_store::{DiskStore, Error, LifecycleConfiguration, ReadRange, UploadRef};

use crate::fixture::{bucket, key, options, part_number, read, try_put};
use crate::sim_disk::SimDisk;

/// The promised value of one thing, and the other value that it may have if the last answer never
/// came.
#[derive(Clone, Debug, Default)]
pub(super) struct Promise<T> {
    pub(super) acknowledged: T,
    pub(super) in_doubt: Option<T>,
}

impl<T: PartialEq> Promise<T> {
    pub(super) fn of(acknowledged: T) -> Self {
        Self { acknowledged, in_doubt: None }
    }

    /// Records a change to `to` with its result.
    pub(super) fn change<U>(&mut self, to: T, answer: &Result<U, Error>) {
        match answer {
            Ok(_) => self.acknowledged = to,
            Err(_) => self.in_doubt = Some(to),
        }
    }

    fn allows(&self, found: &T) -> bool {
        *found == self.acknowledged || self.in_doubt.as_ref() == Some(found)
    }
}

/// An object: its bytes, and the value of its one tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) bytes: Vec<u8>,
    pub(super) tag: Option<String>,
}

impl Object {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), tag: None }
    }
}

/// Whether the upload can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Ended,
}

/// An upload with its acknowledged parts: ETag and bytes.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) upload: UploadRef,
    pub(super) phase: Promise<Phase>,
    pub(super) parts: BTreeMap<u32, (ETag, Vec<u8>)>,
    /// The part in flight when the power failed: there is no promise for it.
    pub(super) part_in_doubt: Option<u32>,
}

impl Upload {
    pub(super) fn new(upload: UploadRef) -> Self {
        Self {
            upload,
            phase: Promise::of(Phase::Open),
            parts: BTreeMap::new(),
            part_in_doubt: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase.acknowledged == Phase::Open
    }

    fn verify(&self, store: &DiskStore, case: &str) {
        let upload = &self.upload;
        let page = match store.list_parts(upload, None, None) {
            Ok(page) => Some(page),
            Err(Error::NoSuchUpload { .. } | Error::NoSuchBucket { .. }) => None,
            Err(error) => panic!("{case}: {upload:?}: {error}"),
        };
        let found = if page.is_some() { Phase::Open } else { Phase::Ended };
        assert!(
            self.phase.allows(&found),
            "{case}: {upload:?} is {found:?} against {:?}",
            self.phase
        );
        let Some(page) = page else { return };
        let mut others = 0;
        for part in &page.parts {
            let number = u32::from(part.part_number.get());
            match self.parts.get(&number) {
                _ if self.part_in_doubt == Some(number) => others += 1,
                Some((etag, _)) => assert_eq!(&part.etag, etag, "{case}: part {number}"),
                None => panic!("{case}: {upload:?} has a part {number} that was never sent"),
            }
        }
        let promised =
            self.parts.keys().filter(|number| self.part_in_doubt != Some(**number)).count();
        assert_eq!(page.parts.len() - others, promised, "{case}: {upload:?} lost a part");
    }
}

/// The number of unknown files that a cut may leave: those of writing clients, and refused files
/// removed since the last sync of a folder.
const UNKNOWN_MAX: u64 = 8;

/// All promises to one client.
#[derive(Debug, Default)]
pub(super) struct Promises {
    pub(super) keys: BTreeMap<String, Promise<Option<Object>>>,
    pub(super) uploads: Vec<Upload>,
    pub(super) buckets: BTreeMap<String, Promise<bool>>,
    pub(super) lifecycle: Promise<Option<LifecycleConfiguration>>,
}

impl Promises {
    /// Records a change of a key to `to` with its result.
    pub(super) fn change<U>(
        &mut self,
        name: &str,
        to: Option<Object>,
        answer: Result<U, Error>,
    ) -> Result<(), Error> {
        self.keys.entry(name.to_owned()).or_default().change(to, &answer);
        answer.map(drop)
    }

    /// Returns the acknowledged object of a key.
    pub(super) fn object(&self, name: &str) -> Option<Object> {
        self.keys.get(name).and_then(|promise| promise.acknowledged.clone())
    }

    /// Opens the disk again after a cut and checks every promise.
    pub(super) fn verify(&self, disk: &SimDisk, seed: u64, case: &str) {
        self.verify_found(&disk.power_on(seed), UNKNOWN_MAX, case);
    }

    /// Opens the disk again after the process was killed, and checks every promise, and that no
    /// file is left.
    pub(super) fn verify_after_kill(&self, disk: &SimDisk, case: &str) {
        self.verify_found(&disk.process_killed(), 0, case);
    }

    fn verify_found(&self, disk: &SimDisk, unknown_max: u64, case: &str) {
        let store = DiskStore::open_on(Arc::new(disk.clone()), options())
            .unwrap_or_else(|error| panic!("{case}: the store does not open: {error:?}"));
        let report = store.check().unwrap();
        assert!(report.is_sound(), "{case}: {:?}", report.problems);
        // After a power cut, linked but uncommitted files are unknown to the metadata, and stay.
        // Opening removes those that the metadata released.
        let unknown = report.orphan_count;
        assert!(unknown <= unknown_max, "{case}: {unknown} files that nothing refers to");
        assert_eq!(
            disk.data_files().len() as u64,
            report.files + unknown,
            "{case}: files let go are gone"
        );
        assert_eq!(store.sweep().unwrap(), unknown, "{case}");
        store.settle();
        assert_eq!(disk.data_files().len() as u64, report.files, "{case}: swept space is free");
        let bucket = bucket("power");
        for (name, promise) in &self.keys {
            let found = look(&store, &bucket, name, case);
            assert!(
                promise.allows(&found),
                "{case}: {name} is neither what was promised nor in doubt"
            );
        }
        for upload in &self.uploads {
            upload.verify(&store, case);
        }
        for (name, promise) in &self.buckets {
            let found = store.head_bucket(&crate::fixture::bucket(name)).is_ok();
            assert!(promise.allows(&found), "{case}: bucket {name}: {found} against {promise:?}");
        }
        let lifecycle = store.bucket_lifecycle(&bucket).ok();
        assert!(
            self.lifecycle.allows(&lifecycle),
            "{case}: {lifecycle:?} against {:?}",
            self.lifecycle
        );
        // The store still works.
        if store.head_bucket(&bucket).is_ok() {
            try_put(&store, &bucket, "after", b"after the cut").unwrap();
        }
    }
}

fn look(store: &DiskStore, bucket: &Bucket, name: &str, case: &str) -> Option<Object> {
    match store.read_object(bucket, &key(name), ReadRange::Whole) {
        Ok(reader) => {
            let tag = reader.object().attributes.tags.get("tag").cloned();
            Some(Object { bytes: read(store, bucket, name, ReadRange::Whole), tag })
        }
        Err(Error::NoSuchKey { .. } | Error::NoSuchBucket { .. }) => None,
        Err(error) => panic!("{case}: {name}: {error}"),
    }
}

/// Returns the list for Complete of the acknowledged parts, and the bytes of the object.
pub(super) fn completed(upload: &Upload) -> (Vec<haul_store::CompletedPart>, Vec<u8>) {
    let list = upload.parts.iter().map(|(number, (etag, _))| haul_store::CompletedPart {
        number: part_number(*number),
        etag: etag.clone(),
        checksum: None,
    });
    (list.collect(), upload.parts.values().flat_map(|(_, bytes)| bytes.clone()).collect())
}
