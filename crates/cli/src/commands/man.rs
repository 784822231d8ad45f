//! `haul man DIR`: writes a man page for `haul` and one for each of its commands.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;

use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::FailureContext;
use crate::output::{Mode, visible};

/// Writes the man pages.
pub(crate) fn run(dir: &Path, mode: Mode) -> anyhow::Result<Exit> {
    let shown = visible(&dir.display().to_string());
    let context = || FailureContext::of(format!("cannot write man pages into {shown}"));
    std::fs::create_dir_all(dir).with_context(context)?;
    clap_mangen::generate_to(Cli::command(), dir).with_context(context)?;
    mode.result(&format!("man pages are in {shown}; read them with: man haul"));
    Ok(Exit::Done)
}
