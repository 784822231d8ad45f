//! Examines a store in a scratch prefix: the way to it, permissions, and what it verifies, ignores
//! or refuses.
//!
//! Every object and upload of a run is below one scratch prefix ([`scratch`]), which the run
//! removes at its end ([`cleanup`]); the next run removes what a killed one left. Nothing is
//! written unless it can be removed again: the run first checks that it may delete, and that the
//! bucket has no default retention. A probe sends each request exactly as it stands there
//! ([`request`]).

mod bucket_versions;
mod checksums;
mod cleanup;
mod clock;
mod conclusion;
mod conditions;
mod credentials;
mod lifecycle;
mod multipart;
mod permissions;
mod report;
mod request;
mod scratch;
mod throughput;
mod tls;
mod versions;
mod way;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use haul_parts::{Bucket, UploadId};
use jiff::Timestamp;
use tokio::time::Instant;

use self::bucket_versions::Versions;
pub use self::conclusion::{Choice, Difference, ProfileLimits};
pub use self::report::{Check, DoctorReport, Group, Measured, Remedy, Verdict};
use self::scratch::Scratch;
pub use self::tls::TlsReport;
use crate::remote::{StoreError, StoreFindings};
use crate::s3::S3Store;

/// The time after which a run stops probing and cleans up. It bounds the age of a scratch that is
/// in use.
pub const RUN_MAX: Duration = Duration::from_secs(600);

/// The options of a run.
#[derive(Clone, Copy, Debug)]
pub struct DoctorOptions {
    /// Whether to measure the throughput, which moves 192 MiB at most.
    pub throughput: bool,
    /// Whether to write although the store does not tell if the bucket has a default retention.
    pub assume_no_retention: bool,
    /// Whether to treat the bucket as one without versions if the store does not tell.
    pub assume_no_versions: bool,
}

impl Default for DoctorOptions {
    fn default() -> Self {
        Self { throughput: true, assume_no_retention: false, assume_no_versions: false }
    }
}

/// Stops a run after the request that is under way.
#[derive(Clone, Debug, Default)]
pub struct DoctorStop(Arc<AtomicBool>);

impl DoctorStop {
    /// Requests the stop.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One examination of a store.
#[derive(Debug)]
pub struct Doctor<'a> {
    store: &'a S3Store,
    bucket: Bucket,
    scratch: Scratch,
    options: DoctorOptions,
    stop: DoctorStop,
    ends: Instant,
    /// The difference between the store's clock and this machine's, as far as it is known.
    store_ahead: jiff::SignedDuration,
    /// Whether the bucket keeps versions: then only a removal by version id removes.
    versions: Versions,
    /// Objects and versions that this run created, with the version id if there is one.
    created: Vec<(String, Option<String>)>,
    /// Uploads that this run created.
    uploads: Vec<(String, UploadId)>,
    findings: StoreFindings,
    report: DoctorReport,
}

impl<'a> Doctor<'a> {
    /// Prepares the examination of a bucket, below a prefix. Sends nothing.
    pub fn new(store: &'a S3Store, bucket: Bucket, prefix: &str, options: DoctorOptions) -> Self {
        let scratch = Scratch::new(prefix, Timestamp::now());
        let report = DoctorReport::new(store.location().store_name(), &bucket, prefix);
        Self {
            store,
            bucket,
            scratch,
            options,
            stop: DoctorStop::default(),
            ends: Instant::now() + RUN_MAX,
            store_ahead: jiff::SignedDuration::ZERO,
            versions: Versions::Unknown,
            created: vec![],
            uploads: vec![],
            findings: StoreFindings::default(),
            report,
        }
    }

    /// Returns a handle that stops this run.
    pub fn stop_handle(&self) -> DoctorStop {
        self.stop.clone()
    }

    /// Probes the store. Call [`Doctor::finish`] afterwards, whatever happened.
    ///
    /// # Errors
    /// The store cannot be reached, knows no such bucket or does not accept the credentials: no
    /// further probe makes sense.
    pub async fn examine(&mut self) -> Result<(), StoreError> {
        self.examine_way().await?;
        self.check_versions().await;
        self.remove_earlier_scratch().await;
        let is_writable = self.check_reading().await;
        if is_writable {
            self.check_writing().await;
            self.check_checksums().await;
            self.check_conditions().await;
            self.check_multipart().await;
            if self.options.throughput {
                self.measure_throughput().await;
            } else {
                self.not_tested(Group::Throughput, &throughput::NAMES, "--no-throughput");
            }
        }
        Ok(())
    }

    /// Removes the scratch, and returns the report.
    pub async fn finish(mut self) -> DoctorReport {
        self.conclude_versions();
        self.remove_own_scratch().await;
        self.conclude();
        self.report
    }

    /// Returns the current time by the store's clock.
    fn store_now(&self) -> Timestamp {
        Timestamp::now().checked_add(self.store_ahead).unwrap_or_else(|_| Timestamp::now())
    }
}
