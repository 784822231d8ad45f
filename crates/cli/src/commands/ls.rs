//! `haul ls`: lists buckets, or the objects below a prefix, page by page.
//!
//! Prints each page as it arrives, so that a bucket of a billion objects needs only the memory of
//! one page.

use std::pin::pin;

use anyhow::Context;
use futures_util::StreamExt as _;
use haul::listing::{ListingQuery, pages};
use haul::remote::{ListedBucket, ListingEntry};
use haul::{Store, Subject};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::summary::counted;
use crate::args::{LsArgs, StoreArgs};
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext};
use crate::output::{Mode, visible};
use crate::selection::Selection;
use crate::size::human_size;
use crate::store;
use crate::target::{Address, Listed, Scheme};
use crate::waiting::noted;

/// A line of the `--json` output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum ListingLine<'a> {
    Bucket { name: &'a str, created: Option<String> },
    Object { key: &'a str, size_bytes: u64, last_modified: Option<String>, etag: Option<&'a str> },
    Prefix { prefix: &'a str },
    Summary { objects: u64, size_bytes: u64 },
}

/// Lists buckets or objects.
pub(crate) async fn run(args: &StoreArgs, what: LsArgs, mode: Mode) -> anyhow::Result<Exit> {
    let listed = what.address.clone().unwrap_or(Listed::Buckets(Scheme::S3));
    let scheme = match &listed {
        Listed::Buckets(scheme) => *scheme,
        Listed::Below(address) => address.scheme,
    };
    let opened = store::open(scheme, args, mode).await?;
    let done = match &listed {
        Listed::Buckets(_) => list_buckets(opened.store.as_ref(), mode).await,
        Listed::Below(address) => list_objects(opened.store.as_ref(), address, &what, mode).await,
    };
    opened.close().await;
    done
}

async fn list_buckets(store: &dyn Store, mode: Mode) -> anyhow::Result<Exit> {
    let buckets = noted(mode, super::brief_retry().run(|| store.list_buckets())).await;
    let buckets = buckets
        .map_err(|error| haul::Error::of_store(Subject::Endpoint(store.endpoint()), error))
        .with_context(|| FailureContext::of("cannot list the buckets").through(store.endpoint()))?;
    for ListedBucket { name, created } in &buckets {
        mode.record(&ListingLine::Bucket { name, created: rfc3339(*created) })?;
        mode.row(&format!("{}  {}", time(*created, &TimeZone::system()), visible(name)))?;
    }
    Ok(Exit::Done)
}

async fn list_objects(
    store: &dyn Store,
    address: &Address,
    what: &LsArgs,
    mode: Mode,
) -> anyhow::Result<Exit> {
    let pattern = if what.raw { None } else { Selection::pattern(address) };
    // A pattern matches whole keys, so no keys are grouped into common prefixes.
    let whole_keys = what.recursive || pattern.is_some();
    let selection = pattern.unwrap_or_else(|| Selection::prefix(address));
    // Like `aws s3 ls`: names below the listed folder, whole keys for deeper listings.
    let folder = match (whole_keys, address.key.rfind('/')) {
        (false, Some(slash)) => slash + 1,
        _ => 0,
    };
    let sizes = if what.human_readable { Sizes::Human } else { Sizes::Both };
    let zone = TimeZone::system();
    let mut total = Total::default();
    let query = ListingQuery {
        bucket: &selection.bucket,
        prefix: &selection.prefix,
        delimiter: if whole_keys { None } else { Some("/") },
    };
    let retry = super::brief_retry();
    let mut pages = pin!(pages(store, query, &retry));
    while let Some(page) = noted(mode, pages.next()).await {
        let page = page.map_err(|error| {
            let action = format!("cannot list {}", visible(&address.to_string()));
            let error = haul::Error::of_store(address.subject(), error);
            anyhow::Error::from(error)
                .context(FailureContext::at(action, address).through(store.endpoint()))
        })?;
        for entry in page.iter().filter(|entry| selection.lists(entry.name())) {
            total.add(entry);
            mode.record(&line(entry))?;
            mode.row(&row(entry, folder, sizes, &zone))?;
        }
    }
    if what.summarize {
        mode.record(&total.line())?;
        mode.row(&total.row())?;
    }
    if total.found || address.key.is_empty() {
        return Ok(Exit::Done);
    }
    let how = if selection.is_pattern() { "matches" } else { "begins with" };
    Err(Ended {
        exit: Exit::Failed,
        code: "NothingFound",
        message: format!("nothing {how} {}", visible(&address.to_string())),
        hint: None,
    }
    .into())
}

/// The format of sizes.
#[derive(Clone, Copy, Debug)]
enum Sizes {
    /// Rounded, such as `1.4 GiB`.
    Human,
    /// Rounded, with the exact bytes.
    Both,
}

/// The total of a listing.
#[derive(Debug, Default)]
struct Total {
    objects: u64,
    size_bytes: u64,
    /// Whether there were objects or common prefixes.
    found: bool,
}

impl Total {
    fn add(&mut self, entry: &ListingEntry) {
        self.found = true;
        if let ListingEntry::Object { size_bytes, .. } = entry {
            self.objects += 1;
            self.size_bytes += size_bytes;
        }
    }

    fn line(&self) -> ListingLine<'_> {
        ListingLine::Summary { objects: self.objects, size_bytes: self.size_bytes }
    }

    /// Formats `2 objects, 2.8 GiB (3006477106 bytes)`.
    fn row(&self) -> String {
        let objects = counted(self.objects, "object");
        format!("{objects}, {} ({} bytes)", human_size(self.size_bytes), self.size_bytes)
    }
}

fn line(entry: &ListingEntry) -> ListingLine<'_> {
    match entry {
        ListingEntry::Object { key, size_bytes, last_modified, etag, .. } => ListingLine::Object {
            key,
            size_bytes: *size_bytes,
            last_modified: rfc3339(*last_modified),
            etag: etag.as_ref().map(haul::parts::ETag::unquoted),
        },
        ListingEntry::CommonPrefix(prefix) => ListingLine::Prefix { prefix },
    }
}

/// Formats a time in UTC, for programs.
fn rfc3339(timestamp: Option<Timestamp>) -> Option<String> {
    timestamp.map(|timestamp| timestamp.to_string())
}

fn row(entry: &ListingEntry, folder: usize, sizes: Sizes, zone: &TimeZone) -> String {
    // A store may return keys without the requested prefix; those are shown whole.
    let below = |name: &str| visible(name.get(folder..).unwrap_or(name));
    let (when, human, exact, name) = match entry {
        ListingEntry::Object { key, size_bytes, last_modified, .. } => (
            time(*last_modified, zone),
            human_size(*size_bytes),
            size_bytes.to_string(),
            below(key),
        ),
        ListingEntry::CommonPrefix(prefix) => {
            let human = match sizes {
                Sizes::Human => "PRE",
                Sizes::Both => "",
            };
            (String::new(), human.to_owned(), "PRE".to_owned(), below(prefix))
        }
    };
    match sizes {
        Sizes::Human => format!("{when:19}  {human:>10}  {name}"),
        Sizes::Both => format!("{when:19}  {human:>10}  {exact:>15}  {name}"),
    }
}

/// Formats a time in the reader's time zone, like `aws s3 ls`.
fn time(timestamp: Option<Timestamp>, zone: &TimeZone) -> String {
    match timestamp {
        Some(timestamp) => {
            timestamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
        }
        None => format!("{:19}", "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str) -> ListingEntry {
        ListingEntry::Object {
            key: key.into(),
            size_bytes: 1_503_238_553,
            last_modified: Some(Timestamp::from_second(1_790_000_000).unwrap()),
            storage_class: None,
            etag: Some("\"0cc175b9c0f1b6a831c399e269772661-3\"".into()),
        }
    }

    #[test]
    fn rows_are_aligned_and_names_are_below_the_folder() {
        let prefix = ListingEntry::CommonPrefix("videos/2026/".into());
        let rows = [
            row(&object("videos/a.mov"), 7, Sizes::Both, &TimeZone::UTC),
            row(&prefix, 7, Sizes::Both, &TimeZone::UTC),
            row(&object("videos/a.mov"), 0, Sizes::Both, &TimeZone::UTC),
            row(&object("\u{1b}[2Jx"), 0, Sizes::Both, &TimeZone::UTC),
        ];
        insta::assert_snapshot!(rows.join("\n"), @r"
        2026-09-21 14:13:20     1.4 GiB       1503238553  a.mov
                                                     PRE  2026/
        2026-09-21 14:13:20     1.4 GiB       1503238553  videos/a.mov
        2026-09-21 14:13:20     1.4 GiB       1503238553  \u{1b}[2Jx
        ");
    }

    #[test]
    fn human_readable_rows_have_one_size() {
        let prefix = ListingEntry::CommonPrefix("videos/2026/".into());
        let rows = [
            row(&object("videos/a.mov"), 7, Sizes::Human, &TimeZone::UTC),
            row(&prefix, 7, Sizes::Human, &TimeZone::UTC),
        ];
        insta::assert_snapshot!(rows.join("\n"), @r"
        2026-09-21 14:13:20     1.4 GiB  a.mov
                                    PRE  2026/
        ");
    }

    #[test]
    fn json_lines_have_exact_bytes_and_bare_etags() {
        let json = serde_json::to_string(&line(&object("a"))).unwrap();
        insta::assert_snapshot!(json, @"{\"type\":\"object\",\"key\":\"a\",\
            \"size_bytes\":1503238553,\"last_modified\":\"2026-09-21T14:13:20Z\",\
            \"etag\":\"0cc175b9c0f1b6a831c399e269772661-3\"}");
        let bucket = ListingLine::Bucket { name: "demo", created: None };
        let json = serde_json::to_string(&bucket).unwrap();
        insta::assert_snapshot!(json, @r#"{"type":"bucket","name":"demo","created":null}"#);
    }
}
