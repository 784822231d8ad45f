//! Credentials for the data plane: fetched from the provider for every part, remembered until shortly before
//! they end.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use crate::store::{Operation, StoreError, StoreErrorKind};

/// Refreshed this long before they end: a part may be on its way for a while.
const MARGIN: Duration = Duration::from_secs(120);

pub(super) struct CredentialCache {
    provider: SharedCredentialsProvider,
    cached: Mutex<Option<Credentials>>,
}

impl CredentialCache {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, cached: Mutex::default() }
    }

    pub(super) async fn get(&self, operation: Operation) -> Result<Credentials, StoreError> {
        if let Some(credentials) = self.fresh() {
            return Ok(credentials);
        }
        let credentials =
            self.provider.provide_credentials().await.map_err(|error| convert(operation, error))?;
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials.clone());
        Ok(credentials)
    }

    /// The store does not take them any more: ask the provider next time.
    pub(super) fn forget(&self) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn fresh(&self) -> Option<Credentials> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let ends = cached.expiry();
        ends.is_none_or(|ends| ends > SystemTime::now() + MARGIN).then_some(cached)
    }
}

fn convert(operation: Operation, error: CredentialsError) -> StoreError {
    let message = match &error {
        CredentialsError::CredentialsNotLoaded(_) => "no credentials were found",
        CredentialsError::ProviderTimedOut(_) => "the provider of credentials did not answer",
        _ => "the provider of credentials failed",
    };
    StoreError::local(operation, StoreErrorKind::NoCredentials, message).with_source(error)
}
