//! Headers that every request of a connection carries, depending on its operation only: who pays,
//! who must own the bucket, and the customer's keys (SSE-C).
//!
//! Both planes take them from here, so that no request is without them: one interceptor adds them
//! to the requests of the SDK, and the data plane to its own.

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

use super::CustomerKey;

/// The operations that S3 accepts no payer for: those about buckets.
const WITHOUT_PAYER: [&str; 6] = [
    "CreateBucket",
    "DeleteBucket",
    "ListBuckets",
    "GetBucketLifecycleConfiguration",
    "PutBucketLifecycleConfiguration",
    "DeleteBucketLifecycle",
];

/// The operations without a bucket that already has an owner.
const WITHOUT_OWNER: [&str; 2] = ["CreateBucket", "ListBuckets"];

/// The operations that need the key of an object (S3 API reference; ListParts and Complete need it
/// for uploads with checksums).
const WITH_KEY: [&str; 10] = [
    "PutObject",
    "GetObject",
    "HeadObject",
    "GetObjectAttributes",
    "CopyObject",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "ListParts",
    "CompleteMultipartUpload",
];

/// The operations that read another object.
const WITH_SOURCE: [&str; 2] = ["CopyObject", "UploadPartCopy"];

/// What every request of a connection says beside its own parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeaders {
    /// `x-amz-request-payer: requester`: the caller agrees to pay for requests and transfer.
    pub request_payer: bool,
    /// `x-amz-expected-bucket-owner`: an account id; S3 refuses a bucket of another account.
    pub expected_bucket_owner: Option<String>,
    /// `x-amz-source-expected-bucket-owner`: the same for the source of a copy.
    pub expected_source_bucket_owner: Option<String>,
    /// The key that objects are encrypted with (SSE-C).
    pub customer_key: Option<CustomerKey>,
    /// The key that the source of a copy is encrypted with.
    pub copy_source_customer_key: Option<CustomerKey>,
}

impl RequestHeaders {
    /// Returns true if requests contain a key, which must not cross a network unencrypted.
    pub(super) fn contain_a_key(&self) -> bool {
        self.customer_key.is_some() || self.copy_source_customer_key.is_some()
    }

    /// Returns the headers for an operation, by its S3 name.
    pub(super) fn of(&self, operation: &str) -> Vec<(&'static str, String)> {
        let mut headers = vec![];
        if self.request_payer && !WITHOUT_PAYER.contains(&operation) {
            headers.push(("x-amz-request-payer", "requester".to_owned()));
        }
        if let Some(owner) = &self.expected_bucket_owner
            && !WITHOUT_OWNER.contains(&operation)
        {
            headers.push(("x-amz-expected-bucket-owner", owner.clone()));
        }
        if let Some(key) = &self.customer_key
            && WITH_KEY.contains(&operation)
        {
            headers.extend(key.headers());
        }
        if WITH_SOURCE.contains(&operation) {
            let owner = self.expected_source_bucket_owner.clone();
            headers.extend(owner.map(|owner| ("x-amz-source-expected-bucket-owner", owner)));
            let key = self.copy_source_customer_key.as_ref();
            headers.extend(key.into_iter().flat_map(CustomerKey::copy_source_headers));
        }
        headers
    }
}

impl Intercept for RequestHeaders {
    fn name(&self) -> &'static str {
        "RequestHeaders"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(operation) = config.load::<Metadata>() else { return Ok(()) };
        let added = self.of(operation.name());
        let headers = context.request_mut().headers_mut();
        for (name, value) in added {
            headers.try_insert(name, value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_gets_the_headers_that_s3_accepts() {
        let key = CustomerKey::parse(&[7; 32]).unwrap();
        let all = RequestHeaders {
            request_payer: true,
            expected_bucket_owner: Some("111122223333".to_owned()),
            expected_source_bucket_owner: Some("444455556666".to_owned()),
            customer_key: Some(key.clone()),
            copy_source_customer_key: Some(key),
        };
        let count = |operation: &str| all.of(operation).len();
        assert_eq!(count("ListBuckets"), 0);
        assert_eq!(count("CreateBucket"), 0);
        assert_eq!(count("DeleteBucket"), 1, "the owner");
        assert_eq!(count("ListObjectsV2"), 2, "owner and payer");
        assert_eq!(count("AbortMultipartUpload"), 2);
        assert_eq!(count("UploadPart"), 5, "and the key");
        assert_eq!(count("UploadPartCopy"), 9, "and the source");
        assert_eq!(RequestHeaders::default().of("UploadPartCopy"), []);
    }
}
