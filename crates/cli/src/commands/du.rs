//! `haul du ADDRESS`: counts objects and bytes below a prefix, by storage class, and on request the
//! parts of unfinished uploads.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::StreamExt as _;
use haul::listing::{ListingQuery, pages};
use haul::remote::ListingEntry;
use serde::Serialize;

use super::store_uploads::taken;
use super::summary::counted;
use crate::args::{DuArgs, StoreArgs};
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext};
use crate::output::{Mode, visible};
use crate::selection::Selection;
use crate::size::human_size;
use crate::store::{self, OpenedStore};
use crate::target::Address;
use crate::waiting::noted;

/// One line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum UsageLine<'a> {
    StorageClass { storage_class: &'a str, objects: u64, size_bytes: u64 },
    UnfinishedUploads { uploads: u64, parts: u64, size_bytes: u64 },
    Total { objects: u64, size_bytes: u64 },
}

/// The storage class of an object whose listing entry names none.
const NO_CLASS: &str = "STANDARD";

/// A number of objects with their bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    objects: u64,
    size_bytes: u64,
}

/// Counts the objects and prints the totals.
pub(crate) async fn run(args: &StoreArgs, what: &DuArgs, mode: Mode) -> anyhow::Result<Exit> {
    let opened = store::open(what.address.scheme, args, mode).await?;
    let done = report(&opened, what, mode).await;
    opened.close().await;
    done
}

async fn report(opened: &OpenedStore, what: &DuArgs, mode: Mode) -> anyhow::Result<Exit> {
    let address = &what.address;
    let shown = visible(&address.to_string());
    let pattern = if what.raw { None } else { Selection::pattern(address) };
    let selection = pattern.unwrap_or_else(|| Selection::prefix(address));
    let classes = noted(mode, counted_by_class(opened, address, &selection)).await?;
    let total = classes.values().fold(Sum::default(), |total, class| Sum {
        objects: total.objects + class.objects,
        size_bytes: total.size_bytes + class.size_bytes,
    });
    for (class, Sum { objects, size_bytes }) in &classes {
        let (objects, size_bytes) = (*objects, *size_bytes);
        mode.record(&UsageLine::StorageClass { storage_class: class, objects, size_bytes })?;
        // With a single class, its line would only repeat the total.
        if classes.len() > 1 {
            mode.row(&row(&visible(class), objects, size_bytes, what.human_readable))?;
        }
    }
    let mut unfinished = 0;
    if what.uploads {
        let prefix = Address { key: selection.prefix.clone(), ..address.clone() };
        let (found, _) = noted(mode, taken(opened.store.as_ref(), &prefix)).await?;
        if let Some(unlisted) = found.unlisted.first() {
            let context = FailureContext::of(format!("cannot count the parts below {shown}"));
            let error = anyhow::anyhow!("{}", unlisted.error);
            return Err(error.context(context));
        }
        let mut of_selection = found.uploads;
        of_selection.retain(|upload| selection.names(upload.upload.object.key.as_str()));
        unfinished = of_selection.len() as u64;
        let parts = of_selection.iter().map(|upload| upload.part_count).sum();
        let size_bytes = of_selection.iter().map(|upload| upload.size_bytes).sum();
        mode.record(&UsageLine::UnfinishedUploads { uploads: unfinished, parts, size_bytes })?;
        let size = size(size_bytes, what.human_readable);
        let (uploads, parts) = (counted(unfinished, "unfinished upload"), counted(parts, "part"));
        mode.row(&format!("{size}  {uploads}, {parts}"))?;
    }
    let Sum { objects, size_bytes } = total;
    mode.record(&UsageLine::Total { objects, size_bytes })?;
    mode.row(&row(&shown, objects, size_bytes, what.human_readable))?;
    if objects + unfinished > 0 || address.key.is_empty() {
        return Ok(Exit::Done);
    }
    let how = if selection.is_pattern() { "matches" } else { "begins with" };
    Err(Ended {
        exit: Exit::Failed,
        code: "NothingFound",
        message: format!("nothing {how} {shown}"),
        hint: None,
    }
    .into())
}

async fn counted_by_class(
    opened: &OpenedStore,
    address: &Address,
    selection: &Selection,
) -> anyhow::Result<BTreeMap<String, Sum>> {
    let query =
        ListingQuery { bucket: &selection.bucket, prefix: &selection.prefix, delimiter: None };
    let retry = super::brief_retry();
    let mut pages = pin!(pages(opened.store.as_ref(), query, &retry));
    let mut classes: BTreeMap<String, Sum> = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| {
            let action = format!("cannot list {}", visible(&address.to_string()));
            let context = FailureContext::at(action, address).through(opened.store.endpoint());
            anyhow::Error::from(haul::Error::of_store(address.subject(), error)).context(context)
        })?;
        for entry in page {
            let ListingEntry::Object { key, size_bytes, storage_class, .. } = entry else {
                continue;
            };
            if selection.lists(&key) {
                let class = storage_class.unwrap_or_else(|| NO_CLASS.to_owned());
                let sum = classes.entry(class).or_default();
                sum.objects += 1;
                sum.size_bytes += size_bytes;
            }
        }
    }
    Ok(classes)
}

/// Formats `   1.4 GiB       1503238553  3 objects  s3://bucket/videos/`.
fn row(what: &str, objects: u64, size_bytes: u64, human_only: bool) -> String {
    format!("{}  {}  {what}", size(size_bytes, human_only), counted(objects, "object"))
}

fn size(size_bytes: u64, human_only: bool) -> String {
    let human = human_size(size_bytes);
    if human_only { format!("{human:>10}") } else { format!("{human:>10}  {size_bytes:>15}") }
}
