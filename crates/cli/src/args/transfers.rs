//! The words of the commands about unfinished transfers of this machine: `haul resume`, `haul
//! abort`, `haul forget`.

use std::path::PathBuf;

use clap::Args;

use super::{EffortArgs, OnChangeChoice};
use crate::target::Address;

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Which ones, by the ids that haul transfers shows, or their beginnings
    #[arg(value_name = "ID", conflicts_with = "all")]
    pub(crate) ids: Vec<String>,
    /// All that no other process works on, one after the other
    #[arg(long)]
    pub(crate) all: bool,
    /// Where the file is now, if it was moved or renamed; what arrived is compared with it
    #[arg(long, value_name = "PATH", conflicts_with = "all")]
    pub(crate) source: Option<PathBuf>,
    /// When the file is another version now
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub(crate) on_change: OnChangeChoice,
    #[command(flatten)]
    pub(crate) effort: EffortArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AbortArgs {
    /// Which ones: the ids that haul transfers shows, or their beginnings; or s3://BUCKET/KEY,
    /// whichever tool began it
    #[arg(value_name = "ID|ADDRESS", value_parser = AbortTarget::parse)]
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) what: Vec<AbortTarget>,
    /// All of this machine that no other process works on
    #[arg(long)]
    pub(crate) all: bool,
    /// With an address: which upload, where the key has several
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    pub(crate) upload_id: Option<String>,
}

/// What is aborted.
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
    /// Which ones, by the ids that haul transfers shows, or their beginnings
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<String>,
    /// Even if the store still has the upload, or cannot say
    #[arg(long)]
    pub(crate) force: bool,
}
