//! Limits the length of an answer of the control plane, by operation.
//!
//! The SDK reads a document into memory before it parses it, and a broken or hostile store could
//! send gigabytes. The limits follow from the maximum size of each operation's page.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

const MIB: usize = 1024 * 1024;

/// Returns the maximum number of bytes in the document of an answer.
pub(in crate::s3) fn answer_bytes_max(operation: &str) -> usize {
    match operation {
        // 1,000 keys of 1,024 bytes, up to six times as long in XML, with their elements.
        "ListObjectsV2" | "ListObjects" | "ListMultipartUploads" | "DeleteObjects" => 16 * MIB,
        // 1,000 parts, each with an ETag and a checksum.
        "ListParts" => 2 * MIB,
        // Up to 10,000 buckets with names of 63 bytes.
        "ListBuckets" => 8 * MIB,
        // A few fields, or an error. During Complete the store sends a blank now and then for
        // minutes.
        _ => MIB,
    }
}

/// The limit of a request's answer, attached to each request of the SDK's S3 client.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerLimit {
    pub(super) bytes_max: usize,
}

impl Default for AnswerLimit {
    /// Returns the limit for answers of the services that credentials come from.
    fn default() -> Self {
        Self { bytes_max: MIB }
    }
}

/// An interceptor that passes the operation of a request to the connector.
#[derive(Debug)]
pub(in crate::s3) struct LimitAnswers;

impl Intercept for LimitAnswers {
    fn name(&self) -> &'static str {
        "LimitAnswers"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = settings.load::<Metadata>().map_or("", Metadata::name);
        context.request_mut().add_extension(AnswerLimit { bytes_max: answer_bytes_max(operation) });
        Ok(())
    }
}
