//! What follows from the checks: the profile, its differences, and what Haul chooses.

use haul_parts::ChecksumAlgorithm;
use serde::Serialize;

use super::{Doctor, Verdict};
use crate::pace::EngineOptions;
use crate::remote::{Store, StoreProfile, Support};

/// A value in which the store differs from the table of its profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The name of the value.
    pub field: String,
    /// The value of the table.
    pub table: String,
    /// The value that was found.
    pub found: String,
}

/// The limits of the profile that follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProfileLimits {
    /// The smallest part that is not the last one, in bytes.
    pub part_size_min_bytes: u64,
    /// The largest part, in bytes.
    pub part_size_max_bytes: u64,
    /// The most parts of an upload.
    pub part_count_max: u16,
    /// The largest object, in bytes.
    pub object_size_max_bytes: u64,
    /// Whether all parts but the last must have the same size.
    pub equal_parts: bool,
}

/// What Haul chooses for a store unless flags say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The size of a part in bytes.
    pub part_size_bytes: u64,
    /// Requests in flight before the first measurement of the link.
    pub concurrency: u32,
    /// The checksum of the parts; `None`: their MD5 is compared with the ETag.
    pub checksum: Option<String>,
    /// Whether a part is read once and streamed with its checksum behind it; else it is held in
    /// memory, or read twice.
    pub streamed: bool,
}

/// The operations without which no transfer works.
const NEEDED: [&str; 8] = [
    "PutObject",
    "GetObject",
    "HeadObject",
    "DeleteObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
];

impl Doctor<'_> {
    pub(super) fn conclude(&mut self) {
        let kind = self.store.profile().kind;
        let table = kind.profile();
        let found = table.refined_by(&self.findings);
        self.report.profile = kind.name().to_owned();
        self.report.differences = differences(&table, &found);
        self.report.limits = ProfileLimits {
            part_size_min_bytes: found.limits.part_size_min_bytes,
            part_size_max_bytes: found.limits.part_size_max_bytes,
            part_count_max: found.limits.part_count_max,
            object_size_max_bytes: found.limits.object_size_max_bytes,
            equal_parts: found.limits.equal_parts,
        };
        let checksum = found.default_checksum(ChecksumAlgorithm::Crc64Nvme);
        // Without a private way, no trailer is used: the signature does not cover it.
        let streamed = checksum.is_some()
            && found.trailers.is_yes()
            && self.store.profile().trailers != Support::No;
        self.report.choice = Choice {
            part_size_bytes: found.limits.part_size_default_bytes,
            concurrency: EngineOptions::default().concurrency.start(),
            checksum: checksum.map(|algorithm| algorithm.s3_name().to_owned()),
            streamed,
        };
        self.report.findings = self.findings.clone();
        let is_ok = |name: &&str| self.report.verdict(name) == Some(Verdict::Ok);
        self.report.usable = NEEDED.iter().all(is_ok);
        self.report.checks.sort_by_key(|check| check.group);
    }
}

fn differences(table: &StoreProfile, found: &StoreProfile) -> Vec<Difference> {
    let mut differences = vec![];
    let mut compare = |field: String, table: &str, found: &str| {
        if table != found {
            let (table, found) = (table.to_owned(), found.to_owned());
            differences.push(Difference { field, table, found });
        }
    };
    let equal = |equal: bool| if equal { "yes" } else { "no" };
    compare(
        "equal parts".to_owned(),
        equal(table.limits.equal_parts),
        equal(found.limits.equal_parts),
    );
    for algorithm in ChecksumAlgorithm::ALL {
        let name = format!("checksum {}", algorithm.s3_name());
        let (table, found) = (table.checksums.of(algorithm), found.checksums.of(algorithm));
        compare(name, table.name(), found.name());
    }
    let values = |profile: &StoreProfile| {
        [
            ("checksum mode", profile.checksum_mode),
            ("trailers", profile.trailers),
            ("PutObject If-None-Match", profile.on_put.if_none_match),
            ("PutObject If-Match", profile.on_put.if_match),
            ("CompleteMultipartUpload If-None-Match", profile.on_complete.if_none_match),
            ("CompleteMultipartUpload If-Match", profile.on_complete.if_match),
            ("UploadPartCopy", profile.upload_part_copy),
            ("ListMultipartUploads", profile.list_multipart_uploads),
            ("GetObjectAttributes", profile.get_object_attributes),
            ("HeadObject partNumber", profile.part_number_head),
        ]
    };
    for ((field, table), (_, found)) in values(table).into_iter().zip(values(found)) {
        compare(field.to_owned(), table.name(), found.name());
    }
    differences
}
