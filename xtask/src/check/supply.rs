//! Where dependencies come from and under which licences: deny.toml held against `cargo metadata`,
//! without network.
//!
//! `cargo deny` does more (advisories) and reads the same file; this is the part that every run can
//! afford.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

const DOCUMENT: &str = "deny.toml";

pub(super) fn violations(metadata: &Value, root: &Path) -> Result<Vec<String>> {
    let text =
        std::fs::read_to_string(root.join(DOCUMENT)).with_context(|| format!("read {DOCUMENT}"))?;
    let allowed = list(&text, "licenses", "allow").context("deny.toml has no licenses.allow")?;
    let banned = list(&text, "bans", "deny").context("deny.toml has no bans.deny")?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("cargo metadata has no packages")?;
    let mut found = Vec::new();
    for package in packages {
        let field = |name: &str| package.get(name).and_then(Value::as_str);
        let name = field("name").context("a package has no name")?;
        if !field("license").is_some_and(|license| is_allowed(license, &allowed)) {
            found.push(format!("{name}: licence {:?} is not in {DOCUMENT}", field("license")));
        }
        if banned.contains(&name) {
            found.push(format!("{name} is banned by {DOCUMENT}"));
        }
        if field("source").is_some_and(|source| !source.starts_with("registry+")) {
            found.push(format!("{name} does not come from the registry"));
        }
    }
    Ok(found)
}

/// The strings of `name = [ … ]` in `[section]`: as much TOML as deny.toml is written in.
fn list<'a>(text: &'a str, section: &str, name: &str) -> Option<Vec<&'a str>> {
    let (_, section) = text.split_once(&format!("\n[{section}]\n"))?;
    let section = section.split("\n[").next()?;
    let (_, rest) = section.split_once(&format!("{name} = [\n"))?;
    let lines = rest.split("\n]").next()?.lines();
    Some(lines.filter_map(|line| line.split('"').nth(1)).collect())
}

/// Whether an SPDX expression can be satisfied with the allowed licences; `/` is the old way to
/// write OR.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let spaced = spaced.replace(" WITH ", "\u{1}");
    let words: Vec<String> =
        spaced.split_whitespace().map(|word| word.replace('\u{1}', " WITH ")).collect();
    let mut at = 0;
    any_of(&words, &mut at, allowed) && at == words.len()
}

fn any_of(words: &[String], at: &mut usize, allowed: &[&str]) -> bool {
    let mut holds = all_of(words, at, allowed);
    while words.get(*at).is_some_and(|word| word == "OR") {
        *at += 1;
        holds |= all_of(words, at, allowed);
    }
    holds
}

fn all_of(words: &[String], at: &mut usize, allowed: &[&str]) -> bool {
    let mut holds = one(words, at, allowed);
    while words.get(*at).is_some_and(|word| word == "AND") {
        *at += 1;
        holds &= one(words, at, allowed);
    }
    holds
}

fn one(words: &[String], at: &mut usize, allowed: &[&str]) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if word != "(" {
        return allowed.contains(&word.as_str());
    }
    let holds = any_of(words, at, allowed);
    let closed = words.get(*at).is_some_and(|word| word == ")");
    *at += 1;
    holds && closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_understood() {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR X) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(is_allowed(good, &allowed), "{good}");
        }
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR X) AND Y",
            "Apache-2.0 WITH other",
            "MIT MIT",
            "",
        ] {
            assert!(!is_allowed(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn lists_are_read_with_their_comments() {
        let text = "\n[licenses]\nallow = [\n    \"A\", # why\n    \"B\",\n]\n\n\
            [bans]\ndeny = [\n    \"c\",\n]\n";
        assert_eq!(list(text, "licenses", "allow").unwrap(), ["A", "B"]);
        assert_eq!(list(text, "bans", "deny").unwrap(), ["c"]);
        assert_eq!(list(text, "bans", "allow"), None);
    }
}
