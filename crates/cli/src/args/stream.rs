//! The arguments of streams: source, length, spooling.

use std::path::PathBuf;

use clap::Args;

use crate::size::parse_size;

/// The source and length of a stream.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Streams (uploads)")]
pub(crate) struct StreamArgs {
    /// Upload the output of the command after --, if it exits with 0: haul cp --from-command TARGET
    /// -- COMMAND
    #[arg(long, requires = "command")]
    pub(crate) from_command: bool,
    /// Exact length of the stream; with any other there is no object
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) size: Option<u64>,
    /// Estimated length of the stream: decides the size of parts [default: without --part-size,
    /// what is left of a regular file as standard input]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "size")]
    pub(crate) expected_size: Option<u64>,
    /// Keep what arrives if it stops, and continue what an earlier run of the same stream left: the
    /// producer has to give the same bytes again
    #[arg(long, conflicts_with = "no_journal")]
    pub(crate) resume: bool,
    /// Folder for parts that no longer fit the memory [default: /var/tmp]
    #[arg(long, value_name = "DIR")]
    pub(crate) spool_dir: Option<PathBuf>,
}
