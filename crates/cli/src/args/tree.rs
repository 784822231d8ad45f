//! The words of commands that copy many files: what `cp`, `sync` and `mv` have in common.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use jiff::Timestamp;

use super::{EffortArgs, FilterArgs, ObjectOptionArgs, RememberArgs, SourceStoreArgs, parse_age};
use crate::size::{parse_size, parse_size_above_zero};
use crate::target::Target;

/// Which files, and what becomes of those that are there.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Many files")]
pub(crate) struct TreeArgs {
    /// Only show what would be done
    #[arg(long, alias = "dryrun")]
    pub(crate) dry_run: bool,
    /// Leave alone what exists at the target
    #[arg(short = 'n', long, alias = "ignore-existing", alias = "no-overwrite")]
    pub(crate) no_clobber: bool,
    /// Copy only what is newer than at the target, or not there
    #[arg(short = 'u', long, conflicts_with = "no_clobber")]
    pub(crate) update: bool,
    /// Copy only what has another size at the target, or is not there
    #[arg(long, conflicts_with_all = ["no_clobber", "update"])]
    pub(crate) size_only: bool,
    /// The first file that fails ends everything
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Write the names of files that failed into this file, for --files-from
    #[arg(long, value_name = "FILE")]
    pub(crate) failed_to: Option<PathBuf>,
    /// Do not take symbolic links as what they lead to
    #[arg(long)]
    pub(crate) no_follow_symlinks: bool,
    /// As it is by default: symbolic links are taken as what they lead to
    #[arg(long, hide = true, conflicts_with = "no_follow_symlinks")]
    pub(crate) follow_symlinks: bool,
    /// Take *, ? and [ in keys as they are
    #[arg(long)]
    pub(crate) raw: bool,
    /// Only names that this file lists, one a line, below the source; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["include", "exclude", "exclude_from"])]
    pub(crate) files_from: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Leave out names that match a line of this file; before --include and --exclude
    #[arg(long, value_name = "FILE", help_heading = "Filters")]
    pub(crate) exclude_from: Vec<PathBuf>,
    /// Only files of at least this size
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Filters")]
    pub(crate) min_size: Option<u64>,
    /// Only files of at most this size
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Filters")]
    pub(crate) max_size: Option<u64>,
    /// Only files written after this: a time, or an age such as 36h or 7d
    #[arg(long, value_name = "TIME|AGE", value_parser = parse_moment, help_heading = "Filters")]
    pub(crate) newer_than: Option<Timestamp>,
    /// Only files written before this: a time, or an age such as 36h or 7d
    #[arg(long, value_name = "TIME|AGE", value_parser = parse_moment, help_heading = "Filters")]
    pub(crate) older_than: Option<Timestamp>,
    /// Only names of at most so many pieces; 1: the folder itself
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Filters")]
    pub(crate) max_depth: Option<u32>,
}

impl TreeArgs {
    /// Whether any of this was asked for: one file is then copied as a tree of one.
    pub(crate) fn any(&self) -> bool {
        self.first().is_some()
    }

    /// The first flag that was given.
    pub(crate) fn first(&self) -> Option<&'static str> {
        let given = [
            (self.dry_run, "--dry-run"),
            (self.no_clobber, "--no-clobber"),
            (self.update, "--update"),
            (self.size_only, "--size-only"),
            (self.fail_fast, "--fail-fast"),
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
    /// What to copy: a folder, s3://BUCKET/PREFIX or local://BUCKET/PREFIX
    #[arg(value_name = "SOURCE", value_parser = OsStringValueParser::new().try_map(|text| Target::parse(&text)))]
    pub(crate) source: Target,
    /// Where to
    #[arg(value_name = "TARGET", value_parser = OsStringValueParser::new().try_map(|text| Target::parse(&text)))]
    pub(crate) target: Target,
    /// Remove what only the target has, after everything else has succeeded
    #[arg(long)]
    pub(crate) delete: bool,
    /// With --delete: also if the source has no files at all
    #[arg(long, requires = "delete")]
    pub(crate) force: bool,
    /// Compare contents instead of times, by checksums and ETags, without a download
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

/// How the bytes of a sync travel: as of a copy, but what proves them is not chosen.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub(crate) struct SyncTransferArgs {
    /// Size of parts: 8MiB, 64M or bytes [default: by length, 8MiB at least]
    #[arg(long, value_name = "SIZE", value_parser = parse_size_above_zero)]
    pub(crate) part_size: Option<u64>,
    #[command(flatten)]
    pub(crate) effort: EffortArgs,
    /// Fail when a part cannot be proven to have arrived whole
    #[arg(long)]
    pub(crate) require_proof: bool,
    /// Files smaller than this go in one request [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) multipart_threshold: Option<u64>,
}

#[derive(Debug, Args)]
#[command(override_usage = "haul mv [OPTIONS] <SOURCE>... <TARGET>")]
pub(crate) struct MvArgs {
    /// What to move: files, folders with -r, s3://BUCKET/KEY, local://BUCKET/KEY
    #[arg(value_name = "SOURCE", value_parser = OsStringValueParser::new().try_map(|text| Target::parse(&text)))]
    pub(crate) source: Target,
    /// Where to; a bucket, a folder, or what ends in / gets the source's name behind it
    #[arg(value_name = "TARGET", value_parser = OsStringValueParser::new().try_map(|text| Target::parse(&text)))]
    pub(crate) target: Target,
    /// More; the last one is the target
    #[arg(value_name = "TARGET", hide = true, value_parser = OsStringValueParser::new().try_map(|text| Target::parse(&text)))]
    pub(crate) more: Vec<Target>,
    /// Folders and prefixes, with everything below them
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

/// Reads a time, or how long ago it was.
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
