//! Checks the language of comments, messages and documents: few of the words that make a sentence a
//! riddle, and no public item without a summary.
//!
//! Counts words in comments, strings and Markdown. Knows no grammar: the words are signs of
//! sentences that take two readings, and a few of them are harmless. So there is a limit for the
//! whole repository, not a ban. Quotations and code spans do not count.

use super::source::{Document, SourceFile, Tree, comments_and_strings};

/// The words and phrases that count, in lower case.
const RIDDLES: [&str; 8] =
    ["whoever", "somebody", "nobody", "anew", "goes on", "is said", "is told", "by what"];
/// The maximum number of occurrences in the whole repository.
const RIDDLES_MAX: usize = 10;
/// This file lists the words, so it is not counted.
const SELF: &str = "xtask/src/check/language.rs";

/// A line of text: its number, from 1, and its content.
type Line<'a> = (usize, &'a str);

pub(super) fn violations(tree: &Tree) -> Vec<String> {
    let sources = tree.files.iter().filter(|file| file.path != SELF);
    let in_sources = sources.flat_map(|file| riddles(&file.path, &prose(&file.text)));
    let in_documents = tree.documents.iter().flat_map(Document::riddles);
    let mut found: Vec<String> = in_sources.chain(in_documents).collect();
    match found.len() {
        count if count > RIDDLES_MAX => found.push(format!(
            "{count} of these words in the repository, at most {RIDDLES_MAX}: {}",
            RIDDLES.join(", ")
        )),
        _ => found.clear(),
    }
    found.extend(tree.files.iter().flat_map(poor_summaries));
    found
}

impl Document {
    fn riddles(&self) -> Vec<String> {
        let mut in_code = false;
        let lines = self.text.lines().enumerate().filter(|(_, line)| {
            let fence = line.trim_start().starts_with("```");
            in_code ^= fence;
            !in_code && !fence
        });
        let lines: Vec<Line<'_>> = lines.map(|(at, line)| (at + 1, line)).collect();
        riddles(&self.path, &lines)
    }
}

/// Returns the lines of all comments and strings of a Rust file, in order.
fn prose(text: &str) -> Vec<Line<'_>> {
    let (mut lines, mut number, mut counted) = (Vec::new(), 1, 0);
    for (start, piece) in comments_and_strings(text) {
        number += text[counted..start].matches('\n').count();
        counted = start;
        // The quotes around a string literal do not make it a quotation.
        let piece = piece.trim_start_matches(['r', '#']).trim_matches(['"', '#']);
        lines.extend(piece.lines().enumerate().map(|(at, line)| (number + at, line)));
    }
    lines
}

/// Returns one violation for each occurrence, also of a wrapped phrase.
fn riddles(path: &str, lines: &[Line<'_>]) -> Vec<String> {
    let words: Vec<(usize, String)> = lines
        .iter()
        .flat_map(|(number, line)| {
            let line = without_quotations(line).to_lowercase();
            let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            words
                .filter(|word| !word.is_empty())
                .map(|word| (*number, word.to_owned()))
                .collect::<Vec<_>>()
        })
        .collect();
    let mut found = Vec::new();
    for at in 0..words.len() {
        for riddle in RIDDLES {
            let mut rest = words[at..].iter();
            if riddle.split(' ').all(|part| rest.next().is_some_and(|(_, word)| word == part)) {
                found.push(format!("{path}:{}: `{riddle}`", words[at].0));
            }
        }
    }
    found
}

/// Removes the text between backticks or double quotes.
fn without_quotations(line: &str) -> String {
    let mut rest = line;
    let mut kept = String::with_capacity(line.len());
    while let Some(start) = rest.find(['`', '"']) {
        let quote = &rest[start..=start];
        let Some(length) = rest[start + 1..].find(quote) else { break };
        kept.push_str(&rest[..start]);
        // Keep a placeholder, so that the words around a quotation are not neighbours.
        kept.push_str(" _ ");
        rest = &rest[start + 1 + length + 1..];
    }
    kept + rest
}

/// Finds summaries of public items that are empty or one word: an index shows nothing else of an
/// item.
fn poor_summaries(file: &SourceFile) -> Vec<String> {
    if file.shipped.is_empty() {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let starts = lines.iter().enumerate().filter(|(at, line)| {
        let first = *at == 0 || !lines[at - 1].starts_with("///");
        first && line.starts_with("///") && is_public(&lines[*at..])
    });
    let poor = starts.filter(|(at, _)| {
        let summary = lines[*at..].iter().map_while(|line| line.strip_prefix("///"));
        let summary = summary.take_while(|line| !line.trim().is_empty());
        summary.flat_map(str::split_whitespace).count() < 2
    });
    poor.map(|(at, line)| format!("{}:{}: no summary: `{line}`", file.path, at + 1)).collect()
}

/// Returns whether the item after a doc comment and its attributes is `pub`.
fn is_public(lines: &[&str]) -> bool {
    let mut items =
        lines.iter().skip_while(|line| line.starts_with("///") || line.starts_with('#'));
    items.next().is_some_and(|line| line.starts_with("pub "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        riddles("a.rs", &prose(text))
    }

    #[test]
    fn words_count_in_comments_and_strings() {
        assert_eq!(found("// Nobody's.\nfn anew() {}"), ["a.rs:1: `nobody`"]);
        assert_eq!(found("\nbail!(\"it is told\"); let anew_ = 1;"), ["a.rs:2: `is told`"]);
        assert_eq!(found("// Whoever\nlet a = r#\"anew\"#;").len(), 2);
    }

    #[test]
    fn a_wrapped_phrase_is_found_and_a_quotation_is_not() {
        assert_eq!(found("/// decided by\n/// what came"), ["a.rs:1: `by what`"]);
        assert!(found("// the word \"anew\", and `nobody`\n// by `x` what").is_empty());
    }

    #[test]
    fn markdown_counts_outside_of_its_code() {
        let text = "It goes\non.\n```\nanew\n```\n";
        let document = Document { path: "a.md".to_owned(), text: text.to_owned() };
        assert_eq!(document.riddles(), ["a.md:1: `goes on`"]);
    }

    #[test]
    fn a_summary_of_one_word_is_found() {
        let text = "/// Which.\n#[must_use]\npub fn a() {}\n/// Which.\nfn b() {}\n///\n/// \
            More.\npub struct C;\n/// The size\n/// of it.\npub d: u8,";
        let file = SourceFile::new("crates/a/src/b.rs".to_owned(), text.to_owned());
        let expected = [
            "crates/a/src/b.rs:1: no summary: `/// Which.`",
            "crates/a/src/b.rs:6: no summary: `///`",
        ];
        assert_eq!(poor_summaries(&file), expected);
    }
}
