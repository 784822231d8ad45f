//! `haul run FILE`: runs one command per line, several in parallel, with one engine.
//!
//! Lines are read while earlier ones run, so a file of any length, or a pipe that never ends, needs
//! only the memory of the running lines. A failed line does not stop the others, unless
//! `--fail-fast` is given. After the first Ctrl-C no further line starts; the running ones pause or
//! finish.

mod failed;
mod line;
mod reader;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;

use self::failed::FailedLines;
use self::reader::{InputLine, Lines};
use super::summary::counted;
use crate::args::{RunArgs, StoreArgs};
use crate::exit::Exit;
use crate::failure::{Ended, Failure};
use crate::interrupt::{Interrupts, Role};
use crate::output::{Mode, paint, visible};
use crate::session::Session;

/// The maximum number of failed lines listed in the summary; further ones are only counted.
const NAMED_MAX: usize = 100;

/// The JSON event of a finished line.
#[derive(Serialize)]
#[serde(tag = "event", rename = "line-done")]
struct LineDone<'a> {
    command: &'a str,
    exit_code: u8,
}

/// The JSON event with the totals.
#[derive(Debug, Default, Serialize)]
#[serde(tag = "event", rename = "run-summary")]
struct RunSummary {
    /// Lines with a command that were started.
    lines: u64,
    failed: u64,
    /// The numbers of the first failed lines.
    failed_lines: Vec<u64>,
    #[serde(skip)]
    failed_commands: Vec<String>,
    #[serde(skip)]
    worst: Option<Exit>,
}

/// The outcome of a line.
struct Outcome {
    number: u64,
    command: String,
    /// The line as it was read.
    bytes: Vec<u8>,
    exit: Exit,
}

/// Runs the lines.
pub(crate) async fn run(args: &StoreArgs, what: RunArgs, mode: Mode) -> anyhow::Result<Exit> {
    let mut failed = FailedLines::create(what.failed_to.as_deref(), &what.file)?;
    let mut lines = Lines::open(&what.file)?;
    let session = Session::new(what.effort.limits());
    // A progress bar shows one transfer, so parallel lines print plain text.
    let of_lines = if mode == Mode::Terminal { Mode::Plain } else { mode };
    let mut interrupts = Interrupts::new(Role::Work)?;
    let jobs = usize::try_from(what.jobs).unwrap_or(usize::MAX);
    let mut running = FuturesUnordered::new();
    let mut summary = RunSummary::default();
    let (mut more, mut stopped) = (true, None);
    while more || !running.is_empty() {
        tokio::select! {
            biased;
            signal = interrupts.next() => {
                if stopped.is_some() {
                    return Err(interrupted(signal, &summary).into());
                }
                (more, stopped) = (false, Some(signal));
                if !running.is_empty() {
                    mode.remark(&format!("{signal}: waiting for the lines that run"));
                }
            }
            Some(outcome) = running.next() => {
                let outcome: Option<Outcome> = outcome;
                if let Some(outcome) = outcome.as_ref().filter(|it| it.exit != Exit::Done) {
                    failed.add(&outcome.bytes, mode);
                }
                more &= summary.take(outcome) || !what.fail_fast;
            }
            next = lines.next(), if more && running.len() < jobs => match next {
                Some(line) => running.push(carry_out(args, line, &session, of_lines)),
                None => more = false,
            },
        }
    }
    session.close().await;
    failed.end(mode);
    if let Some(problem) = lines.problem(&what.file) {
        return Err(problem);
    }
    mode.event(&summary);
    summary.report(mode);
    if let Some(signal) = stopped {
        return Err(interrupted(signal, &summary).into());
    }
    Ok(summary.worst.unwrap_or(Exit::Done))
}

fn interrupted(signal: &str, summary: &RunSummary) -> Ended {
    Ended {
        exit: Exit::Interrupted,
        code: "Interrupted",
        message: format!("{signal}: {} begun, the rest not", counted(summary.lines, "line")),
        hint: Some("haul transfers lists what can be resumed".to_owned()),
    }
}

/// Runs one line and reports its failure. Blank lines and comments have no outcome.
async fn carry_out(
    args: &StoreArgs,
    line: InputLine,
    session: &Arc<Session>,
    mode: Mode,
) -> Option<Outcome> {
    let number = line.number;
    let bytes = line.bytes.as_ref().map(Clone::clone).unwrap_or_default();
    let words = line.bytes.and_then(|bytes| line::words(&bytes));
    if words.as_ref().is_ok_and(Vec::is_empty) {
        return None;
    }
    let command = words.as_deref().map_or_else(|_| String::new(), shown);
    // Boxed: the future of a command is large, and many run at once.
    let work = Box::pin(async {
        let result = match words.and_then(|words| line::command(&words, args)) {
            Ok(cli) => Box::pin(super::run(cli, mode)).await,
            Err(error) => Err(error.into()),
        };
        let exit = match result {
            Ok(exit) => exit,
            Err(error) => {
                let failure = Failure::of(&error).of_line(number);
                mode.event(&failure);
                failure.lines(paint).complain();
                failure.exit
            }
        };
        mode.event(&LineDone { command: &command, exit_code: exit.code() });
        exit
    });
    let exit = session.line(number, work).await;
    Some(Outcome { number, command, bytes, exit })
}

/// Formats the words of a line for messages.
fn shown(words: &[OsString]) -> String {
    let words = words.iter().map(|word| {
        let word = word.to_string_lossy();
        shlex::try_quote(&word).map_or_else(|_| word.to_string(), std::borrow::Cow::into_owned)
    });
    visible(&words.collect::<Vec<_>>().join(" "))
}

impl RunSummary {
    /// Counts a line; returns false if it failed.
    fn take(&mut self, outcome: Option<Outcome>) -> bool {
        let Some(Outcome { number, command, exit, .. }) = outcome else { return true };
        self.lines += 1;
        if exit == Exit::Done {
            return true;
        }
        self.failed += 1;
        self.worst = Some(self.worst.map_or(exit, |worst| worst.worse(exit)));
        if self.failed_lines.len() < NAMED_MAX {
            self.failed_lines.push(number);
            self.failed_commands.push(command);
        }
        false
    }

    fn report(&self, mode: Mode) {
        if self.failed == 0 {
            mode.result(&format!("{} done", counted(self.lines, "line")));
            return;
        }
        let done = self.lines - self.failed;
        mode.result(&format!("{} done, {} failed", counted(done, "line"), self.failed));
        for (number, command) in self.failed_lines.iter().zip(&self.failed_commands) {
            mode.remark(&format!("failed: line {number}: {command}"));
        }
        let unnamed = self.failed - self.failed_lines.len() as u64;
        if unnamed > 0 {
            mode.remark(&format!("failed: {unnamed} more"));
        }
    }
}

/// Formats the file name for messages.
fn shown_file(file: &Path) -> String {
    if file.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        visible(&file.display().to_string())
    }
}
