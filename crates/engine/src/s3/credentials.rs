//! Provides credentials for both planes: loads them from the provider when needed and caches them
//! until shortly before they expire.
//!
//! The SDK's own cache is emptied only by time. A store may report earlier that a session has ended
//! (`ExpiredToken`): then the provider has to be called again, whatever expiry it gave.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::transport::find;
use crate::remote::{Operation, StoreError, StoreErrorKind};

/// The time before expiry at which credentials are refreshed: a part may be in flight for a while.
const MARGIN: Duration = Duration::from_secs(120);

/// The minimum time between two calls of a provider that had no newer credentials: a refusal
/// usually persists, and the provider may be a program or a service.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The cache of credentials, shared by everything that signs. The lock is held during a call of the
/// provider, so that the provider is called once and not by every part in flight.
#[derive(Clone, Debug)]
pub(super) struct CredentialCache {
    provider: SharedCredentialsProvider,
    cached: Arc<Mutex<Option<Cached>>>,
    /// The last time when the provider had no newer credentials.
    looked_in_vain: Arc<Mutex<Option<Instant>>>,
}

#[derive(Clone, Debug)]
struct Cached {
    credentials: Credentials,
    fresh_until: Option<SystemTime>,
}

impl CredentialCache {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, cached: Arc::default(), looked_in_vain: Arc::default() }
    }

    pub(super) async fn get(&self, operation: Operation) -> Result<Credentials, StoreError> {
        self.fetch().await.map_err(|error| convert(operation, error))
    }

    /// Reloads the credentials after the store rejected `refused` (`None`: the cached ones), unless
    /// they have been reloaded meanwhile. Returns false if the provider has no other credentials.
    pub(super) async fn renew(&self, refused: Option<Credentials>) -> bool {
        let mut cached = self.cached.lock().await;
        let before = cached.take();
        if let (Some(before), Some(refused)) = (&before, &refused)
            && !same(&before.credentials, refused)
        {
            *cached = before.clone().into();
            return true;
        }
        // If this failure persists, the next request fails with its reason.
        let Ok(now) = self.provide().await else { return false };
        let refused = refused.or(before.map(|before| before.credentials));
        let others = refused.is_some_and(|refused| !same(&refused, &now));
        *cached = Some(Cached::new(now));
        others
    }

    /// Asks the provider for newer credentials after the store denied a request signed with
    /// `refused`. Usually the denial is correct; but some stores report an expired session this
    /// way, and the provider may have newer credentials. If it has none, the cached ones stay.
    pub(super) async fn look_for_newer(&self, refused: Option<Credentials>) -> bool {
        let mut looked = self.looked_in_vain.lock().await;
        if self
            .current()
            .await
            .zip(refused.as_ref())
            .is_some_and(|(now, refused)| !same(&now, refused))
        {
            return true;
        }
        if looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return false;
        }
        *looked = Some(Instant::now());
        let (Some(refused), Ok(now)) = (refused, self.provider.provide_credentials().await) else {
            return false;
        };
        let newer = !same(&refused, &now);
        if newer {
            *self.cached.lock().await = Some(Cached::new(now));
        }
        newer
    }

    /// Returns the cached credentials without calling the provider.
    pub(super) async fn current(&self) -> Option<Credentials> {
        self.cached.lock().await.as_ref().map(|cached| cached.credentials.clone())
    }

    async fn provide(&self) -> Result<Credentials, CredentialsError> {
        usable(&self.provider.provide_credentials().await?)
            .map_err(CredentialsError::invalid_configuration)
    }

    async fn fetch(&self) -> Result<Credentials, CredentialsError> {
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached.as_ref().filter(|cached| cached.is_fresh()) {
            return Ok(cached.credentials.clone());
        }
        match self.provide().await {
            Ok(credentials) => {
                *cached = Some(Cached::new(credentials.clone()));
                Ok(credentials)
            }
            // The early refresh is only a precaution: while the old credentials are valid, a
            // failing provider is not an error.
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
            // For a short session, the last quarter: with the whole margin it would never count as
            // fresh.
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

/// The error for credentials that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} {problem}")]
pub(super) struct UnusableCredentials {
    what: &'static str,
    problem: &'static str,
}

/// Trims whitespace from the keys: a Kubernetes secret often ends in a newline, and no key contains
/// whitespace. The SDK panics when it puts a key id with a newline into a header.
fn usable(given: &Credentials) -> Result<Credentials, UnusableCredentials> {
    let id = printable("access key id", given.access_key_id())?;
    let secret = given.secret_access_key().trim();
    if secret.is_empty() {
        return Err(UnusableCredentials { what: "secret access key", problem: "is empty" });
    }
    let token = given.session_token().filter(|token| !token.trim().is_empty());
    let token = token.map(|token| printable("session token", token)).transpose()?;
    if (id, secret, token)
        == (given.access_key_id(), given.secret_access_key(), given.session_token())
    {
        return Ok(given.clone());
    }
    Ok(Credentials::new(id, secret, token.map(str::to_owned), given.expiry(), "trimmed"))
}

fn printable<'a>(what: &'static str, value: &'a str) -> Result<&'a str, UnusableCredentials> {
    let value = value.trim();
    if value.is_empty() {
        return Err(UnusableCredentials { what, problem: "is empty" });
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UnusableCredentials {
            what,
            problem: "has a blank, a line break or a letter beyond ASCII in it",
        });
    }
    Ok(value)
}

fn convert(operation: Operation, error: CredentialsError) -> StoreError {
    let message = match &error {
        CredentialsError::CredentialsNotLoaded(_) => "no credentials were found",
        CredentialsError::ProviderTimedOut(_) => "the provider of credentials did not answer",
        CredentialsError::InvalidConfiguration(_)
            if find::<UnusableCredentials>(&error).is_some() =>
        {
            "the credentials cannot be used"
        }
        _ => "the provider of credentials failed",
    };
    StoreError::local(operation, StoreErrorKind::NoCredentials, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(id: &str, secret: &str, token: Option<&str>) -> Credentials {
        Credentials::new(id, secret, token.map(str::to_owned), None, "test")
    }

    /// Regression: a Kubernetes secret made with `echo` ends in a newline. The SDK's signer
    /// panicked, and `haul` ended with exit code 101.
    #[test]
    fn blanks_around_keys_are_trimmed() {
        let usable = usable(&credentials(" AK\n", "secret\r\n", Some("token\n"))).unwrap();
        assert_eq!((usable.access_key_id(), usable.secret_access_key()), ("AK", "secret"));
        assert_eq!(usable.session_token(), Some("token"));
    }

    #[test]
    fn keys_that_no_header_takes_are_refused() {
        let problem =
            |id, secret, token| usable(&credentials(id, secret, token)).unwrap_err().to_string();
        assert_eq!(
            problem("A\nK", "s", None),
            "the access key id has a blank, a line break or a letter beyond ASCII in it"
        );
        assert_eq!(problem(" \n", "s", None), "the access key id is empty");
        assert_eq!(problem("AK", "\n", None), "the secret access key is empty");
        assert!(problem("AK", "s", Some("t\u{e4}")).starts_with("the session token has"));
        assert_eq!(usable(&credentials("AK", "s", Some("\n"))).unwrap().session_token(), None);
    }
}
