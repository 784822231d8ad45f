//! For each line of `--json`, the test that provokes it.
//!
//! A test that stands in the table hands the lines of its commands to [`provokes`], which validates
//! them against the schema and requires every line that the table promises. So an event cannot lose
//! its test unnoticed, and a new one needs a row.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::event_schema;

/// The tests, and the entries of the schema that each of them provokes.
const TABLE: &[(&str, &[&str])] = &[
    (
        "event_schema::the_lines_of_every_command_agree_with_the_schema",
        &[
            "event-bucket-made",
            "event-uploaded",
            "event-downloaded",
            "event-copied",
            "event-file-copied",
            "event-tree-summary",
            "event-object",
            "event-verified",
            "event-verify-summary",
            "event-hashed",
            "event-presigned",
            "event-unfinished-summary",
            "event-sweep-summary",
            "event-lifecycle-installed",
            "event-lifecycle-rule",
            "event-lifecycle-removed",
            "event-line-done",
            "event-run-summary",
            "event-failed",
            "event-object-would-be-removed",
            "event-object-removed",
            "event-removal-summary",
            "event-bucket-removed",
            "type-bucket",
            "type-object",
            "type-prefix",
            "type-summary",
            "type-storage-class",
            "type-total",
            "type-value",
        ],
    ),
    (
        "output::json_is_one_event_per_line_in_order",
        &[
            "event-started",
            "event-upload-created",
            "event-part-sent",
            "event-completing",
            "event-completed",
        ],
    ),
    ("output::json_reports_progress_every_second_of_a_slow_part", &["event-progress"]),
    (
        "event_lines::an_upload_with_trouble_reports_each_step",
        &["event-retrying", "event-in-doubt", "event-aborting", "event-aborted"],
    ),
    (
        "event_lines::a_paused_upload_is_listed_resumed_and_forgotten",
        &[
            "event-paused",
            "event-upload",
            "event-related-journal",
            "event-upload-skipped",
            "event-resumed",
            "event-waiting",
            "event-upload-aborted",
            "event-upload-forgotten",
            "event-waiting-to-resume",
        ],
    ),
    (
        "event_lines::a_damaged_journal_is_listed_and_moved_aside",
        &["event-unreadable-journal", "event-warning", "event-unfinished-found"],
    ),
    ("resume::an_upload_that_is_gone_restarts_with_a_report", &["event-restarting"]),
    (
        "event_lines::a_stream_is_spooled_and_resumed",
        &["event-stream-started", "event-spooling", "event-stream-resumed"],
    ),
    (
        "event_lines::a_tree_reports_what_fails_and_what_it_removes",
        &[
            "event-file-failed",
            "event-file-removed",
            "event-removing",
            "event-tree-progress",
            "event-tree",
            "event-tree-forgotten",
        ],
    ),
    (
        "event_lines::paused_downloads_and_copies_are_listed",
        &["event-download", "event-download-aborted", "event-copy"],
    ),
    (
        "event_lines::unfinished_uploads_are_listed_and_swept",
        &["event-unfinished-upload", "event-upload-swept", "type-unfinished-uploads"],
    ),
    (
        "removing_many::a_key_that_is_refused_is_reported_and_the_rest_removed",
        &["event-object-not-removed"],
    ),
    ("doctor::an_endpoint_without_a_listener_is_unreachable", &["event-doctor"]),
    (
        "event_lines::the_endpoint_reports_its_address_and_its_keys",
        &["event-listening", "event-keys-replaced", "event-keys-kept", "type-remote"],
    ),
    ("store_check::a_flipped_bit_and_a_lost_file_are_named", &["event-problem"]),
    (
        "store_check::an_orphan_is_no_damage_and_removed_only_on_request",
        &["event-orphan", "event-stranger", "event-checked"],
    ),
    (
        "store_check::a_folder_without_its_metadata_is_refused_by_every_command",
        &["event-data-file"],
    ),
];

/// Validates the lines that a test got, and panics unless they include every line for which the
/// table names the test.
pub(crate) fn provokes(test: &str, lines: &[Value]) {
    let row = TABLE.iter().find(|(name, _)| *name == test);
    let (_, promised) = row.unwrap_or_else(|| panic!("{test} is not in the table"));
    let mut seen = BTreeSet::new();
    for line in lines {
        event_schema::check(line);
        for tag in ["event", "type"] {
            seen.extend(line[tag].as_str().map(|name| format!("{tag}-{name}")));
        }
    }
    let missing: Vec<_> = promised.iter().filter(|entry| !seen.contains(**entry)).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {seen:?}");
}

#[test]
fn every_line_of_the_schema_has_a_test_that_provokes_it() {
    let promised: Vec<&str> = TABLE.iter().flat_map(|(_, entries)| *entries).copied().collect();
    let once: BTreeSet<&str> = promised.iter().copied().collect();
    assert_eq!(once.len(), promised.len(), "each has one test");
    let in_schema: BTreeSet<String> = event_schema::entries();
    let in_schema: BTreeSet<&str> = in_schema.iter().map(String::as_str).collect();
    let missing: Vec<_> = in_schema.difference(&once).collect();
    assert!(missing.is_empty(), "no test provokes {missing:?}");
    let unknown: Vec<_> = once.difference(&in_schema).collect();
    assert!(unknown.is_empty(), "the schema has no {unknown:?}");
    // The test of a row exists, and hands its lines over under its own name.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for (test, _) in TABLE {
        let (module, name) = test.split_once("::").unwrap();
        let source = std::fs::read_to_string(folder.join(format!("{module}.rs"))).unwrap();
        let body = source.split(&format!("\nfn {name}() {{\n")).nth(1);
        let body = body.unwrap_or_else(|| panic!("there is no test {test}"));
        let body = &body[..body.find("\n}\n").unwrap()];
        assert!(body.contains("provokes("), "{test} does not call provokes");
        assert!(body.contains(&format!("\"{test}\"")), "{test} calls provokes with another name");
    }
}
