//! Resolves the address of an object with the SDK: scheme, host, path and signing region.
//!
//! The SDK presigns an UploadPart, which sends nothing, and the resulting URL contains the whole
//! address. The query of the URL is discarded: its signature is for another purpose, and a
//! presigned URL may contain the SDK's checksum of an empty body (trap 18).

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use http::Uri;
use percent_encoding::percent_decode_str;

use crate::remote::{ObjectRef, Operation, StoreError, StoreErrorKind};
use crate::s3::transport::Origin;
use crate::s3::{aws, sdk_error};

/// The address of one object.
#[derive(Clone, Debug)]
pub(in crate::s3) struct Address {
    pub(super) origin: Origin,
    /// The path of the object, percent-encoded, with the leading slash.
    pub(in crate::s3) path: String,
    pub(in crate::s3) region: String,
    pub(in crate::s3) service: String,
}

/// The lifetime of the presigned URL, which may be short because no request uses the URL.
const PRESIGNED_FOR: Duration = Duration::from_secs(60);

impl Address {
    pub(in crate::s3) async fn resolve(
        client: &aws_sdk_s3::Client,
        object: &ObjectRef,
    ) -> Result<Self, StoreError> {
        let unusable = |message: String| {
            StoreError::local(Operation::UploadPart, StoreErrorKind::Malformed, message)
        };
        let config = PresigningConfig::expires_in(PRESIGNED_FOR)
            .map_err(|error| unusable(error.to_string()))?;
        let presigned = client
            .upload_part()
            .bucket(object.bucket.as_str())
            .key(object.key.as_str())
            .upload_id("u")
            .part_number(1)
            .presigned(config)
            .await
            .map_err(|error| sdk_error::convert(Operation::UploadPart, error))?;
        let uri: Uri = presigned.uri().parse().map_err(|error: http::uri::InvalidUri| {
            unusable(format!("the endpoint is not a URL: {error}"))
        })?;
        Self::of(&uri).ok_or_else(|| unusable("the endpoint has no host".into()))
    }

    fn of(uri: &Uri) -> Option<Self> {
        let origin = Origin::of(uri)?;
        let credential =
            uri.query()?.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Credential="))?;
        let scope = percent_decode_str(credential).decode_utf8().ok()?.into_owned();
        // KEYID/20261123/us-east-1/s3/aws4_request; parsed from the right, because a key id may
        // contain slashes.
        let mut scope = scope.rsplit('/').skip(1);
        let (service, region) = (scope.next()?.to_owned(), scope.next()?.to_owned());
        Some(Self { origin, path: uri.path().to_owned(), region, service })
    }

    /// Returns `https://host[:port]`.
    pub(in crate::s3) fn origin(&self) -> String {
        self.origin.url()
    }

    #[cfg(test)]
    pub(in crate::s3) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the region that signatures are for.
    #[cfg(test)]
    pub(in crate::s3) fn region(&self) -> &str {
        &self.region
    }

    /// Returns `https://host[:port]/path` without the object's own path and without a slash at its
    /// end. `None` if the path does not end with the object.
    pub(in crate::s3) fn base(&self, object: &ObjectRef) -> Option<String> {
        let path = self.path.strip_suffix(&format!("{}/{}", object.bucket, object.key))?;
        Some(format!("{}{}", self.origin(), path.trim_end_matches('/')))
    }

    /// Returns whether the host belongs to AWS S3, which has wildcard DNS for buckets.
    pub(in crate::s3) fn is_aws(&self) -> bool {
        aws::domain_of_s3(&self.origin.host).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_url_says_where_and_in_which_region() {
        let uri: Uri = "http://127.0.0.1:8014/b/a%20key?x-id=UploadPart&partNumber=1&uploadId=u\
            &X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AK%2FID%2F20261123%2Feu-central-1%2Fs3%2Faws4_request\
            &X-Amz-Signature=0"
            .parse()
            .unwrap();
        let address = Address::of(&uri).unwrap();
        assert_eq!(address.origin(), "http://127.0.0.1:8014");
        assert_eq!(address.path, "/b/a%20key");
        assert_eq!((address.region.as_str(), address.service.as_str()), ("eu-central-1", "s3"));
        assert!(!address.is_aws());
    }
}
