//! Checks that the tests named in docs/semantics.md exist, and that every promise names one.
//!
//! A name is a code span of lower-case words with `::` in it; the last word is the test, the one
//! before it the file or module of the test: `stores::ceph_rgw_takes_300_mib`. A promise that is
//! measured instead of tested names its measurement: `cargo xtask bench client`.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::source::Tree;

const DOCUMENT: &str = "docs/semantics.md";
/// Another document that names a test for each claim, and makes no promise of its own.
const CLAIMS: &str = "docs/scaling.md";
const MEASUREMENTS: [&str; 2] = ["`cargo xtask bench client`", "`cargo xtask bench server`"];

pub(super) fn violations(tree: &Tree) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(tree.root.join(DOCUMENT))
        .with_context(|| format!("read {DOCUMENT}"))?;
    let mut existing = BTreeSet::new();
    for file in &tree.files {
        existing.extend(tests_of(&file.path, &file.code));
    }
    let mut found = Vec::new();
    let (mut promised, mut shown) = (BTreeSet::new(), BTreeSet::new());
    for (number, line) in text.lines().enumerate() {
        let here: BTreeSet<_> = promises(line).collect();
        promised.extend(here.iter().copied());
        if MEASUREMENTS.iter().any(|name| line.contains(name)) {
            shown.extend(here.iter().copied());
        }
        for name in names(line) {
            shown.extend(here.iter().copied());
            if !existing.contains(name) {
                found.push(format!("{DOCUMENT}:{}: `{name}` is no test that exists", number + 1));
            }
        }
    }
    let claims = std::fs::read_to_string(tree.root.join(CLAIMS));
    let claims = claims.with_context(|| format!("read {CLAIMS}"))?;
    for (number, line) in claims.lines().enumerate() {
        let unknown = names(line).filter(|name| !existing.contains(*name));
        found.extend(
            unknown.map(|name| format!("{CLAIMS}:{}: `{name}` is no test that exists", number + 1)),
        );
    }
    if promised.is_empty() {
        found.push(format!("{DOCUMENT} makes no promise"));
    }
    let missing = promised.difference(&shown);
    found.extend(missing.map(|promise| {
        format!("{DOCUMENT}: no line names {promise} together with a test that shows it")
    }));
    Ok(found)
}

/// Returns `module::test` for every test of a file: with the file's name, and with its folder's for
/// `tests.rs` and `mod.rs`.
fn tests_of(path: &str, code: &str) -> Vec<String> {
    let module =
        path.trim_end_matches(".rs").rsplit('/').find(|name| !matches!(*name, "mod" | "tests"));
    let module = module.unwrap_or_default();
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let named = lines.iter().enumerate().filter_map(|(number, line)| {
        let name =
            line.trim_start_matches("async ").strip_prefix("fn ")?.split(['(', '<']).next()?;
        let attributes = lines[..number]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("#[") || line.is_empty());
        let mut attributes = attributes.map(|line| line.trim_start_matches("#["));
        attributes
            .any(|line| line.starts_with("test]") || line.starts_with("tokio::test"))
            .then_some(name)
    });
    named.map(|name| format!("{module}::{name}")).collect()
}

fn names(line: &str) -> impl Iterator<Item = &str> {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter(move |span| span.contains("::") && span.split("::").all(word))
}

fn promises(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|character: char| !character.is_ascii_alphanumeric());
    words.filter(|word| matches!(word.as_bytes(), [b'P', b'1'..=b'9']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tests_are_told_from_other_code() {
        let line = "| P3 | `stores::rgw_takes_it`, `haul cp`, `File::try_lock`, `weather::a` |";
        assert_eq!(names(line).collect::<Vec<_>>(), ["stores::rgw_takes_it", "weather::a"]);
        assert_eq!(promises(line).collect::<Vec<_>>(), ["P3"]);
    }

    #[test]
    fn tests_are_found_and_helpers_are_not() {
        let code = "#[test]\nfn one() {}\nfn helper() {}\n#[tokio::test(start_paused = \
            true)]\nasync fn two() {}\n";
        assert_eq!(tests_of("crates/a/src/plan/tests.rs", code), ["plan::one", "plan::two"]);
        assert_eq!(tests_of("crates/a/tests/it/stores.rs", code), ["stores::one", "stores::two"]);
    }
}
