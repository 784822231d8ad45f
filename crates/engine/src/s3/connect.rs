//! From options and the AWS configuration chain to a client.

use aws_config::BehaviorVersion;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use haul_parts::{Bucket, Key};

use super::clock::Clock;
use super::credentials::CredentialCache;
use super::data::address::Address;
use super::data::{DataPlane, IDLE_MAX};
use super::place::Places;
use super::{Addressing, S3Options, S3Store};
use crate::error::Error;
use crate::store::ObjectRef;

/// Where nothing says which region: what clones of S3 expect, and where AWS redirects from.
const DEFAULT_REGION: &str = "us-east-1";

/// A bucket to resolve addresses with; nothing is asked of it.
const PROBE_BUCKET: &str = "haul-probe";

pub(super) async fn connect(options: S3Options) -> Result<S3Store, Error> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint) = &options.endpoint_url {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(keys) = &options.credentials {
        let (id, secret) = (keys.access_key_id.clone(), keys.secret_access_key.clone());
        loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "options"));
    }
    let sdk = loader.load().await;
    let provider = match (&options.profile, &options.credentials) {
        (Some(profile), None) => profile_credentials(profile, sdk.region().cloned()),
        _ => sdk
            .credentials_provider()
            .ok_or_else(|| Error::Configuration("no provider of credentials".into()))?,
    };
    let clock = Clock::default();
    let credentials = CredentialCache::new(provider);
    let region = sdk.region().map_or(DEFAULT_REGION, |region| region.as_ref()).to_owned();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(options.connect_timeout)
        .operation_attempt_timeout(options.answer_timeout)
        .build();
    // The SDK's checksums are for its own bodies; ours are sent by the data plane and named at Complete.
    let config = aws_sdk_s3::config::Builder::from(&sdk)
        .region(Region::new(region.clone()))
        .credentials_provider(credentials.clone())
        // Ours is the cache: it can be told that a session has ended.
        .identity_cache(IdentityCache::no_cache())
        // And the clock: the SDK corrects its own from every answer, and both corrections together would be one too
        // many.
        .time_source(clock.clone())
        .disable_clock_skew_correction(true)
        .http_client(http_client())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    let with_style =
        |path: bool| aws_sdk_s3::Client::from_conf(config.clone().force_path_style(path).build());
    let client = match options.addressing {
        Addressing::Path => with_style(true),
        Addressing::Virtual => with_style(false),
        Addressing::Auto => {
            let virtual_style = with_style(false);
            if probe(&virtual_style).await?.is_aws() { virtual_style } else { with_style(true) }
        }
    };
    // Of a store that puts buckets into its host names, the name without the probe's bucket.
    let endpoint = probe(&client).await?.origin().replacen(&format!("{PROBE_BUCKET}."), "", 1);
    let complete_timeout = options.complete_timeout;
    Ok(S3Store {
        data: DataPlane::new(credentials.clone(), clock.clone(), &options)?,
        places: Places::new(client, region),
        clock,
        credentials,
        endpoint,
        complete_timeout,
    })
}

/// The SDK's own, but for how long an idle connection is trusted: between Create and Complete lie minutes, in which
/// the store or a firewall has dropped it, and 90 seconds (its default) would let Complete be the one to find out.
fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(IDLE_MAX)
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https()
}

/// A profile that was named wins over keys in the environment, as with the AWS CLI: who says `production` must not
/// write with whatever keys the shell happens to hold. The SDK's own chain would ask the environment first.
fn profile_credentials(profile: &str, region: Option<Region>) -> SharedCredentialsProvider {
    let config = ProviderConfig::without_region().with_region(region);
    let provider = ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&config).build();
    SharedCredentialsProvider::new(provider)
}

/// Where the SDK would send a request: resolved, not sent.
async fn probe(client: &aws_sdk_s3::Client) -> Result<Address, Error> {
    let object = ObjectRef {
        bucket: Bucket::new(PROBE_BUCKET).map_err(|error| Error::Configuration(error.to_string()))?,
        key: Key::new("probe").map_err(|error| Error::Configuration(error.to_string()))?,
    };
    Address::resolve(client, &object).await.map_err(|error| Error::of_store("the store", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::StaticCredentials;

    /// A bucket that turns out to be elsewhere: AWS's host of that region, and signatures for it.
    #[tokio::test]
    async fn a_region_that_was_learnt_makes_the_host_of_aws() {
        let keys = StaticCredentials { access_key_id: "AK".into(), secret_access_key: "SK".into() };
        let options =
            S3Options { region: Some("us-east-1".into()), credentials: Some(keys), ..S3Options::default() };
        let here = S3Store::connect(options).await.unwrap();
        let object =
            ObjectRef { bucket: Bucket::new("holiday-films").unwrap(), key: Key::new("a film").unwrap() };
        let before = Address::resolve(&here.places.of(&object.bucket).client, &object).await.unwrap();
        assert_eq!(before.origin(), "https://holiday-films.s3.us-east-1.amazonaws.com");
        here.places.learn(&object.bucket, "eu-central-1");
        let place = here.places.of(&object.bucket);
        let after = Address::resolve(&place.client, &object).await.unwrap();
        assert_eq!(after.origin(), "https://holiday-films.s3.eu-central-1.amazonaws.com");
        assert_eq!(after.region(), "eu-central-1");
        assert_eq!(here.places.home().region, "us-east-1", "other buckets stay where they were");
    }
}
