//! Formats one comparison as an event of `--json`.

use std::time::Duration;

use haul::ObjectRef;
use haul::remote::ObjectDescription;
use haul::verify::{Evidence, Verdict};
use serde::Serialize;

/// The two sides; one of them may be missing, or be a receipt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared<'a> {
    pub(super) path: Option<&'a str>,
    pub(super) object: Option<&'a ObjectRef>,
}

/// A finished comparison.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "verified")]
pub(super) struct VerifiedLine {
    path: Option<String>,
    bucket: Option<String>,
    key: Option<String>,
    /// `same`, `different`, `unproven`, `missing-object` or `missing-file`.
    verdict: &'static str,
    /// The kind of value that was compared, as returned by [`Evidence::word`].
    method: Option<&'static str>,
    algorithm: Option<&'static str>,
    /// For values over parts: how the part boundaries are known.
    layout: Option<&'static str>,
    part_count: Option<u16>,
    part_size_bytes: Option<u64>,
    /// The reason in words, if the verdict is different or unproven.
    detail: Option<String>,
    size_bytes: u64,
    elapsed_ms: u64,
    etag: Option<String>,
    version_id: Option<String>,
}

impl VerifiedLine {
    pub(super) fn of(
        compared: &Compared<'_>,
        verdict: &Verdict,
        size_bytes: u64,
        elapsed: Duration,
    ) -> Self {
        let (evidence, detail) = match verdict {
            Verdict::Same(evidence) => (Some(evidence), None),
            Verdict::Different(difference) => {
                let compared = match difference {
                    haul::verify::Difference::Value { compared, .. } => Some(compared),
                    _ => None,
                };
                (compared, Some(difference.to_string()))
            }
            Verdict::Unproven(why) => (None, Some(why.to_string())),
        };
        let layout = evidence.and_then(Evidence::layout);
        Self {
            verdict: verdict.word(),
            method: evidence.map(Evidence::word),
            algorithm: evidence.and_then(Evidence::algorithm).map(|algorithm| algorithm.s3_name()),
            layout: layout.map(|(_, source)| source.word()),
            part_count: layout.map(|(layout, _)| layout.part_count()),
            part_size_bytes: layout.and_then(|(layout, _)| layout.part_size_bytes()),
            detail,
            ..Self::missing(compared, "", size_bytes).taking(elapsed)
        }
    }

    /// Creates the event of a file without an object, or of an object without a file.
    pub(super) fn missing(compared: &Compared<'_>, verdict: &'static str, size_bytes: u64) -> Self {
        Self {
            path: compared.path.map(str::to_owned),
            bucket: compared.object.map(|object| object.bucket.as_str().to_owned()),
            key: compared.object.map(|object| object.key.as_str().to_owned()),
            verdict,
            method: None,
            algorithm: None,
            layout: None,
            part_count: None,
            part_size_bytes: None,
            detail: None,
            size_bytes,
            elapsed_ms: 0,
            etag: None,
            version_id: None,
        }
    }

    fn taking(self, elapsed: Duration) -> Self {
        Self { elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX), ..self }
    }

    pub(super) fn with_version(self, description: &ObjectDescription) -> Self {
        let etag = &description.head.etag;
        Self {
            etag: (!etag.is_empty()).then(|| etag.unquoted().to_owned()),
            version_id: description.version_id.clone(),
            ..self
        }
    }
}
