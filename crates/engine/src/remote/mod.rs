//! What the engine asks of a store: the S3 operations of an upload and a plain download, nothing
//! more.
//!
//! Two implementations stand behind it from the first day: [`crate::s3`] talks to real stores,
//! `testing::memory` keeps everything in memory and fails on demand. Both pass the suite in
//! `testing::conformance`. The trait knows no retries: each call is one try, and its error says
//! what to do next ([`StoreError::advice`]); the policy stands in [`crate::pace`].

mod delete;
mod description;
mod error;
mod logged;
mod pages;
mod presign;
mod profile;
mod types;

use std::collections::BTreeMap;

use async_trait::async_trait;
use haul_parts::{Bucket, PartNumber};
use jiff::Timestamp;

pub(crate) use types::metadata_header;

pub use crate::body::Meter;
pub(crate) use crate::body::Tap;
pub use delete::{DELETE_KEYS_MAX, DeleteEntry, DeleteResults, DeletedObject};
pub use description::{Encryption, ObjectDescription, ObjectLock, ObjectPart, ObjectPartsPage};
pub use error::{Guidance, StoreError, StoreErrorKind};
pub use haul_parts::{CompletedPart, ObjectAttributes, ObjectRef, UploadMarker, UploadRef};
pub use logged::LoggedStore;
pub use pages::PageGuard;
pub use presign::{PRESIGN_MAX, PresignMethod, PresignRequest, PresignedUrl};
pub use profile::{StoreKind, StoreProfile};
pub use types::{
    CompleteRequest, CompletedObject, CopyRequest, CreateRequest, CreatedUpload, GetRequest,
    LifecycleDocument, ListedBucket, Listing, ListingEntry, ObjectBody, ObjectHead, Operation,
    PartCopyRequest, PartRequest, PartsPage, PutRequest, StoredPart, UploadSummary, UploadedPart,
    UploadsPage,
};

fn not_implemented(operation: Operation) -> StoreError {
    StoreError::local(operation, StoreErrorKind::NotImplemented, "this store has no such operation")
}

/// One S3-speaking store. Every method is a single request (a listing: a single page) without
/// retries; only an answer that says how to ask better (another region, another time, an ended
/// session) is followed at once.
///
/// Only [`Store::endpoint`] must be implemented: an operation that is not answers
/// [`StoreErrorKind::NotImplemented`]. An upload in parts needs CreateMultipartUpload, UploadPart,
/// ListParts and CompleteMultipartUpload, and AbortMultipartUpload to clean up.
#[async_trait]
#[allow(unused_variables, reason = "the names of parameters are part of the documentation")]
pub trait Store: Send + Sync + 'static {
    /// CreateMultipartUpload.
    async fn create_multipart_upload(
        &self,
        object: &ObjectRef,
        request: &CreateRequest,
    ) -> Result<CreatedUpload, StoreError> {
        Err(not_implemented(Operation::CreateMultipartUpload))
    }

    /// UploadPart. An answer without an ETag is an error (trap 39).
    async fn upload_part(
        &self,
        upload: &UploadRef,
        part: PartRequest,
    ) -> Result<UploadedPart, StoreError> {
        Err(not_implemented(Operation::UploadPart))
    }

    /// ListParts: the page of parts behind `after`, at most 1,000.
    async fn list_parts(
        &self,
        upload: &UploadRef,
        after: Option<PartNumber>,
    ) -> Result<PartsPage, StoreError> {
        Err(not_implemented(Operation::ListParts))
    }

    /// CompleteMultipartUpload. A 200 that carries an `<Error>` is an error (trap 1).
    async fn complete_multipart_upload(
        &self,
        upload: &UploadRef,
        request: &CompleteRequest,
    ) -> Result<CompletedObject, StoreError> {
        Err(not_implemented(Operation::CompleteMultipartUpload))
    }

    /// AbortMultipartUpload: once. Parts in flight may still land after it (trap 23), so
    /// [`crate::transfer::upload`] repeats it until ListParts answers `NoSuchUpload`.
    async fn abort_multipart_upload(&self, upload: &UploadRef) -> Result<(), StoreError> {
        Err(not_implemented(Operation::AbortMultipartUpload))
    }

    /// ListMultipartUploads below a key prefix, without delimiter (Ceph RGW 16.2 loses uploads with
    /// one).
    async fn list_multipart_uploads(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Result<UploadsPage, StoreError> {
        Err(not_implemented(Operation::ListMultipartUploads))
    }

    /// PutObject.
    async fn put_object(
        &self,
        object: &ObjectRef,
        request: PutRequest,
    ) -> Result<UploadedPart, StoreError> {
        Err(not_implemented(Operation::PutObject))
    }

    /// CopyObject: the store copies an object of at most 5 GiB. A 200 that carries an `<Error>` is
    /// an error (trap 1).
    async fn copy_object(
        &self,
        _: &ObjectRef,
        _: &CopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        Err(not_implemented(Operation::CopyObject))
    }

    /// UploadPartCopy: the store makes a part of an object, or of a range of one, of at most 5 GiB.
    /// A 200 that carries an `<Error>` is an error, and so is one without an ETag.
    async fn upload_part_copy(
        &self,
        _: &UploadRef,
        _: &PartCopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        Err(not_implemented(Operation::UploadPartCopy))
    }

    /// GetObjectTagging.
    async fn get_object_tagging(
        &self,
        _: &ObjectRef,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        Err(not_implemented(Operation::GetObjectTagging))
    }

    /// HeadObject, asking for checksums.
    async fn head_object(&self, object: &ObjectRef) -> Result<ObjectHead, StoreError> {
        Err(not_implemented(Operation::HeadObject))
    }

    /// HeadObject, with every field of its answer. A store that does not implement it is asked by
    /// [`Store::head_object`].
    async fn describe_object(&self, object: &ObjectRef) -> Result<ObjectDescription, StoreError> {
        self.head_object(object).await.map(ObjectDescription::from)
    }

    /// GetObjectAttributes: the page of the object's parts behind `after`, at most 1,000.
    async fn get_object_attributes(
        &self,
        object: &ObjectRef,
        after: Option<PartNumber>,
    ) -> Result<ObjectPartsPage, StoreError> {
        Err(not_implemented(Operation::GetObjectAttributes))
    }

    /// HeadObject of one part: its size, and how many parts the object has. `None` when the store
    /// does not know the `partNumber` parameter or the object was not made of parts.
    async fn head_part(
        &self,
        object: &ObjectRef,
        number: PartNumber,
    ) -> Result<Option<StoredPart>, StoreError> {
        Err(not_implemented(Operation::HeadObject))
    }

    /// GetObject, as a stream.
    async fn get_object(
        &self,
        object: &ObjectRef,
        request: &GetRequest,
    ) -> Result<ObjectBody, StoreError> {
        Err(not_implemented(Operation::GetObject))
    }

    /// ListObjectsV2: one page.
    async fn list_objects(
        &self,
        bucket: &Bucket,
        prefix: &str,
        delimiter: Option<&str>,
        continuation: Option<&str>,
    ) -> Result<Listing, StoreError> {
        Err(not_implemented(Operation::ListObjectsV2))
    }

    /// DeleteObject.
    async fn delete_object(&self, object: &ObjectRef) -> Result<(), StoreError> {
        Err(not_implemented(Operation::DeleteObject))
    }

    /// DeleteObjects: one request for at most [`DELETE_KEYS_MAX`] objects of a bucket. The results
    /// are in the order of `entries`; an entry that the answer does not mention is an error.
    /// Keys that XML cannot carry unharmed are not for this operation: [`crate::removal`] knows
    /// them, and stores without DeleteObjects.
    async fn delete_objects(
        &self,
        bucket: &Bucket,
        entries: &[DeleteEntry],
    ) -> Result<DeleteResults, StoreError> {
        Err(not_implemented(Operation::DeleteObjects))
    }

    /// CreateBucket, in the region of the client.
    async fn create_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        Err(not_implemented(Operation::CreateBucket))
    }

    /// DeleteBucket.
    async fn delete_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        Err(not_implemented(Operation::DeleteBucket))
    }

    /// ListBuckets.
    async fn list_buckets(&self) -> Result<Vec<ListedBucket>, StoreError> {
        Err(not_implemented(Operation::ListBuckets))
    }

    /// A URL by which anybody may send one request for the object. Sends nothing; whether the
    /// object, or the right to it, exists shows when the URL is used.
    async fn presign(&self, _: &ObjectRef, _: &PresignRequest) -> Result<PresignedUrl, StoreError> {
        Err(not_implemented(Operation::GetObject))
    }

    /// GetBucketLifecycleConfiguration, as the store wrote it; `None` where there is none.
    async fn get_bucket_lifecycle(
        &self,
        _: &Bucket,
    ) -> Result<Option<LifecycleDocument>, StoreError> {
        Err(not_implemented(Operation::GetBucketLifecycleConfiguration))
    }

    /// PutBucketLifecycleConfiguration, in these bytes: replaces every rule.
    async fn put_bucket_lifecycle(
        &self,
        _: &Bucket,
        _: &LifecycleDocument,
    ) -> Result<(), StoreError> {
        Err(not_implemented(Operation::PutBucketLifecycleConfiguration))
    }

    /// DeleteBucketLifecycle: removes every rule.
    async fn delete_bucket_lifecycle(&self, _: &Bucket) -> Result<(), StoreError> {
        Err(not_implemented(Operation::DeleteBucketLifecycle))
    }

    /// What is known of this store, as far as its endpoint and its answers have shown.
    fn profile(&self) -> StoreProfile {
        StoreProfile::default()
    }

    /// An answer has shown that the store does not verify checksums in trailers, whatever its
    /// profile says.
    fn has_no_trailers(&self) {}

    /// The time as the store sees it: ages are measured by it, because a clock that is days ahead
    /// would make fresh uploads look forgotten.
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Where requests go, for messages: `https://s3.eu-central-1.amazonaws.com`,
    /// `http://127.0.0.1:8014`.
    fn endpoint(&self) -> String;
}
