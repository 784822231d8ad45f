//! One suite that every [`Store`] must pass: the in-memory one, our endpoint, and real stores by
//! other authors. [`Expectations`] contains the known deviations of a store; all other checks must
//! pass.
//!
//! The suite leaves the bucket as it found it. It creates objects only below `conformance/`.

mod copies;
mod deletions;
mod listings;
mod objects;
mod refusals;
mod uploads;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use haul_parts::limits::{LIST_PAGE_MAX, PART_SIZE_MIN_BYTES};
use haul_parts::{Bucket, Checksum, ChecksumAlgorithm, ChecksumType, Hasher, Key, PartNumber};

use crate::body::Payload;
use crate::remote::{
    CompleteRequest, CompletedPart, CreateRequest, Meter, ObjectAttributes, ObjectRef, PartRequest,
    PutRequest, Store, StoreError, StoreErrorKind, UploadRef, UploadedPart,
};

/// The known behaviour of a store. Start from a preset: `Expectations { page_max: 3,
/// ..Expectations::AWS }`.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// The minimum size in bytes of parts but the last.
    pub part_size_min_bytes: u64,
    /// Complete refuses smaller parts.
    pub enforces_part_size: bool,
    /// Complete refuses parts that are not in ascending order.
    pub enforces_part_order: bool,
    /// Entries in a page of a listing; the suite creates a few more than this.
    pub page_max: u16,
    /// The store verifies and echoes checksums. Every store must verify MD5 (`Content-MD5`).
    pub checksums: bool,
    /// ETags are MD5 and md5-of-md5s-N.
    pub md5_etags: bool,
    /// The answer to Complete has an ETag.
    pub etag_at_complete: bool,
    /// The error for Complete of an aborted upload.
    pub complete_of_gone_upload: StoreErrorKind,
    /// The store compares `x-amz-mp-object-size`.
    pub checks_object_size: bool,
    /// PutObject obeys `If-None-Match: *`.
    pub conditional_put: bool,
    /// Complete obeys `If-None-Match: *`.
    pub conditional_complete: bool,
    /// Copies obey `x-amz-copy-source-if-match`.
    pub conditional_copies: bool,
    /// Answers to copies contain checksums.
    pub copies_have_checksums: bool,
    /// The length in bytes of the shortest object that UploadPartCopy takes.
    pub part_source_min_bytes: usize,
    /// HeadObject supports `partNumber`.
    pub heads_parts: bool,
    /// An object that was put in one request has one part for HeadObject; at AWS it has none.
    pub put_is_one_part: bool,
    /// The suite may create and remove buckets.
    pub makes_buckets: bool,
    /// Keys that this store cannot hold.
    pub refused_keys: &'static [&'static str],
}

impl Expectations {
    /// The documented behaviour of AWS.
    pub const AWS: Expectations = Expectations {
        part_size_min_bytes: PART_SIZE_MIN_BYTES,
        enforces_part_size: true,
        enforces_part_order: true,
        page_max: LIST_PAGE_MAX,
        checksums: true,
        md5_etags: true,
        etag_at_complete: true,
        complete_of_gone_upload: StoreErrorKind::NoSuchUpload,
        checks_object_size: true,
        conditional_put: true,
        conditional_complete: true,
        conditional_copies: true,
        copies_have_checksums: true,
        part_source_min_bytes: 1,
        heads_parts: true,
        put_is_one_part: false,
        makes_buckets: true,
        refused_keys: &[],
    };

    /// The behaviour of Ceph RGW 16.2.15.
    pub const CEPH_RGW_16: Expectations = Expectations {
        enforces_part_order: false,
        checksums: false,
        etag_at_complete: false,
        complete_of_gone_upload: StoreErrorKind::Server,
        checks_object_size: false,
        conditional_put: false,
        conditional_complete: false,
        conditional_copies: false,
        copies_have_checksums: false,
        heads_parts: false,
        ..Expectations::AWS
    };

    /// The behaviour of Garage 2.5.0. It also returns the uploads of one page of
    /// ListMultipartUploads in the order of their ids (the pages follow each other by key): the
    /// parser of the page corrects that.
    pub const GARAGE_2: Expectations = Expectations {
        enforces_part_size: false,
        checks_object_size: false,
        conditional_put: false,
        conditional_complete: false,
        copies_have_checksums: false,
        // It keeps shorter objects with their metadata, and copies no part of them.
        part_source_min_bytes: 3073,
        put_is_one_part: true,
        ..Expectations::AWS
    };
}

/// Runs every check, one after the other, and stops at the first failure.
///
/// # Errors
/// Names the check and the observed behaviour.
pub async fn run(
    store: Arc<dyn Store>,
    bucket: &Bucket,
    expectations: &Expectations,
) -> Result<(), String> {
    let suite = Suite { store, bucket: bucket.clone(), expectations: expectations.clone() };
    named("put, head, get, delete", objects::round_trip(&suite)).await?;
    named("an object of no bytes", objects::empty(&suite)).await?;
    named("get from an offset", objects::ranges(&suite)).await?;
    named("odd keys", objects::odd_keys(&suite)).await?;
    named("wrong checksums of an object", objects::wrong_checksums(&suite)).await?;
    named("conditional put", objects::conditional_put(&suite)).await?;
    named("many keys deleted at once", deletions::many(&suite)).await?;
    named("odd keys deleted at once", deletions::odd_keys(&suite)).await?;
    named("create, send, list, complete", uploads::round_trip(&suite)).await?;
    named("an upload of one part", uploads::one_part(&suite)).await?;
    named("a part sent again replaces the first", uploads::part_replaced(&suite)).await?;
    named("abort", uploads::abort(&suite)).await?;
    named("complete, repeated", uploads::complete_repeated(&suite)).await?;
    named("wrong checksums of parts and wholes", uploads::wrong_checksums(&suite)).await?;
    named("conditional complete", uploads::conditional_complete(&suite)).await?;
    named("an object that is copied", copies::object(&suite)).await?;
    named("attributes of a copy", copies::attributes_of_a_copy(&suite)).await?;
    named("an object that is copied in parts", copies::parts(&suite)).await?;
    named("copies of another version", copies::conditional(&suite)).await?;
    named("copies of nothing", copies::missing(&suite)).await?;
    named("refused lists of parts", refusals::part_lists(&suite)).await?;
    named("unknown uploads", refusals::unknown_uploads(&suite)).await?;
    named("a bucket that does not exist", refusals::missing_bucket(&suite)).await?;
    named("pages of parts", listings::parts(&suite)).await?;
    named("listing of uploads", listings::uploads(&suite)).await?;
    named("listing of objects", listings::objects(&suite)).await?;
    named("pages of objects", listings::object_pages(&suite)).await?;
    named("buckets", listings::buckets(&suite)).await?;
    named("nothing left behind", listings::nothing_left(&suite)).await
}

async fn named(name: &str, check: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    // Boxed, because the checks are many and their futures large.
    Box::pin(check).await.map_err(|seen| format!("{name}: {seen}"))
}

struct Suite {
    store: Arc<dyn Store>,
    bucket: Bucket,
    expectations: Expectations,
}

impl Suite {
    fn object(&self, name: &str) -> Result<ObjectRef, String> {
        let key = Key::new(format!("conformance/{name}")).map_err(|error| error.to_string())?;
        Ok(ObjectRef { bucket: self.bucket.clone(), key })
    }

    /// Returns the smallest size of a part before another one.
    fn part_size(&self) -> usize {
        usize::try_from(self.expectations.part_size_min_bytes).unwrap_or(usize::MAX).max(1)
    }

    async fn put(&self, object: &ObjectRef, bytes: &Bytes) -> Result<UploadedPart, StoreError> {
        self.store.put_object(object, put_request(bytes)).await
    }

    async fn get(&self, object: &ObjectRef) -> Result<Bytes, String> {
        objects::read(self, object, &crate::remote::GetRequest::default()).await
    }

    async fn delete(&self, object: &ObjectRef) -> Result<(), String> {
        self.store.delete_object(object).await.or_fail("DeleteObject")
    }

    /// Begins an upload as the engine does: with a declared checksum if the store supports any.
    async fn create(&self, object: &ObjectRef) -> Result<UploadRef, String> {
        let declared = (ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject);
        let request = CreateRequest {
            attributes: attributes(),
            checksum: self.expectations.checksums.then_some(declared),
        };
        let created =
            self.store.create_multipart_upload(object, &request).await.or_fail("Create")?;
        if self.expectations.checksums {
            ensure(created.checksum == Some(declared.0), || {
                format!("Create echoed {:?} instead of CRC64NVME", created.checksum)
            })?;
        }
        Ok(UploadRef { object: object.clone(), upload_id: created.upload_id })
    }

    async fn send(
        &self,
        upload: &UploadRef,
        number: PartNumber,
        bytes: &Bytes,
    ) -> Result<UploadedPart, StoreError> {
        self.store.upload_part(upload, part_request(number, bytes)).await
    }

    /// Creates an entry of the list of Complete, as the engine does.
    fn listed(&self, number: PartNumber, sent: &UploadedPart) -> CompletedPart {
        let checksum = sent.checksum.filter(|_| self.expectations.checksums);
        CompletedPart { number, etag: sent.etag.clone(), checksum }
    }
}

fn attributes() -> ObjectAttributes {
    ObjectAttributes {
        content_type: Some("application/x-haul".into()),
        cache_control: Some("no-cache".into()),
        metadata: [("haul-token".to_owned(), "a1b2c3".to_owned())].into(),
        ..ObjectAttributes::default()
    }
}

fn put_request(bytes: &Bytes) -> PutRequest {
    PutRequest {
        payload: Payload::from_bytes(bytes.clone()),
        attributes: attributes(),
        checksum: Some(crc64(bytes)),
        md5: Some(Hasher::checksum(ChecksumAlgorithm::Md5, bytes)),
        if_none_match: false,
        if_match: None,
        fresh_connection: false,
        wire: Meter::default(),
    }
}

fn part_request(number: PartNumber, bytes: &Bytes) -> PartRequest {
    PartRequest {
        number,
        payload: Payload::from_bytes(bytes.clone()),
        checksum: Some(crc64(bytes)),
        fresh_connection: false,
        wire: Meter::default(),
    }
}

fn complete_request(parts: Vec<CompletedPart>) -> CompleteRequest {
    CompleteRequest { parts, ..CompleteRequest::default() }
}

fn crc64(bytes: &[u8]) -> Checksum {
    Hasher::checksum(ChecksumAlgorithm::Crc64Nvme, bytes)
}

fn part_number(number: u32) -> Result<PartNumber, String> {
    PartNumber::new(number).map_err(|error| error.to_string())
}

/// Returns bytes without a period that could hide a wrong part size; another seed gives other
/// bytes.
fn pattern(size_bytes: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size_bytes + 8);
    while bytes.len() < size_bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size_bytes);
    bytes.into()
}

fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(seen()) }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: &T, wanted: &T) -> Result<(), String> {
    ensure(seen == wanted, || format!("{what} is {seen:?} instead of {wanted:?}"))
}

/// Compares bytes, without printing megabytes if they differ.
fn same_bytes(what: &str, seen: &Bytes, wanted: &Bytes) -> Result<(), String> {
    ensure(seen == wanted, || {
        let differs = seen.iter().zip(wanted).position(|(seen, wanted)| seen != wanted);
        let (seen, wanted) = (seen.len(), wanted.len());
        format!("{what}: {seen} bytes instead of {wanted}, the first difference at {differs:?}")
    })
}

/// Asserts that the request fails with this kind of error.
fn fails<T>(what: &str, answer: Result<T, StoreError>, kind: StoreErrorKind) -> Result<(), String> {
    match answer {
        Ok(_) => Err(format!("{what} succeeded instead of failing with {kind:?}")),
        Err(error) if error.kind == kind => Ok(()),
        Err(error) => {
            Err(format!("{what} failed with {:?} instead of {kind:?}: {error}", error.kind))
        }
    }
}

trait OrFail<T> {
    /// Converts the error to a text that names the operation.
    fn or_fail(self, what: &str) -> Result<T, String>;
}

impl<T> OrFail<T> for Result<T, StoreError> {
    fn or_fail(self, what: &str) -> Result<T, String> {
        self.map_err(|error| format!("{what} failed with {:?}: {error}", error.kind))
    }
}
