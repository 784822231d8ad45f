//! Where words go: results on stdout, everything else on stderr; what is shown and in which colours.
//!
//! Two kinds of commands print. One *acts* (cp, rm, abort, serve): [`Mode::result`] and [`Mode::event`] cannot fail,
//! because a stdout that is full or was closed by its reader must stop the printing and never the action; its exit code
//! stays the action's. The other *reports* (ls, uploads): printing is its work, so [`Mode::row`] and [`Mode::record`]
//! return a [`StdoutError`], and a reader that has seen enough (`haul ls | head`) ends the command with 0.
//!
//! Names come from stores that others write to: what could move the cursor or colour a terminal is escaped before a
//! person sees it.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

/// What a command shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A bar on stderr, the result on stdout.
    Terminal,
    /// A line now and then on stderr, the result on stdout.
    Plain,
    /// One JSON object per line on stdout, errors on stderr.
    Json,
    /// Nothing but errors.
    Quiet,
}

impl Mode {
    /// What the flags and the terminal allow.
    pub(crate) fn choose(json: bool, quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match (json, quiet) {
            (true, _) => Self::Json,
            (false, true) => Self::Quiet,
            (false, false) if io::stderr().is_terminal() && !dumb => Self::Terminal,
            (false, false) => Self::Plain,
        }
    }

    /// Prints what an action came to, for a person.
    pub(crate) fn result(self, line: &str) {
        if matches!(self, Self::Terminal | Self::Plain) {
            print_if_possible(line);
        }
    }

    /// Prints what an action came to, for a program.
    pub(crate) fn event(self, event: &impl Serialize) {
        if self == Self::Json
            && let Ok(line) = serde_json::to_string(event)
        {
            print_if_possible(&line);
        }
    }

    /// Prints a line of a report, for a person.
    pub(crate) fn row(self, line: &str) -> Result<(), StdoutError> {
        match self {
            Self::Terminal | Self::Plain => print_line(line).map_err(StdoutError),
            Self::Json | Self::Quiet => Ok(()),
        }
    }

    /// Prints a line of a report, for a program.
    pub(crate) fn record(self, record: &impl Serialize) -> Result<(), StdoutError> {
        match self {
            Self::Json => {
                let line = serde_json::to_string(record).map_err(|error| StdoutError(error.into()))?;
                print_line(&line).map_err(StdoutError)
            }
            Self::Terminal | Self::Plain | Self::Quiet => Ok(()),
        }
    }

    /// A remark for a person on stderr.
    pub(crate) fn remark(self, line: &str) {
        match self {
            Self::Terminal | Self::Plain => complain(line),
            Self::Json | Self::Quiet => {}
        }
    }
}

/// A report could not be printed: the disk below stdout is full, or its reader has gone.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(crate) struct StdoutError(#[source] pub(crate) io::Error);

/// Set by the first line that could not be printed; nothing more is printed after it.
static STDOUT_IS_GONE: AtomicBool = AtomicBool::new(false);

/// Prints a line of an action. The first failure is reported on stderr, unless the reader simply left, and is the last
/// attempt.
fn print_if_possible(line: &str) {
    if STDOUT_IS_GONE.load(Ordering::Relaxed) {
        return;
    }
    let Err(error) = print_line(line) else { return };
    STDOUT_IS_GONE.store(true, Ordering::Relaxed);
    if error.kind() != io::ErrorKind::BrokenPipe {
        complain(&format!("{}: cannot write to standard output: {error}", paint("warning")));
    }
}

/// Writes a line to stdout.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a line to stderr. A failure is ignored: no other channel is left to report it on.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Colours a label for stderr: `error` red, warnings and interruptions yellow, others cyan; plain where colours are not wanted.
pub(crate) fn paint(label: &str) -> String {
    if !io::stderr().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return label.to_owned();
    }
    let color = match label {
        "error" => AnsiColor::Red,
        "warning" | "paused" | "interrupted" => AnsiColor::Yellow,
        _ => AnsiColor::Cyan,
    };
    let style = Style::new().fg_color(Some(color.into())).bold();
    format!("{style}{label}{style:#}")
}

/// A name as it can be shown: control characters escaped.
pub(crate) fn visible(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        // The bidirectional controls turn the order of what follows: `gpj.exe` would read `exe.jpg`.
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            let _ = write!(text, "{}", c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

/// Whether an error only means that the reader of a report left early.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<StdoutError>()
        .is_some_and(|StdoutError(error)| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_command_a_terminal() {
        assert_eq!(visible("a b/ü.mov"), "a b/ü.mov");
        assert_eq!(visible("\u{1b}[2Jgone\n"), "\\u{1b}[2Jgone\\n");
        assert_eq!(visible("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
    }
}
