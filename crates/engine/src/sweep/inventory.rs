//! Finds the unfinished uploads below a prefix, and the bytes of each.
//!
//! ListMultipartUploads returns names and dates; the bytes are only in ListParts, one listing per
//! upload. So parts are listed for several uploads at a time, all pages of each. Uploads that end
//! meanwhile are skipped, and uploads that cannot be listed are reported: they may be billed, so
//! they never count as nothing.

use futures_util::StreamExt as _;
use haul_parts::{Bucket, Key};
use jiff::Timestamp;

use crate::pace::RetryPolicy;
use crate::remote::{
    ObjectRef, Operation, Store, StoreError, StoreErrorKind, UploadMarker, UploadRef, UploadSummary,
};

/// The options of an inventory.
#[derive(Clone, Debug)]
pub struct InventoryOptions {
    /// The number of uploads whose parts are listed at a time.
    pub concurrency: usize,
    /// The retry policy of every request.
    pub retry: RetryPolicy,
}

impl Default for InventoryOptions {
    fn default() -> Self {
        Self { concurrency: 16, retry: RetryPolicy::default() }
    }
}

/// An unfinished upload with its parts summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// Bucket, key and id of the upload.
    pub upload: UploadRef,
    /// The time of Create.
    pub initiated: Option<Timestamp>,
    /// The time when its newest part arrived; without parts, the time of Create.
    pub last_active: Option<Timestamp>,
    /// The number of parts at the store.
    pub part_count: u64,
    /// The bytes of these parts.
    pub size_bytes: u64,
    /// The storage class as the store returned it, such as `STANDARD`.
    pub storage_class: Option<String>,
    /// The initiator, as the store names it.
    pub initiator: Option<String>,
}

/// An upload whose parts cannot be listed, and the reason.
#[derive(Debug)]
pub struct Unlisted {
    /// The entry of ListMultipartUploads.
    pub summary: UploadSummary,
    /// The error of ListParts.
    pub error: StoreError,
}

/// The unfinished uploads of a bucket.
#[derive(Debug, Default)]
pub struct Inventory {
    /// The uploads in order of their keys, then of their start.
    pub uploads: Vec<UnfinishedUpload>,
    /// Uploads that exist and whose bytes are unknown.
    pub unlisted: Vec<Unlisted>,
    /// The number of uploads that ended between the two listings.
    pub vanished: u64,
    /// Whether the store lists uploads only if the prefix is a whole key (MinIO).
    pub exact_key_only: bool,
}

/// Lists the unfinished uploads whose keys begin with `prefix`.
///
/// # Errors
/// The error of ListMultipartUploads. A store that repeats the same page is
/// [`StoreErrorKind::Malformed`].
pub async fn inventory(
    store: &dyn Store,
    bucket: &Bucket,
    prefix: &str,
    options: &InventoryOptions,
) -> Result<Inventory, StoreError> {
    let found = listed(store, bucket, prefix, options).await?;
    let is_empty = found.uploads.is_empty() && found.unlisted.is_empty();
    if !found.exact_key_only || !is_empty || prefix.is_empty() {
        return Ok(found);
    }
    // Without a prefix, newer releases of MinIO list every upload.
    let mut all = listed(store, bucket, "", options).await?;
    all.uploads.retain(|upload| upload.upload.object.key.as_str().starts_with(prefix));
    all.unlisted.retain(|unlisted| unlisted.summary.key.starts_with(prefix));
    Ok(all)
}

async fn listed(
    store: &dyn Store,
    bucket: &Bucket,
    prefix: &str,
    options: &InventoryOptions,
) -> Result<Inventory, StoreError> {
    let mut found = Inventory::default();
    let mut after: Option<UploadMarker> = None;
    loop {
        let page = options
            .retry
            .run(|| store.list_multipart_uploads(bucket, prefix, after.as_ref()))
            .await?;
        found.exact_key_only |= page.exact_key_only;
        let measured = futures_util::stream::iter(page.uploads)
            .map(|summary| measure(store, bucket, summary, options))
            .buffered(options.concurrency.max(1));
        let mut measured = std::pin::pin!(measured);
        while let Some(one) = measured.next().await {
            match one {
                Measured::Found(upload) => found.uploads.push(upload),
                Measured::Gone => found.vanished += 1,
                Measured::Unlisted(unlisted) => found.unlisted.push(unlisted),
            }
        }
        let Some(next) = page.next else { return Ok(found) };
        if after.as_ref() == Some(&next) {
            let message = "the store gives the same page of uploads again and again";
            return Err(StoreError::local(
                Operation::ListMultipartUploads,
                StoreErrorKind::Malformed,
                message,
            ));
        }
        after = Some(next);
    }
}

enum Measured {
    Found(UnfinishedUpload),
    Gone,
    Unlisted(Unlisted),
}

async fn measure(
    store: &dyn Store,
    bucket: &Bucket,
    summary: UploadSummary,
    options: &InventoryOptions,
) -> Measured {
    let key = match Key::new(summary.key.as_str()) {
        Ok(key) => key,
        Err(error) => {
            let kind = StoreErrorKind::Malformed;
            let error = StoreError::local(Operation::ListMultipartUploads, kind, error.to_string());
            return Measured::Unlisted(Unlisted { summary, error });
        }
    };
    let upload = UploadRef {
        object: ObjectRef { bucket: bucket.clone(), key },
        upload_id: summary.upload_id.clone(),
    };
    match contents(store, &upload, &options.retry).await {
        Ok(contents) => Measured::Found(UnfinishedUpload {
            upload,
            initiated: summary.initiated,
            last_active: contents.newest.max(summary.initiated),
            part_count: contents.part_count,
            size_bytes: contents.size_bytes,
            storage_class: summary.storage_class,
            initiator: summary.initiator,
        }),
        Err(error) if error.kind == StoreErrorKind::NoSuchUpload => Measured::Gone,
        Err(error) => Measured::Unlisted(Unlisted { summary, error }),
    }
}

/// The result of ListParts for one upload.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contents {
    pub(super) part_count: u64,
    pub(super) size_bytes: u64,
    pub(super) newest: Option<Timestamp>,
}

/// Reads all pages of ListParts.
pub(super) async fn contents(
    store: &dyn Store,
    upload: &UploadRef,
    retry: &RetryPolicy,
) -> Result<Contents, StoreError> {
    let mut contents = Contents::default();
    let mut after = None;
    loop {
        let page = retry.run(|| store.list_parts(upload, after)).await?;
        contents.part_count += page.parts.len() as u64;
        contents.size_bytes += page.parts.iter().map(|part| part.size_bytes).sum::<u64>();
        contents.newest = contents.newest.max(page.newest);
        match page.next {
            // Part numbers only increase: a store whose marker does not advance would be queried
            // endlessly.
            Some(next) if after.is_none_or(|after| next > after) => after = Some(next),
            Some(_) => {
                let message = "the store gives the same page of parts again and again";
                return Err(StoreError::local(
                    Operation::ListParts,
                    StoreErrorKind::Malformed,
                    message,
                ));
            }
            None => return Ok(contents),
        }
    }
}
