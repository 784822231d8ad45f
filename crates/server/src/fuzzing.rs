//! Entry points for `fuzz/` and tests: all code in this crate that parses untrusted bytes.
//!
//! Not part of the API. This file is in the crate because the parsers are private. Each function
//! returns whether the input was accepted.

use std::fmt::Debug;

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use s3s::dto::{
    BucketLifecycleConfiguration, CORSConfiguration, CompletedMultipartUpload, Delete, Tagging,
};
use s3s::xml::{Deserialize, Deserializer};

use crate::answer::refusal::Refusal;
use crate::auth::grants::{AccessLevel, Grant};
use crate::body::aws_chunked::{BadFraming, Chunks, Reframer};
use crate::body::document;
use crate::body::integrity::Integrity;
use crate::front::gate;
use crate::front::mended;
use crate::ops::tags::{self, TagsOf};
use crate::ops::{attributes, names};
use crate::ops::{cors, lifecycle, uploads};
use crate::options::Limits;
use crate::request::query::Query;
use crate::request::target::Domains;

/// Parses a request head: `METHOD URI`, then lines of headers. Checks that every head that passes
/// the gate keeps the gate's rules.
pub fn request_head(input: &[u8]) -> bool {
    let Some(mut parts) = head(input) else { return false };
    let domains = Domains::new(&["localhost".to_owned(), "s3.example".to_owned()]);
    let target = domains.target(&parts);
    if let Some(bucket) = &target.bucket {
        assert!(!bucket.is_empty());
        let _ = names::bucket(bucket);
    }
    let limits = Limits::default();
    if gate::check(&parts, &target, &limits).is_err() {
        return false;
    }
    let query = Query::parse(parts.uri.query().unwrap_or(""));
    if let Some(seconds) = query.get("X-Amz-Expires") {
        assert!(
            (0..=604_800).contains(&seconds.parse::<i64>().expect("the gate lets numbers pass"))
        );
    }
    check_signature(&parts, &query);
    let _ = gate::document(&parts, &target);
    let sent = parts.headers.clone();
    if mended::mend(&mut parts).is_err() {
        return false;
    }
    check_mended(&sent, &parts, &query);
    let _ = Integrity::from_headers(&parts.headers).and_then(|integrity| integrity.checksum(None));
    if let Ok(kept) = attributes::read(&parts.headers) {
        let mut shown = http::HeaderMap::new();
        attributes::write(&kept, &query, &mut shown);
        let mut plain = http::HeaderMap::new();
        attributes::write(&kept, &Query::parse(""), &mut plain);
        // Displayed attributes must parse to the same attributes, for clients that copy objects by
        // hand.
        if let Ok(again) = attributes::read(&plain) {
            // Non-ASCII values are sent as RFC 2047, and may then be too long.
            assert!(again.metadata.keys().eq(kept.metadata.keys()));
            assert_eq!(again.cache_control, kept.cache_control);
        }
    }
    true
}

/// Checks that a mended request has all headers that were sent except its signature, and no others
/// unless there is a signature in the query.
fn check_mended(sent: &http::HeaderMap, parts: &Parts, query: &Query) {
    for (name, value) in
        sent.iter().filter(|(name, _)| *name != "authorization" && *name != "x-amz-copy-source")
    {
        assert!(
            parts.headers.get_all(name).iter().any(|kept| kept == value),
            "{name} was sent and is gone"
        );
    }
    let is_signed = query.has("X-Amz-Signature") || query.has("Signature");
    let mut added = parts.headers.keys().filter(|name| !sent.contains_key(*name));
    assert!(
        is_signed || added.next().is_none(),
        "a header was made of the query of a request without a signature"
    );
    let left = Query::parse(parts.uri.query().unwrap_or(""));
    assert!(
        !left.has("X-Amz-Signature") && !left.has("Signature") || !is_signed,
        "a signature is left"
    );
    assert!(!parts.uri.path().contains('+') && !parts.headers.contains_key("authorization"));
}

/// Checks that no request passes with two signatures, or with an S3 header that its signature does
/// not cover. `s3s` verifies the first that it finds of `Signature` and `X-Amz-Signature` in the
/// query, and `Authorization`.
fn check_signature(parts: &Parts, query: &Query) {
    let times = |name: &str| query.pairs().iter().filter(|(given, _)| given == name).count();
    let authorization: Vec<_> = parts.headers.get_all("authorization").iter().collect();
    assert!(
        times("Signature") + times("X-Amz-Signature") + authorization.len() <= 1,
        "signed twice"
    );
    let signed_headers = match (times("X-Amz-Signature"), authorization.first()) {
        (1, _) => query.get("X-Amz-SignedHeaders").expect("whole, or refused"),
        (_, Some(header)) => header.to_str().expect("refused").rsplit(',').nth(1).expect("refused"),
        _ => return,
    };
    let signed_headers = signed_headers.trim().trim_start_matches("SignedHeaders=");
    for name in parts.headers.keys().filter(|name| name.as_str().starts_with("x-amz-")) {
        let covered = signed_headers.split(';').any(|signed| signed == name.as_str());
        assert!(
            covered || ["x-amz-content-sha256", "x-amz-user-agent"].contains(&name.as_str()),
            "{name} is open"
        );
    }
}

fn head(input: &[u8]) -> Option<Parts> {
    let text = std::str::from_utf8(input).ok()?;
    let mut lines = text.lines();
    let (method, uri) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// Reframes an aws-chunked body. The first byte selects the kind, the second the size of the
/// pieces, which must not affect the output.
pub fn aws_chunked(input: &[u8]) -> bool {
    let [kind, step, body @ ..] = input else { return false };
    let chunks = if kind % 2 == 0 { Chunks::Unsigned } else { Chunks::Signed { limit_bytes: 64 } };
    let (whole, whole_end) = reframed(chunks, body, body.len().max(1));
    let (pieces, pieces_end) = reframed(chunks, body, usize::from(*step).max(1));
    assert_eq!(whole_end, pieces_end);
    match chunks {
        Chunks::Signed { .. } => {
            assert!(body.starts_with(&pieces), "signed chunks pass as they are");
            if whole_end.is_ok() {
                assert_eq!(whole, pieces);
            }
        }
        // The chunks may be split elsewhere, but the joined bytes must be the same.
        Chunks::Unsigned if whole_end.is_ok() => {
            let (again, end) = reframed(chunks, &pieces, 1);
            assert!(end.is_ok(), "what is passed on is well-formed");
            assert_eq!(payload(&again), payload(&pieces));
            assert_eq!(payload(&whole), payload(&pieces));
        }
        Chunks::Unsigned => {}
    }
    whole_end.is_ok()
}

fn reframed(chunks: Chunks, body: &[u8], step: usize) -> (Vec<u8>, Result<(), BadFraming>) {
    let mut reframer = Reframer::new(chunks);
    let mut passed = Vec::new();
    for piece in body.chunks(step) {
        let pushed = reframer.push(Bytes::copy_from_slice(piece));
        while let Some(ready) = reframer.next_ready() {
            passed.extend_from_slice(&ready);
        }
        if pushed.is_err() {
            return (passed, pushed);
        }
    }
    (passed, Ok(()))
}

/// Returns the bytes inside chunks that this server created, and the rest after the last one.
fn payload(mut body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut data = Vec::new();
    while let Some(end) = body.windows(2).position(|bytes| bytes == b"\r\n") {
        let digits = body[..end].split(|byte| *byte == b';').next().unwrap_or_default();
        let size =
            std::str::from_utf8(digits).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.expect("a size in hexadecimal digits");
        body = &body[end + 2..];
        if size == 0 {
            return (data, body.to_vec());
        }
        data.extend_from_slice(&body[..size.min(body.len())]);
        body = body.get(size + 2..).unwrap_or_default();
    }
    (data, Vec::new())
}

/// Parses a keys file. Checks that errors do not quote it.
pub fn keys_file(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(grants) = Grant::parse_file(text) else { return false };
    for (at, grant) in grants.iter().enumerate() {
        let id = &grant.credentials.access_key_id;
        assert!(!id.is_empty() && !grant.credentials.secret_access_key.expose().is_empty());
        assert!(
            grants[..at].iter().all(|other| other.credentials.access_key_id != *id),
            "an id is given twice"
        );
        assert_eq!(grant.writes(), grant.access == AccessLevel::ReadWrite);
        for scope in &grant.scopes {
            assert!(grant.sees_bucket(scope.bucket.as_str()));
            assert!(grant.covers(scope.bucket.as_str(), &scope.prefix));
            assert!(!grant.covers("another-bucket-that-is-no-scope", &scope.prefix));
        }
    }
    !grants.is_empty()
}

/// Parses a document: lifecycle or CORS of a bucket, tags, a batch of deletes, the list of a
/// Complete. This crate rewrites the XML, `s3s` reads it, and this crate interprets the result; the
/// stored form must parse to the same value.
pub fn documents(input: &[u8]) -> bool {
    let lifecycle = xml::<BucketLifecycleConfiguration>(input)
        .is_some_and(|document| is_stable(document.rules, lifecycle::read_rule, lifecycle::shown));
    let cors = xml::<CORSConfiguration>(input)
        .is_some_and(|document| is_stable(document.cors_rules, cors::read_rule, cors::shown));
    let tags = xml::<Tagging>(input).is_some_and(|document| {
        let Ok(kept) = TagsOf::Object.check(document.tag_set) else { return false };
        assert_eq!(
            TagsOf::Object.check(tags::shown(kept.clone())).expect("what was taken once"),
            kept
        );
        true
    });
    let deleted = xml::<Delete>(input).is_some_and(|document| !document.objects.is_empty());
    let list = xml::<CompletedMultipartUpload>(input).is_some_and(|document| {
        let upload = names::upload("bucket", "key", "upload").expect("plain names");
        uploads::listed_parts(Some(document), &upload).is_ok()
    });
    lifecycle || cors || tags || deleted || list
}

/// Parses a document like the server. Checks that rewriting it a second time changes nothing.
fn xml<T: for<'xml> Deserialize<'xml>>(input: &[u8]) -> Option<T> {
    let rewritten = document::rewrite(input).ok()?;
    assert_eq!(document::rewrite(&rewritten).ok().as_deref(), Some(&*rewritten));
    let input = &rewritten;
    let mut deserializer = Deserializer::new(input);
    let document = T::deserialize(&mut deserializer).ok()?;
    deserializer.expect_eof().ok()?;
    Some(document)
}

fn is_stable<Sent, Kept: Clone + Debug + PartialEq>(
    rules: Vec<Sent>,
    read: impl Fn(Sent) -> Result<Kept, Refusal>,
    show: impl Fn(Kept) -> Sent,
) -> bool {
    let mut taken = false;
    for kept in rules.into_iter().filter_map(|rule| read(rule).ok()) {
        let again = read(show(kept.clone())).ok();
        assert_eq!(again, Some(kept));
        taken = true;
    }
    taken
}
