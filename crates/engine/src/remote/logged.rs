//! Logs every request to a store: operation, result, duration.
//!
//! This is a decorator, so that no implementation has to log. It logs at `INFO` under the target
//! `haul::request`; never headers, bodies or credentials. `events.rs` logs the decisions of the
//! engine.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use haul_parts::{Bucket, PartNumber};
use jiff::Timestamp;

use super::{
    CompleteRequest, CompletedObject, CopyRequest, CreateRequest, CreatedUpload, DeleteEntry,
    DeleteResults, GetRequest, LifecycleDocument, ListedBucket, Listing, ObjectAcl, ObjectBody,
    ObjectDescription, ObjectHead, ObjectPartsPage, ObjectRef, Operation, PartCopyRequest,
    PartRequest, PartsPage, PresignRequest, PresignedUrl, ProfileChoice, PutRequest, Store,
    StoreError, StoreProfile, StoredPart, UploadMarker, UploadRef, UploadedPart, UploadsPage,
};

/// A store that logs every request to the inner store.
#[derive(Debug)]
pub struct LoggedStore<S>(pub S);

/// Waits for the answer and logs it.
async fn logged<T>(
    operation: Operation,
    what: impl fmt::Display,
    request: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let started = Instant::now();
    let answer = request.await;
    let millis = started.elapsed().as_millis();
    match &answer {
        Ok(_) => tracing::info!(target: "haul::request", "{operation} {what}: ok in {millis} ms"),
        Err(error) => {
            let id = error
                .request_id
                .as_deref()
                .map_or_else(String::new, |id| format!(", request id {id}"));
            tracing::info!(target: "haul::request", "{what}: {error} after {millis} ms{id}");
        }
    }
    answer
}

#[async_trait]
impl<S: Store> Store for LoggedStore<S> {
    async fn create_multipart_upload(
        &self,
        object: &ObjectRef,
        request: &CreateRequest,
    ) -> Result<CreatedUpload, StoreError> {
        let answer = self.0.create_multipart_upload(object, request);
        logged(Operation::CreateMultipartUpload, object, answer).await
    }

    async fn upload_part(
        &self,
        upload: &UploadRef,
        part: PartRequest,
    ) -> Result<UploadedPart, StoreError> {
        let what = format!("{} part {}", upload.object, part.number);
        logged(Operation::UploadPart, what, self.0.upload_part(upload, part)).await
    }

    async fn list_parts(
        &self,
        upload: &UploadRef,
        after: Option<PartNumber>,
    ) -> Result<PartsPage, StoreError> {
        logged(Operation::ListParts, &upload.object, self.0.list_parts(upload, after)).await
    }

    async fn complete_multipart_upload(
        &self,
        upload: &UploadRef,
        request: &CompleteRequest,
    ) -> Result<CompletedObject, StoreError> {
        let answer = self.0.complete_multipart_upload(upload, request);
        logged(Operation::CompleteMultipartUpload, &upload.object, answer).await
    }

    async fn abort_multipart_upload(&self, upload: &UploadRef) -> Result<(), StoreError> {
        let answer = self.0.abort_multipart_upload(upload);
        logged(Operation::AbortMultipartUpload, &upload.object, answer).await
    }

    async fn list_multipart_uploads(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Result<UploadsPage, StoreError> {
        let what = format!("s3://{bucket}/{prefix}");
        logged(
            Operation::ListMultipartUploads,
            what,
            self.0.list_multipart_uploads(bucket, prefix, after),
        )
        .await
    }

    async fn put_object(
        &self,
        object: &ObjectRef,
        request: PutRequest,
    ) -> Result<UploadedPart, StoreError> {
        logged(Operation::PutObject, object, self.0.put_object(object, request)).await
    }

    async fn copy_object(
        &self,
        object: &ObjectRef,
        request: &CopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        let what = format!("{} -> {object}", request.source);
        logged(Operation::CopyObject, what, self.0.copy_object(object, request)).await
    }

    async fn upload_part_copy(
        &self,
        upload: &UploadRef,
        request: &PartCopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        let what = format!("{} -> {} part {}", request.source, upload.object, request.number);
        logged(Operation::UploadPartCopy, what, self.0.upload_part_copy(upload, request)).await
    }

    async fn get_object_tagging(
        &self,
        object: &ObjectRef,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        logged(Operation::GetObjectTagging, object, self.0.get_object_tagging(object)).await
    }

    async fn put_object_tagging(
        &self,
        object: &ObjectRef,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        logged(Operation::PutObjectTagging, object, self.0.put_object_tagging(object, tags)).await
    }

    async fn put_object_retention(
        &self,
        object: &ObjectRef,
        mode: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let sent = self.0.put_object_retention(object, mode, until);
        logged(Operation::PutObjectRetention, object, sent).await
    }

    async fn put_object_legal_hold(
        &self,
        object: &ObjectRef,
        status: &str,
    ) -> Result<(), StoreError> {
        let sent = self.0.put_object_legal_hold(object, status);
        logged(Operation::PutObjectLegalHold, object, sent).await
    }

    async fn get_object_acl(&self, object: &ObjectRef) -> Result<ObjectAcl, StoreError> {
        logged(Operation::GetObjectAcl, object, self.0.get_object_acl(object)).await
    }

    async fn head_object(&self, object: &ObjectRef) -> Result<ObjectHead, StoreError> {
        logged(Operation::HeadObject, object, self.0.head_object(object)).await
    }

    async fn describe_object(&self, object: &ObjectRef) -> Result<ObjectDescription, StoreError> {
        logged(Operation::HeadObject, object, self.0.describe_object(object)).await
    }

    async fn get_object_attributes(
        &self,
        object: &ObjectRef,
        after: Option<PartNumber>,
    ) -> Result<ObjectPartsPage, StoreError> {
        let asked = self.0.get_object_attributes(object, after);
        logged(Operation::GetObjectAttributes, object, asked).await
    }

    async fn head_part(
        &self,
        object: &ObjectRef,
        number: PartNumber,
    ) -> Result<Option<StoredPart>, StoreError> {
        let what = format!("{object} part {number}");
        logged(Operation::HeadObject, what, self.0.head_part(object, number)).await
    }

    async fn get_object(
        &self,
        object: &ObjectRef,
        request: &GetRequest,
    ) -> Result<ObjectBody, StoreError> {
        logged(Operation::GetObject, object, self.0.get_object(object, request)).await
    }

    async fn list_objects(
        &self,
        bucket: &Bucket,
        prefix: &str,
        delimiter: Option<&str>,
        continuation: Option<&str>,
    ) -> Result<Listing, StoreError> {
        let what = format!("s3://{bucket}/{prefix}");
        let answer = self.0.list_objects(bucket, prefix, delimiter, continuation);
        logged(Operation::ListObjectsV2, what, answer).await
    }

    async fn delete_object(&self, object: &ObjectRef) -> Result<(), StoreError> {
        logged(Operation::DeleteObject, object, self.0.delete_object(object)).await
    }

    async fn delete_objects(
        &self,
        bucket: &Bucket,
        entries: &[DeleteEntry],
    ) -> Result<DeleteResults, StoreError> {
        let what = format!("s3://{bucket} {} keys", entries.len());
        logged(Operation::DeleteObjects, what, self.0.delete_objects(bucket, entries)).await
    }

    async fn create_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        logged(Operation::CreateBucket, format!("s3://{bucket}"), self.0.create_bucket(bucket))
            .await
    }

    async fn delete_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        logged(Operation::DeleteBucket, format!("s3://{bucket}"), self.0.delete_bucket(bucket))
            .await
    }

    async fn list_buckets(&self) -> Result<Vec<ListedBucket>, StoreError> {
        logged(Operation::ListBuckets, self.0.endpoint(), self.0.list_buckets()).await
    }

    async fn presign(
        &self,
        object: &ObjectRef,
        request: &PresignRequest,
    ) -> Result<PresignedUrl, StoreError> {
        // This sends no request, and the URL is a secret, so nothing is logged.
        self.0.presign(object, request).await
    }

    async fn get_bucket_lifecycle(
        &self,
        bucket: &Bucket,
    ) -> Result<Option<LifecycleDocument>, StoreError> {
        let answer = self.0.get_bucket_lifecycle(bucket);
        logged(Operation::GetBucketLifecycleConfiguration, format!("s3://{bucket}"), answer).await
    }

    async fn put_bucket_lifecycle(
        &self,
        bucket: &Bucket,
        document: &LifecycleDocument,
    ) -> Result<(), StoreError> {
        let answer = self.0.put_bucket_lifecycle(bucket, document);
        logged(Operation::PutBucketLifecycleConfiguration, format!("s3://{bucket}"), answer).await
    }

    async fn delete_bucket_lifecycle(&self, bucket: &Bucket) -> Result<(), StoreError> {
        let answer = self.0.delete_bucket_lifecycle(bucket);
        logged(Operation::DeleteBucketLifecycle, format!("s3://{bucket}"), answer).await
    }

    async fn round_trip(&self, object: &ObjectRef) -> Option<Duration> {
        // This sends no request.
        self.0.round_trip(object).await
    }

    fn profile(&self) -> StoreProfile {
        self.0.profile()
    }

    fn profile_choice(&self) -> ProfileChoice {
        self.0.profile_choice()
    }

    fn has_no_trailers(&self) {
        self.0.has_no_trailers();
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn endpoint(&self) -> String {
        self.0.endpoint()
    }
}
