//! Where words go: results on stdout, everything else on stderr; what is shown and in which colours.
//!
//! A pipe that was closed by its reader (`haul ls | head`) is no failure. Names come from stores that others write
//! to: what could move the cursor or colour a terminal is escaped before a person sees it.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

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

    /// A result for a person: stdout, unless programs or nobody reads.
    pub(crate) fn result(self, line: &str) -> io::Result<()> {
        match self {
            Self::Terminal | Self::Plain => print_line(line),
            Self::Json | Self::Quiet => Ok(()),
        }
    }

    /// A line for a program.
    pub(crate) fn event(self, event: &impl Serialize) -> io::Result<()> {
        match self {
            Self::Json => print_line(&serde_json::to_string(event)?),
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

/// Writes a line to stdout.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a line to stderr. When that is gone there is nobody left to tell.
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

/// Whether an error only means that the reader of stdout went away.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
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
