//! Downloads an object in one stream: for short objects, and for stores that do not support ranges.
//!
//! After a broken connection the download continues at the same byte.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;

use super::target::OpenTarget;
use super::verify::{Mismatch, Verified};
use super::version::Version;
use super::{Context, DownloadReport, modified};
use crate::error::Error;
use crate::pace::{FailedAttempt, Success};
use crate::remote::{GetRequest, ObjectHead, Operation, StoreError, StoreErrorKind};

/// How long to wait for the end of a body when every byte of the object has arrived.
const END_PATIENCE: Duration = Duration::from_secs(5);

impl Context {
    /// Fetches the object in order, from the current position of the target.
    pub(super) async fn in_one_stream(
        &self,
        mut target: OpenTarget,
        mut version: Version,
    ) -> Result<DownloadReport, Error> {
        let mut tries = 0;
        while target.taken_bytes() < version.size_bytes() {
            let before = target.taken_bytes();
            let pass = self.resources.gate.enter().await;
            let Err(error) = self.stream(&version, &mut target).await? else {
                pass.succeeded(Success::Stream);
                break;
            };
            if error.kind == StoreErrorKind::Throttled {
                pass.throttled();
            }
            drop(pass);
            if error.kind == StoreErrorKind::PreconditionFailed && version.if_match().is_some() {
                self.settle_refused_if_match(&mut version).await?;
                continue;
            }
            // The object has no bytes from this offset on: perhaps it is a shorter version now.
            if error.status == Some(416) {
                version.agrees(&self.head().await?).map_err(|detail| self.changed(detail))?;
            }
            // Received bytes reset the number of attempts and cost nothing of the retry budget.
            let moved = target.taken_bytes() > before;
            tries = if moved { 1 } else { tries + 1 };
            let wait =
                self.resources.retry.wait(tries, &FailedAttempt::from(&error), &mut rand::rng());
            let wait = wait.filter(|_| moved || self.resources.budget.pay());
            let Some(wait) = wait else { return Err(self.failed(tries, error)) };
            tokio::time::sleep(wait).await;
        }
        let verified = target.verify();
        self.finish(target, verified, version.head()).await
    }

    /// Completes a download in order: writes the last bytes if all bytes match.
    pub(super) async fn finish(
        &self,
        mut target: OpenTarget,
        verified: Result<Verified, Mismatch>,
        head: &ObjectHead,
    ) -> Result<DownloadReport, Error> {
        let verified = match self.settled(verified, head).await {
            Ok(verified) => verified,
            Err(detail) => return Err(target.corrupt(&self.object, detail)),
        };
        target.complete(modified::of(head)).await?;
        self.point_of_no_return();
        target.publish().await?;
        Ok(self.report(head.size_bytes, verified))
    }

    /// Handles a refused `If-Match`: either the object is another version, or a proxy changes
    /// ETags.
    async fn settle_refused_if_match(&self, version: &mut Version) -> Result<(), Error> {
        let now = self.head().await?;
        version.agrees(&now).map_err(|detail| self.changed(detail))?;
        version.stop_naming_the_etag();
        Ok(())
    }

    /// Receives the object from the current end of the file on. The outer error is permanent, the
    /// inner error may be temporary.
    async fn stream(
        &self,
        version: &Version,
        target: &mut OpenTarget,
    ) -> Result<Result<(), StoreError>, Error> {
        let request = GetRequest {
            offset_bytes: target.taken_bytes(),
            size_bytes: None,
            if_match: version.if_match(),
        };
        let mut body = match self.resources.store.get_object(&self.object, &request).await {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        version.is_of(&body).map_err(|detail| self.changed(detail))?;
        while target.given_bytes() < version.size_bytes() {
            match body.bytes.next().await {
                Some(Ok(bytes)) => self.take(bytes, version, target).await?,
                Some(Err(error)) => {
                    target.flush().await?;
                    return Ok(Err(error));
                }
                None => {
                    target.flush().await?;
                    return Ok(Err(ended_early(target.taken_bytes(), version.size_bytes())));
                }
            }
        }
        target.flush().await?;
        // All announced bytes have arrived. The store may send more than it announced, so the end
        // of the body is awaited only briefly.
        match tokio::time::timeout(END_PATIENCE, body.bytes.next()).await {
            Ok(Some(Ok(more))) if !more.is_empty() => Err(self.too_long(version, target)),
            _ => Ok(Ok(())),
        }
    }

    async fn take(
        &self,
        bytes: Bytes,
        version: &Version,
        target: &mut OpenTarget,
    ) -> Result<(), Error> {
        let room = version.size_bytes() - target.given_bytes();
        if bytes.len() as u64 > room {
            return Err(self.too_long(version, target));
        }
        self.progress.meter().add(bytes.len() as u64);
        self.progress.meter().bandwidth().take(bytes.len() as u64).await;
        self.progress.arrived(bytes.len() as u64);
        target.push(bytes).await
    }

    fn too_long(&self, version: &Version, target: &OpenTarget) -> Error {
        let announced = version.size_bytes();
        target.corrupt(
            &self.object,
            format!("more arrives than the {announced} bytes that the store announced"),
        )
    }
}

/// Returns the error for a body that ends without a connection error before the object does. As an
/// error it delays the next attempt.
fn ended_early(arrived_bytes: u64, size_bytes: u64) -> StoreError {
    let message = format!("the body ended after {arrived_bytes} of {size_bytes} bytes");
    StoreError::local(Operation::GetObject, StoreErrorKind::Connection, message)
}
