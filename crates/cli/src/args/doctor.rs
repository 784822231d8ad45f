//! The arguments of `haul doctor`.

use clap::Args;

use crate::target::Address;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// s3://BUCKET or s3://BUCKET/PREFIX; the probes write below PREFIX only, and clean up
    #[arg(value_name = "ADDRESS", value_parser = Address::parse)]
    pub(crate) address: Address,
    /// Do not measure the throughput, which moves up to 192 MiB
    #[arg(long)]
    pub(crate) no_throughput: bool,
    /// Write although the store does not tell whether the bucket has a default retention
    #[arg(long)]
    pub(crate) assume_no_retention: bool,
    /// Write although the store does not tell whether the bucket keeps versions, nor lets any be
    /// removed
    #[arg(long)]
    pub(crate) assume_no_versions: bool,
}
