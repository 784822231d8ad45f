//! Repeats a request at once if the refusal shows how to correct it; the repetition does not count
//! as an attempt.
//!
//! The correction (another region, another time, other credentials) is stored, and the same request
//! is sent again. Other errors are returned to the caller, whose retry policy decides.

use std::future::Future;
use std::sync::Arc;

use aws_credential_types::Credentials;
use haul_parts::Bucket;

use super::S3Store;
use super::regional_client::RegionalClient;
use crate::remote::{StoreError, StoreErrorKind};

/// The maximum number of corrections of one request: the region, the time and the credentials may
/// all be wrong, and the region twice.
const LESSONS_MAX: u32 = 4;

impl S3Store {
    /// Sends a request about a bucket to the region of the bucket.
    pub(super) async fn ask<T, Answer>(
        &self,
        bucket: &Bucket,
        request: impl Fn(Arc<RegionalClient>) -> Answer,
    ) -> Result<T, StoreError>
    where
        Answer: Future<Output = Result<T, StoreError>>,
    {
        self.ask_at(self.places.of(bucket), Some(bucket), request).await
    }

    /// Sends a request that does not concern an existing bucket to the configured region.
    pub(super) async fn ask_home<T, Answer>(
        &self,
        request: impl Fn(Arc<RegionalClient>) -> Answer,
    ) -> Result<T, StoreError>
    where
        Answer: Future<Output = Result<T, StoreError>>,
    {
        self.ask_at(self.places.home(), None, request).await
    }

    async fn ask_at<T, Answer>(
        &self,
        mut place: Arc<RegionalClient>,
        bucket: Option<&Bucket>,
        request: impl Fn(Arc<RegionalClient>) -> Answer,
    ) -> Result<T, StoreError>
    where
        Answer: Future<Output = Result<T, StoreError>>,
    {
        for _ in 0..LESSONS_MAX {
            let credentials = self.credentials.current().await;
            let error = match request(Arc::clone(&place)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match self.learn(&place, bucket, credentials, &error).await {
                Some(better) => place = better,
                None => return Err(error),
            }
        }
        request(place).await
    }

    /// Returns where to repeat the request, if the refusal contains a correction.
    async fn learn(
        &self,
        place: &Arc<RegionalClient>,
        bucket: Option<&Bucket>,
        used: Option<Credentials>,
        error: &StoreError,
    ) -> Option<Arc<RegionalClient>> {
        let learnt = match error.kind {
            StoreErrorKind::WrongRegion => {
                let region =
                    error.guidance.bucket_region.as_ref().filter(|region| **region != place.region);
                return Some(self.places.learn(bucket?, region?));
            }
            StoreErrorKind::ClockSkew => {
                error.guidance.store_time.is_some_and(|time| self.clock.learn(time))
            }
            StoreErrorKind::ExpiredCredentials | StoreErrorKind::BadCredentials => {
                self.credentials.renew(used).await
            }
            StoreErrorKind::AccessDenied => {
                // An answer to HEAD has no body that could contain `RequestTimeTooSkewed`.
                let bare = error.code.is_none();
                bare && error.guidance.store_time.is_some_and(|time| self.clock.learn(time))
                    || self.credentials.look_for_newer(used).await
            }
            _ => false,
        };
        learnt.then(|| Arc::clone(place))
    }
}
