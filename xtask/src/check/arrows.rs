//! Checks that no arrow runs upwards: a module of `engine` or `server` refers only to modules of
//! its own layer or below.
//!
//! This file lists the layers of a crate, lowest first, one top-level module each. A reference is
//! `crate::NAME` in code that ships. Other ways to the root of the crate would hide an arrow, so
//! they are violations themselves: `super` beyond the top-level module, and a name that `lib.rs`
//! re-exports.

use super::source::{SourceFile, Tree};

/// The top-level modules of one crate.
struct Layers {
    /// The folder of its sources, from the root.
    src: &'static str,
    /// The layers, lowest first.
    modules: &'static [&'static str],
}

const CRATES: &[Layers] = &[
    Layers {
        src: "crates/engine/src/",
        modules: &[
            "advice",
            "error_text",
            "stop",
            "source",
            "body",
            "remote",
            "proof",
            "pace",
            "journal",
            "subject",
            "error",
            "event",
            "s3",
            "listing",
            "findings_cache",
            "verify",
            "removal",
            "testing",
            "transfer",
            "sweep",
            "bucket_lifecycle",
            "doctor",
            // Starts transfers; `body` and `pace` have the budgets, gates and meters that they
            // share.
            "engine",
        ],
    },
    Layers {
        src: "crates/server/src/",
        modules: &[
            "answer",
            "request",
            "error",
            "auth",
            "options",
            "metrics",
            "store_call",
            "body",
            "ops",
            "service",
            "socket",
            "front",
            "admin",
            "expiry",
            "server",
            // They call private code of all layers, and nothing refers to them.
            "fuzzing",
            "counting",
        ],
    },
];

pub(super) fn violations(tree: &Tree) -> Vec<String> {
    CRATES
        .iter()
        .flat_map(|layers| {
            let of_crate = tree.files.iter().filter(|file| file.path.starts_with(layers.src));
            of_crate.flat_map(|file| layers.check(file))
        })
        .collect()
}

impl Layers {
    fn check(&self, file: &SourceFile) -> Vec<String> {
        let path = file.path.strip_prefix(self.src).unwrap_or(&file.path);
        // `lib.rs` declares the modules and is not one.
        if path == "lib.rs" || file.shipped.is_empty() {
            return Vec::new();
        }
        let module = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
        let Some(own) = self.layer(module) else {
            return vec![format!(
                "{}: module {module} has no place among the layers in xtask/src/check/arrows.rs",
                file.path
            )];
        };
        let mut found = Vec::new();
        for (line, name) in references(&file.shipped) {
            let wrong = match self.layer(name) {
                Some(layer) if layer <= own => continue,
                Some(_) => format!("{module} refers to {name}, which is above it"),
                None if name.starts_with(char::is_uppercase) => {
                    format!("crate::{name} hides an arrow: write the module that defines it")
                }
                None => format!(
                    "module {name} has no place among the layers in xtask/src/check/arrows.rs"
                ),
            };
            found.push(format!("{}:{line}: {wrong}", file.path));
        }
        let depth = depth(path);
        for line in supers_beyond(&file.shipped, depth) {
            found.push(format!(
                "{}:{line}: super leaves the top-level module: write crate::",
                file.path
            ));
        }
        found
    }

    fn layer(&self, module: &str) -> Option<usize> {
        self.modules.iter().position(|name| *name == module)
    }
}

/// Counts the modules between the root of the crate and a file: 1 for `a.rs` and `a/mod.rs`, 2 for
/// `a/b.rs`.
fn depth(path: &str) -> usize {
    let folders = path.matches('/').count();
    if path.ends_with("/mod.rs") { folders } else { folders + 1 }
}

/// Returns the names after `crate::` in code, each with its line (from 1); of `crate::{a, b::C}`
/// every first name.
fn references(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // Skip `$crate::` and `other_crate::`.
        if code[..at]
            .ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | '$'))
        {
            continue;
        }
        let start = at + "crate::".len();
        let names = match code[start..].strip_prefix('{') {
            None => vec![(start, leading_name(&code[start..]))],
            Some(list) => {
                first_names(list).map(|(offset, name)| (start + 1 + offset, name)).collect()
            }
        };
        let with_line = |(at, name)| (code[..at].matches('\n').count() + 1, name);
        found.extend(names.into_iter().filter(|(_, name)| !name.is_empty()).map(with_line));
    }
    found
}

/// Returns the first name of each entry of a list in braces, with its offset; skips nested lists.
fn first_names(list: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut depth = 0_usize;
    let mut starts = vec![0];
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts.push(at + 1),
            _ => {}
        }
    }
    starts.into_iter().map(|start| {
        let entry = &list[start..];
        let trimmed = entry.trim_start();
        (start + entry.len() - trimmed.len(), leading_name(trimmed))
    })
}

fn leading_name(code: &str) -> &str {
    let end =
        code.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(code.len());
    &code[..end]
}

/// Returns lines with as many `super::` in a row as lead from a module at this depth to the root.
fn supers_beyond(code: &str, depth: usize) -> Vec<usize> {
    let chain = "super::".repeat(depth);
    let found = code.match_indices(&chain).filter(|(at, _)| {
        !code[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    });
    found.map(|(at, _)| code[..at].matches('\n').count() + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: Layers = Layers { src: "crates/x/src/", modules: &["low", "middle", "high"] };

    fn lines(path: &str, text: &str) -> Vec<String> {
        LAYERS.check(&SourceFile::new(format!("crates/x/src/{path}"), text.to_owned()))
    }

    #[test]
    fn references_to_the_own_layer_and_below_hold() {
        let text = "use crate::low::A;\nuse crate::middle::{B, high};\nuse super::c;\n// \
            crate::high\nfn f() { \"crate::high\" }\n#[cfg(test)]\nmod tests { use crate::high::D; \
            }";
        assert_eq!(lines("middle/b.rs", text), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_upwards_is_found_with_its_line() {
        let upwards = "crates/x/src/low.rs:2: low refers to high, which is above it";
        assert_eq!(lines("low.rs", "use crate::low::A;\nuse crate::high::B;"), [upwards]);
        assert_eq!(lines("low.rs", "\nfn f() { crate::high::g() }"), [upwards]);
        assert_eq!(lines("low.rs", "use crate::{low::{A, B},\n high::C};"), [upwards]);
    }

    #[test]
    fn hidden_arrows_and_unplaced_modules_are_found() {
        for (path, text, expected) in [
            (
                "low.rs",
                "use crate::High;",
                "crates/x/src/low.rs:1: crate::High hides an arrow: write the module that defines \
                 it",
            ),
            (
                "low.rs",
                "use super::high;",
                "crates/x/src/low.rs:1: super leaves the top-level module: write crate::",
            ),
            (
                "low/a.rs",
                "use super::super::high;",
                "crates/x/src/low/a.rs:1: super leaves the top-level module: write crate::",
            ),
            (
                "low/mod.rs",
                "use super::high;",
                "crates/x/src/low/mod.rs:1: super leaves the top-level module: write crate::",
            ),
            (
                "low.rs",
                "use crate::new::A;",
                "crates/x/src/low.rs:1: module new has no place among the layers in \
                 xtask/src/check/arrows.rs",
            ),
            (
                "new.rs",
                "fn f() {}",
                "crates/x/src/new.rs: module new has no place among the layers in \
                 xtask/src/check/arrows.rs",
            ),
        ] {
            assert_eq!(lines(path, text), [expected]);
        }
        assert!(lines("low/a.rs", "use super::b;").is_empty());
    }
}
