//! `haul uploads s3://bucket[/prefix]`: lists the unfinished uploads of a store, with their bytes
//! and their cost.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use anyhow::Context;
use haul::parts::Bucket;
use haul::sweep::{Inventory, InventoryOptions, UnfinishedUpload, Unlisted, inventory};
use haul::{Store, Subject};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::owned::Owned;
use super::summary::counted;
use crate::args::{SortBy, StoreArgs, UploadsArgs};
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext};
use crate::output::{Mode, Shown, paint, visible};
use crate::prices::{Price, Prices};
use crate::size::{human_age, human_size};
use crate::store;
use crate::target::{Address, Listed, Scheme};
use crate::waiting::noted;

/// One upload, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "unfinished-upload")]
struct UploadLine<'a> {
    bucket: &'a str,
    key: &'a str,
    upload_id: &'a str,
    initiated: Option<String>,
    last_active: Option<String>,
    age_seconds: Option<u64>,
    part_count: u64,
    size_bytes: u64,
    storage_class: Option<&'a str>,
    initiator: Option<&'a str>,
    monthly_cost: Option<f64>,
    currency: Option<&'a str>,
    /// The journal of this machine that owns it.
    journal: Option<&'a str>,
}

/// The totals of a bucket, for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename = "unfinished-summary")]
struct Total<'a> {
    bucket: &'a str,
    uploads: u64,
    part_count: u64,
    size_bytes: u64,
    /// Uploads whose parts could not be listed.
    unlisted: u64,
    monthly_cost: Option<f64>,
    currency: Option<&'a str>,
    prices_as_of: Option<&'a str>,
}

/// Lists the uploads.
pub(crate) async fn run(
    args: &StoreArgs,
    listed: Listed,
    what: &UploadsArgs,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let prices = Prices::read(what.prices.as_deref())?;
    let owned = Owned::read()?;
    let scheme = match &listed {
        Listed::Buckets(scheme) => *scheme,
        Listed::Below(address) => address.scheme,
    };
    let opened = store::open(scheme, args, mode).await?;
    let report = Report { store: opened.store.as_ref(), prices, owned, what, mode };
    let done = match &listed {
        Listed::Below(address) => report.bucket(address).await.map(|()| Exit::Done),
        Listed::Buckets(scheme) => report.buckets(*scheme).await,
    };
    drop(report);
    opened.close().await;
    done
}

struct Report<'a> {
    store: &'a dyn Store,
    prices: Prices,
    owned: Owned,
    what: &'a UploadsArgs,
    mode: Mode,
}

impl Report<'_> {
    /// Lists the uploads of every bucket. A bucket that may not be listed is reported, and the
    /// others follow.
    async fn buckets(&self, scheme: Scheme) -> anyhow::Result<Exit> {
        let buckets = noted(self.mode, self.store.list_buckets()).await;
        let buckets = buckets
            .map_err(|error| haul::Error::of_store(Subject::Endpoint(self.store.endpoint()), error))
            .with_context(|| {
                FailureContext::of("cannot list the buckets").through(self.store.endpoint())
            })?;
        let mut exit = Exit::Done;
        for bucket in buckets {
            let Ok(name) = Bucket::new(bucket.name.as_str()) else { continue };
            let address = Address { scheme, bucket: name, key: String::new() };
            if let Err(error) = self.bucket(&address).await {
                if crate::output::is_closed_pipe(&error) {
                    return Err(error);
                }
                let failure = crate::failure::Failure::of(&error);
                self.mode.event(&failure);
                failure.lines(paint).complain();
                exit = Exit::Failed;
            }
        }
        Ok(exit)
    }

    async fn bucket(&self, address: &Address) -> anyhow::Result<()> {
        let (mut found, now) = noted(self.mode, taken(self.store, address)).await?;
        if let Some(oldest) = self.what.older_than {
            found.uploads.retain(|upload| idle(upload, now).is_some_and(|idle| idle >= oldest));
        }
        sort(&mut found.uploads, self.what.sort);
        let endpoint = self.store.endpoint();
        let mut total = Sum::default();
        for upload in &found.uploads {
            let price = self.prices.of(&endpoint, upload.storage_class.as_deref());
            let owner =
                self.owned.of(&upload.upload, upload.initiated).map(|owner| owner.id.as_str());
            total.add(upload, price.as_ref());
            self.mode.record(&line(upload, price.as_ref(), owner, now))?;
            self.mode.row(&row(upload, price.as_ref(), owner, now, address.scheme))?;
        }
        for unlisted in &found.unlisted {
            if self.mode != Mode::Quiet {
                Shown::default().labelled(&paint("warning"), &not_listed(unlisted)).complain();
            }
        }
        self.mode.record(&total.event(address.bucket.as_str(), found.unlisted.len() as u64))?;
        self.mode.row(&total.line(address, found.unlisted.len()))?;
        Ok(())
    }
}

/// Returns the inventory of an address, and the store's time when the listing started: a listing
/// may take minutes, and uploads must not age meanwhile.
pub(super) async fn taken(
    store: &dyn Store,
    address: &Address,
) -> anyhow::Result<(Inventory, Timestamp)> {
    let started = Instant::now();
    let shown = visible(&address.to_string());
    let context = || {
        FailureContext::at(format!("cannot list the unfinished uploads of {shown}"), address)
            .through(store.endpoint())
    };
    let found = inventory(store, &address.bucket, &address.key, &InventoryOptions::default()).await;
    let found = found
        .map_err(|error| haul::Error::of_store(address.subject(), error))
        .with_context(context)?;
    if found.exact_key_only && found.uploads.is_empty() && found.unlisted.is_empty() {
        let profile = store.profile();
        let rule = if profile.lifecycle_abort.is_missing() {
            String::new()
        } else {
            let (scheme, bucket) = (address.scheme, &address.bucket);
            format!(
                ", or let the store remove them: haul lifecycle {scheme}{bucket} --abort-after 7d"
            )
        };
        return Err(Ended {
            exit: Exit::Failed,
            code: "ListedByExactKeyOnly",
            message: format!(
                "this store (store profile {}) lists unfinished uploads only for an exact key: \
                 whether there are any below {shown} cannot be told",
                profile.kind
            ),
            hint: Some(format!("name a whole key{rule}")),
        }
        .into());
    }
    // Read the time after the first answer, when the store's `Date` has corrected a wrong local
    // clock.
    let elapsed = SignedDuration::try_from(started.elapsed()).unwrap_or_default();
    let now = store.now();
    Ok((found, now.checked_sub(elapsed).unwrap_or(now)))
}

/// Formats the reason why the parts of an upload cannot be listed.
pub(super) fn not_listed(unlisted: &Unlisted) -> String {
    format!(
        "the parts of {} (upload {}) cannot be listed: {}",
        visible(&unlisted.summary.key),
        visible(unlisted.summary.upload_id.as_str()),
        unlisted.error
    )
}

/// Returns how long the upload has received nothing; `None` if the store gives no time.
pub(super) fn idle(upload: &UnfinishedUpload, now: Timestamp) -> Option<Duration> {
    let since = now.duration_since(upload.last_active?);
    Some(Duration::try_from(since).unwrap_or_default())
}

fn sort(uploads: &mut [UnfinishedUpload], by: SortBy) {
    match by {
        SortBy::Age => uploads.sort_by_key(|upload| upload.last_active),
        SortBy::Bytes => uploads.sort_by_key(|upload| Reverse(upload.size_bytes)),
        SortBy::Key => {
            uploads.sort_by(|one, other| one.upload.object.key.cmp(&other.upload.object.key));
        }
    }
}

fn line<'a>(
    upload: &'a UnfinishedUpload,
    price: Option<&'a Price>,
    journal: Option<&'a str>,
    now: Timestamp,
) -> UploadLine<'a> {
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
    UploadLine {
        bucket: upload.upload.object.bucket.as_str(),
        key: upload.upload.object.key.as_str(),
        upload_id: upload.upload.upload_id.as_str(),
        initiated: text(upload.initiated),
        last_active: text(upload.last_active),
        age_seconds: idle(upload, now).map(|idle| idle.as_secs()),
        part_count: upload.part_count,
        size_bytes: upload.size_bytes,
        storage_class: upload.storage_class.as_deref(),
        initiator: upload.initiator.as_deref(),
        monthly_cost: price.map(|price| price.cost(upload.size_bytes)),
        currency: price.map(Price::currency),
        journal,
    }
}

/// Formats `41 days ago   1.2 GiB in 154 parts   0.03 USD a month  s3://bucket/key  UploadId`.
pub(super) fn row(
    upload: &UnfinishedUpload,
    price: Option<&Price>,
    journal: Option<&str>,
    now: Timestamp,
    scheme: Scheme,
) -> String {
    let age = idle(upload, now).map_or_else(|| "age unknown".to_owned(), human_age);
    let held =
        format!("{} in {}", human_size(upload.size_bytes), counted(upload.part_count, "part"));
    let object = &upload.upload.object;
    let mut row = format!("{age:>12}  {held:<24}");
    if let Some(price) = price {
        row += &format!("  {:>10} a month", price.amount(price.cost(upload.size_bytes)));
    }
    let key = visible(object.key.as_str());
    row += &format!(
        "  {scheme}{}/{key}  {}",
        object.bucket,
        visible(upload.upload.upload_id.as_str())
    );
    let notes = [&upload.storage_class, &upload.initiator].into_iter().flatten();
    let notes: Vec<String> = notes.map(|note| visible(note)).collect();
    if !notes.is_empty() {
        row += &format!("  ({})", notes.join(", "));
    }
    if let Some(id) = journal {
        row += &format!("  of this machine: haul resume {id}");
    }
    row
}

/// The totals of several uploads.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    uploads: u64,
    part_count: u64,
    size_bytes: u64,
    cost: f64,
    price: Option<Price>,
    unpriced: bool,
}

impl Sum {
    pub(super) fn add(&mut self, upload: &UnfinishedUpload, price: Option<&Price>) {
        self.uploads += 1;
        self.part_count += upload.part_count;
        self.size_bytes += upload.size_bytes;
        match price {
            // Amounts in two currencies cannot be added.
            Some(price)
                if self.price.as_ref().is_none_or(|sum| sum.currency() == price.currency()) =>
            {
                self.cost += price.cost(upload.size_bytes);
                self.price = Some(price.clone());
            }
            _ => self.unpriced |= upload.size_bytes > 0,
        }
    }

    /// Returns the price if it is known, which requires that every byte has one.
    fn known(&self) -> Option<&Price> {
        self.price.as_ref().filter(|_| !self.unpriced)
    }

    /// Formats `3 uploads, 1.2 GiB in 154 parts, about 0.03 USD a month (prices of 2025-04)`.
    pub(super) fn words(&self) -> String {
        let held =
            format!("{} in {}", human_size(self.size_bytes), counted(self.part_count, "part"));
        let cost = self.known().map_or_else(String::new, |price| {
            format!(", about {} a month (prices of {})", price.amount(self.cost), price.as_of())
        });
        format!("{}, {held}{cost}", counted(self.uploads, "unfinished upload"))
    }

    fn line(&self, address: &Address, unlisted: usize) -> String {
        let shown = visible(&address.to_string());
        let unlisted = match unlisted {
            0 => String::new(),
            more => format!("; {more} more whose parts cannot be listed"),
        };
        format!("{shown}: {}{unlisted}", self.words())
    }

    fn event<'a>(&'a self, bucket: &'a str, unlisted: u64) -> Total<'a> {
        Total {
            bucket,
            uploads: self.uploads,
            part_count: self.part_count,
            size_bytes: self.size_bytes,
            unlisted,
            monthly_cost: self.known().map(|_| self.cost),
            currency: self.known().map(Price::currency),
            prices_as_of: self.known().map(Price::as_of),
        }
    }
}
