//! Evaluates conditional headers. Those of reads and copies are evaluated here on the store's
//! description of the object; those of writes are passed to the store, which evaluates them
//! atomically with the write.

use std::time::{Duration, SystemTime};

use haul_parts::ETag;
use haul_store::{ObjectInfo, WriteCondition};
use http::HeaderValue;
use s3s::S3ErrorCode;
use s3s::dto::{ETagCondition, Timestamp};

use crate::answer::refusal::Refusal;
use crate::ops::wire;

/// The four headers of a read, or their `x-amz-copy-source-` counterparts.
#[derive(Default)]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

/// The result of the conditions for an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    /// The reader already has this version.
    NotModified,
    /// The condition in this header failed.
    Failed(&'static str),
}

impl ReadConditions {
    /// Evaluates the conditions by RFC 9110 §13.2.2, which AWS follows: where both an ETag and a
    /// date are given, only the ETag counts.
    pub(super) fn decide(&self, object: &ObjectInfo) -> Verdict {
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, &object.etag) => {
                return Verdict::Failed("If-Match");
            }
            (None, Some(since)) if modified_after(object, since) => {
                return Verdict::Failed("If-Unmodified-Since");
            }
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches(condition, &object.etag) => Verdict::NotModified,
            // RFC 9110 §13.1.3: a date in the future is ignored.
            (None, Some(since)) if is_past(since) && !modified_after(object, since) => {
                Verdict::NotModified
            }
            _ => Verdict::Met,
        }
    }

    /// Evaluates the conditions for a copy, which has no "not modified": a false condition is a
    /// failure.
    pub(super) fn decide_copy(&self, object: &ObjectInfo) -> Result<(), Refusal> {
        match self.decide(object) {
            Verdict::Met => Ok(()),
            Verdict::NotModified if self.if_none_match.is_some() => {
                Err(Refusal::precondition("x-amz-copy-source-If-None-Match"))
            }
            Verdict::NotModified => {
                Err(Refusal::precondition("x-amz-copy-source-If-Modified-Since"))
            }
            Verdict::Failed("If-Match") => Err(Refusal::precondition("x-amz-copy-source-If-Match")),
            Verdict::Failed(_) => {
                Err(Refusal::precondition("x-amz-copy-source-If-Unmodified-Since"))
            }
        }
    }
}

/// Evaluates `If-Range`: returns whether the object is still the one that the client has a part of.
/// By RFC 9110 §13.1.5 a weak ETag never matches, and a date only if it is exactly the one that was
/// sent.
pub(super) fn is_still(if_range: &HeaderValue, object: &ObjectInfo) -> bool {
    let told = if_range.as_bytes();
    told == object.etag.quoted().as_bytes()
        || told == wire::http_date(object.last_modified).as_bytes()
}

fn matches(condition: &ETagCondition, etag: &ETag) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag.unquoted(),
    }
}

/// Compares in whole seconds, like the client: dates in headers have seconds, the store's have
/// milliseconds.
fn modified_after(object: &ObjectInfo, since: &Timestamp) -> bool {
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d: Duration| d.as_secs())
    };
    let modified = Timestamp::from(
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds(object.last_modified)),
    );
    modified > *since
}

fn is_past(time: &Timestamp) -> bool {
    *time <= Timestamp::from(SystemTime::now())
}

/// Returns the condition of a write: `If-None-Match: *` or `If-Match: "etag"`, the only forms in
/// S3.
pub(super) fn write_condition(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> Result<WriteCondition, Refusal> {
    match (if_match, if_none_match) {
        (None, None) => Ok(WriteCondition::Always),
        (None, Some(ETagCondition::Any)) => Ok(WriteCondition::IfNoneMatch),
        (Some(ETagCondition::ETag(etag)), None) => {
            Ok(WriteCondition::IfMatch(ETag::new(etag.value())))
        }
        (Some(_), Some(_)) => Err(not_implemented(
            "If-Match,If-None-Match",
            "Multiple conditional request headers present in the request",
        )),
        (None, Some(_)) => Err(not_implemented(
            "If-None-Match",
            "We don't accept the provided value of If-None-Match header for this API",
        )),
        (Some(ETagCondition::Any), None) => Err(not_implemented(
            "If-Match",
            "We don't accept the provided value of If-Match header for this API",
        )),
    }
}

/// Returns the condition of a delete: `If-Match` only, and `*` means any object.
pub(super) fn delete_condition(if_match: Option<ETagCondition>) -> WriteCondition {
    match if_match {
        None => WriteCondition::Always,
        Some(ETagCondition::Any) => WriteCondition::IfMatchAny,
        Some(ETagCondition::ETag(etag)) => WriteCondition::IfMatch(ETag::new(etag.value())),
    }
}

fn not_implemented(header: &'static str, more: &str) -> Refusal {
    Refusal::new(S3ErrorCode::NotImplemented)
        .field("Header", header)
        .field("additionalMessage", more)
}
