//! From options and the AWS configuration chain to a client.

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Region, RequestChecksumCalculation, ResponseChecksumValidation};
use haul_parts::{Bucket, Key};

use super::data::DataPlane;
use super::data::address::Address;
use super::{Addressing, S3Options, S3Store};
use crate::error::Error;
use crate::store::ObjectRef;

/// Where nothing says which region: what clones of S3 expect, and where AWS redirects from.
const DEFAULT_REGION: &str = "us-east-1";

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
    let provider = sdk
        .credentials_provider()
        .ok_or_else(|| Error::Configuration("no provider of credentials".into()))?;
    let region = sdk.region().map_or(DEFAULT_REGION, |region| region.as_ref()).to_owned();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(options.connect_timeout)
        .operation_attempt_timeout(options.answer_timeout)
        .build();
    // The SDK's checksums are for its own bodies; ours are sent by the data plane and named at Complete.
    let config = aws_sdk_s3::config::Builder::from(&sdk)
        .region(Region::new(region.clone()))
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
    let endpoint = probe(&client).await?.origin();
    let complete_timeout = options.complete_timeout;
    Ok(S3Store { data: DataPlane::new(provider, &options)?, client, region, endpoint, complete_timeout })
}

/// Where the SDK would send a request: resolved, not sent.
async fn probe(client: &aws_sdk_s3::Client) -> Result<Address, Error> {
    let object = ObjectRef {
        bucket: Bucket::new("haul-probe").map_err(|error| Error::Configuration(error.to_string()))?,
        key: Key::new("probe").map_err(|error| Error::Configuration(error.to_string()))?,
    };
    Address::resolve(client, &object).await.map_err(|error| Error::of_store("s3://", error))
}
