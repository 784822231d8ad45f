//! The requests and questions of `doctor` about a store that no transfer needs.

use std::time::Duration;

use haul_parts::Bucket;

use super::S3Store;
use super::data::address::Address;
use super::data::{ProbeAnswer, ProbeRequest};
use super::transport::{AddressLatency, Origin, TlsFacts};
use crate::remote::{ObjectRef, Operation, StoreError};

/// The credentials in use, without any secret.
#[derive(Clone, Debug)]
pub(crate) struct CredentialFacts {
    /// The access key id.
    pub(crate) access_key_id: String,
    /// The SDK's name of the provider.
    pub(crate) provider: String,
    /// The time of expiry, if they expire.
    pub(crate) expires: Option<std::time::SystemTime>,
}

impl S3Store {
    /// Sends the request of a probe to the region of the bucket.
    ///
    /// # Errors
    /// The connection failed; an answer of any status is no error.
    pub(crate) async fn probe(
        &self,
        object: &ObjectRef,
        request: &ProbeRequest,
    ) -> Result<ProbeAnswer, StoreError> {
        let place = self.places.of(&object.bucket);
        let address = Address::resolve(&place.client, object).await?;
        // The path of the bucket ends before as many segments as the key has. With the bucket in
        // the host nothing is left of it.
        let slashes = object.key.as_str().matches('/').count();
        let cut = address.path.rmatch_indices('/').nth(slashes).map_or(0, |(at, _)| at);
        let bucket_path = if cut == 0 { "/" } else { &address.path[..cut] };
        self.data.probe(&address, bucket_path, request).await
    }

    /// Connects to each address of the endpoint once.
    pub(crate) async fn survey(
        &self,
        bucket: &Bucket,
        limit: Duration,
    ) -> Result<Vec<AddressLatency>, StoreError> {
        let origin = self.origin_of(bucket).await?;
        let surveyed = self.data.transport().survey(&origin, limit).await;
        surveyed.map_err(|error| error.to_store_error(Operation::HeadObject))
    }

    /// Returns the facts of a TLS handshake; `None` without TLS or through a proxy.
    pub(crate) async fn tls_facts(
        &self,
        bucket: &Bucket,
        limit: Duration,
    ) -> Result<Option<TlsFacts>, StoreError> {
        let origin = self.origin_of(bucket).await?;
        let facts = self.data.transport().tls_facts(&origin, limit).await;
        facts.map_err(|error| error.to_store_error(Operation::HeadObject))
    }

    /// Returns the proxy in front of the store, if there is one.
    pub(crate) async fn is_behind_proxy(&self, bucket: &Bucket) -> bool {
        match self.origin_of(bucket).await {
            Ok(origin) => self.data.transport().proxy_of(&origin).is_some(),
            Err(_) => false,
        }
    }

    /// Returns the region that requests about the bucket are signed for.
    pub(crate) fn region_of(&self, bucket: &Bucket) -> String {
        self.places.of(bucket).region.clone()
    }

    /// Returns the credentials in use.
    ///
    /// # Errors
    /// `NoCredentials`.
    pub(crate) async fn credential_facts(&self) -> Result<CredentialFacts, StoreError> {
        let credentials = self.credentials.get(Operation::HeadObject).await?;
        // The SDK shows the provider only in the debug format, which redacts the secrets.
        let shown = format!("{credentials:?}");
        let provider = shown
            .split("provider_name: \"")
            .nth(1)
            .and_then(|rest| rest.split('"').next().map(str::to_owned));
        Ok(CredentialFacts {
            access_key_id: credentials.access_key_id().to_owned(),
            provider: provider.unwrap_or_else(|| "unknown".to_owned()),
            expires: credentials.expiry(),
        })
    }

    async fn origin_of(&self, bucket: &Bucket) -> Result<Origin, StoreError> {
        let place = self.places.of(bucket);
        let key = haul_parts::Key::new("probe").map_err(|error| {
            StoreError::local(
                Operation::HeadObject,
                crate::remote::StoreErrorKind::Rejected,
                error.to_string(),
            )
        })?;
        let object = ObjectRef { bucket: bucket.clone(), key };
        Ok(Address::resolve(&place.client, &object).await?.origin)
    }
}
