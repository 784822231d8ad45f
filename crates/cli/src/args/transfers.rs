//! The arguments of the commands for unfinished transfers of this machine: `haul resume`, `haul
//! abort`, `haul forget`.

use std::path::PathBuf;

use clap::Args;

use super::{EffortArgs, OnChangeChoice};
use crate::target::Address;

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Ids from haul transfers, or their beginnings
    #[arg(value_name = "ID", conflicts_with = "all")]
    pub(crate) ids: Vec<String>,
    /// All that no other process holds, one after the other
    #[arg(long)]
    pub(crate) all: bool,
    /// The last cp, sync or mv of many files that is not finished, which copies what failed or was
    /// left; or the newest transfer, if that began later
    #[arg(long, conflicts_with_all = ["ids", "all", "source", "on_change"])]
    #[arg(conflicts_with_all = ["concurrency", "memory", "max_attempts", "bandwidth"])]
    pub(crate) last: bool,
    /// While credentials, network or store are away: wait, and resume when they are back
    #[arg(long, conflicts_with_all = ["all", "source"])]
    pub(crate) watch: bool,
    /// New path of a moved or renamed file; the arrived parts are compared with it
    #[arg(long, value_name = "PATH", conflicts_with = "all")]
    pub(crate) source: Option<PathBuf>,
    /// If the file has changed
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub(crate) on_change: OnChangeChoice,
    #[command(flatten)]
    pub(crate) effort: EffortArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AbortArgs {
    /// Ids from haul transfers, or their beginnings; or s3://BUCKET/KEY, of any tool
    #[arg(value_name = "ID|ADDRESS", value_parser = AbortTarget::parse)]
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) what: Vec<AbortTarget>,
    /// All of this machine that no other process holds
    #[arg(long)]
    pub(crate) all: bool,
    /// With an address: the upload, if the key has several
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    pub(crate) upload_id: Option<String>,
}

/// An argument of `haul abort`.
#[derive(Clone, Debug)]
pub(crate) enum AbortTarget {
    /// By the id of its journal.
    Journal(String),
    /// By its key at a store.
    Store(Address),
}

impl AbortTarget {
    fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Address::parse_object(text).map(Self::Store).map_err(|error| error.to_string());
        }
        Ok(Self::Journal(text.to_owned()))
    }
}

#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    /// Ids from haul transfers, or their beginnings
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<String>,
    /// Even if the store still has the upload, or its state is unknown
    #[arg(long)]
    pub(crate) force: bool,
}
