//! `haul completions SHELL`: prints a completion script.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::Exit;
use crate::output::StdoutError;

/// Prints the script.
pub(crate) fn run(shell: Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "haul", &mut script);
    io::stdout().lock().write_all(&script).map_err(StdoutError)?;
    Ok(Exit::Done)
}
