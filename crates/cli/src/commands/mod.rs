//! The commands, one file each; each returns the exit code of the process.

mod abort;
mod abort_at;
mod cat;
mod completions;
mod config;
mod copy;
mod copy_journal;
mod cp;
mod doctor;
mod download;
mod du;
mod forget;
mod hash;
mod lifecycle;
mod ls;
mod man;
mod mb;
mod owned;
mod pinned_flags;
mod presign;
mod producer;
mod rb;
mod receipt;
mod resume;
mod resume_last;
mod resume_watch;
mod rm;
mod rm_many;
mod run;
mod serve;
mod stat;
mod store_check;
mod store_uploads;
mod stream;
mod stream_journal;
mod summary;
mod sweep;
mod tree;
mod upload;
mod uploads;
mod verify;

use haul::pace::RetryPolicy;

use crate::args::{Cli, Command, FolderCommand, StoreArgs};
use crate::exit::Exit;
use crate::output::Mode;
use crate::waiting::noted;

/// Runs the command of the command line.
pub(crate) async fn run(cli: Cli, mode: Mode) -> anyhow::Result<Exit> {
    let Cli { store, command, .. } = cli;
    let store = StoreArgs { requests: store.requests.clone().resolved()?, ..store };
    match command {
        Command::Cp(args) => cp::run(&store, *args, mode).await,
        Command::Sync(args) => Box::pin(tree::sync(&store, *args, mode)).await,
        Command::Mv(args) => Box::pin(tree::mv(&store, *args, mode)).await,
        Command::Uploads(mut args) => match args.address.take() {
            Some(listed) => store_uploads::run(&store, listed, &args, mode).await,
            None => uploads::run(mode),
        },
        Command::Transfers => uploads::run(mode),
        Command::Sweep(args) => sweep::run(&store, &args, mode).await,
        Command::Lifecycle(args) => lifecycle::run(&store, &args, mode).await,
        Command::Resume(args) => resume::run(&store, args, mode).await,
        Command::Abort(args) => Box::pin(abort::run(&store, &args, mode)).await,
        Command::Forget(args) => forget::run(&store, &args, mode).await,
        Command::Ls(args) => ls::run(&store, args, mode).await,
        Command::Stat(args) => noted(mode, stat::run(&store, &args.object, mode)).await,
        Command::Verify(args) => Box::pin(verify::run(&store, args, mode)).await,
        Command::Hash(args) => hash::run(args, mode).await,
        Command::Doctor(args) => Box::pin(doctor::run(&store, &args, mode)).await,
        Command::Mb(args) => noted(mode, mb::run(&store, &args.bucket, mode)).await,
        Command::Du(args) => du::run(&store, &args, mode).await,
        Command::Cat(args) => cat::run(&store, args, mode).await,
        Command::Presign(args) => presign::run(&store, &args, mode).await,
        Command::Rm(args) => rm::run(&store, &args, mode).await,
        Command::Rb(args) => rb::run(&store, &args, mode).await,
        Command::Serve(args) => serve::run(&store, &args, mode).await,
        Command::Store(args) => match args.command {
            FolderCommand::Check(args) => store_check::run(&store, args, mode).await,
        },
        Command::Config => config::run(&store, mode),
        Command::Run(args) => Box::pin(run::run(&store, args, mode)).await,
        Command::Man(args) => man::run(&args.dir, mode),
        Command::Completions(args) => completions::run(args.shell),
    }
}

/// Returns a short retry policy for a request that a person waits for without progress.
fn brief_retry() -> RetryPolicy {
    RetryPolicy { attempts_max: 3, ..RetryPolicy::default() }
}

/// Returns the label of a progress bar: the file's name without its folders.
fn name_of(path: &str) -> String {
    let name = std::path::Path::new(path).file_name();
    name.map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}
