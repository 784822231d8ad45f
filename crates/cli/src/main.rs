//! The `haul` command: arguments, colours, progress and exit codes around the engine and the
//! endpoint.
//!
//! Only this crate prints, reads the environment and exits. The engine transfers the bytes; this
//! crate decides what the user sees.

mod args;
mod bandwidth;
mod commands;
mod complete;
mod config;
mod connection;
mod data_dir;
mod exit;
mod failure;
mod interrupt;
mod last_tree;
mod leftover_notice;
mod logging;
mod object_attributes;
mod open_files;
mod output;
mod pace;
mod prices;
mod private;
mod progress;
mod related;
mod selection;
mod session;
mod several;
mod size;
mod state_dir;
mod store;
mod target;
mod transfer;
mod upload_locator;
mod usage;
mod waiting;

use std::process::ExitCode;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logging::Unasked;
use crate::output::{Mode, Shown, paint};

/// The minimum number of worker threads. Tasks mostly wait for the network; computation and file
/// reads have their own threads.
const WORKER_THREADS_MIN: usize = 2;
/// The minimum for all commands but `serve`: of a download, some threads wait for the disk.
const WORKER_THREADS_MIN_OF_CLIENTS: usize = 4;
const WORKER_THREADS_MAX: usize = 8;
/// The maximum number of threads for blocking work: reading, writing and hashing files. More would
/// not be faster, and each costs memory.
const BLOCKING_THREADS_MAX: usize = 128;

fn main() -> ExitCode {
    if complete::answered() {
        return Exit::Done.into();
    }
    let cli = match usage::parse() {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    if cli.output.no_progress {
        progress::hide();
    }
    let mode = Mode::choose(cli.output.json, cli.output.quiet);
    // A server has no other way to report problems.
    let unasked = match cli.command {
        Command::Serve(_) if cli.output.quiet => Unasked::Errors,
        Command::Serve(_) => Unasked::Warnings,
        _ => Unasked::Nothing,
    };
    if let Err(problem) = logging::start(cli.output.verbose, unasked, mode) {
        Shown::default().labelled(&paint("error"), &problem).complain();
        return Exit::Usage.into();
    }
    let exit = match run(cli, mode) {
        Ok(exit) => exit,
        Err(error) if output::is_closed_pipe(&error) => Exit::Done,
        Err(error) => report(&error, mode),
    };
    interrupt::end_the_loop_around_us();
    exit.into()
}

fn run(cli: Cli, mode: Mode) -> anyhow::Result<Exit> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let least = match cli.command {
        Command::Serve(_) => WORKER_THREADS_MIN,
        _ => WORKER_THREADS_MIN_OF_CLIENTS,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(least, WORKER_THREADS_MAX))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()?;
    let result = runtime.block_on(commands::run(cli, mode));
    // All required work has ended; do not wait for what a second Ctrl-C left running.
    runtime.shutdown_background();
    result
}

/// Reports a failure: completely on stderr, and with `--json` as the last event on stdout.
fn report(error: &anyhow::Error, mode: Mode) -> Exit {
    let failure = Failure::of(error);
    mode.event(&failure);
    failure.lines(paint).complain();
    failure.exit
}
