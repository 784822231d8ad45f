//! Reads the lines of a file or of standard input on a separate thread, because a pipe may be
//! silent for hours.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use tokio::sync::mpsc;

use super::shown_file;
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext, Usage};

/// The maximum number of lines that are read ahead.
const AHEAD: usize = 256;

/// The maximum length of a line in bytes; commands are far shorter.
const LINE_MAX_BYTES: u64 = 1 << 20;

/// One line of the input, numbered from 1.
pub(super) struct InputLine {
    pub(super) number: u64,
    /// The line without its line break; an error if the line is too long.
    pub(super) bytes: Result<Vec<u8>, Usage>,
}

/// The lines of the input, in the order in which they arrive.
pub(super) struct Lines {
    incoming: mpsc::Receiver<io::Result<InputLine>>,
    failed: Option<io::Error>,
}

impl Lines {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let input: Box<dyn Read + Send> =
            if file.as_os_str() == "-" {
                Box::new(io::stdin())
            } else {
                let opened = File::open(file);
                Box::new(opened.with_context(|| {
                    FailureContext::of(format!("cannot read {}", shown_file(file)))
                })?)
            };
        let (outgoing, incoming) = mpsc::channel(AHEAD);
        std::thread::Builder::new().name("lines".to_owned()).spawn(move || {
            let mut input = BufReader::new(input);
            for number in 1.. {
                let line = read_line(&mut input).transpose();
                let Some(line) = line else { break };
                let line = line.map(|bytes| InputLine { number, bytes });
                let ended = line.is_err();
                // Either the run has ended, and receives no more lines, or the input has.
                if outgoing.blocking_send(line).is_err() || ended {
                    break;
                }
            }
        })?;
        Ok(Self { incoming, failed: None })
    }

    /// Returns the next line; `None` at the end, and after an input error.
    pub(super) async fn next(&mut self) -> Option<InputLine> {
        match self.incoming.recv().await? {
            Ok(line) => Some(line),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    /// Returns the error that ended the input early.
    pub(super) fn problem(self, file: &Path) -> Option<anyhow::Error> {
        let error = self.failed?;
        let ended = Ended {
            exit: Exit::Failed,
            code: "InputUnreadable",
            message: format!("cannot read {} to its end: {error}", shown_file(file)),
            hint: None,
        };
        Some(ended.into())
    }
}

/// Reads one line without its break; `None` at the end of the input.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, Usage>>> {
    let mut line = Vec::new();
    let read = input.by_ref().take(LINE_MAX_BYTES + 1).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if read as u64 > LINE_MAX_BYTES && line.last() != Some(&b'\n') {
        skip_rest(input)?;
        let message = format!("the line has more than {LINE_MAX_BYTES} bytes");
        return Ok(Some(Err(Usage::new(message, "write one command per line"))));
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(Ok(line)))
}

fn skip_rest(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let line_break = buffer.iter().position(|byte| *byte == b'\n');
        let used = line_break.map_or(buffer.len(), |at| at + 1);
        input.consume(used);
        if line_break.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_or_without_a_break_and_have_a_limit() {
        let long = vec![b'x'; 3 << 20];
        let input = [b"one\r\n\n", long.as_slice(), b"\nlast"].concat();
        let mut input = BufReader::new(input.as_slice());
        let mut next = || read_line(&mut input).unwrap();
        assert_eq!(next().unwrap().unwrap(), b"one");
        assert_eq!(next().unwrap().unwrap(), b"");
        assert!(next().unwrap().is_err());
        assert_eq!(next().unwrap().unwrap(), b"last");
        assert!(next().is_none());
    }
}
