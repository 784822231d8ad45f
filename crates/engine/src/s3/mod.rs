//! The store trait over the network, in two planes.
//!
//! *Control plane* ([`control`], [`listing`]): the official SDK, which knows regions, endpoints, credentials
//! and the odd answers. *Data plane* ([`data`]): the bytes of UploadPart and PutObject, on connections that we
//! own, signed with the SDK's signer; addresses are taken from the SDK, never made up. Each method is one
//! request; the SDK's own retries are switched off, so that one policy decides (see [`crate::retry`]).

mod connect;
mod control;
mod convert;
mod data;
mod listing;
mod sdk_error;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use haul_parts::{Bucket, PartNumber};

use crate::error::Error;
use crate::store::{
    BucketInfo, CompleteRequest, CompletedObject, CreateRequest, CreatedUpload, GetRequest, Listing,
    ObjectBody, ObjectHead, ObjectRef, PartRequest, PartsPage, PutRequest, Store, StoreError, StoredPart,
    UploadMarker, UploadRef, UploadedPart, UploadsPage,
};
use data::DataPlane;
pub(crate) use data::judge;

/// How a bucket stands in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// `bucket.host` at AWS, `host/bucket` everywhere else: most stores that are not AWS have no wildcard DNS.
    #[default]
    Auto,
    /// `host/bucket/key`.
    Path,
    /// `bucket.host/key`.
    Virtual,
}

/// Keys given by the caller instead of the AWS configuration chain.
#[derive(Clone)]
pub struct StaticCredentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`; never shown.
    pub secret_access_key: String,
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticCredentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// Which store, and how to talk to it. What is `None` comes from the AWS configuration chain: environment,
/// profile, SSO, container and instance metadata.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// `http://127.0.0.1:8014`; `None`: AWS, or what the profile says.
    pub endpoint_url: Option<String>,
    /// `eu-central-1`; `us-east-1` when nothing says otherwise.
    pub region: Option<String>,
    /// A name in `~/.aws/config`.
    pub profile: Option<String>,
    /// Path or virtual-host style.
    pub addressing: Addressing,
    /// Instead of the chain.
    pub credentials: Option<StaticCredentials>,
    /// For a new connection, TLS included.
    pub connect_timeout: Duration,
    /// No byte moved for this long while a body is being sent: the connection is dead. Never a total time.
    pub idle_timeout: Duration,
    /// From the last byte of a request to its answer.
    pub answer_timeout: Duration,
    /// For CompleteMultipartUpload, which may take minutes.
    pub complete_timeout: Duration,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            endpoint_url: None,
            region: None,
            profile: None,
            addressing: Addressing::default(),
            credentials: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(120),
            complete_timeout: Duration::from_secs(15 * 60),
        }
    }
}

/// A real S3 store. Cheap to share behind an `Arc`; connections are reused among its uploads.
#[derive(Debug)]
pub struct S3Store {
    client: aws_sdk_s3::Client,
    data: DataPlane,
    region: String,
    endpoint: String,
    complete_timeout: Duration,
}

impl S3Store {
    /// Reads the configuration chain and finds credentials. Sends nothing to the store.
    ///
    /// # Errors
    /// [`Error::Configuration`] and [`Error::Store`] with `NoCredentials`.
    pub async fn connect(options: S3Options) -> Result<Self, Error> {
        connect::connect(options).await
    }
}

#[async_trait]
impl Store for S3Store {
    async fn create_multipart_upload(
        &self,
        object: &ObjectRef,
        request: &CreateRequest,
    ) -> Result<CreatedUpload, StoreError> {
        control::create_multipart_upload(&self.client, object, request).await
    }

    async fn upload_part(&self, upload: &UploadRef, part: PartRequest) -> Result<UploadedPart, StoreError> {
        self.data.upload_part(&self.client, upload, part).await
    }

    async fn list_parts(
        &self,
        upload: &UploadRef,
        after: Option<PartNumber>,
    ) -> Result<PartsPage, StoreError> {
        listing::list_parts(&self.client, upload, after).await
    }

    async fn complete_multipart_upload(
        &self,
        upload: &UploadRef,
        request: &CompleteRequest,
    ) -> Result<CompletedObject, StoreError> {
        control::complete_multipart_upload(&self.client, upload, request, self.complete_timeout).await
    }

    async fn abort_multipart_upload(&self, upload: &UploadRef) -> Result<(), StoreError> {
        control::abort_multipart_upload(&self.client, upload).await
    }

    async fn list_multipart_uploads(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Result<UploadsPage, StoreError> {
        listing::list_multipart_uploads(&self.client, bucket, prefix, after).await
    }

    async fn put_object(&self, object: &ObjectRef, request: PutRequest) -> Result<UploadedPart, StoreError> {
        self.data.put_object(&self.client, object, request).await
    }

    async fn head_object(&self, object: &ObjectRef) -> Result<ObjectHead, StoreError> {
        control::head_object(&self.client, object).await
    }

    async fn head_part(
        &self,
        object: &ObjectRef,
        number: PartNumber,
    ) -> Result<Option<StoredPart>, StoreError> {
        control::head_part(&self.client, object, number).await
    }

    async fn get_object(&self, object: &ObjectRef, request: &GetRequest) -> Result<ObjectBody, StoreError> {
        control::get_object(&self.client, object, request).await
    }

    async fn list_objects(
        &self,
        bucket: &Bucket,
        prefix: &str,
        delimiter: Option<&str>,
        continuation: Option<&str>,
    ) -> Result<Listing, StoreError> {
        listing::list_objects(&self.client, bucket, prefix, delimiter, continuation).await
    }

    async fn delete_object(&self, object: &ObjectRef) -> Result<(), StoreError> {
        control::delete_object(&self.client, object).await
    }

    async fn create_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        control::create_bucket(&self.client, bucket, &self.region).await
    }

    async fn delete_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        control::delete_bucket(&self.client, bucket).await
    }

    async fn list_buckets(&self) -> Result<Vec<BucketInfo>, StoreError> {
        listing::list_buckets(&self.client).await
    }

    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }
}
