//! Checks the length of files and lines: files are short enough to be read in one go, or give a
//! reason in their header; lines fit two columns of a screen.

use super::source::{SourceFile, Tree};

const LINES_MAX: usize = 600;
/// The maximum number of characters in a line of Rust. rustfmt cuts code, but neither strings nor
/// comments nor macros.
const COLUMNS_MAX: usize = 100;
const REASON: &str = "long because";

pub(super) fn violations(tree: &Tree) -> Vec<String> {
    let too_long = tree.files.iter().filter_map(|file| {
        let lines = file.text.lines().count();
        let mut header = file.text.lines().take_while(|line| line.starts_with("//!"));
        let excused = header.any(|line| line.to_lowercase().contains(REASON));
        (lines > LINES_MAX && !excused).then(|| {
            format!(
                "{}: {lines} lines; split it, or let its header say `{REASON} …` (at most \
                 {LINES_MAX})",
                file.path
            )
        })
    });
    let headless = tree
        .files
        .iter()
        .filter(|file| !file.text.starts_with("//!") && !file.text.starts_with("#!"));
    let headless = headless
        .map(|file| format!("{}: no header comment (`//!`) that says what it decides", file.path));
    too_long.chain(headless).chain(tree.files.iter().flat_map(wide_lines)).collect()
}

/// Returns one violation for each line that is too long.
fn wide_lines(file: &SourceFile) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    let wide = lines.map(|(at, line)| (at + 1, line.chars().count()));
    wide.filter(|(_, columns)| *columns > COLUMNS_MAX)
        .map(|(number, columns)| {
            format!("{}:{number}: {columns} characters, at most {COLUMNS_MAX}", file.path)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_more_than_100_characters_is_a_violation() {
        let file = |text: String| SourceFile::new("a.rs".to_owned(), text);
        let text = format!("//! A file.\n{}\n{}\n", "é".repeat(100), "x".repeat(101));
        assert_eq!(wide_lines(&file(text)), ["a.rs:3: 101 characters, at most 100"]);
    }
}
