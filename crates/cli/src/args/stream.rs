//! The words about streams: what is known of one, and where it comes from.

use std::path::PathBuf;

use clap::Args;

use crate::size::parse_size;

/// What is known of a stream, and where it comes from.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Streams (uploads)")]
pub(crate) struct StreamArgs {
    /// Upload what the command behind -- prints, if it ends with 0: haul cp --from-command TARGET
    /// -- COMMAND
    #[arg(long, requires = "command")]
    pub(crate) from_command: bool,
    /// The stream has exactly this length, or there is no object
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) size: Option<u64>,
    /// About how long the stream will be: decides the size of parts
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "size")]
    pub(crate) expected_size: Option<u64>,
    /// Keep what arrives if it stops, and continue what an earlier run of the same stream left: the
    /// producer has to give the same bytes again
    #[arg(long, conflicts_with = "no_journal")]
    pub(crate) resume: bool,
    /// Where parts are kept that no longer fit the memory [default: /var/tmp]
    #[arg(long, value_name = "DIR")]
    pub(crate) spool_dir: Option<PathBuf>,
}
