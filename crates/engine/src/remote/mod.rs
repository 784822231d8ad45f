//! The interface of the engine to a store: the S3 operations it needs, and nothing more.
//!
//! There are two implementations: [`crate::s3`] talks to real stores, `testing::memory` keeps
//! everything in memory and fails on demand. Both pass the suite in `testing::conformance`. The
//! trait has no retries: each call is one attempt, and its error tells what to do next
//! ([`StoreError::advice`]); [`crate::pace`] contains the policy.

mod delete;
mod description;
mod error;
mod logged;
mod object_bytes;
mod pages;
mod presign;
mod profile;
mod types;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use haul_parts::{Bucket, PartNumber};
use jiff::Timestamp;

pub(crate) use object_bytes::ReadBody;
pub(crate) use types::metadata_header;

pub use crate::body::Meter;
pub(crate) use crate::body::Tap;
pub use delete::{DELETE_KEYS_MAX, DeleteEntry, DeleteResults, DeletedObject};
pub use description::{
    AclGrant, Encryption, ObjectAcl, ObjectDescription, ObjectLock, ObjectPart, ObjectPartsPage,
};
pub use error::{Guidance, StoreError, StoreErrorKind};
pub use haul_parts::{CompletedPart, ObjectAttributes, ObjectRef, UploadMarker, UploadRef};
pub use logged::LoggedStore;
pub use object_bytes::ObjectBytes;
pub use pages::PageGuard;
pub use presign::{PRESIGN_MAX, PresignMethod, PresignRequest, PresignedUrl};
pub use profile::{
    ChecksumSupport, Conditions, ProfileChoice, StoreFindings, StoreKind, StoreProfile, Support,
    UnknownStoreKind,
};
pub use types::{
    CompleteRequest, CompletedObject, CopyRequest, CreateRequest, CreatedUpload, GetRequest,
    LifecycleDocument, ListedBucket, Listing, ListingEntry, ObjectBody, ObjectHead, Operation,
    PartCopyRequest, PartRequest, PartsPage, PutRequest, StoredPart, UploadSummary, UploadedPart,
    UploadsPage,
};

fn not_implemented(operation: Operation) -> StoreError {
    StoreError::local(operation, StoreErrorKind::NotImplemented, "this store has no such operation")
}

/// A store that speaks S3. Every method is a single request (a listing: a single page) without
/// retries; only an answer that names a correction (another region, another time, an expired
/// session) is followed at once.
///
/// Only [`Store::endpoint`] must be implemented: other operations default to
/// [`StoreErrorKind::NotImplemented`]. An upload in parts needs CreateMultipartUpload, UploadPart,
/// ListParts and CompleteMultipartUpload, and AbortMultipartUpload to clean up.
#[async_trait]
#[allow(unused_variables, reason = "the names of parameters are part of the documentation")]
pub trait Store: Send + Sync + 'static {
    /// Begins an upload in parts (CreateMultipartUpload).
    async fn create_multipart_upload(
        &self,
        object: &ObjectRef,
        request: &CreateRequest,
    ) -> Result<CreatedUpload, StoreError> {
        Err(not_implemented(Operation::CreateMultipartUpload))
    }

    /// Sends one part (UploadPart). An answer without an ETag is an error (trap 39).
    async fn upload_part(
        &self,
        upload: &UploadRef,
        part: PartRequest,
    ) -> Result<UploadedPart, StoreError> {
        Err(not_implemented(Operation::UploadPart))
    }

    /// Lists the parts after `after`, at most 1,000 (ListParts).
    async fn list_parts(
        &self,
        upload: &UploadRef,
        after: Option<PartNumber>,
    ) -> Result<PartsPage, StoreError> {
        Err(not_implemented(Operation::ListParts))
    }

    /// Creates the object from its parts (CompleteMultipartUpload). A 200 that contains an
    /// `<Error>` is an error (trap 1).
    async fn complete_multipart_upload(
        &self,
        upload: &UploadRef,
        request: &CompleteRequest,
    ) -> Result<CompletedObject, StoreError> {
        Err(not_implemented(Operation::CompleteMultipartUpload))
    }

    /// Sends AbortMultipartUpload once. Parts in flight may still arrive after it (trap 23), so
    /// [`crate::transfer::upload`] repeats it until ListParts answers `NoSuchUpload`.
    async fn abort_multipart_upload(&self, upload: &UploadRef) -> Result<(), StoreError> {
        Err(not_implemented(Operation::AbortMultipartUpload))
    }

    /// Lists unfinished uploads below a key prefix (ListMultipartUploads), without delimiter (Ceph
    /// RGW 16.2 loses uploads with one).
    async fn list_multipart_uploads(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Result<UploadsPage, StoreError> {
        Err(not_implemented(Operation::ListMultipartUploads))
    }

    /// Writes an object in one request (PutObject).
    async fn put_object(
        &self,
        object: &ObjectRef,
        request: PutRequest,
    ) -> Result<UploadedPart, StoreError> {
        Err(not_implemented(Operation::PutObject))
    }

    /// Lets the store copy an object of at most 5 GiB (CopyObject). A 200 that contains an
    /// `<Error>` is an error (trap 1).
    async fn copy_object(
        &self,
        _: &ObjectRef,
        _: &CopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        Err(not_implemented(Operation::CopyObject))
    }

    /// Lets the store make a part from an object, or from a range of one, of at most 5 GiB
    /// (UploadPartCopy). A 200 that contains an `<Error>` is an error, and so is one without an
    /// ETag.
    async fn upload_part_copy(
        &self,
        _: &UploadRef,
        _: &PartCopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        Err(not_implemented(Operation::UploadPartCopy))
    }

    /// Returns the tags of an object (GetObjectTagging).
    async fn get_object_tagging(
        &self,
        _: &ObjectRef,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        Err(not_implemented(Operation::GetObjectTagging))
    }

    /// Replaces the tags of an object (PutObjectTagging).
    async fn put_object_tagging(
        &self,
        _: &ObjectRef,
        _: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        Err(not_implemented(Operation::PutObjectTagging))
    }

    /// Locks an object until a time, in a mode (PutObjectRetention).
    async fn put_object_retention(
        &self,
        _: &ObjectRef,
        _mode: &str,
        _until: Timestamp,
    ) -> Result<(), StoreError> {
        Err(not_implemented(Operation::PutObjectRetention))
    }

    /// Sets the legal hold of an object, `ON` or `OFF` (PutObjectLegalHold).
    async fn put_object_legal_hold(&self, _: &ObjectRef, _: &str) -> Result<(), StoreError> {
        Err(not_implemented(Operation::PutObjectLegalHold))
    }

    /// Returns the access control list of an object (GetObjectAcl).
    async fn get_object_acl(&self, _: &ObjectRef) -> Result<ObjectAcl, StoreError> {
        Err(not_implemented(Operation::GetObjectAcl))
    }

    /// Returns the properties of an object, including checksums (HeadObject).
    async fn head_object(&self, object: &ObjectRef) -> Result<ObjectHead, StoreError> {
        Err(not_implemented(Operation::HeadObject))
    }

    /// Returns every field of the answer to HeadObject. The default implementation uses
    /// [`Store::head_object`].
    async fn describe_object(&self, object: &ObjectRef) -> Result<ObjectDescription, StoreError> {
        self.head_object(object).await.map(ObjectDescription::from)
    }

    /// Returns one page of the object's parts after `after`, at most 1,000 (GetObjectAttributes).
    async fn get_object_attributes(
        &self,
        object: &ObjectRef,
        after: Option<PartNumber>,
    ) -> Result<ObjectPartsPage, StoreError> {
        Err(not_implemented(Operation::GetObjectAttributes))
    }

    /// Returns the size of one part, and the number of parts (HeadObject). `None` if the store does
    /// not know the `partNumber` parameter or the object was not made of parts.
    async fn head_part(
        &self,
        object: &ObjectRef,
        number: PartNumber,
    ) -> Result<Option<StoredPart>, StoreError> {
        Err(not_implemented(Operation::HeadObject))
    }

    /// Returns an object as a stream (GetObject).
    async fn get_object(
        &self,
        object: &ObjectRef,
        request: &GetRequest,
    ) -> Result<ObjectBody, StoreError> {
        Err(not_implemented(Operation::GetObject))
    }

    /// Lists one page of objects (ListObjectsV2).
    async fn list_objects(
        &self,
        bucket: &Bucket,
        prefix: &str,
        delimiter: Option<&str>,
        continuation: Option<&str>,
    ) -> Result<Listing, StoreError> {
        Err(not_implemented(Operation::ListObjectsV2))
    }

    /// Removes an object (DeleteObject).
    async fn delete_object(&self, object: &ObjectRef) -> Result<(), StoreError> {
        Err(not_implemented(Operation::DeleteObject))
    }

    /// Removes at most [`DELETE_KEYS_MAX`] objects of a bucket in one request (DeleteObjects). The
    /// results are in the order of `entries`; an entry that the answer does not mention is an
    /// error. Keys that XML cannot represent are not allowed here: [`crate::removal`] handles them,
    /// and stores without DeleteObjects.
    async fn delete_objects(
        &self,
        bucket: &Bucket,
        entries: &[DeleteEntry],
    ) -> Result<DeleteResults, StoreError> {
        Err(not_implemented(Operation::DeleteObjects))
    }

    /// Creates a bucket in the region of the client (CreateBucket).
    async fn create_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        Err(not_implemented(Operation::CreateBucket))
    }

    /// Removes an empty bucket (DeleteBucket).
    async fn delete_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        Err(not_implemented(Operation::DeleteBucket))
    }

    /// Lists the buckets of the caller (ListBuckets).
    async fn list_buckets(&self) -> Result<Vec<ListedBucket>, StoreError> {
        Err(not_implemented(Operation::ListBuckets))
    }

    /// Creates a URL that allows its holder one kind of request for the object. Sends nothing;
    /// whether the object exists and the caller has the permission shows when the URL is used.
    async fn presign(&self, _: &ObjectRef, _: &PresignRequest) -> Result<PresignedUrl, StoreError> {
        Err(not_implemented(Operation::GetObject))
    }

    /// Returns the lifecycle rules of a bucket as the store wrote them
    /// (GetBucketLifecycleConfiguration); `None` if there are none.
    async fn get_bucket_lifecycle(
        &self,
        _: &Bucket,
    ) -> Result<Option<LifecycleDocument>, StoreError> {
        Err(not_implemented(Operation::GetBucketLifecycleConfiguration))
    }

    /// Replaces every lifecycle rule with this document, byte for byte
    /// (PutBucketLifecycleConfiguration).
    async fn put_bucket_lifecycle(
        &self,
        _: &Bucket,
        _: &LifecycleDocument,
    ) -> Result<(), StoreError> {
        Err(not_implemented(Operation::PutBucketLifecycleConfiguration))
    }

    /// Removes every lifecycle rule (DeleteBucketLifecycle).
    async fn delete_bucket_lifecycle(&self, _: &Bucket) -> Result<(), StoreError> {
        Err(not_implemented(Operation::DeleteBucketLifecycle))
    }

    /// Returns how long a packet takes to the store of an object and back, connecting to it if
    /// necessary; `None` if that is unknown. A store of unknown kind may be sent one HeadObject, so
    /// that [`Self::profile`] is known afterwards.
    async fn round_trip(&self, object: &ObjectRef) -> Option<Duration> {
        None
    }

    /// Returns the known properties of this store, from its endpoint and its answers.
    fn profile(&self) -> StoreProfile {
        StoreProfile::default()
    }

    /// Returns how that profile was chosen.
    fn profile_choice(&self) -> ProfileChoice {
        ProfileChoice::default()
    }

    /// Records that an answer has shown that the store does not verify checksums in trailers,
    /// whatever its profile contains.
    fn has_no_trailers(&self) {}

    /// Returns the time by the store's clock. Ages are measured by it, because a local clock that
    /// is days ahead would make fresh uploads look forgotten.
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Returns the endpoint for messages: `https://s3.eu-central-1.amazonaws.com`,
    /// `http://127.0.0.1:8014`.
    fn endpoint(&self) -> String;
}
