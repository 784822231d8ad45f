//! Shows the progress of a tree: totals, and the largest files in flight.

use std::time::{Duration, Instant};

use haul::transfer::TreeProgress;
use haul::{Event, Progress};
use serde::Serialize;

use super::Verb;
use crate::output::{Mode, Shown, complain, paint, visible};
use crate::progress::{Pace, ProgressLine, Status, cut, is_hidden};
use crate::size::{human_rate, human_size};

/// The interval between two progress lines in a log file.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// The interval between two progress events in JSON.
const EVENT_EVERY: Duration = Duration::from_secs(1);
/// The maximum number of large files shown by name.
const NAMED_MAX: usize = 3;

/// The JSON event with the progress of a tree.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "tree-progress")]
struct TreeProgressEvent {
    files_done: u64,
    /// Files found so far; the final number once `walked` is true.
    files_found: u64,
    files_failed: u64,
    walked: bool,
    moved_bytes: u64,
    arrived_bytes: u64,
    size_bytes: u64,
    bytes_per_second: u64,
}

/// The progress display of one tree.
pub(super) struct TreeView {
    mode: Mode,
    verb: Verb,
    label: String,
    /// True if the store is `local://`, which the engine calls `s3://`.
    local: bool,
    status: Status,
    pace: Pace,
    last: Instant,
    trouble: Option<String>,
}

impl TreeView {
    pub(super) fn new(mode: Mode, verb: Verb, label: &str, local: bool) -> Self {
        Self {
            mode,
            verb,
            label: label.to_owned(),
            local,
            status: Status::default(),
            pace: Pace::default(),
            last: Instant::now(),
            trouble: None,
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::FileCopied { source, target, dry_run: true, .. } => {
                let verb = self.verb.infinitive();
                let verb = if self.verb == Verb::Sync { "copy" } else { verb };
                self.line(&format!(
                    "would {verb} {} to {}",
                    self.shown(source),
                    self.shown(target)
                ));
            }
            Event::FileCopied { .. } => self.trouble = None,
            Event::FileRemoved { target, dry_run: true } => {
                self.line(&format!("would remove {}", self.shown(target)));
            }
            Event::FileFailed { source, reason, .. } => {
                let text = format!("{}: {reason}", self.shown(source));
                self.show(&Shown::default().labelled(&paint("failed"), &text));
            }
            Event::Removing { count } if self.mode == Mode::Terminal => {
                self.print_above(&format!("removing {count} files that only the target has"));
            }
            Event::Retrying { reason, .. } => self.trouble = Some(reason.clone()),
            Event::InDoubt { reason } => {
                self.warn(&format!("there was no answer, looking at the object: {reason}"));
            }
            Event::Warning { message } => self.warn(message),
            _ => {}
        }
    }

    /// Returns a path or an address as the user wrote it.
    fn shown(&self, text: &str) -> String {
        match text.strip_prefix("s3://") {
            Some(rest) if self.local => format!("local://{}", visible(rest)),
            _ => visible(text),
        }
    }

    /// Prints a line of the result or of a dry run.
    fn line(&mut self, line: &str) {
        self.finish();
        self.mode.result(line);
    }

    pub(super) fn tick(&mut self, progress: &Progress) {
        let tree = progress.tree();
        let size_bytes = progress.size_bytes().unwrap_or_default();
        let position = position(progress, &tree).min(size_bytes);
        self.pace.see(Instant::now(), position);
        if is_hidden() {
            return;
        }
        match self.mode {
            Mode::Terminal if tree.files_found > 0 => self.draw(&tree, position, size_bytes),
            Mode::Plain if self.last.elapsed() >= LINE_EVERY => {
                self.last = Instant::now();
                complain(&self.text(&tree, position, size_bytes));
            }
            Mode::Json if self.last.elapsed() >= EVENT_EVERY => {
                self.last = Instant::now();
                let (bytes, time) = self.pace.lately();
                let rate = u128::from(bytes) * 1000 / time.as_millis().max(1);
                self.mode.event(&TreeProgressEvent {
                    files_done: tree.files_done,
                    files_found: tree.files_found,
                    files_failed: tree.files_failed,
                    walked: tree.walked,
                    moved_bytes: progress.moved_bytes(),
                    arrived_bytes: progress.arrived_bytes(),
                    size_bytes,
                    bytes_per_second: u64::try_from(rate).unwrap_or(u64::MAX),
                });
            }
            _ => {}
        }
    }

    fn draw(&mut self, tree: &TreeProgress, position: u64, size_bytes: u64) {
        let columns = Status::columns();
        let lately = self.pace.lately();
        let left = self.pace.left(size_bytes.saturating_sub(position)).filter(|_| tree.walked);
        let name = counts(tree);
        let mut lines =
            vec![ProgressLine { name: &name, position, size_bytes, lately, left }.fit(columns)];
        let mut active: Vec<_> = tree.active.iter().filter(|(.., size)| *size > 0).collect();
        active.sort_by_key(|(.., size)| std::cmp::Reverse(*size));
        for (name, arrived, size) in active.into_iter().take(NAMED_MAX) {
            let percent = u128::from(*arrived) * 100 / u128::from(*size);
            lines.push(cut(&format!("  {percent:>3}%  {}", visible(name)), columns));
        }
        lines.extend(self.trouble.as_ref().map(|trouble| cut(&format!("  {trouble}"), columns)));
        self.status.draw(&lines);
    }

    fn text(&self, tree: &TreeProgress, position: u64, size_bytes: u64) -> String {
        let (position, size) = (human_size(position), human_size(size_bytes));
        let mut line = format!("{}  {}  {position} of {size}", self.label, counts(tree));
        let (bytes, time) = self.pace.lately();
        if !time.is_zero() {
            line += &format!("  {}", human_rate(bytes, time));
        }
        if let Some(trouble) = &self.trouble {
            line += &format!("  ({trouble})");
        }
        line
    }

    fn warn(&mut self, message: &str) {
        self.show(&Shown::default().labelled(&paint("warning"), message));
    }

    pub(super) fn print_above(&mut self, line: &str) {
        self.show(&Shown::default().line(line));
    }

    fn show(&mut self, lines: &Shown) {
        self.finish();
        if matches!(self.mode, Mode::Terminal | Mode::Plain) {
            lines.complain();
        }
    }

    /// Removes the status lines before the last lines are printed.
    pub(super) fn finish(&mut self) {
        self.status.clear();
    }
}

/// Formats a count such as `1,204 of 9,998+ files`.
fn counts(tree: &TreeProgress) -> String {
    let more = if tree.walked { "" } else { "+" };
    let failed = match tree.files_failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    format!("{} of {}{more} files{failed}", tree.files_done, tree.files_found)
}

/// Returns the bytes that have arrived, including those of large files in flight.
fn position(progress: &Progress, tree: &TreeProgress) -> u64 {
    let active: u64 = tree.active.iter().map(|(_, arrived, _)| arrived).sum();
    progress.arrived_bytes() + active
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_say_whether_more_may_be_found() {
        let tree = TreeProgress { files_found: 5, files_done: 2, ..TreeProgress::default() };
        assert_eq!(counts(&tree), "2 of 5+ files");
        let walked = TreeProgress { walked: true, files_failed: 1, ..tree };
        assert_eq!(counts(&walked), "2 of 5 files, 1 failed");
    }
}
