//! Checks that docs/traps.md has every trap that a comment cites by number.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::source::Tree;

const DOCUMENT: &str = "docs/traps.md";

pub(super) fn violations(tree: &Tree) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(tree.root.join(DOCUMENT))
        .with_context(|| format!("read {DOCUMENT}"))?;
    let known = numbered(&text);
    // The examples of this rule are made up.
    let files = tree.files.iter().filter(|file| file.path != "xtask/src/check/traps.rs");
    Ok(files.flat_map(|file| unknown(&known, &file.path, &file.text)).collect())
}

/// Returns the numbers of the list items of the document.
fn numbered(document: &str) -> BTreeSet<u32> {
    document.lines().filter_map(|line| line.split_once(". ")?.0.parse().ok()).collect()
}

fn unknown(known: &BTreeSet<u32>, path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for trap in cited(line).filter(|trap| !known.contains(trap)) {
            found.push(format!("{path}:{}: trap {trap} is not in {DOCUMENT}", number + 1));
        }
    }
    found
}

/// Returns the numbers after `trap` in the comment of a line.
fn cited(line: &str) -> impl Iterator<Item = u32> {
    let comment = line.split_once("//").map_or("", |(_, comment)| comment);
    let is_part = |letter: char| letter.is_ascii_alphanumeric();
    let words = comment.split(move |letter| !is_part(letter)).filter(|word| !word.is_empty());
    let cites = |(word, next): (&str, &str)| {
        if word.eq_ignore_ascii_case("trap") { next.parse().ok() } else { None }
    };
    words.clone().zip(words.skip(1)).filter_map(cites)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_that_is_not_in_the_document_is_found() {
        let known = numbered("# Traps\n\n1. First.\n   More of it.\n12. Another.\n");
        assert_eq!(known, BTreeSet::from([1, 12]));
        let text = "// trap 1, and trap 12\nfn trap() {}\n/// Trap 3: not there.\nlet trap = 4;";
        assert_eq!(unknown(&known, "a.rs", text), ["a.rs:3: trap 3 is not in docs/traps.md"]);
    }
}
