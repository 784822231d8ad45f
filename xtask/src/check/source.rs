//! The sources as text, with comments, strings and tests blanked out for rules about code that
//! ships.
//!
//! A scanner of a hundred lines instead of a parser: the rules look for words, so it has to find
//! only words.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The Rust and Markdown files of the workspace.
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) files: Vec<SourceFile>,
    pub(super) documents: Vec<Document>,
}

/// A Markdown file of the root or of `docs/`.
pub(super) struct Document {
    /// The path from the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// A Rust file and the parts of it that rules look at.
pub(super) struct SourceFile {
    /// The path from the root, with `/`.
    pub(super) path: String,
    /// The text, unchanged.
    pub(super) text: String,
    /// The text with comments and strings blanked out, lines kept.
    pub(super) code: String,
    /// [`Self::code`] without code that is compiled for tests only.
    pub(super) shipped: String,
}

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for folder in ["crates", "xtask", "fuzz"] {
            files.extend(read_all(root, &root.join(folder), "rs", true)?);
        }
        let mut documents = read_all(root, root, "md", false)?;
        documents.extend(read_all(root, &root.join("docs"), "md", true)?);
        Ok(Self {
            root: root.to_owned(),
            files: files.into_iter().map(|(path, text)| SourceFile::new(path, text)).collect(),
            documents: documents.into_iter().map(|(path, text)| Document { path, text }).collect(),
        })
    }
}

/// Returns path (from the root) and content of every file of a folder with this extension, in
/// order.
fn read_all(root: &Path, folder: &Path, wanted: &str, deep: bool) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry.with_context(|| format!("read {}", folder.display()))?.path();
        if path.is_dir() && deep && !path.ends_with("target") {
            found.extend(read_all(root, &path, wanted, deep)?);
        } else if path.extension().is_some_and(|extension| extension == wanted) {
            let text =
                fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            found.push((name, text));
        }
    }
    found.sort();
    Ok(found)
}

impl SourceFile {
    pub(super) fn new(path: String, text: String) -> Self {
        let code = without_words(&text);
        let shipped = if is_test_file(&path) { String::new() } else { without_tests(&code) };
        Self { path, text, code, shipped }
    }
}

/// Returns whether a file is compiled for tests only, by its place.
fn is_test_file(path: &str) -> bool {
    let mut folders = path.split('/').skip(2);
    path.ends_with("/tests.rs")
        || folders.any(|folder| matches!(folder, "tests" | "benches" | "fuzz_targets"))
}

/// Returns the lines (from 1) on which `word` occurs in `code` as a whole word.
pub(super) fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let part_of_word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let found = code.match_indices(word).filter(|(start, _)| {
        let before = start.checked_sub(1).and_then(|at| code.as_bytes().get(at));
        let after = code.as_bytes().get(start + word.len());
        let (first, last) = (word.as_bytes().first(), word.as_bytes().last());
        let glued = part_of_word(before) && part_of_word(first)
            || part_of_word(after) && part_of_word(last);
        !glued
    });
    found.map(|(start, _)| code[..start].matches('\n').count() + 1).collect()
}

/// Returns the comments, strings and escaped characters of a Rust file, each with its offset in
/// bytes.
pub(super) fn comments_and_strings(text: &str) -> Vec<(usize, &str)> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let before = at.checked_sub(1).map(|last| bytes[last]);
        let length = word_length(&bytes[at..], before).max(1);
        if length > 1 {
            found.extend(text.get(at..(at + length).min(text.len())).map(|piece| (at, piece)));
        }
        at += length;
    }
    found
}

/// Blanks out comments, strings and characters; line breaks stay.
fn without_words(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let length = word_length(&bytes[at..], out.last().copied()).max(1);
        let is_code = length == 1 && !matches!(bytes[at], b'"');
        for byte in &bytes[at..(at + length).min(bytes.len())] {
            out.push(if is_code || *byte == b'\n' { *byte } else { b' ' });
        }
        at += length;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Returns the length of the comment, string or character that starts here; 0 if none does.
fn word_length(rest: &[u8], before: Option<u8>) -> usize {
    let until =
        |end: &[u8]| rest.windows(end.len()).position(|window| window == end).unwrap_or(rest.len());
    let in_name = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match rest {
        [b'/', b'/', ..] => until(b"\n"),
        [b'/', b'*', ..] => until(b"*/") + 2,
        [b'"', ..] => 1 + quoted(&rest[1..], b'"'),
        [b'r', b'"' | b'#', ..] if !in_name => {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return 0;
            }
            let end = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
            let body = &rest[2 + hashes..];
            2 + hashes
                + body.windows(end.len()).position(|w| w == end).unwrap_or(body.len())
                + end.len()
        }
        // A character, not a lifetime.
        [b'\'', b'\\', ..] => 1 + quoted(&rest[1..], b'\''),
        [b'\'', _, b'\'', ..] => 3,
        _ => 0,
    }
}

/// Counts bytes up to and including the closing quote.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Blanks out every item under `#[cfg(test)]` or `#[cfg(all(test, …))]`: up to its `;` or the end
/// of its braces.
fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    let mut from = 0;
    while let Some(found) = ["#[cfg(test)]", "#[cfg(all(test,"]
        .iter()
        .filter_map(|start| code[from..].find(start))
        .min()
    {
        let start = from + found;
        let attribute_end = code[start..].find(']').map_or(code.len(), |end| start + end + 1);
        let end = item_end(code.as_bytes(), attribute_end);
        for byte in &mut out[start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        from = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn item_end(code: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.iter().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(text: &str) -> String {
        SourceFile::new("crates/x/src/a.rs".to_owned(), text.to_owned()).shipped
    }

    #[test]
    fn comments_strings_and_characters_are_no_code() {
        let text = "a(\"unsafe \\\" b\"); // unsafe\n/* unsafe */ c('\"', r#\"unsafe \" \"#, 'u'); \
            fn f<'a>() { unsafe {} }";
        assert_eq!(lines_with(&shipped(text), "unsafe"), [2]);
        assert!(shipped(text).contains("fn f<'a>()"));
    }

    #[test]
    fn tests_do_not_ship() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { println!(); } }\nfn c() { \
            println!() }\n#[cfg(test)]\nmod more;\n#[cfg(all(test, unix))]\nmod unix { fn e() { \
            println!() } }\nfn d() {}";
        assert_eq!(lines_with(&shipped(text), "println!"), [4]);
        assert!(shipped(text).contains("fn d()"));
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(lines_with("forbid(unsafe_code) not_unsafe\nunsafe{}", "unsafe"), [2]);
        assert_eq!(lines_with("eprintln!() println!()", "println!"), [1]);
        assert_eq!(lines_with("my_std::fs::x()", "std::fs"), Vec::<usize>::new());
    }

    #[test]
    fn test_files_are_known_by_their_place() {
        assert!(is_test_file("crates/x/tests/it/main.rs"));
        assert!(is_test_file("crates/x/src/plan/tests.rs"));
        assert!(!is_test_file("crates/x/src/plan.rs"));
        assert!(!is_test_file("crates/testkit/src/chaos/rule.rs"));
    }
}
