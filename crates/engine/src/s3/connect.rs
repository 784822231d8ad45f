//! Creates a client from options and the AWS configuration chain.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use aws_config::BehaviorVersion;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient,
};
use haul_parts::{Bucket, Key};

use super::clock::Clock;
use super::credentials::CredentialCache;
use super::data::DataPlane;
use super::data::address::Address;
use super::location::Location;
use super::profile::{KnownProfile, is_private};
use super::regional_client::RegionalClients;
use super::settings::Settings;
use super::transport::{
    ControlConnections, LimitAnswers, Resolver, Transport, Trust, client_config,
};
use super::whole::WholeDocuments;
use super::{Addressing, S3Options, S3Store};
use crate::error::Error;
use crate::remote::ObjectRef;
use crate::subject::Subject;

/// A bucket for resolving addresses; no request goes to it.
const PROBE_BUCKET: &str = "haul-probe";

pub(super) async fn connect(options: S3Options) -> Result<S3Store, Error> {
    connect_through(Resolver::System, options).await
}

async fn connect_through(resolver: Resolver, options: S3Options) -> Result<S3Store, Error> {
    let mut options = without_empty(options);
    let settings = Settings::read(&options).await?;
    let ca_bundle = settings.ca_bundle(&options);
    let trust = match &ca_bundle {
        _ if options.accept_any_certificate => Trust::Anything,
        Some(path) => Trust::Bundle(path),
        None => Trust::System,
    };
    let tls = client_config(trust)?;
    let transport =
        Arc::new(Transport::new(resolver, tls, options.proxies.clone(), options.idle_timeout));
    let http = SharedHttpClient::new(ControlConnections::new(Arc::clone(&transport)));
    let region = settings.region(&options, http.clone()).await;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .env(settings.env.clone())
        .http_client(http.clone())
        .region(Region::new(region.clone()));
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(keys) = &options.credentials {
        let (id, secret) = (keys.access_key_id.clone(), keys.secret_access_key.clone());
        loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "options"));
    }
    let sdk = loader.load().await;
    let endpoint_url = settings.endpoint(&options, &sdk)?;
    let provider = match (&options.profile, &options.credentials) {
        (Some(profile), None) => profile_credentials(profile, sdk.region().cloned(), http),
        _ => sdk
            .credentials_provider()
            .ok_or_else(|| Error::Configuration("no provider of credentials".into()))?,
    };
    let clock = Clock::default();
    let credentials = CredentialCache::new(provider);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(options.connect_timeout)
        .operation_attempt_timeout(options.answer_timeout)
        .build();
    // The SDK's checksums cover only its own bodies; the data plane sends ours, and Complete lists
    // them.
    let mut config = Builder::from(&sdk)
        .credentials_provider(credentials.clone())
        // Our own cache replaces the SDK's, because it can be emptied when a session has ended.
        .identity_cache(IdentityCache::no_cache())
        // The SDK corrects its own clock from every answer; together with our correction, the skew
        // would be corrected twice.
        .time_source(clock.clone())
        .disable_clock_skew_correction(true)
        .interceptor(options.request_headers.clone())
        .interceptor(LimitAnswers)
        .interceptor(WholeDocuments)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    config.set_endpoint_url(endpoint_url);
    options.fips = options.fips.or(sdk.use_fips());
    options.dual_stack = options.dual_stack.or(sdk.use_dual_stack());
    config.set_use_fips(options.fips);
    config.set_use_dual_stack(options.dual_stack);
    let (config, location, is_aws) = located(config, &options, region.clone()).await?;
    refuse_keys_in_the_open(&options, &location)?;
    let profile = KnownProfile::new(options.store_profile, &location.endpoint, is_aws);
    let config = config.interceptor(profile.clone());
    let path_style = location.addressing == Addressing::Path;
    let client = aws_sdk_s3::Client::from_conf(config.force_path_style(path_style).build());
    let complete_timeout = options.complete_timeout;
    Ok(S3Store {
        data: DataPlane::new(
            credentials.clone(),
            clock.clone(),
            transport,
            profile.clone(),
            &options,
        ),
        profile,
        places: RegionalClients::new(client, region),
        clock,
        credentials,
        location,
        ca_bundle,
        kind_was_asked: AtomicBool::new(false),
        complete_timeout,
    })
}

/// Determines the store from the options and the chain, and whether it is AWS. Makes sure that the
/// SDK keeps the path of the endpoint: without a trailing slash the SDK would append the bucket
/// directly to it.
async fn located(
    config: Builder,
    options: &S3Options,
    region: String,
) -> Result<(Builder, Location, bool), Error> {
    let (configured, is_aws) = base(&config).await?;
    let mut without = config.clone();
    without.set_endpoint_url(None);
    // AWS has no host for a region that only another store has.
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
    Ok((config, location, is_aws))
}

/// Returns the URL to which the SDK would send requests with the bucket in the path, and whether
/// that URL is AWS's.
async fn base(config: &Builder) -> Result<(String, bool), Error> {
    let client = aws_sdk_s3::Client::from_conf(config.clone().force_path_style(true).build());
    let object = probe()?;
    let address = Address::resolve(&client, &object).await;
    let address = address
        .map_err(|error| Error::of_store(Subject::Endpoint("the store".to_owned()), error))?;
    let base = address.base(&object).ok_or_else(|| {
        Error::Configuration(format!("{} does not take a bucket in its path", address.origin()))
    })?;
    Ok((base, address.is_aws()))
}

/// Refuses to send a customer's key over a network unencrypted. AWS refuses such requests too, but
/// only after it has received the key.
fn refuse_keys_in_the_open(options: &S3Options, location: &Location) -> Result<(), Error> {
    let endpoint = &location.endpoint;
    if !options.request_headers.contain_a_key() || is_private(endpoint) {
        return Ok(());
    }
    Err(Error::BadSetting {
        problem: format!(
            "a customer's key (SSE-C) is not sent unencrypted, and {endpoint} is http"
        ),
        hint: "name the store with https://".into(),
    })
}

/// Removes empty options: like empty variables, they count as unset.
fn without_empty(options: S3Options) -> S3Options {
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    S3Options {
        endpoint_url: given(options.endpoint_url),
        region: given(options.region),
        profile: given(options.profile),
        ca_bundle: options.ca_bundle.filter(|path| !path.as_os_str().is_empty()),
        ..options
    }
}

/// Returns the credentials of a named profile, which take precedence over keys in the environment,
/// as in the AWS CLI: a user who names `production` must not write with other keys that the shell
/// has. The SDK's own chain would read the environment first.
fn profile_credentials(
    profile: &str,
    region: Option<Region>,
    http: SharedHttpClient,
) -> SharedCredentialsProvider {
    let config = ProviderConfig::without_region().with_region(region).with_http_client(http);
    let provider =
        ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&config).build();
    SharedCredentialsProvider::new(provider)
}

/// Returns an object for resolving addresses; no request goes to it.
fn probe() -> Result<ObjectRef, Error> {
    Ok(ObjectRef {
        bucket: Bucket::new(PROBE_BUCKET)
            .map_err(|error| Error::Configuration(error.to_string()))?,
        key: Key::new("probe").map_err(|error| Error::Configuration(error.to_string()))?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use haul_testkit::network::{BlackHole, CannedServer};

    use super::*;
    use crate::remote::{Store, StoreErrorKind};
    use crate::s3::{Environment, StaticCredentials};

    async fn store(options: S3Options) -> S3Store {
        let keys = StaticCredentials { access_key_id: "AK".into(), secret_access_key: "SK".into() };
        let region = options.region.or_else(|| Some("us-east-1".into()));
        S3Store::connect(S3Options { region, credentials: Some(keys), ..options }).await.unwrap()
    }

    /// Returns the URL of an object, which both planes use.
    async fn url_of(store: &S3Store, bucket: &str) -> String {
        let object =
            ObjectRef { bucket: Bucket::new(bucket).unwrap(), key: Key::new("a film").unwrap() };
        let address =
            Address::resolve(&store.places.of(&object.bucket).client, &object).await.unwrap();
        format!("{}{}", address.origin(), address.path())
    }

    fn given(endpoint: &str) -> S3Options {
        S3Options { endpoint_url: Some(endpoint.into()), ..S3Options::default() }
    }

    /// Regression: without a slash at the end of the endpoint, requests went to
    /// `/storage/v1/s3bucket/key`, and a later run of the same upload connected to `https://gw`,
    /// because only scheme and host had been kept.
    #[tokio::test]
    async fn an_endpoint_keeps_its_path_with_and_without_a_final_slash() {
        for written in [
            "https://gw/storage/v1/s3/",
            "https://gw/storage/v1/s3",
            "https://GW:443/storage/v1/s3//",
        ] {
            let first = store(given(written)).await;
            let location = first.location().clone();
            assert_eq!(location.store_name(), "https://gw/storage/v1/s3", "{written}");
            let url = url_of(&first, "films").await;
            assert!(
                url.to_ascii_lowercase().ends_with("/storage/v1/s3/films/a%20film"),
                "{written}: {url}"
            );
            // The next run, which has only the location, builds the same URL.
            let again = store(location.options(S3Options::default())).await;
            assert_eq!((again.location(), url_of(&again, "films").await), (&location, url));
        }
        let hosts =
            S3Options { addressing: Addressing::Virtual, ..given("https://gw/storage/v1/s3") };
        assert_eq!(
            url_of(&store(hosts).await, "films").await,
            "https://films.gw/storage/v1/s3/a%20film"
        );
    }

    /// Regression: any endpoint that contains `.amazonaws.com` was mistaken for AWS's public one,
    /// and requests went there: from a network without internet access, or bypassing the rules of
    /// the private endpoint.
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
            (
                "https://s3-accelerate.amazonaws.com",
                "https://films.s3-accelerate.amazonaws.com/a%20film",
            ),
            (
                "http://ec2-203-0-113-1.compute-1.amazonaws.com:9000",
                "http://ec2-203-0-113-1.compute-1.amazonaws.com:9000/films/a%20film",
            ),
        ] {
            let first = store(given(endpoint)).await;
            assert_eq!(url_of(&first, "films").await, url);
            let location = first.location();
            assert!(location.endpoint_given, "{endpoint}");
            assert_eq!(
                (location.endpoint.as_str(), location.store_name().as_str()),
                (endpoint, endpoint)
            );
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
            assert_eq!(
                location.store_name(),
                "https://s3.amazonaws.com",
                "the same from every region"
            );
            let again = store(location.options(S3Options::default())).await;
            assert_eq!(again.location(), location);
            assert_eq!(url_of(&again, "films").await, url_of(&first, "films").await);
        }
    }

    /// For a bucket in another region, requests go to AWS's host of that region and are signed for
    /// it.
    #[tokio::test]
    async fn a_region_that_was_learnt_makes_the_host_of_aws() {
        let here = store(S3Options::default()).await;
        let object = ObjectRef {
            bucket: Bucket::new("holiday-films").unwrap(),
            key: Key::new("a film").unwrap(),
        };
        let before =
            Address::resolve(&here.places.of(&object.bucket).client, &object).await.unwrap();
        assert_eq!(before.origin(), "https://holiday-films.s3.us-east-1.amazonaws.com");
        here.places.learn(&object.bucket, "eu-central-1");
        let place = here.places.of(&object.bucket);
        let after = Address::resolve(&place.client, &object).await.unwrap();
        assert_eq!(after.origin(), "https://holiday-films.s3.eu-central-1.amazonaws.com");
        assert_eq!(after.region(), "eu-central-1");
        assert_eq!(here.places.home().region, "us-east-1", "other buckets stay where they were");
    }

    fn options(endpoint: &str) -> S3Options {
        let keys = StaticCredentials { access_key_id: "AK".into(), secret_access_key: "SK".into() };
        S3Options {
            endpoint_url: Some(endpoint.into()),
            credentials: Some(keys),
            environment: Some(Environment::default()),
            ..S3Options::default()
        }
    }

    /// Regression: the SDK's own client raced address families, not addresses: an address that
    /// dropped SYNs cost each request its whole time-out.
    #[tokio::test]
    async fn the_control_plane_survives_an_address_that_drops_packets() {
        let hole = BlackHole::dig(([127, 0, 0, 2], 0).into()).unwrap();
        let document = "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>";
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{document}", document.len());
        let server = CannedServer::always(answer).unwrap();
        let table =
            HashMap::from([("two.test".to_owned(), vec![hole.address(), server.address()])]);
        let store =
            connect_through(Resolver::Fixed(table), options("http://two.test")).await.unwrap();
        let began = Instant::now();
        for _ in 0..3 {
            assert_eq!(store.list_buckets().await.unwrap(), vec![]);
        }
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }

    /// Regression: an endless listing was read into memory until the machine had none left: 5.9 GB
    /// were measured.
    #[tokio::test]
    async fn a_listing_without_end_is_cut_off() {
        const MIB: usize = 1024 * 1024;
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let server = CannedServer::start(move |_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<ListBucketResult>")?;
            // Sends at most 2 GiB, or until the client closes the connection.
            while counted.fetch_add(MIB, Ordering::Relaxed) < 2048 * MIB {
                stream.write_all(&vec![b' '; MIB])?;
            }
            Ok(())
        })
        .unwrap();
        let store = S3Store::connect(options(&server.url())).await.unwrap();
        let bucket = Bucket::new("bucket").unwrap();
        let error = store.list_objects(&bucket, "", None, None).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Malformed, "{error:?}");
        assert_eq!(error.to_string(), "ListObjectsV2: an answer of more than 16777216 bytes");
        assert!(
            sent.load(Ordering::Relaxed) < 64 * MIB,
            "{} bytes were sent",
            sent.load(Ordering::Relaxed)
        );
    }
}
