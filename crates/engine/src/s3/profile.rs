//! Determines the kind of a store, as far as endpoint and answers show it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use http::Uri;

use super::transport::Origin;
use crate::remote::{StoreKind, StoreProfile};

/// The profile of one store. Clones share it: both planes update it.
#[derive(Clone, Debug)]
pub(super) struct KnownProfile(Arc<Known>);

#[derive(Debug)]
struct Known {
    kind: Mutex<StoreKind>,
    /// Whether no machine on the path can change a body and its trailing checksum, which no
    /// signature covers.
    is_private: bool,
    /// Whether answers have shown that the store does not verify trailers.
    without_trailers: AtomicBool,
}

impl KnownProfile {
    /// Returns the profile that follows from the endpoint alone.
    pub(super) fn of_endpoint(endpoint: &str, is_aws: bool) -> Self {
        let origin = endpoint.parse::<Uri>().ok().and_then(|uri| Origin::of(&uri));
        Self(Arc::new(Known {
            kind: Mutex::new(if is_aws { StoreKind::Aws } else { StoreKind::Generic }),
            is_private: origin.is_some_and(|origin| origin.tls || is_loopback(&origin.host)),
            without_trailers: AtomicBool::new(false),
        }))
    }

    pub(super) fn get(&self) -> StoreProfile {
        let profile = self.0.kind.lock().unwrap_or_else(PoisonError::into_inner).profile();
        let trailers = self.0.is_private && !self.0.without_trailers.load(Ordering::Relaxed);
        StoreProfile { verifies_trailers: profile.verifies_trailers && trailers, ..profile }
    }

    /// Updates the profile from the `Server` header of an answer. An AWS endpoint stays AWS.
    pub(super) fn heard(&self, server: &str) {
        let mut kind = self.0.kind.lock().unwrap_or_else(PoisonError::into_inner);
        if *kind == StoreKind::Generic
            && let Some(shown) = StoreKind::of_server(server)
        {
            *kind = shown;
        }
    }

    /// Records that trailers were refused, or accepted without a proof.
    pub(super) fn has_no_trailers(&self) {
        if !self.0.without_trailers.swap(true, Ordering::Relaxed) {
            tracing::info!("the store does not verify trailers: checksums are sent in headers");
        }
    }
}

/// Returns whether a host is a name or an address of this machine.
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Intercept for KnownProfile {
    fn name(&self) -> &'static str {
        "KnownProfile"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(server) = context.response().headers().get("server") {
            self.heard(server);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(endpoint: &str, is_aws: bool, server: &str) -> bool {
        let profile = KnownProfile::of_endpoint(endpoint, is_aws);
        profile.heard(server);
        profile.get().verifies_trailers
    }

    /// No signature covers the trailer: an attacker who changes a body over plain HTTP could change
    /// the trailer as well.
    #[test]
    fn trailers_are_for_private_ways_only() {
        assert!(streams("https://s3.eu-central-1.amazonaws.com", true, "AmazonS3"));
        assert!(!streams("http://s3.eu-central-1.amazonaws.com", true, "AmazonS3"));
        assert!(streams("http://127.0.0.1:8014", false, "Haul"));
        assert!(streams("http://[::1]:8014", false, "Haul"));
        assert!(streams("https://store.example.com", false, "Haul"));
        assert!(!streams("http://store.example.com", false, "Haul"));
    }

    #[test]
    fn unknown_stores_and_those_that_refused_get_headers() {
        assert!(!streams("https://store.example.com", false, "AmazonS3"));
        assert!(!streams("https://store.example.com", false, "Ceph Object Gateway (squid)"));
        let profile = KnownProfile::of_endpoint("https://s3.amazonaws.com", true);
        profile.has_no_trailers();
        assert!(!profile.get().verifies_trailers && profile.get().verifies_checksums);
    }
}
