//! The writer of the log: escapes texts from clients and stores, which must not control a terminal.

use std::io::{self, Write};

use crate::output::{is_unsafe, json_escape};

/// Escapes the lines written to it. Each write is a whole line from the log's formatter.
#[derive(Debug)]
pub(super) struct Escaping<W> {
    inner: W,
    json: bool,
}

impl<W> Escaping<W> {
    /// Creates a writer for lines of text, which may be coloured.
    pub(super) fn text(inner: W) -> Self {
        Self { inner, json: false }
    }

    /// Creates a writer for lines of JSON.
    pub(super) fn json(inner: W) -> Self {
        Self { inner, json: true }
    }
}

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let escaped = if self.json { json_escape(&text) } else { escape_but_colours(&text) };
        self.inner.write_all(escaped.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Escapes a line except for the formatter's own colours (`ESC [ … m`); the formatter escapes those
/// in messages.
fn escape_but_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let colour = colour_bytes(rest);
        let taken = if colour > 0 { colour } else { c.len_utf8() };
        match c {
            '\n' => out.push(c),
            _ if colour == 0 && is_unsafe(c) => out.extend(c.escape_default()),
            _ => out += &rest[..taken],
        }
        rest = &rest[taken..];
    }
    out
}

/// Returns the length of the colour sequence at the start of a text, or 0.
fn colour_bytes(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("\u{1b}[") else { return 0 };
    let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    if rest[digits..].starts_with('m') { digits + 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(escaping: impl Fn(&mut Vec<u8>) -> Escaping<&mut Vec<u8>>, line: &str) -> String {
        let mut out = vec![];
        escaping(&mut out).write_all(line.as_bytes()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_of_the_log_cannot_command_a_terminal() {
        let line = "\u{1b}[2mWARN\u{1b}[0m key=a\u{1b}[2J\u{9b}2J\u{202e}\r\n";
        assert_eq!(
            written(|out| Escaping::text(out), line),
            "\u{1b}[2mWARN\u{1b}[0m key=a\\u{1b}[2J\\u{9b}2J\\u{202e}\\r\n"
        );
    }

    #[test]
    fn a_line_of_json_stays_json() {
        let line = "{\"key\":\"\u{9b}2J\u{202e}\"}\n";
        assert_eq!(written(|out| Escaping::json(out), line), "{\"key\":\"\\u009b2J\\u202e\"}\n");
    }
}
