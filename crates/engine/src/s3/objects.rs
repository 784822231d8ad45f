//! Lists objects, one page at a time: with ListObjectsV2, or with its predecessor at stores that
//! support only that one.
//!
//! A store that ignores `list-type=2` answers like version 1: the page is truncated, but has no
//! continuation token. If that counted as the end, listings would silently be cut at 1,000 entries.
//! So further pages of such a store are requested with `marker`.

use aws_sdk_s3::Client;
use aws_sdk_s3::types as sdk;
use haul_parts::Bucket;

use super::convert;
use super::encoding::Encoding;
use super::sdk_error::convert as failed;
use crate::remote::{Listing, ListingEntry, Operation, StoreError, StoreErrorKind};

/// The number of entries per page if the answer does not state the maximum (S3 API, `MaxKeys`).
const PAGE_MAX: usize = 1000;

/// Selects the objects to list.
#[derive(Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
}

/// The continuation of a listing. Callers see it as opaque text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Continuation {
    /// The `continuation-token` of version 2.
    Token(String),
    /// The `marker` of version 1.
    Marker(String),
}

impl Continuation {
    fn read(text: &str) -> Result<Self, StoreError> {
        match text.split_once(' ') {
            Some(("token", token)) => Ok(Self::Token(token.to_owned())),
            Some(("marker", marker)) => Ok(Self::Marker(marker.to_owned())),
            _ => {
                let message = format!("{text:?} does not continue a listing of this store");
                Err(StoreError::local(Operation::ListObjectsV2, StoreErrorKind::Rejected, message))
            }
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Token(token) => format!("token {token}"),
            Self::Marker(marker) => format!("marker {marker}"),
        }
    }
}

/// One page, of either version.
struct Page {
    entries: Vec<ListingEntry>,
    /// Whether there are more pages; `None` if the answer does not state it.
    truncated: Option<bool>,
    max_keys: Option<i32>,
    next: Option<Continuation>,
}

pub(super) async fn list_objects(
    client: &Client,
    query: Query<'_>,
    continuation: Option<&str>,
) -> Result<Listing, StoreError> {
    let asked = continuation.map(Continuation::read).transpose()?;
    let mut page = match &asked {
        None => version_2(client, query, None).await?,
        Some(Continuation::Token(token)) => version_2(client, query, Some(token)).await?,
        Some(Continuation::Marker(marker)) => version_1(client, query, marker).await?,
    };
    page.entries.sort_by(|one, other| one.name().cmp(other.name()));
    let next = page.next(asked.as_ref())?;
    Ok(Listing { entries: page.entries, next: next.as_ref().map(Continuation::write) })
}

impl Page {
    /// Returns the continuation of the listing; `None` at its end.
    fn next(&self, asked: Option<&Continuation>) -> Result<Option<Continuation>, StoreError> {
        let malformed = |message: &str| {
            Err(StoreError::local(Operation::ListObjectsV2, StoreErrorKind::Malformed, message))
        };
        let page_max =
            self.max_keys.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE_MAX);
        let truncated = self
            .truncated
            .unwrap_or_else(|| self.next.is_some() || self.entries.len() >= page_max.max(1));
        if !truncated {
            return Ok(None);
        }
        let last = || Some(Continuation::Marker(self.entries.last()?.name().to_owned()));
        let Some(next) = self.next.clone().or_else(last) else {
            return malformed(
                "the list is cut off (IsTruncated) and does not say where it is continued",
            );
        };
        if Some(&next) == asked {
            return malformed("the list does not advance: the page ends where it was to begin");
        }
        Ok(Some(next))
    }
}

async fn version_2(
    client: &Client,
    query: Query<'_>,
    token: Option<&str>,
) -> Result<Page, StoreError> {
    let answer = client
        .list_objects_v2()
        .bucket(query.bucket.as_str())
        .encoding_type(sdk::EncodingType::Url)
        .set_prefix((!query.prefix.is_empty()).then(|| query.prefix.to_owned()))
        .set_delimiter(query.delimiter.map(str::to_owned))
        .set_continuation_token(token.map(str::to_owned))
        .send()
        .await
        .map_err(|error| failed(Operation::ListObjectsV2, error))?;
    let encoding = Encoding::of(answer.encoding_type());
    let token = answer.next_continuation_token().filter(|token| !token.is_empty());
    Ok(Page {
        entries: entries(encoding, answer.common_prefixes(), answer.contents()),
        truncated: answer.is_truncated(),
        max_keys: answer.max_keys(),
        next: token.map(|token| Continuation::Token(token.to_owned())),
    })
}

async fn version_1(client: &Client, query: Query<'_>, marker: &str) -> Result<Page, StoreError> {
    let answer = client
        .list_objects()
        .bucket(query.bucket.as_str())
        .encoding_type(sdk::EncodingType::Url)
        .set_prefix((!query.prefix.is_empty()).then(|| query.prefix.to_owned()))
        .set_delimiter(query.delimiter.map(str::to_owned))
        .marker(marker)
        .send()
        .await
        .map_err(|error| failed(Operation::ListObjectsV2, error))?;
    let encoding = Encoding::of(answer.encoding_type());
    // AWS returns `NextMarker` only with a delimiter; without a delimiter the last key is the
    // marker.
    let next = answer.next_marker().filter(|marker| !marker.is_empty());
    let mut entries = entries(encoding, answer.common_prefixes(), answer.contents());
    // If the marker is a common prefix, some stores list that prefix once more.
    entries
        .retain(|entry| !matches!(entry, ListingEntry::CommonPrefix(prefix) if prefix == marker));
    Ok(Page {
        entries,
        truncated: answer.is_truncated(),
        max_keys: answer.max_keys(),
        next: next.map(|marker| Continuation::Marker(encoding.decode(marker))),
    })
}

fn entries(
    encoding: Encoding,
    prefixes: &[sdk::CommonPrefix],
    objects: &[sdk::Object],
) -> Vec<ListingEntry> {
    let prefixes = prefixes.iter().filter_map(|prefix| prefix.prefix());
    let prefixes = prefixes.map(|prefix| ListingEntry::CommonPrefix(encoding.decode(prefix)));
    let objects = objects.iter().filter_map(|object| {
        Some(ListingEntry::Object {
            key: encoding.decode(object.key()?),
            size_bytes: convert::size_bytes(object.size()),
            last_modified: object.last_modified().and_then(convert::timestamp),
            etag: convert::etag(object.e_tag()),
            storage_class: object.storage_class().map(|class| class.as_str().to_owned()),
        })
    });
    prefixes.chain(objects).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &[&str], truncated: Option<bool>, next: Option<Continuation>) -> Page {
        let entries =
            names.iter().map(|name| ListingEntry::CommonPrefix((*name).to_owned())).collect();
        Page { entries, truncated, max_keys: Some(2), next }
    }

    fn token(text: &str) -> Option<Continuation> {
        Some(Continuation::Token(text.into()))
    }

    fn marker(text: &str) -> Option<Continuation> {
        Some(Continuation::Marker(text.into()))
    }

    #[test]
    fn a_truncated_page_continues_by_token_or_last_name() {
        let next = |page: Page| page.next(None).unwrap();
        assert_eq!(next(page(&["a", "b"], Some(true), token("t"))), token("t"));
        assert_eq!(next(page(&["a", "b"], Some(true), None)), marker("b"));
        assert_eq!(next(page(&["a", "b"], Some(false), token("t"))), None);
        assert_eq!(next(page(&["a"], None, None)), None);
        assert_eq!(next(page(&["a", "b"], None, None)), marker("b"), "full, and it does not say");
        assert!(page(&[], Some(true), None).next(None).is_err());
    }

    #[test]
    fn a_page_that_leads_to_itself_is_an_error() {
        assert!(page(&["a"], Some(true), token("t")).next(token("t").as_ref()).is_err());
        assert!(page(&["a", "b"], Some(true), None).next(marker("b").as_ref()).is_err());
        assert!(page(&["c", "d"], Some(true), None).next(marker("b").as_ref()).is_ok());
    }

    #[test]
    fn continuations_survive_as_text() {
        for continuation in [token("1/ a b=").unwrap(), marker("photos/ü x").unwrap()] {
            assert_eq!(Continuation::read(&continuation.write()).unwrap(), continuation);
        }
        assert!(Continuation::read("else").is_err());
    }
}
