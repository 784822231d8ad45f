//! Compares the tables of docs/stores.md with the profiles, so that neither changes alone.

use haul_parts::ChecksumAlgorithm;
use haul_parts::limits::{GIB, MIB, TIB};

use super::*;

const DOCUMENT: &str = include_str!("../../../../../docs/stores.md");

/// Formats a limit exactly, in its largest unit.
fn bytes(count: u64) -> String {
    let units = [
        (TIB, "TiB"),
        (1_000_000_000_000, "TB"),
        (GIB, "GiB"),
        (1_000_000_000, "GB"),
        (MIB, "MiB"),
        (1_000_000, "MB"),
        (1, "B"),
    ];
    let unit = units.into_iter().find(|(unit, _)| count.is_multiple_of(*unit));
    unit.map(|(unit, name)| format!("{} {name}", count / unit)).unwrap()
}

fn limits_row(kind: StoreKind) -> String {
    let StoreProfile { limits, put_object_max_bytes, copy_object_max_bytes, .. } = kind.profile();
    format!(
        "| `{kind}` | {} to {} | {} | {} | {} | {} | {} | {} |\n",
        bytes(limits.part_size_min_bytes),
        bytes(limits.part_size_max_bytes),
        bytes(limits.part_size_default_bytes),
        limits.part_count_max,
        bytes(limits.object_size_max_bytes),
        if limits.equal_parts { "yes" } else { "no" },
        bytes(put_object_max_bytes),
        bytes(copy_object_max_bytes),
    )
}

/// Formats a value; unknown is a blank.
fn shown(support: Support) -> &'static str {
    if support == Support::Unknown { "" } else { support.name() }
}

fn checksums(profile: &StoreProfile) -> String {
    let list = |support: Support| {
        let of = |algorithm: &ChecksumAlgorithm| profile.checksums.of(*algorithm) == support;
        let names = ChecksumAlgorithm::ALL.into_iter().filter(of).map(ChecksumAlgorithm::s3_name);
        names.collect::<Vec<_>>().join(", ")
    };
    let parts =
        [Support::Yes, Support::Ignored, Support::No].map(|support| (support, list(support)));
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<_> =
        parts.map(|(support, names)| format!("{}: {names}", support.name())).collect();
    parts.join("; ")
}

fn abilities_row(kind: StoreKind) -> String {
    let profile = kind.profile();
    let cells = [
        profile.checksum_mode,
        profile.trailers,
        profile.on_put.if_none_match,
        profile.on_put.if_match,
        profile.on_complete.if_none_match,
        profile.on_complete.if_match,
        profile.upload_part_copy,
        profile.list_multipart_uploads,
        profile.lifecycle_abort,
        profile.get_object_attributes,
        profile.part_number_head,
        profile.upload_attributes,
    ];
    let cells = cells.map(shown).join(" | ");
    format!("| `{kind}` | {} | {cells} |\n", checksums(&profile))
}

#[test]
fn the_documented_tables_are_those_of_the_code() {
    for row in [limits_row, abilities_row] {
        let table: String = StoreKind::ALL.into_iter().map(row).collect();
        assert!(DOCUMENT.contains(&table), "docs/stores.md needs this table:\n{table}");
    }
}
