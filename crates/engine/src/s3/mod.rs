//! The store trait over the network, in two planes.
//!
//! *Control plane* ([`control`], [`listing`]): the official SDK, which knows regions, endpoints, credentials
//! and the odd answers. *Data plane* ([`data`]): the bytes of UploadPart and PutObject, on connections that we
//! own, signed with the SDK's signer; addresses are taken from the SDK, never made up. Each method is one
//! request; the SDK's own retries are switched off, so that one policy decides (see [`crate::retry`]). Region,
//! clock and credentials are shared by both planes, and what a refusal says of them is followed ([`ask`]).

mod ask;
mod aws;
mod clock;
mod connect;
mod control;
mod convert;
mod credentials;
mod data;
mod document;
mod listing;
mod location;
mod place;
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
use clock::Clock;
use credentials::CredentialCache;
use data::DataPlane;
pub(crate) use data::judge;
pub use location::{Location, normalised};
use place::Places;

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
    /// `http://127.0.0.1:8014`, also with a path; `None`: what environment and profile say, else AWS.
    pub endpoint_url: Option<String>,
    /// What environment and profile say of an endpoint does not count: without `endpoint_url` it is AWS's own.
    pub ignore_configured_endpoint: bool,
    /// `eu-central-1`; `us-east-1` when nothing says otherwise.
    pub region: Option<String>,
    /// A name in `~/.aws/config`.
    pub profile: Option<String>,
    /// Path or virtual-host style.
    pub addressing: Addressing,
    /// AWS's endpoints for FIPS 140; `None`: what environment and profile say.
    pub fips: Option<bool>,
    /// AWS's endpoints that have IPv6; `None`: what environment and profile say.
    pub dual_stack: Option<bool>,
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
            ignore_configured_endpoint: false,
            region: None,
            profile: None,
            addressing: Addressing::default(),
            fips: None,
            dual_stack: None,
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
    places: Places,
    data: DataPlane,
    clock: Clock,
    credentials: CredentialCache,
    location: Location,
    complete_timeout: Duration,
}

impl S3Store {
    /// Reads the configuration chain and finds credentials. Sends nothing to the store.
    ///
    /// # Errors
    /// [`Error::Configuration`] and [`Error::Store`] with `NoCredentials`.
    pub async fn connect(options: S3Options) -> Result<Self, Error> {
        // Boxed: reading the chain and resolving addresses make a large future.
        Box::pin(connect::connect(options)).await
    }

    /// Which store it asks.
    pub fn location(&self) -> &Location {
        &self.location
    }
}

#[async_trait]
impl Store for S3Store {
    async fn create_multipart_upload(
        &self,
        object: &ObjectRef,
        request: &CreateRequest,
    ) -> Result<CreatedUpload, StoreError> {
        self.ask(&object.bucket, |place| async move {
            control::create_multipart_upload(&place.client, object, request).await
        })
        .await
    }

    async fn upload_part(&self, upload: &UploadRef, part: PartRequest) -> Result<UploadedPart, StoreError> {
        self.ask(&upload.object.bucket, |place| {
            let part = part.clone();
            async move { self.data.upload_part(&place, upload, part).await }
        })
        .await
    }

    async fn list_parts(
        &self,
        upload: &UploadRef,
        after: Option<PartNumber>,
    ) -> Result<PartsPage, StoreError> {
        self.ask(&upload.object.bucket, |place| async move {
            listing::list_parts(&place.client, upload, after).await
        })
        .await
    }

    async fn complete_multipart_upload(
        &self,
        upload: &UploadRef,
        request: &CompleteRequest,
    ) -> Result<CompletedObject, StoreError> {
        let timeout = self.complete_timeout;
        self.ask(&upload.object.bucket, |place| async move {
            control::complete_multipart_upload(&place.client, upload, request, timeout).await
        })
        .await
    }

    async fn abort_multipart_upload(&self, upload: &UploadRef) -> Result<(), StoreError> {
        self.ask(&upload.object.bucket, |place| async move {
            control::abort_multipart_upload(&place.client, upload).await
        })
        .await
    }

    async fn list_multipart_uploads(
        &self,
        bucket: &Bucket,
        prefix: &str,
        after: Option<&UploadMarker>,
    ) -> Result<UploadsPage, StoreError> {
        self.ask(bucket, |place| async move {
            listing::list_multipart_uploads(&place.client, bucket, prefix, after).await
        })
        .await
    }

    async fn put_object(&self, object: &ObjectRef, request: PutRequest) -> Result<UploadedPart, StoreError> {
        self.ask(&object.bucket, |place| {
            let request = request.clone();
            async move { self.data.put_object(&place, object, request).await }
        })
        .await
    }

    async fn head_object(&self, object: &ObjectRef) -> Result<ObjectHead, StoreError> {
        self.ask(&object.bucket, |place| async move { control::head_object(&place.client, object).await })
            .await
    }

    async fn head_part(
        &self,
        object: &ObjectRef,
        number: PartNumber,
    ) -> Result<Option<StoredPart>, StoreError> {
        self.ask(
            &object.bucket,
            |place| async move { control::head_part(&place.client, object, number).await },
        )
        .await
    }

    async fn get_object(&self, object: &ObjectRef, request: &GetRequest) -> Result<ObjectBody, StoreError> {
        self.ask(
            &object.bucket,
            |place| async move { control::get_object(&place.client, object, request).await },
        )
        .await
    }

    async fn list_objects(
        &self,
        bucket: &Bucket,
        prefix: &str,
        delimiter: Option<&str>,
        continuation: Option<&str>,
    ) -> Result<Listing, StoreError> {
        self.ask(bucket, |place| async move {
            listing::list_objects(&place.client, bucket, prefix, delimiter, continuation).await
        })
        .await
    }

    async fn delete_object(&self, object: &ObjectRef) -> Result<(), StoreError> {
        self.ask(&object.bucket, |place| async move { control::delete_object(&place.client, object).await })
            .await
    }

    async fn create_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        self.ask_home(
            |place| async move { control::create_bucket(&place.client, bucket, &place.region).await },
        )
        .await
    }

    async fn delete_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        self.ask(bucket, |place| async move { control::delete_bucket(&place.client, bucket).await }).await
    }

    async fn list_buckets(&self) -> Result<Vec<BucketInfo>, StoreError> {
        self.ask_home(|place| async move { listing::list_buckets(&place.client).await }).await
    }

    fn endpoint(&self) -> String {
        self.location.endpoint.clone()
    }
}
