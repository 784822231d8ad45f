//! Reads and writes the lifecycle rules of a bucket as text, through the SDK's requests.
//!
//! The SDK's model contains the elements that existed when it was made, and drops all others. So
//! the answer is kept as text, and the body of the request is replaced.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleRule,
    TransitionDefaultMinimumObjectSize,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use haul_parts::Bucket;

use super::content_md5::replace_checksum;
use super::sdk_error::convert as failed;
use crate::remote::{LifecycleDocument, Operation, StoreError, StoreErrorKind};

/// The text of the last answer.
#[derive(Clone, Debug, Default)]
struct AnswerText(Arc<Mutex<Option<String>>>);

impl Intercept for AnswerText {
    fn name(&self) -> &'static str {
        "AnswerText"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let bytes = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(String::from_utf8_lossy(bytes).into_owned());
        Ok(())
    }
}

/// Sends GetBucketLifecycleConfiguration, and returns the rules as text.
pub(super) async fn get(
    client: &Client,
    bucket: &Bucket,
) -> Result<Option<LifecycleDocument>, StoreError> {
    let operation = Operation::GetBucketLifecycleConfiguration;
    let text = AnswerText::default();
    let answer = client
        .get_bucket_lifecycle_configuration()
        .bucket(bucket.as_str())
        .customize()
        .interceptor(text.clone())
        .send()
        .await;
    let size = match answer {
        Ok(answer) => {
            answer.transition_default_minimum_object_size().map(|size| size.as_str().to_owned())
        }
        Err(error) => {
            let error = failed(operation, error);
            let none = error.code.as_deref() == Some("NoSuchLifecycleConfiguration");
            return if none { Ok(None) } else { Err(error) };
        }
    };
    let xml = text.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    let xml = xml.ok_or_else(|| {
        StoreError::local(operation, StoreErrorKind::Malformed, "the answer has no document")
    })?;
    Ok(Some(LifecycleDocument { xml, transition_default_minimum_object_size: size }))
}

/// Sends PutBucketLifecycleConfiguration with this text as the body.
pub(super) async fn put(
    client: &Client,
    bucket: &Bucket,
    document: &LifecycleDocument,
) -> Result<(), StoreError> {
    let operation = Operation::PutBucketLifecycleConfiguration;
    let unusable = |error: aws_sdk_s3::error::BuildError| {
        StoreError::local(operation, StoreErrorKind::Rejected, error.to_string())
    };
    // This rule is never sent: it only satisfies the SDK's model.
    let rule =
        LifecycleRule::builder().status(ExpirationStatus::Enabled).build().map_err(unusable)?;
    let model = BucketLifecycleConfiguration::builder().rules(rule).build().map_err(unusable)?;
    let size = document.transition_default_minimum_object_size.as_deref();
    let xml = document.xml.clone();
    client
        .put_bucket_lifecycle_configuration()
        .bucket(bucket.as_str())
        .lifecycle_configuration(model)
        .set_transition_default_minimum_object_size(
            size.map(TransitionDefaultMinimumObjectSize::from),
        )
        .customize()
        .mutate_request(move |request| carry(request, &xml))
        .send()
        .await
        .map_err(|error| failed(operation, error))?;
    Ok(())
}

/// Replaces the body of a request that is about to be signed.
fn carry(request: &mut HttpRequest, xml: &str) {
    *request.body_mut() = SdkBody::from(xml.to_owned());
    request.headers_mut().insert("content-length", xml.len().to_string());
    replace_checksum(request);
}

/// Sends DeleteBucketLifecycle.
pub(super) async fn delete(client: &Client, bucket: &Bucket) -> Result<(), StoreError> {
    let sent = client.delete_bucket_lifecycle().bucket(bucket.as_str()).send().await;
    sent.map(drop).map_err(|error| failed(Operation::DeleteBucketLifecycle, error))
}
