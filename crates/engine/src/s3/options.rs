//! Which store, and how to talk to it: what a caller may choose.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::transport::Proxies;

/// How a bucket stands in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// `bucket.host` at AWS, `host/bucket` everywhere else: most stores that are not AWS have no
    /// wildcard DNS.
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
    /// The access key id, as `AWS_ACCESS_KEY_ID`.
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

/// The variables that the AWS configuration chain reads. Empty ones count as unset, as in the AWS
/// CLI.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(super) fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect())
    }
}

/// Values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Which store, and how to talk to it. What is `None` comes from the AWS configuration chain:
/// environment, profile, SSO, container and instance metadata.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// `http://127.0.0.1:8014`, also with a path; `None`: what environment and profile say, else
    /// AWS.
    pub endpoint_url: Option<String>,
    /// What environment and profile say of an endpoint does not count: without `endpoint_url` it is
    /// AWS's own.
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
    /// The variables that the chain may read; `None`: those of this process.
    pub environment: Option<Environment>,
    /// PEM file of the CAs, or of the certificates themselves, to trust instead of the system's.
    /// `None`: `AWS_CA_BUNDLE`, or `ca_bundle` of the profile.
    pub ca_bundle: Option<PathBuf>,
    /// `AWS_CA_BUNDLE` and `ca_bundle` of the profile do not count: without `ca_bundle` the
    /// system's CAs are trusted.
    pub ignore_configured_ca_bundle: bool,
    /// Accepts every certificate: a machine between here and the store can then read and change
    /// everything.
    pub accept_any_certificate: bool,
    /// The proxies to go through; none by default.
    pub proxies: Proxies,
    /// For a new connection, TLS included.
    pub connect_timeout: Duration,
    /// No byte moved for this long while a body is being sent: the connection is dead. Never a
    /// total time.
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
            environment: None,
            ca_bundle: None,
            ignore_configured_ca_bundle: false,
            accept_any_certificate: false,
            proxies: Proxies::default(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(120),
            complete_timeout: Duration::from_secs(15 * 60),
        }
    }
}
