//! Chooses the profile of a store by its name, its endpoint or its answers. The findings of a probe
//! and later answers then correct single values of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_s3::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use http::Uri;

use super::transport::Origin;
use crate::remote::{ProfileChoice, StoreFindings, StoreKind, StoreProfile, Support};

/// The header that asks for the checksums of an object.
pub(super) const CHECKSUM_MODE: &str = "x-amz-checksum-mode";

/// The profile of one store. Clones share it: both planes update it.
#[derive(Clone, Debug)]
pub(super) struct KnownProfile(Arc<Known>);

#[derive(Debug)]
struct Known {
    chosen: Mutex<Chosen>,
    /// Whether no machine on the path can change a body and its trailing checksum, which no
    /// signature covers.
    is_private: bool,
    /// Whether answers have shown that the store does not verify trailers.
    without_trailers: AtomicBool,
}

#[derive(Debug)]
struct Chosen {
    kind: StoreKind,
    by: ProfileChoice,
    found: Option<StoreFindings>,
}

impl KnownProfile {
    /// Returns the profile with this name or, without a name, the one that follows from the
    /// endpoint alone.
    pub(super) fn new(named: Option<StoreKind>, endpoint: &str, is_aws: bool) -> Self {
        let origin = endpoint.parse::<Uri>().ok().and_then(|uri| Origin::of(&uri));
        let of_host = || origin.as_ref().and_then(|origin| StoreKind::of_host(&origin.host));
        let (kind, by) = match (named, is_aws) {
            (Some(kind), _) => (kind, ProfileChoice::Name),
            (None, true) => (StoreKind::Aws, ProfileChoice::Endpoint),
            (None, false) => match of_host() {
                Some(kind) => (kind, ProfileChoice::Endpoint),
                None => (StoreKind::Generic, ProfileChoice::Default),
            },
        };
        tracing::info!("store profile {kind}, {by} ({endpoint})");
        Self(Arc::new(Known {
            chosen: Mutex::new(Chosen { kind, by, found: None }),
            is_private: is_private(endpoint),
            without_trailers: AtomicBool::new(false),
        }))
    }

    pub(super) fn get(&self) -> StoreProfile {
        let chosen = self.chosen();
        let table = chosen.kind.profile();
        let profile = chosen.found.as_ref().map_or(table, |found| table.refined_by(found));
        if self.0.is_private && !self.0.without_trailers.load(Ordering::Relaxed) {
            return profile;
        }
        StoreProfile { trailers: Support::No, ..profile }
    }

    /// Returns how the profile was chosen.
    pub(super) fn choice(&self) -> ProfileChoice {
        self.chosen().by
    }

    /// Corrects the profile with the findings of a probe of this store. A profile chosen by its
    /// name stays as it is.
    pub(super) fn refine(&self, found: StoreFindings) {
        let mut chosen = self.chosen();
        if chosen.by == ProfileChoice::Name {
            return;
        }
        if chosen.by == ProfileChoice::Default && found.kind != StoreKind::Generic {
            (chosen.kind, chosen.by) = (found.kind, ProfileChoice::Findings);
        }
        tracing::info!("store profile {}, {}, refined by a probe", chosen.kind, chosen.by);
        chosen.found = Some(found);
    }

    /// Updates the profile from the headers of an answer, which `header` returns by their names in
    /// lower case. Any other choice takes precedence.
    pub(super) fn heard<'a>(&self, header: impl Fn(&str) -> Option<&'a str>) {
        let mut chosen = self.chosen();
        if chosen.by == ProfileChoice::Default
            && let Some(kind) = StoreKind::of_answer(header)
        {
            (chosen.kind, chosen.by) = (kind, ProfileChoice::Answers);
            tracing::info!("store profile {kind}, {}", chosen.by);
        }
    }

    /// Records that trailers were refused, or accepted without a proof.
    pub(super) fn has_no_trailers(&self) {
        if !self.0.without_trailers.swap(true, Ordering::Relaxed) {
            tracing::info!("the store does not verify trailers: checksums are sent in headers");
        }
    }

    fn chosen(&self) -> MutexGuard<'_, Chosen> {
        self.0.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether requests to an endpoint cross no network unencrypted.
pub(super) fn is_private(endpoint: &str) -> bool {
    let origin = endpoint.parse::<Uri>().ok().and_then(|uri| Origin::of(&uri));
    origin.is_some_and(|origin| origin.tls || is_loopback(&origin.host))
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

    /// Removes the header for checksums of objects where the store refuses it.
    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.get().checksum_mode == Support::No {
            context.request_mut().headers_mut().remove(CHECKSUM_MODE);
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        self.heard(|name| headers.get(name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(profile: &KnownProfile, server: &str) {
        profile.heard(|name| (name == "server").then_some(server));
    }

    fn streams(endpoint: &str, is_aws: bool, server: &str) -> bool {
        let profile = KnownProfile::new(None, endpoint, is_aws);
        heard(&profile, server);
        profile.get().trailers.is_yes()
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
        let profile = KnownProfile::new(None, "https://s3.amazonaws.com", true);
        profile.has_no_trailers();
        assert_eq!(profile.get().trailers, Support::No);
    }

    #[test]
    fn a_name_beats_the_endpoint_and_the_endpoint_beats_answers() {
        let r2 = "https://0123abc.r2.cloudflarestorage.com";
        for (named, endpoint, kind, by) in [
            (None, r2, StoreKind::R2, ProfileChoice::Endpoint),
            (Some(StoreKind::B2), r2, StoreKind::B2, ProfileChoice::Name),
            (
                Some(StoreKind::Generic),
                "http://gateway:7480",
                StoreKind::Generic,
                ProfileChoice::Name,
            ),
            (None, "http://gateway:7480", StoreKind::Garage, ProfileChoice::Answers),
        ] {
            let profile = KnownProfile::new(named, endpoint, false);
            heard(&profile, "Garage");
            assert_eq!((profile.get().kind, profile.choice()), (kind, by), "{endpoint}");
        }
    }

    #[test]
    fn findings_refine_every_profile_but_a_named_one() {
        let found = StoreFindings {
            kind: StoreKind::CephRgw,
            equal_parts: Some(true),
            ..StoreFindings::default()
        };
        let refined = |named, endpoint| {
            let profile = KnownProfile::new(named, endpoint, false);
            profile.refine(found.clone());
            (profile.get().kind, profile.get().limits.equal_parts)
        };
        assert_eq!(refined(None, "http://gateway:7480"), (StoreKind::CephRgw, true));
        assert_eq!(refined(None, "https://s3.wasabisys.com"), (StoreKind::Wasabi, true));
        let named = Some(StoreKind::Generic);
        assert_eq!(refined(named, "http://gateway:7480"), (StoreKind::Generic, false));
    }
}
