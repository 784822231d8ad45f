//! The arguments of `haul rm` and `haul rb`.

use clap::Args;

use super::FilterArgs;
use crate::target::Address;

#[derive(Clone, Debug, Args)]
pub(crate) struct RmArgs {
    /// Objects to remove: s3://BUCKET/KEY, or a quoted pattern with wildcards:
    /// 's3://BUCKET/logs/*.gz'
    #[arg(value_name = "OBJECT", required = true, value_parser = Address::parse)]
    pub(crate) objects: Vec<Address>,
    /// Everything below the folder: s3://BUCKET/FOLDER/, or s3://BUCKET
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Only show what would be removed
    #[arg(long, alias = "dryrun")]
    pub(crate) dry_run: bool,
    /// Treat *, ? and [ in keys as ordinary characters
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RbArgs {
    /// s3://BUCKET or local://BUCKET
    #[arg(value_name = "BUCKET", value_parser = Address::parse_bucket)]
    pub(crate) bucket: Address,
    /// Remove its content first: objects, and unfinished uploads
    #[arg(long)]
    pub(crate) force: bool,
}
