//! The arguments of `haul hash`, `haul verify` and `haul stat`.

use std::path::PathBuf;

use clap::Args;

use super::{ChecksumChoice, parse_target};
use crate::size::parse_size_above_zero;
use crate::target::{Address, Target};

#[derive(Debug, Args)]
pub(crate) struct HashArgs {
    /// Files to hash; each is read once
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Size of the parts that an upload would have [default: as haul cp chooses it]
    #[arg(long, value_name = "SIZE", value_parser = parse_size_above_zero)]
    pub(crate) part_size: Option<u64>,
    /// Only this algorithm; may be repeated [default: md5, all CRCs, composite SHA-1 and SHA-256]
    #[arg(long, value_name = "NAME", value_enum)]
    pub(crate) checksum: Vec<ChecksumChoice>,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "haul verify [OPTIONS] <FILE|DIR> <ADDRESS>\n       haul verify [OPTIONS] \
        --receipt <RECEIPT> <FILE|ADDRESS>..."
)]
pub(crate) struct VerifyArgs {
    /// A file and s3://BUCKET/KEY, or a folder and s3://BUCKET/PREFIX
    #[arg(value_name = "FILE|DIR|ADDRESS", required = true, num_args = 1..=2)]
    #[arg(value_parser = parse_target())]
    pub(crate) compared: Vec<Target>,
    /// Compare with the receipt of an upload (haul cp --receipt): a file without asking the store,
    /// or the object that is there now
    #[arg(long, value_name = "RECEIPT")]
    pub(crate) receipt: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatArgs {
    /// s3://BUCKET/KEY or local://BUCKET/KEY
    #[arg(value_name = "OBJECT", value_parser = Address::parse_object)]
    pub(crate) object: Address,
}

/// The receipt of an upload.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Object (uploads and copies)")]
pub(crate) struct ReceiptArgs {
    /// Write what was proven (parts, checksums, ETag, version) to this file, for haul verify
    /// --receipt
    #[arg(long, value_name = "FILE")]
    pub(crate) receipt: Option<PathBuf>,
}
