//! From options and the AWS configuration chain to a client.

use aws_config::BehaviorVersion;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use haul_parts::{Bucket, Key};

use super::clock::Clock;
use super::credentials::CredentialCache;
use super::data::address::Address;
use super::data::{DataPlane, IDLE_MAX};
use super::location::Location;
use super::place::Places;
use super::{Addressing, S3Options, S3Store};
use crate::error::Error;
use crate::store::ObjectRef;

/// Where nothing says which region: what clones of S3 expect, and where AWS redirects from.
const DEFAULT_REGION: &str = "us-east-1";

/// A bucket to resolve addresses with; nothing is asked of it.
const PROBE_BUCKET: &str = "haul-probe";

pub(super) async fn connect(mut options: S3Options) -> Result<S3Store, Error> {
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
    let config = Builder::from(&sdk)
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
    options.fips = options.fips.or(sdk.use_fips());
    options.dual_stack = options.dual_stack.or(sdk.use_dual_stack());
    let config = with_endpoint(config, &options);
    let (config, location) = located(config, &options, region.clone()).await?;
    let path_style = location.addressing == Addressing::Path;
    let client = aws_sdk_s3::Client::from_conf(config.force_path_style(path_style).build());
    let complete_timeout = options.complete_timeout;
    Ok(S3Store {
        data: DataPlane::new(credentials.clone(), clock.clone(), &options)?,
        places: Places::new(client, region),
        clock,
        credentials,
        location,
        complete_timeout,
    })
}

/// What the options say of the endpoint, before what the chain says.
fn with_endpoint(mut config: Builder, options: &S3Options) -> Builder {
    if options.ignore_configured_endpoint {
        config.set_endpoint_url(options.endpoint_url.clone());
    }
    config.set_use_fips(options.fips);
    config.set_use_dual_stack(options.dual_stack);
    config
}

/// Finds out which store options and chain came to, and makes sure that the SDK keeps the path of its endpoint: without
/// a slash at its end the SDK would put the bucket right behind it.
async fn located(config: Builder, options: &S3Options, region: String) -> Result<(Builder, Location), Error> {
    let (configured, is_aws) = base(&config).await?;
    let mut without = config.clone();
    without.set_endpoint_url(None);
    // A region that only a store of its own knows makes no host of AWS.
    let own = base(&without).await.ok().map(|(own, _)| own);
    let endpoint_given = own.as_ref() != Some(&configured);
    let mut config = config;
    if endpoint_given {
        config.set_endpoint_url(Some(format!("{configured}/")));
    }
    let addressing = match options.addressing {
        Addressing::Auto if is_aws => Addressing::Virtual,
        Addressing::Auto => Addressing::Path,
        chosen => chosen,
    };
    let location = Location {
        endpoint: configured,
        endpoint_given,
        region,
        addressing,
        fips: options.fips.unwrap_or_default(),
        dual_stack: options.dual_stack.unwrap_or_default(),
    };
    Ok((config, location))
}

/// Where the SDK would send requests with the bucket in the path, and whether that is AWS.
async fn base(config: &Builder) -> Result<(String, bool), Error> {
    let client = aws_sdk_s3::Client::from_conf(config.clone().force_path_style(true).build());
    let object = probe()?;
    let address = Address::resolve(&client, &object).await;
    let address = address.map_err(|error| Error::of_store("the store", error))?;
    let base = address.base(&object).ok_or_else(|| {
        Error::Configuration(format!("{} does not take a bucket in its path", address.origin()))
    })?;
    Ok((base, address.is_aws()))
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

/// An object to resolve addresses with; nothing is asked of it.
fn probe() -> Result<ObjectRef, Error> {
    Ok(ObjectRef {
        bucket: Bucket::new(PROBE_BUCKET).map_err(|error| Error::Configuration(error.to_string()))?,
        key: Key::new("probe").map_err(|error| Error::Configuration(error.to_string()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::StaticCredentials;

    async fn store(options: S3Options) -> S3Store {
        let keys = StaticCredentials { access_key_id: "AK".into(), secret_access_key: "SK".into() };
        let region = options.region.or_else(|| Some("us-east-1".into()));
        S3Store::connect(S3Options { region, credentials: Some(keys), ..options }).await.unwrap()
    }

    /// The URL of an object, as both planes use it.
    async fn url_of(store: &S3Store, bucket: &str) -> String {
        let object = ObjectRef { bucket: Bucket::new(bucket).unwrap(), key: Key::new("a film").unwrap() };
        let address = Address::resolve(&store.places.of(&object.bucket).client, &object).await.unwrap();
        format!("{}{}", address.origin(), address.path())
    }

    fn given(endpoint: &str) -> S3Options {
        S3Options { endpoint_url: Some(endpoint.into()), ..S3Options::default() }
    }

    /// Requests went to `/storage/v1/s3bucket/key` without a slash at the end of the endpoint, and a later run of the
    /// same upload asked `https://gw` because only scheme and host had been kept.
    #[tokio::test]
    async fn an_endpoint_keeps_its_path_with_and_without_a_final_slash() {
        for written in
            ["https://gw/storage/v1/s3/", "https://gw/storage/v1/s3", "https://GW:443/storage/v1/s3//"]
        {
            let first = store(given(written)).await;
            let location = first.location().clone();
            assert_eq!(location.store_name(), "https://gw/storage/v1/s3", "{written}");
            let url = url_of(&first, "films").await;
            assert!(url.to_ascii_lowercase().ends_with("/storage/v1/s3/films/a%20film"), "{written}: {url}");
            // And so does the next run, which has nothing but the location.
            let again = store(location.options(S3Options::default())).await;
            assert_eq!((again.location(), url_of(&again, "films").await), (&location, url));
        }
        let hosts = S3Options { addressing: Addressing::Virtual, ..given("https://gw/storage/v1/s3") };
        assert_eq!(url_of(&store(hosts).await, "films").await, "https://films.gw/storage/v1/s3/a%20film");
    }

    /// An endpoint that contains `.amazonaws.com` was taken for AWS's public one, and the public one was asked from then
    /// on: from a network without a way to the internet, or past the rules of the private one.
    #[tokio::test]
    async fn a_private_endpoint_of_aws_is_kept() {
        for (endpoint, url) in [
            (
                "https://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com",
                "https://films.bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com/a%20film",
            ),
            (
                "https://s3-fips.dualstack.us-east-1.amazonaws.com",
                "https://films.s3-fips.dualstack.us-east-1.amazonaws.com/a%20film",
            ),
            ("https://s3-accelerate.amazonaws.com", "https://films.s3-accelerate.amazonaws.com/a%20film"),
            (
                "http://ec2-203-0-113-1.compute-1.amazonaws.com:9000",
                "http://ec2-203-0-113-1.compute-1.amazonaws.com:9000/films/a%20film",
            ),
        ] {
            let first = store(given(endpoint)).await;
            assert_eq!(url_of(&first, "films").await, url);
            let location = first.location();
            assert!(location.endpoint_given, "{endpoint}");
            assert_eq!((location.endpoint.as_str(), location.store_name().as_str()), (endpoint, endpoint));
            let again = store(location.options(S3Options::default())).await;
            assert_eq!(url_of(&again, "films").await, url);
        }
    }

    #[tokio::test]
    async fn the_endpoint_of_aws_follows_from_region_and_kind() {
        let fips = S3Options { fips: Some(true), dual_stack: Some(true), ..S3Options::default() };
        for (options, endpoint) in [
            (S3Options::default(), "https://s3.eu-central-1.amazonaws.com"),
            (fips, "https://s3-fips.dualstack.eu-central-1.amazonaws.com"),
        ] {
            let first = store(S3Options { region: Some("eu-central-1".into()), ..options }).await;
            let location = first.location();
            assert!(!location.endpoint_given);
            assert_eq!(location.endpoint, endpoint);
            assert_eq!(location.store_name(), "https://s3.amazonaws.com", "the same from every region");
            let again = store(location.options(S3Options::default())).await;
            assert_eq!(again.location(), location);
            assert_eq!(url_of(&again, "films").await, url_of(&first, "films").await);
        }
    }

    /// A bucket that turns out to be elsewhere: AWS's host of that region, and signatures for it.
    #[tokio::test]
    async fn a_region_that_was_learnt_makes_the_host_of_aws() {
        let here = store(S3Options::default()).await;
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
