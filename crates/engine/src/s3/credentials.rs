//! Credentials, for both planes: asked of the provider when needed, remembered until shortly before they end.
//!
//! The SDK would keep a cache of its own that only time empties. A store may know before the time that a session has
//! ended (`ExpiredToken`): then the provider has to be asked again, whatever end it gave.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;

use crate::store::{Operation, StoreError, StoreErrorKind};

/// Refreshed this long before they end: a part may be on its way for a while.
const MARGIN: Duration = Duration::from_secs(120);

/// Shared by everything that signs. The lock is held while the provider is asked: it is asked once, not by every
/// part in flight.
#[derive(Clone, Debug)]
pub(super) struct CredentialCache {
    provider: SharedCredentialsProvider,
    cached: Arc<Mutex<Option<Cached>>>,
}

#[derive(Clone, Debug)]
struct Cached {
    credentials: Credentials,
    fresh_until: Option<SystemTime>,
}

impl CredentialCache {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, cached: Arc::default() }
    }

    pub(super) async fn get(&self, operation: Operation) -> Result<Credentials, StoreError> {
        self.fetch().await.map_err(|error| convert(operation, error))
    }

    /// The store does not take `refused` any more (`None`: whatever is remembered): asks the provider, unless that
    /// was done meanwhile. False when it has nothing else to offer.
    pub(super) async fn renew(&self, refused: Option<Credentials>) -> bool {
        let mut cached = self.cached.lock().await;
        let before = cached.take();
        if let (Some(before), Some(refused)) = (&before, &refused)
            && !same(&before.credentials, refused)
        {
            *cached = before.clone().into();
            return true;
        }
        // What fails now fails again, and says why, when the next request asks.
        let Ok(now) = self.provider.provide_credentials().await else { return false };
        let refused = refused.or(before.map(|before| before.credentials));
        let others = refused.is_some_and(|refused| !same(&refused, &now));
        *cached = Some(Cached::new(now));
        others
    }

    /// What is remembered, without asking anybody.
    pub(super) async fn current(&self) -> Option<Credentials> {
        self.cached.lock().await.as_ref().map(|cached| cached.credentials.clone())
    }

    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached.as_ref().filter(|cached| cached.is_fresh()) {
            return Ok(cached.credentials.clone());
        }
        match self.provider.provide_credentials().await {
            Ok(credentials) => {
                *cached = Some(Cached::new(credentials.clone()));
                Ok(credentials)
            }
            // Refreshing early is a precaution: while the old ones hold, a provider that fails stops nothing.
            Err(error) => match cached.as_ref().filter(|cached| cached.is_valid()) {
                Some(cached) => Ok(cached.credentials.clone()),
                None => Err(error),
            },
        }
    }
}

impl ProvideCredentials for CredentialCache {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.fetch())
    }
}

impl Cached {
    fn new(credentials: Credentials) -> Self {
        let now = SystemTime::now();
        let fresh_until = credentials.expiry().map(|ends| {
            // Of a short session the last quarter: with the whole margin it would never count as fresh.
            let left = ends.duration_since(now).unwrap_or_default();
            ends - MARGIN.min(left / 4)
        });
        Self { credentials, fresh_until }
    }

    fn is_fresh(&self) -> bool {
        self.fresh_until.is_none_or(|until| until > SystemTime::now())
    }

    fn is_valid(&self) -> bool {
        self.credentials.expiry().is_none_or(|ends| ends > SystemTime::now())
    }
}

fn same(one: &Credentials, other: &Credentials) -> bool {
    one.access_key_id() == other.access_key_id()
        && one.secret_access_key() == other.secret_access_key()
        && one.session_token() == other.session_token()
}

fn convert(operation: Operation, error: CredentialsError) -> StoreError {
    let message = match &error {
        CredentialsError::CredentialsNotLoaded(_) => "no credentials were found",
        CredentialsError::ProviderTimedOut(_) => "the provider of credentials did not answer",
        _ => "the provider of credentials failed",
    };
    StoreError::local(operation, StoreErrorKind::NoCredentials, message).with_source(error)
}
