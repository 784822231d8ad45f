//! Prints all output: results on stdout, everything else on stderr, coloured where appropriate.
//!
//! There are two kinds of commands. A command that *acts* (cp, rm, abort, serve) uses
//! [`Mode::result`] and [`Mode::event`], which cannot fail: a full or closed stdout must stop the
//! output but never the action, and the exit code stays that of the action. A command that
//! *reports* (ls, uploads) uses [`Mode::row`] and [`Mode::record`], which return a [`StdoutError`],
//! because printing is its work; a reader that closes the pipe (`haul ls | head`) ends the command
//! with exit code 0.
//!
//! Names, error texts, ids and regions come from stores that others write to. This file prints
//! every line for people, and escapes everything that could move the cursor, colour a terminal or
//! reorder text; JSON has these characters as `\u009b`.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use crate::session;

/// The output mode of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A progress bar on stderr, the result on stdout.
    Terminal,
    /// Occasional progress lines on stderr, the result on stdout.
    Plain,
    /// One JSON object per line on stdout, errors on stderr.
    Json,
    /// Only errors.
    Quiet,
}

impl Mode {
    /// Chooses the mode by flags and terminal.
    pub(crate) fn choose(json: bool, quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match (json, quiet) {
            (true, _) => Self::Json,
            (false, true) => Self::Quiet,
            (false, false) if io::stderr().is_terminal() && !dumb => Self::Terminal,
            (false, false) => Self::Plain,
        }
    }

    /// Prints the result of an action, for a person.
    pub(crate) fn result(self, line: &str) {
        if matches!(self, Self::Terminal | Self::Plain) {
            print_if_possible(&shown(line));
        }
    }

    /// Prints a text of several lines, for a person. The caller passes each value in it through
    /// [`shown`], so that no value can add a line.
    pub(crate) fn page(self, text: &str) {
        text.lines().for_each(|line| self.result(line));
    }

    /// Prints the result of an action, for a program.
    pub(crate) fn event(self, event: &impl Serialize) {
        if self == Self::Json
            && let Ok(line) = json(event)
        {
            print_if_possible(&line);
        }
    }

    /// Prints a line of a report, for a person.
    pub(crate) fn row(self, line: &str) -> Result<(), StdoutError> {
        match self {
            Self::Terminal | Self::Plain => print_line(&shown(line)).map_err(StdoutError),
            Self::Json | Self::Quiet => Ok(()),
        }
    }

    /// Prints a line of a report, for a program.
    pub(crate) fn record(self, record: &impl Serialize) -> Result<(), StdoutError> {
        match self {
            Self::Json => json(record).and_then(|line| print_line(&line)).map_err(StdoutError),
            Self::Terminal | Self::Plain | Self::Quiet => Ok(()),
        }
    }

    /// Prints a warning with its hint: two lines on stderr, or an event for a program.
    pub(crate) fn warn(self, message: &str, hint: &str) {
        #[derive(Serialize)]
        #[serde(tag = "event", rename = "warning")]
        struct Warning<'a> {
            message: &'a str,
            hint: &'a str,
        }
        if matches!(self, Self::Terminal | Self::Plain) {
            let lines = Shown::default().labelled(&paint("warning"), message);
            lines.labelled(&paint("hint"), hint).complain();
        }
        self.event(&Warning { message, hint });
    }

    /// Prints a remark for a person on stderr.
    pub(crate) fn remark(self, line: &str) {
        match self {
            Self::Terminal | Self::Plain => complain(line),
            Self::Json | Self::Quiet => {}
        }
    }
}

/// The error for a report that could not be printed: the disk is full, or the reader has closed
/// stdout.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(crate) struct StdoutError(#[source] pub(crate) io::Error);

/// Set when a line could not be printed; nothing is printed after it.
static STDOUT_IS_GONE: AtomicBool = AtomicBool::new(false);

/// Prints a line of an action. The first failure is reported on stderr, unless the reader closed
/// the pipe; after it, printing is not attempted again.
fn print_if_possible(line: &str) {
    if STDOUT_IS_GONE.load(Ordering::Relaxed) {
        return;
    }
    let Err(error) = print_line(line) else { return };
    STDOUT_IS_GONE.store(true, Ordering::Relaxed);
    if error.kind() != io::ErrorKind::BrokenPipe {
        let problem = format!("cannot write to standard output: {error}");
        Shown::default().labelled(&paint("warning"), &problem).complain();
    }
}

/// Writes a line to stdout.
fn print_line(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a line to stderr. Ignores failures: there is no other channel to report them on.
pub(crate) fn complain(line: &str) {
    Shown::default().line(line).complain();
}

/// Text for stderr in which only our own labels can control a terminal.
#[derive(Debug, Default)]
pub(crate) struct Shown(String);

impl Shown {
    /// Adds a line.
    pub(crate) fn line(mut self, text: &str) -> Self {
        self.begin_line();
        self.0 += &shown(text);
        self
    }

    /// Adds a line after a label in the colours of `paint`.
    pub(crate) fn labelled(mut self, label: &str, text: &str) -> Self {
        self.begin_line();
        self.0 += label;
        self.0 += ": ";
        self.0 += &shown(text);
        self
    }

    fn begin_line(&mut self) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
    }

    /// Writes the text to stderr, ignoring failures.
    pub(crate) fn complain(&self) {
        let _ = writeln!(io::stderr().lock(), "{self}");
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Colours a label for stderr: `error` red, warnings and interruptions yellow, others cyan; plain
/// where colours are not wanted.
pub(crate) fn paint(label: &str) -> String {
    if !io::stderr().is_terminal()
        || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
    {
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

/// Escapes terminal controls in a text. Idempotent.
pub(crate) fn shown(text: &str) -> String {
    escaped(text, |c| is_unsafe(c).then(|| c.escape_default().to_string()))
}

/// Escapes a name for display. A backslash is doubled, so that no two names look the same: a line
/// break is `\n`, a backslash and an n are `\\n`.
pub(crate) fn visible(name: &str) -> String {
    escaped(name, |c| (c == '\\' || is_unsafe(c)).then(|| c.escape_default().to_string()))
}

/// Formats a value as JSON on one line; within `haul run`, with the line number in front.
pub(crate) fn json(value: &impl Serialize) -> io::Result<String> {
    let text = json_escape(&serde_json::to_string(value)?);
    match (session::line_number(), text.strip_prefix('{')) {
        (Some(number), Some(rest)) if rest.starts_with('"') => {
            Ok(format!("{{\"line\":{number},{rest}"))
        }
        _ => Ok(text),
    }
}

/// Escapes every character in JSON that a terminal interprets; `serde_json` escapes only those
/// below 0x20. Such characters occur in strings; outside of them there is at most a line break.
pub(crate) fn json_escape(text: &str) -> String {
    let unit = |unit: &u16| format!("\\u{unit:04x}");
    escaped(text, |c| {
        (c != '\n' && is_unsafe(c)).then(|| c.encode_utf16(&mut [0; 2]).iter().map(unit).collect())
    })
}

fn escaped(text: &str, escape: impl Fn(char) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match escape(c) {
            Some(escape) => out += &escape,
            None => out.push(c),
        }
    }
    out
}

/// Returns whether a terminal interprets a character or displays nothing for it.
pub(crate) fn is_unsafe(c: char) -> bool {
    // C0, DEL and C1.
    c.is_control()
        // The bidirectional controls reorder the following text: `gpj.exe` would read `exe.jpg`.
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        // Line and paragraph separator, byte order mark, interlinear annotations, noncharacters.
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Returns whether an error only means that the reader of a report closed the pipe.
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
        assert_eq!(visible("\u{9b}2J\u{7f}\u{fffe}"), "\\u{9b}2J\\u{7f}\\u{fffe}");
    }

    /// Regression: a key with a line break and one with a backslash and an n looked the same in
    /// `haul ls`.
    #[test]
    fn no_two_names_look_the_same() {
        assert_eq!(visible("a\nb"), r"a\nb");
        assert_eq!(visible(r"a\nb"), r"a\\nb");
        assert_eq!(visible(r"a\u{1b}"), r"a\\u{1b}");
    }

    #[test]
    fn text_is_escaped_once() {
        let once = shown("\u{1b}[31mred\u{85}");
        assert_eq!(once, r"\u{1b}[31mred\u{85}");
        assert_eq!(shown(&once), once);
        assert_eq!(shown(&visible("a\\\n")), visible("a\\\n"));
    }

    #[test]
    fn json_escapes_what_a_terminal_obeys_and_keeps_the_value() {
        let text = "\u{1b}[2J\u{9b}2J\u{7f}\u{202e}\u{fffe}\u{1fffe}ü";
        let line = json(&text).unwrap();
        assert_eq!(line, "\"\\u001b[2J\\u009b2J\\u007f\\u202e\\ufffe\\ud83f\\udffeü\"");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn only_labels_of_ours_are_coloured() {
        let lines =
            Shown::default().labelled("\u{1b}[31merror\u{1b}[0m", "\u{1b}[2J").line("two\nlines");
        assert_eq!(lines.to_string(), "\u{1b}[31merror\u{1b}[0m: \\u{1b}[2J\ntwo\\nlines");
    }
}
