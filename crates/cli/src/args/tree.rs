//! Arguments that `cp`, `sync` and `mv` share for copying many files.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::{
    ChecksumChoice, EffortArgs, FilterArgs, ObjectOptionArgs, PartSizeArg, RememberArgs,
    SourceStoreArgs, parse_age, parse_target,
};
use crate::size::parse_size;
use crate::target::Target;

/// The selection of files, and the treatment of those that exist at the target.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Many files")]
pub(crate) struct TreeArgs {
    /// Only show what would be done
    #[arg(long, alias = "dryrun")]
    pub(crate) dry_run: bool,
    /// Skip files that exist at the target
    #[arg(short = 'n', long, alias = "ignore-existing", alias = "no-overwrite")]
    pub(crate) no_clobber: bool,
    /// Copy only files that are newer than at the target, or missing there
    #[arg(short = 'u', long, conflicts_with = "no_clobber")]
    pub(crate) update: bool,
    /// Copy only files whose size differs at the target, or that are missing there
    #[arg(long, conflicts_with_all = ["no_clobber", "update"])]
    pub(crate) size_only: bool,
    /// Stop at the first file that fails
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Write the names of failed files to this file, for --files-from
    #[arg(long, value_name = "FILE")]
    pub(crate) failed_to: Option<PathBuf>,
    /// Skip symbolic links instead of following them
    #[arg(long)]
    pub(crate) no_follow_symlinks: bool,
    /// Follow symbolic links (the default)
    #[arg(long, hide = true, conflicts_with = "no_follow_symlinks")]
    pub(crate) follow_symlinks: bool,
    /// Treat *, ? and [ in keys as ordinary characters
    #[arg(long)]
    pub(crate) raw: bool,
    /// Only names listed in this file, one per line, below the source; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["include", "exclude", "exclude_from"])]
    pub(crate) files_from: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Exclude names that match a line of this file; applies before --include and --exclude
    #[arg(long, value_name = "FILE", help_heading = "Filters")]
    pub(crate) exclude_from: Vec<PathBuf>,
    /// Only files of at least this size
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Filters")]
    pub(crate) min_size: Option<u64>,
    /// Only files of at most this size
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Filters")]
    pub(crate) max_size: Option<u64>,
    /// Only files modified after this: a time, or an age such as 36h or 7d
    #[arg(long, value_name = "TIME|AGE", value_parser = parse_moment, help_heading = "Filters")]
    pub(crate) newer_than: Option<Timestamp>,
    /// Only files modified before this: a time, or an age such as 36h or 7d
    #[arg(long, value_name = "TIME|AGE", value_parser = parse_moment, help_heading = "Filters")]
    pub(crate) older_than: Option<Timestamp>,
    /// Only names with at most this many path components; 1: the folder itself
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[arg(help_heading = "Filters")]
    pub(crate) max_depth: Option<u32>,
}

impl TreeArgs {
    /// Returns whether any of these flags is given: a single file is then copied as a tree.
    pub(crate) fn any(&self) -> bool {
        self.first().is_some()
    }

    /// Returns the first flag that is given.
    pub(crate) fn first(&self) -> Option<&'static str> {
        let given = [
            (self.dry_run, "--dry-run"),
            (self.no_clobber, "--no-clobber"),
            (self.update, "--update"),
            (self.size_only, "--size-only"),
            (self.fail_fast, "--fail-fast"),
            (self.no_follow_symlinks, "--no-follow-symlinks"),
            (self.failed_to.is_some(), "--failed-to"),
            (self.files_from.is_some(), "--files-from"),
            (!self.exclude_from.is_empty(), "--exclude-from"),
            (self.min_size.is_some(), "--min-size"),
            (self.max_size.is_some(), "--max-size"),
            (self.newer_than.is_some(), "--newer-than"),
            (self.older_than.is_some(), "--older-than"),
            (self.max_depth.is_some(), "--max-depth"),
        ];
        let named = given.iter().find(|(given, _)| *given).map(|(_, name)| *name);
        named.or_else(|| self.filter.first_flag())
    }
}

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// Source: a folder, s3://BUCKET/PREFIX or local://BUCKET/PREFIX
    #[arg(value_name = "SOURCE", value_parser = parse_target())]
    pub(crate) source: Target,
    /// Target: a folder, s3://BUCKET/PREFIX or local://BUCKET/PREFIX
    #[arg(value_name = "TARGET", value_parser = parse_target())]
    pub(crate) target: Target,
    /// Remove files that only the target has, after everything else has succeeded
    #[arg(long)]
    pub(crate) delete: bool,
    /// With --delete: also if the source has no files
    #[arg(long, requires = "delete")]
    pub(crate) force: bool,
    /// Compare checksums and ETags instead of times, without downloading
    #[arg(short = 'c', long, conflicts_with_all = ["size_only", "update", "no_clobber"])]
    pub(crate) checksum: bool,
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
    #[command(flatten)]
    pub(crate) transfer: SyncTransferArgs,
    #[command(flatten)]
    pub(crate) remember: RememberArgs,
    #[command(flatten)]
    pub(crate) object: ObjectOptionArgs,
    #[command(flatten)]
    pub(crate) source_store: SourceStoreArgs,
}

/// The transfer options of a sync: those of a copy, without `--checksum`, which compares.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub(crate) struct SyncTransferArgs {
    /// Size of parts: 8MiB, 64M or bytes; or auto for larger ones on long links [default: by
    /// length, 8MiB at least]
    #[arg(long, value_name = "SIZE|auto", value_parser = PartSizeArg::parse)]
    pub(crate) part_size: Option<PartSizeArg>,
    #[command(flatten)]
    pub(crate) effort: EffortArgs,
    /// Checksum that the store verifies for every part [default: crc64nvme]
    #[arg(long, value_name = "NAME", value_enum, ignore_case = true)]
    pub(crate) checksum_algorithm: Option<ChecksumChoice>,
    /// Fail if a part cannot be proven to have arrived intact
    #[arg(long)]
    pub(crate) require_proof: bool,
    /// Files smaller than this go in one request [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) multipart_threshold: Option<u64>,
}

#[derive(Debug, Args)]
#[command(override_usage = "haul mv [OPTIONS] <SOURCE>... <TARGET>")]
pub(crate) struct MvArgs {
    /// Sources: files, folders with -r, s3://BUCKET/KEY, local://BUCKET/KEY
    #[arg(value_name = "SOURCE", value_parser = parse_target())]
    pub(crate) source: Target,
    /// Target; a bucket, a folder, or a target that ends in / gets the source's name appended
    #[arg(value_name = "TARGET", value_parser = parse_target())]
    pub(crate) target: Target,
    /// More sources; the last argument is the target
    #[arg(value_name = "TARGET", hide = true, value_parser = parse_target())]
    pub(crate) more: Vec<Target>,
    /// Include folders and prefixes with everything below them
    #[arg(short, long)]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
    #[command(flatten)]
    pub(crate) transfer: super::TransferArgs,
    #[command(flatten)]
    pub(crate) remember: RememberArgs,
    #[command(flatten)]
    pub(crate) object: ObjectOptionArgs,
    #[command(flatten)]
    pub(crate) source_store: SourceStoreArgs,
}

/// Parses a time, a date or an age.
fn parse_moment(text: &str) -> Result<Timestamp, String> {
    let wrong = || {
        "write an age such as 36h or 7d, a date such as 2026-01-31, or a time such as \
         2026-01-31T12:00:00Z"
            .to_owned()
    };
    if let Ok(age) = parse_age(text) {
        return Timestamp::now().checked_sub(age).map_err(|_| wrong());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let local = text.parse::<jiff::civil::DateTime>().map_err(|_| wrong())?;
    let zoned = local.to_zoned(jiff::tz::TimeZone::system()).map_err(|_| wrong())?;
    Ok(zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_an_age_a_date_or_a_time() {
        let hour_ago = parse_moment("1h").unwrap();
        let distance = Timestamp::now().duration_since(hour_ago).as_secs();
        assert!((3599..=3601).contains(&distance), "{distance}");
        assert_eq!(parse_moment("1970-01-01T00:00:07Z").unwrap().as_second(), 7);
        assert!(parse_moment("2026-01-31").is_ok());
        assert!(parse_moment("yesterday").is_err());
    }
}
