//! Checks that files are short enough to be read in one go, or give a reason in their header.

use super::source::Tree;

const LINES_MAX: usize = 600;
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
    too_long.chain(headless).collect()
}
