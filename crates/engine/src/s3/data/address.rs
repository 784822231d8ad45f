//! Resolves the address of an object with the SDK: scheme, host, path and signing region.
//!
//! The SDK presigns an UploadPart, which sends nothing, and the resulting URL contains the whole
//! address. The query of the URL is discarded: its signature is for another purpose, and a
//! presigned URL may contain the SDK's checksum of an empty body (trap 18).
//!
//! Presigning costs as much as sending a short object, so [`AddressBook`] asks the SDK once per
//! bucket: the addresses of its objects differ only in their keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_smithy_http::label::{EncodingStrategy, fmt_string};
use haul_parts::Bucket;
use http::Uri;
use percent_encoding::percent_decode_str;

use crate::remote::{ObjectRef, Operation, StoreError, StoreErrorKind};
use crate::s3::regional_client::RegionalClient;
use crate::s3::transport::Origin;
use crate::s3::{aws, sdk_error};

/// The address of one object.
#[derive(Clone, Debug)]
pub(in crate::s3) struct Address {
    pub(in crate::s3) origin: Origin,
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

/// The addresses that a data plane knows.
#[derive(Debug, Default)]
pub(super) struct AddressBook {
    /// Of each bucket: the region that its address is for, and the address. An object that moved to
    /// another region replaces it.
    buckets: Mutex<HashMap<Bucket, (String, Arc<BucketAddress>)>>,
    /// The last object, its region and its address: all parts of an upload share it.
    last: Mutex<Option<(ObjectRef, String, Arc<Address>)>>,
}

/// What the addresses of the objects in one bucket have in common.
#[derive(Debug)]
struct BucketAddress {
    origin: Origin,
    region: String,
    service: String,
    /// The path up to the key, percent-encoded, with a slash at both ends.
    prefix: String,
}

/// Maximum number of buckets that are remembered.
const BUCKETS_MAX: usize = 64;

impl AddressBook {
    /// Returns the address of an object at this client's region.
    pub(super) async fn of(
        &self,
        place: &RegionalClient,
        object: &ObjectRef,
    ) -> Result<Arc<Address>, StoreError> {
        if let Some((known, region, address)) =
            &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
            && (known, region) == (object, &place.region)
        {
            return Ok(Arc::clone(address));
        }
        let address = match self.derived(place, object) {
            Some(address) => address,
            None => self.resolved(place, object).await?,
        };
        let address = Arc::new(address);
        let entry = Some((object.clone(), place.region.clone(), Arc::clone(&address)));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = entry;
        Ok(address)
    }

    fn derived(&self, place: &RegionalClient, object: &ObjectRef) -> Option<Address> {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (region, bucket) = buckets.get(&object.bucket)?;
        (region == &place.region).then(|| bucket.address_of(object))?
    }

    async fn resolved(
        &self,
        place: &RegionalClient,
        object: &ObjectRef,
    ) -> Result<Address, StoreError> {
        let address = Address::resolve(&place.client, object).await?;
        if let Some(bucket) = BucketAddress::of(&address, object) {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            if buckets.len() >= BUCKETS_MAX {
                buckets.clear();
            }
            buckets.insert(object.bucket.clone(), (place.region.clone(), Arc::new(bucket)));
        }
        Ok(address)
    }
}

impl BucketAddress {
    /// `None` if the SDK does not end the path with the key as it is encoded here.
    fn of(address: &Address, object: &ObjectRef) -> Option<Self> {
        let prefix = address.path.strip_suffix(&encoded(object)?)?;
        prefix.ends_with('/').then(|| Self {
            origin: address.origin.clone(),
            region: address.region.clone(),
            service: address.service.clone(),
            prefix: prefix.to_owned(),
        })
    }

    fn address_of(&self, object: &ObjectRef) -> Option<Address> {
        Some(Address {
            origin: self.origin.clone(),
            path: format!("{}{}", self.prefix, encoded(object)?),
            region: self.region.clone(),
            service: self.service.clone(),
        })
    }
}

/// Returns the key as the SDK encodes it. `None` for a key with a slash at its beginning, because
/// the SDK joins it with the path of the endpoint.
fn encoded(object: &ObjectRef) -> Option<String> {
    let key = object.key.as_str();
    (!key.starts_with('/')).then(|| fmt_string(key, EncodingStrategy::Greedy))
}

#[cfg(test)]
mod tests {
    use haul_parts::Key;

    use super::*;
    use crate::s3::{S3Options, S3Store, StaticCredentials};

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

    /// An address that is derived from another key of its bucket must be the SDK's, or an object
    /// would get another name.
    #[tokio::test]
    async fn a_derived_address_is_the_one_that_the_sdk_resolves() {
        let keys = StaticCredentials { access_key_id: "AK".into(), secret_access_key: "SK".into() };
        for endpoint in [None, Some("http://127.0.0.1:8014"), Some("https://gw.example/storage/")] {
            let options = S3Options {
                endpoint_url: endpoint.map(Into::into),
                region: Some("us-east-1".into()),
                credentials: Some(keys.clone()),
                ..S3Options::default()
            };
            let store = S3Store::connect(options).await.unwrap();
            let book = AddressBook::default();
            for key in [
                "first",
                "a key+with (odd) signs*'!~_-.%20%",
                "ünïcode/日本",
                "a//b/",
                "a/../b/./c",
                "/leading",
                "//",
                "trailing/",
                "question?mark=1&x#y",
                ".",
                "..",
            ] {
                let key = Key::new(key).unwrap();
                let object = ObjectRef { bucket: Bucket::new("films").unwrap(), key };
                let place = store.places.of(&object.bucket);
                let expected = Address::resolve(&place.client, &object).await.unwrap();
                let found = book.of(&place, &object).await.unwrap();
                assert_eq!(format!("{found:?}"), format!("{expected:?}"));
                let known = book.derived(&place, &object).is_some();
                assert_eq!(known, !object.key.as_str().starts_with('/'), "{object}");
            }
        }
    }
}
