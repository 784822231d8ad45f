//! The arguments of `haul ls` and `haul du`.

use clap::{ArgAction, Args};

use crate::target::{Address, Listed};

#[derive(Debug, Args)]
// `-h` does not mean help here, because other tools use it for `--human-readable`.
#[command(disable_help_flag = true)]
pub(crate) struct LsArgs {
    /// A bucket or a prefix, or a quoted pattern with wildcards; without it the buckets are listed
    #[arg(value_name = "ADDRESS", value_parser = Listed::parse)]
    pub(crate) address: Option<Listed>,
    /// Everything below the prefix, not only up to the next /
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Sizes such as 1.4 GiB only, without the exact bytes
    #[arg(short = 'h', long)]
    pub(crate) human_readable: bool,
    /// Count objects and bytes at the end
    #[arg(long)]
    pub(crate) summarize: bool,
    /// Treat *, ? and [ in keys as ordinary characters
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print help
    #[arg(long, action = ArgAction::HelpLong)]
    help: Option<bool>,
}

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct DuArgs {
    /// A bucket or a prefix, or a quoted pattern with wildcards
    #[arg(value_name = "ADDRESS", value_parser = Address::parse)]
    pub(crate) address: Address,
    /// Sizes such as 1.4 GiB only, without the exact bytes
    #[arg(short = 'h', long)]
    pub(crate) human_readable: bool,
    /// Also count the parts of unfinished uploads, which are billed and in no listing of objects
    #[arg(long)]
    pub(crate) uploads: bool,
    /// Treat *, ? and [ in keys as ordinary characters
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print help
    #[arg(long, action = ArgAction::HelpLong)]
    help: Option<bool>,
}
