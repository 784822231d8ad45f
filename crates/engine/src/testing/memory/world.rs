//! Holds the buckets and their content: the state that every operation works on, behind one lock.
//!
//! Each operation is one call that leaves a consistent state. This file deliberately does not know
//! faults, links and counters.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use haul_parts::{
    Bucket, Checksum, ChecksumAlgorithm, ChecksumType, ETag, Hasher, Key, PartNumber, UploadId,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::ledger::HISTORY_MAX;
use super::quirks::{EtagKind, Quirks};
use crate::remote::{
    CompleteRequest, CompletedObject, ListedBucket, ObjectAttributes, ObjectRef, Operation,
    StoreError, UploadRef,
};

#[derive(Debug)]
pub(super) struct World {
    pub(super) quirks: Quirks,
    buckets: BTreeMap<Bucket, BucketWorld>,
    /// Keys whose deletion is refused.
    pub(super) undeletable: BTreeSet<Key>,
    /// The CRC64NVME of every object that was ever published, oldest first.
    pub(super) published: VecDeque<(ObjectRef, Checksum)>,
    /// Counts every change, so that changes have an order even with a paused clock.
    sequence: u64,
    epoch: Timestamp,
    started: Instant,
}

#[derive(Debug)]
pub(super) struct BucketWorld {
    created: Timestamp,
    pub(super) objects: BTreeMap<Key, Object>,
    /// Sorted by key, then by initiation, as ListMultipartUploads requires.
    pub(super) uploads: BTreeMap<(Key, u64), OpenUpload>,
    /// Completed uploads, to recognise an identical Complete.
    pub(super) completed: HashMap<UploadId, Completed>,
    /// The last deletion of each key.
    pub(super) deleted: HashMap<Key, u64>,
}

#[derive(Debug)]
pub(super) struct OpenUpload {
    pub(super) upload_id: UploadId,
    pub(super) sequence: u64,
    pub(super) initiated: Timestamp,
    pub(super) attributes: ObjectAttributes,
    pub(super) declared: Option<(ChecksumAlgorithm, ChecksumType)>,
    pub(super) parts: BTreeMap<PartNumber, Part>,
    /// Parts in flight that the first Abort does not stop (trap 23).
    pub(super) landing_after_abort: Vec<(PartNumber, Part)>,
}

#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    pub(super) md5: [u8; 16],
    pub(super) etag: ETag,
    pub(super) checksum: Option<Checksum>,
    /// Number of listings that do not contain it yet.
    pub(super) hidden_listings: u32,
    pub(super) arrived: Timestamp,
}

#[derive(Debug)]
pub(super) struct Completed {
    pub(super) request: CompleteRequest,
    pub(super) answer: CompletedObject,
}

#[derive(Debug)]
pub(super) struct Object {
    pub(super) bytes: Bytes,
    /// The size and checksum of each part of a multipart object.
    pub(super) parts: Vec<(u64, Option<Checksum>)>,
    pub(super) etag: ETag,
    pub(super) checksum: Option<(Checksum, ChecksumType)>,
    pub(super) attributes: ObjectAttributes,
    pub(super) last_modified: Timestamp,
    pub(super) sequence: u64,
}

impl World {
    pub(super) fn new(quirks: Quirks) -> Self {
        Self {
            quirks,
            buckets: BTreeMap::new(),
            undeletable: BTreeSet::new(),
            published: VecDeque::new(),
            sequence: 0,
            epoch: Timestamp::now(),
            started: Instant::now(),
        }
    }

    /// The time by tokio's clock, which may be paused.
    pub(super) fn now(&self) -> Timestamp {
        let elapsed =
            SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        self.epoch.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(super) fn add_bucket(&mut self, bucket: &Bucket) -> bool {
        let created = self.now();
        let mut added = false;
        self.buckets.entry(bucket.clone()).or_insert_with(|| {
            added = true;
            BucketWorld {
                created,
                objects: BTreeMap::new(),
                uploads: BTreeMap::new(),
                completed: HashMap::new(),
                deleted: HashMap::new(),
            }
        });
        added
    }

    pub(super) fn create_bucket(&mut self, bucket: &Bucket) -> Result<(), StoreError> {
        let operation = Operation::CreateBucket;
        if self.add_bucket(bucket) {
            Ok(())
        } else {
            Err(StoreError::answered(
                operation,
                409,
                Some("BucketAlreadyOwnedByYou"),
                "you own it already",
            ))
        }
    }

    pub(super) fn delete_bucket(&mut self, bucket: &Bucket) -> Result<(), StoreError> {
        let operation = Operation::DeleteBucket;
        if !self.bucket(operation, bucket)?.objects.is_empty() {
            return Err(StoreError::answered(
                operation,
                409,
                Some("BucketNotEmpty"),
                "the bucket is not empty",
            ));
        }
        self.buckets.remove(bucket);
        Ok(())
    }

    pub(super) fn list_buckets(&self) -> Vec<ListedBucket> {
        let info = |(bucket, world): (&Bucket, &BucketWorld)| ListedBucket {
            name: bucket.as_str().to_owned(),
            created: Some(world.created),
        };
        self.buckets.iter().map(info).collect()
    }

    pub(super) fn bucket(
        &mut self,
        operation: Operation,
        bucket: &Bucket,
    ) -> Result<&mut BucketWorld, StoreError> {
        self.buckets.get_mut(bucket).ok_or_else(|| {
            StoreError::answered(operation, 404, Some("NoSuchBucket"), "the bucket does not exist")
        })
    }

    pub(super) fn object_bytes(&self, object: &ObjectRef) -> Option<Bytes> {
        let bucket = self.buckets.get(&object.bucket)?;
        bucket.objects.get(&object.key).map(|object| object.bytes.clone())
    }

    pub(super) fn open_uploads(&self) -> Vec<UploadRef> {
        let of_bucket = |(bucket, world): (&Bucket, &BucketWorld)| {
            let of_upload = |((key, _), upload): (&(Key, u64), &OpenUpload)| UploadRef {
                object: ObjectRef { bucket: bucket.clone(), key: key.clone() },
                upload_id: upload.upload_id.clone(),
            };
            world.uploads.iter().map(of_upload).collect::<Vec<_>>()
        };
        self.buckets.iter().flat_map(of_bucket).collect()
    }

    pub(super) fn expire_upload(&mut self, upload_id: &UploadId) -> bool {
        let mut expired = false;
        for bucket in self.buckets.values_mut() {
            bucket.uploads.retain(|_, upload| {
                let keep = upload.upload_id != *upload_id;
                expired |= !keep;
                keep
            });
        }
        expired
    }

    /// Publishes an object under a key.
    pub(super) fn publish(
        &mut self,
        operation: Operation,
        object: &ObjectRef,
        published: Object,
    ) -> Result<(), StoreError> {
        let drops_uploads = self.quirks.overwriting_drops_uploads;
        if self.published.len() == HISTORY_MAX {
            self.published.pop_front();
        }
        let digest = Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, &published.bytes);
        self.published.push_back((object.clone(), digest));
        let bucket = self.bucket(operation, &object.bucket)?;
        if drops_uploads {
            bucket.uploads.retain(|(key, _), _| *key != object.key);
        }
        bucket.objects.insert(object.key.clone(), published);
        Ok(())
    }

    /// Returns the ETag of bytes with this MD5 (of a multipart object: of the MD5s of its parts),
    /// and whether the answer says that it is no MD5.
    pub(super) fn etag(&self, plain: ETag) -> (ETag, bool) {
        match self.quirks.etags {
            EtagKind::Md5 => (plain, false),
            EtagKind::Encrypted => {
                (ETag::from_md5(md5(format!("encrypted {}", plain.unquoted()).as_bytes())), true)
            }
            EtagKind::Random => (ETag::new(format!("\"random-{}\"", self.sequence)), false),
            EtagKind::Opaque => (ETag::new(format!("\"opaque-{}\"", plain.unquoted())), false),
        }
    }

    /// Verifies the digests that came with a body. Every store checks MD5 (`Content-MD5`).
    pub(super) fn check_body(
        &self,
        operation: Operation,
        bytes: &Bytes,
        given: Option<&Checksum>,
    ) -> Result<(), StoreError> {
        let Some(given) = given else { return Ok(()) };
        let is_md5 = given.algorithm() == ChecksumAlgorithm::Md5;
        let checked = is_md5 || self.quirks.verify_checksums;
        if checked && Hasher::checksum(given.algorithm(), bytes) != *given {
            let code = if is_md5 { "BadDigest" } else { self.quirks.wrong_checksum_code };
            let message = format!(
                "The {} you specified did not match the calculated checksum.",
                given.algorithm()
            );
            return Err(StoreError::answered(operation, 400, Some(code), &message));
        }
        Ok(())
    }
}

pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    let checksum = Hasher::checksum(ChecksumAlgorithm::Md5, bytes);
    checksum.as_md5().expect("the hasher was asked for MD5")
}
