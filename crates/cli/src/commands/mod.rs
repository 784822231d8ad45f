//! One file per command; each returns how the process ends.

mod completions;
mod cp;
mod ls;
mod mb;
mod rb;
mod rm;
mod serve;
mod summary;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::output::Mode;

/// Does what the command line says.
pub(crate) async fn run(cli: Cli, mode: Mode) -> anyhow::Result<Exit> {
    let Cli { store, command, .. } = cli;
    match command {
        Command::Cp(args) => cp::run(&store, *args, mode).await,
        Command::Ls(args) => ls::run(&store, args, mode).await,
        Command::Mb(args) => mb::run(&store, &args.bucket, mode).await,
        Command::Rm(args) => rm::run(&store, &args.object, mode).await,
        Command::Rb(args) => rb::run(&store, &args.bucket, mode).await,
        Command::Serve(args) => serve::run(&store, &args, mode).await,
        Command::Completions(args) => completions::run(args.shell),
    }
}
