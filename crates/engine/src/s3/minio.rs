//! Detects MinIO by the `Server` header of its answers.
//!
//! MinIO's ListMultipartUploads supports a prefix only if that is a whole key, and older releases
//! list nothing without a prefix (minio/minio#20989, #11686; "working as intended"). So an empty
//! page from MinIO does not mean that there are no uploads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;

/// The record whether the store has answered as MinIO.
#[derive(Clone, Debug, Default)]
pub(super) struct IsMinio(Arc<AtomicBool>);

impl IsMinio {
    /// Returns true once the store has answered as MinIO.
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for IsMinio {
    fn name(&self) -> &'static str {
        "IsMinio"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let server = context.response().headers().get("server").unwrap_or_default();
        if server.starts_with("MinIO") {
            self.0.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
