//! Moves parts that AWS accepts but `s3s` rejects or ignores out of a verified request, into its
//! extensions.
//!
//! - Headers of an object that are not ASCII, repeated, no valid date or no valid RFC 2047
//!   ([`attributes::are_unreadable`]) go into the extensions, where the operations find them.
//! - An invalid `Range` is removed, as AWS ignores it.
//! - `<Tagging/>` gets the `<TagSet>` that it lacks, a Complete without a list gets an empty one
//!   (and is marked), and the tags in the document of a CreateBucket go into the extensions.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RANGE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use s3s::dto::{CompletedMultipartUpload, Tag};
use s3s::xml::{DeResult, Deserializer};

use crate::ops::attributes;
use crate::request::extensions::{NewBucketTags, NoPartList, ObjectHeaders};
use crate::request::query::Query;

/// Removes the headers that `s3s` cannot read.
pub(crate) fn headers(request: &mut Parts) {
    if let Some(range) = request.headers.get(RANGE)
        && !range.to_str().is_ok_and(is_range)
    {
        request.headers.remove(RANGE);
    }
    let writes = [Method::PUT, Method::POST].contains(&request.method);
    if writes && attributes::are_unreadable(&request.headers) {
        let all = std::mem::take(&mut request.headers);
        let mut of_object = HeaderMap::new();
        for (name, value) in &all {
            let map =
                if attributes::is_of_object(name) { &mut of_object } else { &mut request.headers };
            map.append(HeaderName::clone(name), HeaderValue::clone(value));
        }
        request.extensions.insert(ObjectHeaders(of_object));
    }
}

/// Returns an empty list for a Complete without a document, and marks the request; `None` for every
/// other request.
pub(crate) fn missing_list(request: &mut Parts) -> Option<Bytes> {
    let empty = request.headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
    let query = Query::parse(request.uri.query().unwrap_or(""));
    if request.method != Method::POST || !empty || !query.has("uploadId") {
        return None;
    }
    request.extensions.insert(NoPartList);
    Some(Bytes::from_static(b"<CompleteMultipartUpload/>"))
}

/// Adapts a [rewritten](crate::body::document) document for `s3s`.
pub(crate) fn document(request: &mut Parts, document: Vec<u8>) -> Bytes {
    if is_tagging_without_a_set(&document) {
        return Bytes::from_static(b"<Tagging><TagSet/></Tagging>");
    }
    if let Some(tags) = tags_of_new_bucket(&document) {
        request.extensions.insert(NewBucketTags(tags));
    }
    document.into()
}

/// Returns whether this is `bytes=first-last`, `bytes=first-` or `bytes=-length`. `s3s` accepts
/// more forms, and fails for every other value.
fn is_range(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|bounds| bounds.split_once('-'))
    else {
        return false;
    };
    let ordered = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => first <= last,
        (first, last) => first.is_ok() || last.is_ok(),
    };
    digits(first) && digits(last) && ordered && s3s::dto::Range::parse(text).is_ok()
}

/// Skips an element with all its content, which an element type without fields cannot do.
fn skip(deserializer: &mut Deserializer<'_>) -> DeResult {
    deserializer.list_content::<CompletedMultipartUpload>("").map(drop)
}

fn is_tagging_without_a_set(document: &[u8]) -> bool {
    let mut sets = 0;
    let mut deserializer = Deserializer::new(document);
    let read = deserializer.named_element("Tagging", |tagging| {
        tagging.for_each_element(|element, name| {
            sets += usize::from(name == b"TagSet");
            skip(element)
        })
    });
    read.is_ok() && deserializer.expect_eof().is_ok() && sets == 0
}

/// Returns the tags that `s3s` ignores; none for a malformed document, which `s3s` refuses.
fn tags_of_new_bucket(document: &[u8]) -> Option<Vec<Tag>> {
    let mut tags = None;
    let mut deserializer = Deserializer::new(document);
    let read = deserializer.named_element("CreateBucketConfiguration", |configuration| {
        configuration.for_each_element(|element, name| match name {
            b"Tags" => {
                tags = Some(element.list_content("Tag")?);
                Ok(())
            }
            _ => skip(element),
        })
    });
    read.ok().and(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_s3s_cannot_read_is_set_aside() {
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);
        let cases: [Case<'_>; 7] = [
            ("GET", &[("range", "bytes=0-1")], &["range"], &[]),
            ("GET", &[("range", "bytes=0-1,3-4")], &[], &[]),
            ("HEAD", &[("range", "bytes=1-0")], &[], &[]),
            (
                "PUT",
                &[("cache-control", "a"), ("x-amz-meta-a", "b")],
                &["cache-control", "x-amz-meta-a"],
                &[],
            ),
            (
                "PUT",
                &[("cache-control", "ä"), ("if-match", "*")],
                &["if-match"],
                &["cache-control"],
            ),
            (
                "POST",
                &[("expires", "soon"), ("x-amz-acl", "private")],
                &["x-amz-acl"],
                &["expires"],
            ),
            (
                "PUT",
                &[("x-amz-meta-a", "=?UTF-8?B?x?="), ("expires", "")],
                &[],
                &["expires", "x-amz-meta-a"],
            ),
        ];
        for (method, sent, left, aside) in cases {
            let mut request = http::Request::builder().method(method).uri("/b/k");
            for (name, value) in sent {
                request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            headers(&mut parts);
            let names = |map: &HeaderMap| {
                let mut names: Vec<String> = map.keys().map(ToString::to_string).collect();
                names.sort();
                names
            };
            assert_eq!(names(&parts.headers), left, "{method} {sent:?}");
            let taken = parts.extensions.get().map(|ObjectHeaders(taken)| names(taken));
            assert_eq!(taken.unwrap_or_default(), aside, "{method} {sent:?}");
        }
    }

    #[test]
    fn documents_are_looked_through_and_no_more() {
        for (document, expected) in [
            ("<Tagging/>", true),
            ("<Tagging></Tagging>", true),
            ("<Tagging><Other><TagSet/></Other></Tagging>", true),
            ("<Tagging><TagSet></TagSet></Tagging>", false),
            ("<Tagging>", false),
            ("<Other/>", false),
            ("<Tagging/><Tagging/>", false),
        ] {
            assert_eq!(is_tagging_without_a_set(document.as_bytes()), expected, "{document}");
        }
        let tagged = "<CreateBucketConfiguration><LocationConstraint>x</LocationConstraint>\
            <Tags><Tag><Key>k</Key><Value>v</Value></Tag></Tags></CreateBucketConfiguration>";
        let tags = tags_of_new_bucket(tagged.as_bytes()).unwrap();
        assert_eq!((tags.len(), tags[0].key.as_deref()), (1, Some("k")));
        assert!(tags_of_new_bucket(b"<CreateBucketConfiguration/>").is_none());
    }
}
