//! Formats the last line of a copy: the object, its address, the rate, and its proof.

use std::time::Duration;

use haul::{
    CopyMethod, CopyProof, CopyReport, DownloadReport, ProofCount, UploadReport, WholeProof,
};
use serde::Serialize;

use crate::size::{human_duration, human_rate, human_size};

/// The last event of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Summary<'a> {
    /// An upload is done. Follows the engine's own `completed` event, with the fields of the
    /// report.
    Uploaded {
        source: &'a str,
        target: &'a str,
        size_bytes: u64,
        elapsed_ms: u64,
        part_count: u32,
        etag: &'a str,
        upload_id: Option<&'a str>,
        checksum: Option<String>,
        resumed_bytes: u64,
        proof: ProofCount,
        whole: WholeProof,
        retries: u32,
    },
    /// A copy from store to store is done.
    Copied {
        source: &'a str,
        target: &'a str,
        size_bytes: u64,
        elapsed_ms: u64,
        method: CopyMethod,
        part_count: u32,
        etag: &'a str,
        upload_id: Option<&'a str>,
        checksum: Option<String>,
        proof: CopyProof,
        retries: u32,
    },
    /// A download is done.
    Downloaded {
        source: &'a str,
        target: &'a str,
        size_bytes: u64,
        elapsed_ms: u64,
        verified: String,
    },
}

/// The values that all directions of transfer share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Journey<'a> {
    pub(crate) source: &'a str,
    pub(crate) target: &'a str,
    pub(crate) elapsed: Duration,
}

impl Journey<'_> {
    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// Formats `video.mov -> s3://b/video.mov  1.4 GiB in 12.1 s (118 MiB/s)`; the rate counts the
    /// bytes of this run.
    fn line(&self, size_bytes: u64, travelled_bytes: u64) -> String {
        let (size, time) = (human_size(size_bytes), human_duration(self.elapsed));
        let rate = match travelled_bytes {
            0 => String::new(),
            _ => format!(" ({})", human_rate(travelled_bytes, self.elapsed)),
        };
        format!("{} -> {}  {size} in {time}{rate}", self.source, self.target)
    }
}

/// Returns an upload's last line and event.
pub(crate) fn uploaded<'a>(
    journey: Journey<'a>,
    report: &'a UploadReport,
    retries: u32,
) -> (String, Summary<'a>) {
    let mut line =
        journey.line(report.size_bytes, report.size_bytes.saturating_sub(report.resumed_bytes));
    if report.resumed_bytes > 0 {
        line += &format!(", {} were there already", human_size(report.resumed_bytes));
    }
    line += &match report.upload_id {
        Some(_) => format!(", {}, {}", counted(report.part_count, "part"), report.proof),
        None => format!(", one request, {}", proof_of_one(&report.proof)),
    };
    line += match (&report.upload_id, report.whole) {
        (Some(_), WholeProof::Checksum) => ", the object too",
        (Some(_), WholeProof::ETag) => ", the object by its ETag",
        _ => "",
    };
    if retries > 0 {
        line += &format!(
            ", {}",
            if retries == 1 { "1 retry".to_owned() } else { format!("{retries} retries") }
        );
    }
    let summary = Summary::Uploaded {
        source: journey.source,
        target: journey.target,
        size_bytes: report.size_bytes,
        elapsed_ms: journey.elapsed_ms(),
        part_count: report.part_count,
        etag: report.etag.unquoted(),
        upload_id: report.upload_id.as_ref().map(haul::parts::UploadId::as_str),
        checksum: report.checksum.map(|checksum| checksum.to_string()),
        resumed_bytes: report.resumed_bytes,
        proof: report.proof,
        whole: report.whole,
        retries,
    };
    (line, summary)
}

/// Returns the last line and event of a copy from store to store.
pub(crate) fn copied<'a>(
    journey: Journey<'a>,
    report: &'a CopyReport,
    retries: u32,
) -> (String, Summary<'a>) {
    let mut line = journey.line(report.size_bytes, report.size_bytes);
    line += match report.method {
        CopyMethod::Streamed => ", streamed",
        CopyMethod::CopyObject | CopyMethod::UploadPartCopy => ", copied by the store",
    };
    if report.upload_id.is_some() {
        line += &format!(" in {}", counted(report.part_count, "part"));
    }
    line += match report.proof {
        CopyProof::Checksum => ", proven by checksum",
        CopyProof::ETag => ", proven by ETag",
        CopyProof::Unproven => ", unproven: source and copy have nothing that could be compared",
    };
    if retries > 0 {
        line += &format!(
            ", {}",
            if retries == 1 { "1 retry".to_owned() } else { format!("{retries} retries") }
        );
    }
    let summary = Summary::Copied {
        source: journey.source,
        target: journey.target,
        size_bytes: report.size_bytes,
        elapsed_ms: journey.elapsed_ms(),
        method: report.method,
        part_count: report.part_count,
        etag: report.etag.unquoted(),
        upload_id: report.upload_id.as_ref().map(haul::parts::UploadId::as_str),
        checksum: report.checksum.map(|checksum| checksum.to_string()),
        proof: report.proof,
        retries,
    };
    (line, summary)
}

/// Returns a download's last line and event.
pub(crate) fn downloaded<'a>(
    journey: Journey<'a>,
    report: &DownloadReport,
) -> (String, Summary<'a>) {
    let line =
        format!("{}, {}", journey.line(report.size_bytes, report.size_bytes), report.verified);
    let summary = Summary::Downloaded {
        source: journey.source,
        target: journey.target,
        size_bytes: report.size_bytes,
        elapsed_ms: journey.elapsed_ms(),
        verified: report.verified.to_string(),
    };
    (line, summary)
}

/// Formats `1 part`, `2 parts`.
pub(super) fn counted(count: impl TryInto<u64>, what: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn proof_of_one(proof: &ProofCount) -> &'static str {
    match proof {
        ProofCount { checksum: 1.., .. } => "proven by checksum",
        ProofCount { md5: 1.., .. } => "proven by MD5",
        _ => "unproven: the store verified no checksum and gave no MD5",
    }
}

#[cfg(test)]
mod tests {
    use haul::parts::UploadId;

    use super::*;

    const JOURNEY: Journey<'static> = Journey {
        source: "video.mov",
        target: "s3://b/video.mov",
        elapsed: Duration::from_millis(12_130),
    };

    fn report(part_count: u32, proof: ProofCount) -> UploadReport {
        UploadReport {
            object: "s3://bucket/video.mov".parse().unwrap(),
            size_bytes: 1_503_238_553,
            etag: "\"0cc175b9c0f1b6a831c399e269772661-179\"".into(),
            part_count,
            upload_id: (part_count > 1).then(|| UploadId::new("u1").unwrap()),
            proof,
            whole: WholeProof::Checksum,
            resumed_bytes: 0,
            checksum: None,
            parts: vec![],
        }
    }

    #[test]
    fn last_lines() {
        let all = ProofCount { checksum: 179, ..ProofCount::default() };
        insta::assert_snapshot!(uploaded(JOURNEY, &report(179, all), 0).0, @"video.mov -> \
            s3://b/video.mov  1.4 GiB in 12.1 s (118 MiB/s), 179 parts, every part proven by \
            checksum, the object too");
        let none = ProofCount { unproven: 1, ..ProofCount::default() };
        insta::assert_snapshot!(uploaded(JOURNEY, &report(1, none), 2).0, @"video.mov -> \
            s3://b/video.mov  1.4 GiB in 12.1 s (118 MiB/s), one request, unproven: the store \
            verified no checksum and gave no MD5, 2 retries");
    }

    #[test]
    fn a_resumed_upload_says_what_was_there() {
        let all = ProofCount { checksum: 179, ..ProofCount::default() };
        let resumed = UploadReport { resumed_bytes: 1 << 30, ..report(179, all) };
        insta::assert_snapshot!(uploaded(JOURNEY, &resumed, 0).0, @"video.mov -> s3://b/video.mov  \
            1.4 GiB in 12.1 s (34 MiB/s), 1.0 GiB were there already, 179 parts, every part proven \
            by checksum, the object too");
    }

    #[test]
    fn last_events() {
        let all = ProofCount { checksum: 179, ..ProofCount::default() };
        let report = report(179, all);
        let (_, summary) = uploaded(JOURNEY, &report, 1);
        let json = serde_json::to_string(&summary).unwrap();
        insta::assert_snapshot!(json, @"{\"event\":\"uploaded\",\"source\":\"video.mov\",\
            \"target\":\"s3://b/video.mov\",\"size_bytes\":1503238553,\"elapsed_ms\":12130,\
            \"part_count\":179,\"etag\":\"0cc175b9c0f1b6a831c399e269772661-179\",\
            \"upload_id\":\"u1\",\"checksum\":null,\"resumed_bytes\":0,\
            \"proof\":{\"checksum\":179,\"md5\":0,\"unproven\":0},\"whole\":\"checksum\",\
            \"retries\":1}");
    }
}
