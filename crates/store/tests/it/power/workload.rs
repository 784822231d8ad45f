//! A client that runs random operations and records the promises.
//!
//! It covers everything that writes, and its clock runs fast: each step is some hours later, so
//! that uploads become due.

use haul_testkit::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use haul_store::{
    Clock, CompleteOptions, CopyOptions, CopySource, DiskStore, Error, LifecycleConfiguration,
    LifecycleRule, RuleStatus, StoreOptions, UploadOptions, WriteCondition,
};

use super::promises::{Object, Phase, Promises, Upload, completed};
use crate::fixture::{
    PART_MIN_BYTES, bucket, key, options, part_number, pattern, try_put, try_put_part,
};

const STEP: Duration = Duration::from_secs(7 * 60 * 60);
const KEYS: u64 = 3;
const UPLOADS_OPEN: usize = 3;
const PARTS: u64 = 4;
/// The number of kinds of operations.
pub(super) const KINDS: u64 = 15;
/// The number of kinds that affect the uploads of all clients; they are the last.
const KINDS_ALONE: u64 = 3;

/// The clock of a store under test.
#[derive(Clone, Debug, Default)]
pub(super) struct Hours(Arc<AtomicU64>);

impl Hours {
    pub(super) fn options(&self) -> StoreOptions {
        let hours = self.clone();
        StoreOptions { clock: Clock::new(move || hours.now()), ..options() }
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn fly(&self) {
        self.0.fetch_add(STEP.as_secs(), Ordering::SeqCst);
    }
}

/// Whether a client shares the store: expiry affects all clients.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    Alone,
    Others,
}

pub(super) struct Client {
    pub(super) store: DiskStore,
    pub(super) number: u64,
    pub(super) dice: Random,
    pub(super) hours: Hours,
    pub(super) company: Company,
    pub(super) promises: Promises,
    /// The kinds of operations that it ran.
    pub(super) done: BTreeSet<u64>,
    /// The creation times of the uploads.
    created: Vec<SystemTime>,
}

impl Client {
    pub(super) fn new(
        store: DiskStore,
        number: u64,
        seed: u64,
        hours: Hours,
        company: Company,
    ) -> Self {
        let dice = Random::new(seed);
        let (promises, done, created) = Default::default();
        Self { store, number, dice, hours, company, promises, done, created }
    }

    /// Runs one operation. An error ends the client and leaves its last promise in doubt.
    pub(super) fn step(&mut self) -> Result<(), Error> {
        self.hours.fly();
        let kind = self.dice.below(match self.company {
            Company::Alone => KINDS,
            Company::Others => KINDS - KINDS_ALONE,
        });
        self.done.insert(kind);
        match kind {
            0 => self.put(),
            1 => self.delete(),
            2 => self.copy(),
            3 => self.create_upload(),
            4 | 5 => self.put_part(),
            6 => self.copy_part(),
            7 => self.complete(),
            8 => self.abort(),
            9 => self.tag(),
            10 => self.bucket(),
            11 => self.delete_several(),
            12 => self.set_lifecycle(),
            13 => self.apply_lifecycle(),
            _ => self.expire(),
        }
    }

    fn name(&mut self) -> String {
        format!("client-{}/{}", self.number, self.dice.below(KEYS))
    }

    fn bytes(&mut self, least: u64) -> Vec<u8> {
        let length = least + self.dice.below(1200);
        pattern(self.dice.below(1 << 40), usize::try_from(length).unwrap())
    }

    fn put(&mut self) -> Result<(), Error> {
        let (name, bytes) = (self.name(), self.bytes(0));
        let put = try_put(&self.store, &bucket("power"), &name, &bytes);
        self.promises.change(&name, Some(Object::of(&bytes)), put)
    }

    fn delete(&mut self) -> Result<(), Error> {
        let name = self.name();
        let deleted =
            self.store.delete_object(&bucket("power"), &key(&name), WriteCondition::Always);
        self.promises.change(&name, None, deleted)
    }

    /// Deletes all keys in one step; a condition keeps one of them.
    fn delete_several(&mut self) -> Result<(), Error> {
        let kept = self.dice.below(KEYS);
        let never = WriteCondition::IfMatch(haul_parts::ETag::new("never"));
        let names: Vec<String> =
            (0..KEYS).map(|key| format!("client-{}/{key}", self.number)).collect();
        let condition = |index| if index == kept { never.clone() } else { WriteCondition::Always };
        let keys = (0..).zip(&names).map(|(index, name)| (key(name), condition(index))).collect();
        let deleted = self.store.delete_objects(&bucket("power"), keys);
        for (_, name) in (0..).zip(&names).filter(|(index, _)| *index != kept) {
            self.promises.keys.entry(name.clone()).or_default().change(None, &deleted);
        }
        deleted.map(drop)
    }

    fn copy(&mut self) -> Result<(), Error> {
        let (from, to) = (self.name(), self.name());
        let Some(object) = self.promises.object(&from) else { return Ok(()) };
        let source = CopySource { bucket: bucket("power"), key: key(&from), version: None };
        let copied =
            self.store.copy_object(source, &bucket("power"), &key(&to), CopyOptions::default());
        self.promises.change(&to, Some(object), copied)
    }

    fn tag(&mut self) -> Result<(), Error> {
        let (name, value) = (self.name(), self.dice.below(100).to_string());
        let Some(object) = self.promises.object(&name) else { return Ok(()) };
        let tags = BTreeMap::from([("tag".to_owned(), value.clone())]);
        let tagged = self.store.set_object_tags(&bucket("power"), &key(&name), tags);
        self.promises.change(&name, Some(Object { tag: Some(value), ..object }), tagged)
    }

    fn create_upload(&mut self) -> Result<(), Error> {
        let name = self.name();
        self.create_in("power", &name)
    }

    fn create_in(&mut self, bucket_name: &str, name: &str) -> Result<(), Error> {
        if self.promises.uploads.iter().filter(|upload| upload.is_open()).count() < UPLOADS_OPEN {
            let created = self.store.create_multipart_upload(
                &bucket(bucket_name),
                &key(name),
                UploadOptions::default(),
            )?;
            self.promises.uploads.push(Upload::new(created.upload));
            self.created.push(self.hours.now());
        }
        Ok(())
    }

    /// Picks one of the open uploads.
    fn some_upload(&mut self) -> Option<usize> {
        let open: Vec<usize> = (0..)
            .zip(&self.promises.uploads)
            .filter(|(_, u)| u.is_open())
            .map(|(i, _)| i)
            .collect();
        (!open.is_empty())
            .then(|| open[usize::try_from(self.dice.below(open.len() as u64)).unwrap()])
    }

    fn put_part(&mut self) -> Result<(), Error> {
        let Some(index) = self.some_upload() else { return self.create_upload() };
        let (number, bytes) =
            (1 + u32::try_from(self.dice.below(PARTS)).unwrap(), self.bytes(PART_MIN_BYTES));
        let upload = &mut self.promises.uploads[index];
        let put = try_put_part(&self.store, &upload.upload, number, &bytes);
        remember_part(upload, number, put, bytes)
    }

    fn copy_part(&mut self) -> Result<(), Error> {
        let name = self.name();
        let (Some(index), Some(object)) = (self.some_upload(), self.promises.object(&name)) else {
            return Ok(());
        };
        let number = 1 + u32::try_from(self.dice.below(PARTS)).unwrap();
        let half = object.bytes.len() as u64 / 2;
        if half < PART_MIN_BYTES {
            return Ok(());
        }
        let range = (self.dice.below(2) == 0).then_some(0..=half);
        let bytes = match &range {
            Some(range) => object.bytes[..=usize::try_from(*range.end()).unwrap()].to_vec(),
            None => object.bytes,
        };
        let source = CopySource { bucket: bucket("power"), key: key(&name), version: None };
        let upload = &mut self.promises.uploads[index];
        let put = self.store.upload_part_copy(&upload.upload, part_number(number), source, range);
        remember_part(upload, number, put, bytes)
    }

    fn complete(&mut self) -> Result<(), Error> {
        let Some(index) = self.some_upload() else { return Ok(()) };
        let upload = &mut self.promises.uploads[index];
        if upload.parts.is_empty() || upload.upload.object.bucket != bucket("power") {
            return Ok(());
        }
        let (list, bytes) = completed(upload);
        let done =
            self.store.complete_multipart_upload(&upload.upload, list, CompleteOptions::default());
        upload.phase.change(Phase::Ended, &done);
        let name = upload.upload.object.key.to_string();
        self.promises.change(&name, Some(Object::of(&bytes)), done)
    }

    fn abort(&mut self) -> Result<(), Error> {
        let Some(index) = self.some_upload() else { return Ok(()) };
        let upload = &mut self.promises.uploads[index];
        let aborted = self.store.abort_multipart_upload(&upload.upload);
        upload.phase.change(Phase::Ended, &aborted);
        aborted
    }

    /// Creates a second bucket with an upload, and removes it.
    fn bucket(&mut self) -> Result<(), Error> {
        let name = format!("beside-{}", self.number);
        let there = self.promises.buckets.get(&name).is_some_and(|promise| promise.acknowledged);
        if there && self.dice.below(2) == 0 {
            return self.create_in(&name, "goes with its bucket");
        }
        let result = match there {
            true => self.store.delete_bucket(&bucket(&name)),
            false => self.store.create_bucket(&bucket(&name)).map(drop),
        };
        if there {
            self.end_all(&result, |upload, _| upload.upload.object.bucket == bucket(&name));
        }
        self.promises.buckets.entry(name).or_default().change(!there, &result);
        result
    }

    fn set_lifecycle(&mut self) -> Result<(), Error> {
        let rule = |days| LifecycleRule {
            id: "days".to_owned(),
            status: RuleStatus::Enabled,
            prefix: format!("client-{}/0", self.number),
            abort_incomplete_after_days: Some(days),
        };
        let days = u32::try_from(self.dice.below(4)).unwrap();
        let lifecycle = (days > 0).then(|| LifecycleConfiguration { rules: vec![rule(days)] });
        let result = self.store.set_bucket_lifecycle(&bucket("power"), lifecycle.clone());
        self.promises.lifecycle.change(lifecycle, &result);
        result
    }

    fn apply_lifecycle(&mut self) -> Result<(), Error> {
        let result = self.store.apply_lifecycles().map(drop);
        let now = self.hours.now();
        let Some(lifecycle) = self.promises.lifecycle.acknowledged.clone() else { return result };
        self.end_all(&result, |upload, created| {
            let due = lifecycle.abort_due(upload.upload.object.key.as_str(), created);
            upload.upload.object.bucket == bucket("power") && due.is_some_and(|(due, _)| due <= now)
        });
        result
    }

    fn expire(&mut self) -> Result<(), Error> {
        let age = STEP * u32::try_from(1 + self.dice.below(20)).unwrap();
        let result = self.store.expire_uploads(age).map(drop);
        let now = self.hours.now();
        self.end_all(&result, |_, created| created + age < now);
        result
    }

    /// Records the end of these open uploads.
    fn end_all(&mut self, answer: &Result<(), Error>, which: impl Fn(&Upload, SystemTime) -> bool) {
        for (upload, created) in self.promises.uploads.iter_mut().zip(&self.created) {
            if upload.is_open() && which(upload, *created) {
                upload.phase.change(Phase::Ended, answer);
            }
        }
    }
}

fn remember_part(
    upload: &mut Upload,
    number: u32,
    put: Result<haul_store::PartInfo, Error>,
    bytes: Vec<u8>,
) -> Result<(), Error> {
    match put {
        Ok(part) => drop(upload.parts.insert(number, (part.etag, bytes))),
        Err(error) => {
            upload.part_in_doubt = Some(number);
            return Err(error);
        }
    }
    Ok(())
}
