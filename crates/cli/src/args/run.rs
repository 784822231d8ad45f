//! The arguments of `haul run`.

use std::path::PathBuf;

use clap::Args;

use super::EffortArgs;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A file with one command per line, without haul in front; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Lines at once; 1 runs them in their order
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) jobs: u32,
    /// Begin no further line after one has failed
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Write the failed lines to this file, for haul run
    #[arg(long, value_name = "FILE")]
    pub(crate) failed_to: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) effort: EffortArgs,
}
