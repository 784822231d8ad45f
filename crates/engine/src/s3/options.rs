//! The options of a store and its connections.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::RequestHeaders;
use super::transport::Proxies;
use crate::remote::StoreKind;

/// The position of the bucket in a request's URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// `bucket.host` at AWS, `host/bucket` everywhere else, because most other stores have no
    /// wildcard DNS.
    #[default]
    Auto,
    /// Path style: `host/bucket/key`.
    Path,
    /// Virtual-host style: `bucket.host/key`.
    Virtual,
}

/// Credentials from the caller instead of the AWS configuration chain.
#[derive(Clone)]
pub struct StaticCredentials {
    /// The access key id, as `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// The secret access key, as `AWS_SECRET_ACCESS_KEY`; never printed.
    pub secret_access_key: String,
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticCredentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// The variables that the AWS configuration chain may read. Empty ones count as unset, as in the
/// AWS CLI.
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

/// Redacts the values, which may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// The options of a store and its connections. `None` means the AWS configuration chain:
/// environment, profile, SSO, container and instance metadata.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// The URL of the endpoint, optionally with a path: `http://127.0.0.1:8014`. `None`: taken from
    /// the environment or the profile, otherwise AWS's.
    pub endpoint_url: Option<String>,
    /// Whether to ignore the endpoint of environment and profile: without `endpoint_url` the
    /// endpoint is AWS's own.
    pub ignore_configured_endpoint: bool,
    /// The region, such as `eu-central-1`; `us-east-1` by default.
    pub region: Option<String>,
    /// The name of a profile in `~/.aws/config`.
    pub profile: Option<String>,
    /// The profile of the store: its limits and what it supports. `None`: chosen by the endpoint
    /// and the answers.
    pub store_profile: Option<StoreKind>,
    /// The bucket addressing: path or virtual-host style.
    pub addressing: Addressing,
    /// Whether to use AWS's endpoints for FIPS 140; `None`: from environment and profile.
    pub fips: Option<bool>,
    /// Whether to use AWS's endpoints with IPv6; `None`: from environment and profile.
    pub dual_stack: Option<bool>,
    /// The credentials; `None`: from the chain.
    pub credentials: Option<StaticCredentials>,
    /// The variables that the chain may read; `None`: those of this process.
    pub environment: Option<Environment>,
    /// A PEM file with the CAs or certificates to trust instead of the system's. `None`:
    /// `AWS_CA_BUNDLE`, or `ca_bundle` of the profile.
    pub ca_bundle: Option<PathBuf>,
    /// Whether to ignore `AWS_CA_BUNDLE` and `ca_bundle` of the profile: without `ca_bundle` the
    /// system's CAs are trusted.
    pub ignore_configured_ca_bundle: bool,
    /// Whether to accept every certificate: any machine on the path can then read and change
    /// everything.
    pub accept_any_certificate: bool,
    /// The proxies to use; none by default.
    pub proxies: Proxies,
    /// Headers that every request carries: payer, expected owner, customer's keys.
    pub request_headers: RequestHeaders,
    /// The time-out for a new connection, including TLS.
    pub connect_timeout: Duration,
    /// The time-out for a body that is being sent without progress; there is no limit on the total
    /// time.
    pub idle_timeout: Duration,
    /// The time-out from the last byte of a request to its answer.
    pub answer_timeout: Duration,
    /// The time-out for CompleteMultipartUpload, which may take minutes.
    pub complete_timeout: Duration,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            endpoint_url: None,
            ignore_configured_endpoint: false,
            region: None,
            profile: None,
            store_profile: None,
            addressing: Addressing::default(),
            fips: None,
            dual_stack: None,
            credentials: None,
            environment: None,
            ca_bundle: None,
            ignore_configured_ca_bundle: false,
            accept_any_certificate: false,
            proxies: Proxies::default(),
            request_headers: RequestHeaders::default(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(120),
            complete_timeout: Duration::from_secs(15 * 60),
        }
    }
}
