//! Implements the store trait over the network, in two planes.
//!
//! The *control plane* ([`control`], [`copy`], [`listing`], [`objects`]) is the official SDK, which
//! handles regions, endpoints, credentials and unusual answers. The *data plane* ([`data`])
//! transfers the bytes of UploadPart, PutObject and GetObject on our own connections; requests are
//! signed with the SDK's signer, and addresses come from the SDK. Each method is one request; the
//! SDK's own retries are off, so that only one policy decides (see [`crate::pace`]). Both planes
//! share region, clock and credentials, and the corrections from refusals ([`ask`]). Both connect
//! in the same way ([`transport`]); the configuration is read once ([`settings`]).

mod ask;
mod aws;
mod bare;
mod clock;
mod connect;
mod content_md5;
mod control;
mod convert;
mod copy;
mod credentials;
mod customer_key;
mod data;
mod delete;
mod description;
mod document;
mod encoding;
mod extent;
mod genuine;
mod late_attributes;
mod lifecycle;
mod listing;
mod location;
mod objects;
mod options;
mod presign;
mod probe;
mod profile;
mod regional_client;
mod request_headers;
mod sdk_error;
mod settings;
mod transport;
mod whole;
mod wire_log;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use haul_parts::{Bucket, PartNumber};
use jiff::Timestamp;

use crate::error::Error;
use crate::remote::{
    CompleteRequest, CompletedObject, CopyRequest, CreateRequest, CreatedUpload, DeleteEntry,
    DeleteResults, GetRequest, LifecycleDocument, ListedBucket, Listing, ObjectAcl, ObjectBody,
    ObjectDescription, ObjectHead, ObjectPartsPage, ObjectRef, Operation, PartCopyRequest,
    PartRequest, PartsPage, PresignRequest, PresignedUrl, ProfileChoice, PutRequest, Store,
    StoreError, StoreErrorKind, StoreFindings, StoreProfile, StoredPart, Support, UploadMarker,
    UploadRef, UploadedPart, UploadsPage,
};
use clock::Clock;
use credentials::CredentialCache;
pub use customer_key::{CustomerKey, CustomerKeyError};
use data::DataPlane;
#[cfg(any(test, feature = "testing"))]
pub use data::PartToSign;
#[cfg(any(test, feature = "testing"))]
pub(crate) use data::check_answer;
pub(crate) use data::{ProbeAnswer, ProbeBody, ProbeRequest, ProbeTarget};
pub use location::{Location, normalised};
pub use options::{Addressing, Environment, S3Options, StaticCredentials};
pub(crate) use probe::CredentialFacts;
use profile::KnownProfile;
use regional_client::RegionalClients;
pub use request_headers::RequestHeaders;
pub(crate) use transport::CertificateFacts;
#[cfg(any(test, feature = "testing"))]
pub(crate) use transport::read_certificate;
pub use transport::{NoProxy, Proxies, Proxy, ProxyError};

/// A client for an S3 store. Cheap to share behind an `Arc`; all its uploads reuse its connections.
#[derive(Debug)]
pub struct S3Store {
    places: RegionalClients,
    data: DataPlane,
    profile: KnownProfile,
    clock: Clock,
    credentials: CredentialCache,
    location: Location,
    ca_bundle: Option<PathBuf>,
    complete_timeout: Duration,
    /// Whether a store of unknown kind was asked for its kind.
    kind_was_asked: AtomicBool,
}

impl S3Store {
    /// Reads the configuration chain and loads credentials. Sends nothing to the store.
    ///
    /// # Errors
    /// [`Error::Configuration`] and [`Error::Store`] with `NoCredentials`.
    pub async fn connect(options: S3Options) -> Result<Self, Error> {
        // The future is boxed because reading the chain and resolving addresses make it large.
        Box::pin(connect::connect(options)).await
    }

    /// Returns the location of the store.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Corrects the store's profile with the findings of an earlier probe, unless the options name
    /// the profile ([`S3Options::store_profile`]).
    pub fn refine_profile(&self, found: StoreFindings) {
        self.profile.refine(found);
    }

    /// Returns the file of trusted certificates, if one was configured.
    pub fn ca_bundle(&self) -> Option<&Path> {
        self.ca_bundle.as_deref()
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

    async fn upload_part(
        &self,
        upload: &UploadRef,
        part: PartRequest,
    ) -> Result<UploadedPart, StoreError> {
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
        let support = || self.profile.get().list_multipart_uploads;
        if support() == Support::No {
            let message = format!(
                "the store does not list unfinished uploads, by its store profile {}",
                self.profile.get().kind
            );
            let (operation, kind) =
                (Operation::ListMultipartUploads, StoreErrorKind::NotImplemented);
            return Err(StoreError::local(operation, kind, message));
        }
        let page = self
            .ask(bucket, |place| async move {
                listing::list_multipart_uploads(&place.client, bucket, prefix, after).await
            })
            .await?;
        // Asked after the answer, because it may be the first that names the store.
        Ok(UploadsPage { exact_key_only: support() == Support::Ignored, ..page })
    }

    async fn put_object(
        &self,
        object: &ObjectRef,
        request: PutRequest,
    ) -> Result<UploadedPart, StoreError> {
        self.ask(&object.bucket, |place| {
            let request = request.clone();
            async move { self.data.put_object(&place, object, request).await }
        })
        .await
    }

    async fn copy_object(
        &self,
        object: &ObjectRef,
        request: &CopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        let timeout = self.complete_timeout;
        self.ask(&object.bucket, |place| async move {
            copy::copy_object(&place.client, object, request, timeout).await
        })
        .await
    }

    async fn upload_part_copy(
        &self,
        upload: &UploadRef,
        request: &PartCopyRequest,
    ) -> Result<UploadedPart, StoreError> {
        let timeout = self.complete_timeout;
        self.ask(&upload.object.bucket, |place| async move {
            copy::upload_part_copy(&place.client, upload, request, timeout).await
        })
        .await
    }

    async fn get_object_tagging(
        &self,
        object: &ObjectRef,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        self.ask(&object.bucket, |place| async move {
            copy::get_object_tagging(&place.client, object).await
        })
        .await
    }

    async fn put_object_tagging(
        &self,
        object: &ObjectRef,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        self.ask(&object.bucket, |place| async move {
            late_attributes::put_tagging(&place.client, object, tags).await
        })
        .await
    }

    async fn put_object_retention(
        &self,
        object: &ObjectRef,
        mode: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        self.ask(&object.bucket, |place| async move {
            late_attributes::put_retention(&place.client, object, mode, until).await
        })
        .await
    }

    async fn put_object_legal_hold(
        &self,
        object: &ObjectRef,
        status: &str,
    ) -> Result<(), StoreError> {
        self.ask(&object.bucket, |place| async move {
            late_attributes::put_legal_hold(&place.client, object, status).await
        })
        .await
    }

    async fn get_object_acl(&self, object: &ObjectRef) -> Result<ObjectAcl, StoreError> {
        self.ask(&object.bucket, |place| async move {
            description::get_object_acl(&place.client, object).await
        })
        .await
    }

    async fn round_trip(&self, object: &ObjectRef) -> Option<Duration> {
        let asked = self.ask(&object.bucket, |place| async move {
            let round_trip = self.data.round_trip(&place, object).await;
            // The part size depends on what the store can do, and a first answer shows that; a
            // refusal does too.
            if round_trip.is_some()
                && self.profile.choice() == ProfileChoice::Default
                && !self.kind_was_asked.swap(true, Ordering::Relaxed)
            {
                let _ = control::head_object(&place.client, object).await;
            }
            Ok(round_trip)
        });
        asked.await.ok().flatten()
    }

    async fn head_object(&self, object: &ObjectRef) -> Result<ObjectHead, StoreError> {
        self.with_reason(object, || {
            self.ask(&object.bucket, |place| async move {
                control::head_object(&place.client, object).await
            })
        })
        .await
    }

    async fn describe_object(&self, object: &ObjectRef) -> Result<ObjectDescription, StoreError> {
        self.with_reason(object, || {
            self.ask(&object.bucket, |place| async move {
                description::describe_object(&place.client, object).await
            })
        })
        .await
    }

    async fn get_object_attributes(
        &self,
        object: &ObjectRef,
        after: Option<PartNumber>,
    ) -> Result<ObjectPartsPage, StoreError> {
        self.ask(&object.bucket, |place| async move {
            description::get_object_attributes(&place.client, object, after).await
        })
        .await
    }

    async fn head_part(
        &self,
        object: &ObjectRef,
        number: PartNumber,
    ) -> Result<Option<StoredPart>, StoreError> {
        // The answer of a store that ignores `partNumber` describes the whole object.
        if self.profile.get().part_number_head.is_missing() {
            return Ok(None);
        }
        self.ask(&object.bucket, |place| async move {
            control::head_part(&place.client, object, number).await
        })
        .await
    }

    async fn get_object(
        &self,
        object: &ObjectRef,
        request: &GetRequest,
    ) -> Result<ObjectBody, StoreError> {
        self.ask(&object.bucket, |place| async move {
            self.data.get_object(&place, object, request).await
        })
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
            let query = objects::Query { bucket, prefix, delimiter };
            objects::list_objects(&place.client, query, continuation).await
        })
        .await
    }

    async fn delete_object(&self, object: &ObjectRef) -> Result<(), StoreError> {
        self.ask(&object.bucket, |place| async move {
            control::delete_object(&place.client, object).await
        })
        .await
    }

    async fn delete_objects(
        &self,
        bucket: &Bucket,
        entries: &[DeleteEntry],
    ) -> Result<DeleteResults, StoreError> {
        self.ask(bucket, |place| async move {
            delete::delete_objects(&place.client, bucket, entries).await
        })
        .await
    }

    async fn create_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        self.ask_home(|place| async move {
            control::create_bucket(&place.client, bucket, &place.region).await
        })
        .await
    }

    async fn delete_bucket(&self, bucket: &Bucket) -> Result<(), StoreError> {
        self.ask(bucket, |place| async move { control::delete_bucket(&place.client, bucket).await })
            .await
    }

    async fn list_buckets(&self) -> Result<Vec<ListedBucket>, StoreError> {
        self.ask_home(|place| async move { listing::list_buckets(&place.client).await }).await
    }

    async fn presign(
        &self,
        object: &ObjectRef,
        request: &PresignRequest,
    ) -> Result<PresignedUrl, StoreError> {
        let place = self.places.of(&object.bucket);
        let address = data::address::Address::resolve(&place.client, object).await?;
        let credentials = self.credentials.get(Operation::GetObject).await?;
        presign::presign(&address, request, &credentials, &self.clock)
    }

    async fn get_bucket_lifecycle(
        &self,
        bucket: &Bucket,
    ) -> Result<Option<LifecycleDocument>, StoreError> {
        self.ask(bucket, |place| async move { lifecycle::get(&place.client, bucket).await }).await
    }

    async fn put_bucket_lifecycle(
        &self,
        bucket: &Bucket,
        document: &LifecycleDocument,
    ) -> Result<(), StoreError> {
        self.ask(
            bucket,
            |place| async move { lifecycle::put(&place.client, bucket, document).await },
        )
        .await
    }

    async fn delete_bucket_lifecycle(&self, bucket: &Bucket) -> Result<(), StoreError> {
        self.ask(bucket, |place| async move { lifecycle::delete(&place.client, bucket).await })
            .await
    }

    fn profile(&self) -> StoreProfile {
        self.profile.get()
    }

    fn profile_choice(&self) -> ProfileChoice {
        self.profile.choice()
    }

    fn has_no_trailers(&self) {
        self.profile.has_no_trailers();
    }

    fn now(&self) -> Timestamp {
        self.clock.timestamp()
    }

    fn endpoint(&self) -> String {
        self.location.endpoint.clone()
    }
}
