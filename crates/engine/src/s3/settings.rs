//! Reads and checks the settings of a store once, from the options, the environment and the
//! profile.
//!
//! The SDK reads the same sources, but it treats an empty variable as a value, ignores a file that
//! it cannot parse, and queries an instance-metadata service for a region even if the keys came
//! from elsewhere.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::imds;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::profile::ProfileSet;
use aws_config::provider_config::ProviderConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::ServiceConfigKey;
use http::Uri;

use super::S3Options;
use super::transport::Origin;
use crate::error::Error;

/// The default region: other S3-compatible stores expect it, and AWS redirects from it.
const DEFAULT_REGION: &str = "us-east-1";

/// The time-out of a metadata service, which is one hop away; no other machine answers at its
/// address.
const METADATA_PATIENCE: Duration = Duration::from_secs(1);

/// The settings of a profile that select the source of its credentials.
const CREDENTIAL_KEYS: [&str; 8] = [
    "aws_access_key_id",
    "credential_process",
    "login_session",
    "role_arn",
    "source_profile",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];

/// The variables that select the source of credentials.
const CREDENTIAL_VARIABLES: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// The environment and the profile in use.
pub(super) struct Settings {
    pub(super) env: Env,
    profiles: ProfileSet,
}

impl Settings {
    /// Reads the profile.
    ///
    /// # Errors
    /// [`Error::BadSetting`] if a file cannot be parsed, or if only one of a pair of keys is set.
    pub(super) async fn read(options: &S3Options) -> Result<Self, Error> {
        let env = match &options.environment {
            Some(environment) => Env::from_slice(&environment.pairs()),
            None => Env::real(),
        };
        let profile = options.profile.clone().or_else(|| variable(&env, "AWS_PROFILE"));
        let profile = profile.map_or(Cow::Borrowed("default"), Cow::Owned);
        let profiles =
            aws_config::profile::load(&Fs::real(), &env, &Default::default(), Some(profile)).await;
        let profiles = profiles.map_err(|error| bad_file(&error))?;
        let settings = Self { env, profiles };
        if options.credentials.is_none() {
            settings.check_keys(options.profile.is_some())?;
        }
        Ok(settings)
    }

    /// Returns the region for signatures, if none was configured. Queries an instance-metadata
    /// service only for AWS, and only if the credentials come from that service too.
    pub(super) async fn region(&self, options: &S3Options, http: SharedHttpClient) -> String {
        let configured =
            [&options.region, &self.variable("AWS_REGION"), &self.variable("AWS_DEFAULT_REGION")]
                .into_iter()
                .flatten()
                .cloned()
                .chain(self.profile_setting("region"))
                .map(|region| region.trim().to_owned())
                .find(|region| !region.is_empty());
        if let Some(region) = configured {
            return region;
        }
        let configured =
            !options.ignore_configured_endpoint && self.variable("AWS_ENDPOINT_URL").is_some();
        let at_aws = options.endpoint_url.is_none() && !configured;
        if at_aws && !self.has_credentials(options) {
            let config = ProviderConfig::without_region().with_http_client(http);
            let client = imds::Client::builder().configure(&config).max_attempts(1).build();
            let provider =
                ImdsRegionProvider::builder().configure(&config).imds_client(client).build();
            if let Ok(Some(region)) =
                tokio::time::timeout(METADATA_PATIENCE, provider.region()).await
            {
                return region.as_ref().to_owned();
            }
        }
        DEFAULT_REGION.to_owned()
    }

    /// Returns the checked URL of the store: the one in the options, otherwise the one that the SDK
    /// found.
    ///
    /// # Errors
    /// [`Error::BadSetting`] if the URL has no scheme, or contains a password, which the error does
    /// not repeat.
    pub(super) fn endpoint(
        &self,
        options: &S3Options,
        sdk: &SdkConfig,
    ) -> Result<Option<String>, Error> {
        if let Some(url) = &options.endpoint_url {
            return check_endpoint(url, "the endpoint").map(Some);
        }
        if options.ignore_configured_endpoint {
            return Ok(None);
        }
        let key = ServiceConfigKey::builder()
            .service_id("s3")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok();
        let configured = key.and_then(|key| sdk.service_config()?.load_config(key));
        let configured = configured.filter(|url| !url.trim().is_empty());
        configured.map(|url| check_endpoint(&url, self.origin_of_endpoint())).transpose()
    }

    fn origin_of_endpoint(&self) -> &'static str {
        ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
            .into_iter()
            .find(|name| self.variable(name).is_some())
            .unwrap_or("endpoint_url of the profile")
    }

    /// Returns the file of trusted certificates.
    pub(super) fn ca_bundle(&self, options: &S3Options) -> Option<PathBuf> {
        if options.ca_bundle.is_some() || options.ignore_configured_ca_bundle {
            return options.ca_bundle.clone();
        }
        let named = self.variable("AWS_CA_BUNDLE").or_else(|| self.profile_setting("ca_bundle"));
        named.map(PathBuf::from)
    }

    fn has_credentials(&self, options: &S3Options) -> bool {
        options.credentials.is_some()
            || CREDENTIAL_VARIABLES.iter().any(|name| self.variable(name).is_some())
            || CREDENTIAL_KEYS.iter().any(|key| self.profile_setting(key).is_some())
    }

    /// Fails if only one of a pair of keys is set, which the chain would ignore.
    fn check_keys(&self, profile_was_named: bool) -> Result<(), Error> {
        let variables = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        if !profile_was_named
            && check_pair(variables, "the environment", |name| self.variable(name))?
        {
            return Ok(());
        }
        let place = format!("profile {}", self.profiles.selected_profile());
        let keys = ["aws_access_key_id", "aws_secret_access_key"];
        check_pair(keys, &place, |key| self.profile_setting(key)).map(drop)
    }

    fn variable(&self, name: &str) -> Option<String> {
        variable(&self.env, name)
    }

    fn profile_setting(&self, key: &str) -> Option<String> {
        self.profiles.get(key).filter(|value| !value.trim().is_empty()).map(str::to_owned)
    }
}

fn variable(env: &Env, name: &str) -> Option<String> {
    env.get(name).ok().filter(|value| !value.trim().is_empty())
}

/// Returns true if both keys are set, false if neither is; fails if only one is.
fn check_pair(
    names: [&str; 2],
    place: &str,
    value: impl Fn(&str) -> Option<String>,
) -> Result<bool, Error> {
    let [id, secret] = names;
    let (there, missing) = match (value(id), value(secret)) {
        (Some(_), Some(_)) => return Ok(true),
        (None, None) => return Ok(false),
        (Some(_), None) => (id, secret),
        (None, Some(_)) => (secret, id),
    };
    Err(Error::BadSetting {
        problem: format!("{place} has {there} and no {missing}"),
        hint: format!("set {missing} too, or remove {there}"),
    })
}

fn bad_file(error: &aws_config::profile::ProfileFileLoadError) -> Error {
    use std::error::Error as _;
    // "error parsing PATH on line N:\n  WHY"
    let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    Error::BadSetting {
        problem: text.split_whitespace().collect::<Vec<_>>().join(" "),
        hint: "correct that line, or name another file with AWS_CONFIG_FILE or \
            AWS_SHARED_CREDENTIALS_FILE"
            .into(),
    }
}

fn check_endpoint(url: &str, origin: &str) -> Result<String, Error> {
    let url = url.trim();
    let bad = |problem: String, hint: &str| Err(Error::BadSetting { problem, hint: hint.into() });
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // This check comes first, so that no other message can repeat a password.
    if rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
        let hint = "leave it out of the URL, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
        return bad(format!("{origin} has a user name or a password in its URL"), hint);
    }
    let hint = "write it with its scheme, such as http://127.0.0.1:8014 or https://s3.example.com";
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return bad(format!("{origin} {url} does not begin with http:// or https://"), hint);
    }
    if url.parse::<Uri>().ok().and_then(|uri| Origin::of(&uri)).is_none() {
        return bad(format!("{origin} {url} is not the URL of a store"), hint);
    }
    Ok(url.to_owned())
}

#[cfg(test)]
mod tests;
