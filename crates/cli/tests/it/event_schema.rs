//! Every line of `--json` against `docs/events.schema.json`.
//!
//! [`check`] validates the lines of all tests that read events; `event_table` has a test for each
//! line. It understands the words that the schema uses, and is stricter
//! than the schema: a field without an entry is an error, because the schema is a document of every
//! field.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::event_table::provokes;
use crate::world::{World, events, finish, make_bucket, succeed};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../docs/events.schema.json")).unwrap()
});

/// Panics unless the schema has an entry for this line, and the line agrees with it.
pub(crate) fn check(line: &Value) {
    let tag = ["event", "type"].into_iter().find_map(|tag| Some((tag, line[tag].as_str()?)));
    let Some((tag, name)) = tag else { panic!("neither event nor type: {line}") };
    let definition = &SCHEMA["$defs"][format!("{tag}-{name}")];
    assert!(definition.is_object(), "docs/events.schema.json has no {tag} {name}: {line}");
    if let Err(problem) = validate(line, definition, name) {
        panic!("docs/events.schema.json: {problem}: {line}");
    }
}

/// Returns the names of all entries: `event-started`, `type-bucket`.
pub(crate) fn entries() -> BTreeSet<String> {
    let entries = SCHEMA["$defs"].as_object().unwrap().keys().cloned();
    entries.filter(|entry| entry != "line").collect()
}

fn validate(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let definition = SCHEMA.pointer(reference.trim_start_matches('#'));
        return validate(value, definition.ok_or(format!("{at}: no {reference}"))?, at);
    }
    if let Some(constant) = schema.get("const") {
        return if value == constant { Ok(()) } else { Err(format!("{at} is not {constant}")) };
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{at} is none of the values in its enum"));
    }
    let is = |kind: &Value| match kind.as_str().unwrap_or_default() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        other => panic!("{other} is no type"),
    };
    let kinds = &schema["type"];
    if !kinds.as_array().map_or_else(|| is(kinds), |kinds| kinds.iter().any(is)) {
        return Err(format!("{at} is not of the type {kinds}"));
    }
    if schema["minimum"].as_i64().is_some_and(|least| value.as_i64().is_some_and(|it| it < least)) {
        return Err(format!("{at} is below its minimum"));
    }
    match value {
        Value::Object(fields) => validate_fields(fields, schema, at),
        Value::Array(items) => {
            items.iter().try_for_each(|item| validate(item, &schema["items"], &format!("{at}[]")))
        }
        _ => Ok(()),
    }
}

fn validate_fields(fields: &Map<String, Value>, schema: &Value, at: &str) -> Result<(), String> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.into_iter().find(|name| !fields.contains_key(*name)) {
        return Err(format!("{at} lacks the field {missing}"));
    }
    for (name, value) in fields {
        let (known, others) = (&schema["properties"][name], &schema["additionalProperties"]);
        let schema = if known.is_object() { known } else { others };
        if !schema.is_object() {
            return Err(format!("{at} has the field {name} without an entry"));
        }
        validate(value, schema, &format!("{at}.{name}"))?;
    }
    Ok(())
}

/// Returns every Rust file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// Returns the lines that a source file can print, as names in the schema: those of structs with a
/// tag and a name, and those of each variant of an enum with a tag.
fn printed_by(source: &str) -> Vec<String> {
    let mut found = vec![];
    let mut rest = source;
    while let Some(at) = rest.find("#[serde(tag = \"") {
        rest = &rest[at + "#[serde(tag = \"".len()..];
        let tag = &rest[..rest.find('"').unwrap()];
        if tag != "event" && tag != "type" {
            continue;
        }
        let attribute = &rest[..rest.find(")]").unwrap()];
        if let Some((_, name)) = attribute.split_once("rename = \"") {
            found.push(format!("{tag}-{}", name.trim_end_matches('"')));
            continue;
        }
        let Some((_, body)) = rest.split_once("enum ") else { continue };
        let body = &body[body.find('{').unwrap() + 1..];
        let (mut opened, mut closed) = (0, 0);
        for line in body.lines() {
            let line = line.trim();
            let name: String = line.chars().take_while(|c| c.is_alphanumeric()).collect();
            if opened == closed && name.starts_with(char::is_uppercase) {
                found.push(format!("{tag}-{}", kebab(&name)));
            }
            opened += line.matches('{').count();
            closed += line.matches('}').count();
            if closed > opened {
                break;
            }
        }
    }
    // Structs that choose the name of their event at run time.
    for (_, after) in
        source.match_indices("event: \"").map(|(at, it)| source.split_at(at + it.len()))
    {
        found.push(format!("event-{}", &after[..after.find('"').unwrap()]));
    }
    found
}

/// A new event needs an entry in the schema and a row in its document.
#[test]
fn every_event_of_the_code_is_in_the_schema_and_in_its_document() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = sources(&crates.join("cli/src"));
    files.push(crates.join("engine/src/event.rs"));
    let in_code: BTreeSet<String> =
        files.iter().flat_map(|file| printed_by(&std::fs::read_to_string(file).unwrap())).collect();
    assert!(in_code.len() > 50, "{in_code:?}");
    let in_schema: BTreeSet<String> =
        SCHEMA["$defs"].as_object().unwrap().keys().cloned().collect();
    let missing: Vec<_> = in_code.difference(&in_schema).collect();
    assert!(missing.is_empty(), "docs/events.schema.json has no entry for {missing:?}");
    let document = include_str!("../../../../docs/events.md");
    for entry in in_schema.iter().filter(|entry| *entry != "line") {
        let (_, name) = entry.split_once('-').unwrap();
        let row = document.lines().find(|line| line.starts_with(&format!("| `{name}`")));
        let row = row.unwrap_or_else(|| panic!("docs/events.md has no row for {name}"));
        for field in SCHEMA["$defs"][entry]["properties"].as_object().unwrap().keys() {
            let rows = document.lines().filter(|line| line.starts_with(&format!("| `{name}`")));
            let named = rows.into_iter().any(|row| row.contains(&format!("`{field}`")));
            assert!(named || ["event", "type", "line"].contains(&field.as_str()), "{field}: {row}");
        }
    }
    let listed = SCHEMA["oneOf"].as_array().unwrap().len();
    assert_eq!(listed, in_schema.len() - 1, "oneOf names every entry but the number of the line");
}

#[test]
fn a_line_that_disagrees_with_the_schema_is_found() {
    let problem = |text: &str| {
        let line: Value = serde_json::from_str(text).unwrap();
        let name = line["event"].as_str().unwrap().to_owned();
        validate(&line, &SCHEMA["$defs"][format!("event-{name}")], &name).unwrap_err()
    };
    let missing = problem(r#"{"event":"paused","id":"x"}"#);
    assert_eq!(missing, "paused lacks the field arrived_bytes");
    let wrong = problem(r#"{"event":"paused","id":1,"arrived_bytes":2}"#);
    assert_eq!(wrong, "paused.id is not of the type \"string\"");
    let new = problem(r#"{"event":"paused","id":"x","arrived_bytes":2,"more":3}"#);
    assert_eq!(new, "paused has the field more without an entry");
    let nested = problem(
        r#"{"event":"completed","etag":"e","size_bytes":1,
            "proof":{"checksum":1,"md5":-1,"unproven":0}}"#,
    );
    assert_eq!(nested, "completed.proof.md5 is below its minimum");
}

/// One run of every command that reports by itself; the events of transfers, of failures and of
/// damage are validated by the tests that cause them.
#[test]
fn the_lines_of_every_command_agree_with_the_schema() {
    let world = World::new();
    let server = world.serve();
    let store = server.store();
    let bucket = make_bucket(&world, store);
    let url = |key: &str| format!("s3://{bucket}/{key}");
    std::fs::create_dir(world.path("tree")).unwrap();
    for name in ["tree/a", "tree/b", "file"] {
        std::fs::write(world.path(name), name).unwrap();
    }
    std::fs::write(world.path("lines"), format!("stat {}\nfly\n", url("file"))).unwrap();
    let other = format!("{bucket}-2");
    let made = format!("s3://{other}");
    let (file, copy, prefix, root) = (url("file"), url("copy"), url("tree/"), url(""));
    let mut lines = vec![];
    let mut run = |words: &[&str], code: i32| {
        let finished = finish(world.haul(store).args(words).arg("--json"));
        assert_eq!(finished.code(), Some(code), "{words:?}: {}", finished.stderr);
        lines.extend(events(&finished));
    };
    for (words, code) in [
        (["mb", &made].as_slice(), 0),
        (&["cp", "file", &file], 0),
        (&["cp", &file, "back"], 0),
        (&["cp", &file, &copy], 0),
        (&["cp", "-r", "tree", &prefix], 0),
        (&["sync", "tree", &prefix, "--delete"], 0),
        (&["cp", &prefix, "down", "-r", "--dry-run"], 0),
        (&["stat", &file], 0),
        (&["ls"], 0),
        (&["ls", &root, "--summarize"], 0),
        (&["du", &root], 0),
        (&["verify", "file", &file], 0),
        (&["verify", "tree", &prefix], 0),
        (&["hash", "file"], 0),
        (&["presign", &file], 0),
        (&["uploads", &root], 0),
        (&["sweep", &root, "--dry-run"], 0),
        (&["lifecycle", &root, "--abort-after", "7d"], 0),
        (&["lifecycle", &root], 0),
        (&["lifecycle", &root, "--remove"], 0),
        (&["run", "lines"], 2),
        (&["transfers"], 0),
        (&["config"], 0),
        (&["rm", &prefix, "-r", "--dry-run"], 0),
        (&["rm", &copy], 0),
        (&["rm", &prefix, "-r"], 0),
        (&["rb", &made], 0),
    ] {
        run(words, code);
    }
    provokes("event_schema::the_lines_of_every_command_agree_with_the_schema", &lines);
    succeed(world.haul(store).args(["rb", "--force", &format!("s3://{bucket}"), "--json"]));
}
