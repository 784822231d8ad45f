//! The arguments of the command line. Declarations only; the commands are in `commands/`.
//!
//! Doc comments here are the help texts: written for the reader of `haul --help` and pinned by a
//! snapshot.

mod attributes;
mod concurrency;
mod doctor;
mod filter;
mod listing;
mod part_size;
mod removal;
mod requests;
mod run;
mod sharing;
mod source_store;
mod stream;
mod transfers;
mod tree;
mod verify;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use haul::pace::RetryPolicy;
use haul::parts::ChecksumAlgorithm;
use haul::remote::StoreKind;
use haul::{Concurrency, EngineOptions};

pub(crate) use self::attributes::AttributeArgs;
pub(crate) use self::concurrency::ConcurrencyArg;
pub(crate) use self::doctor::DoctorArgs;
pub(crate) use self::filter::FilterArgs;
pub(crate) use self::listing::{DuArgs, LsArgs};
pub(crate) use self::part_size::PartSizeArg;
pub(crate) use self::removal::{RbArgs, RmArgs};
pub(crate) use self::requests::RequestArgs;
pub(crate) use self::run::RunArgs;
pub(crate) use self::sharing::{CatArgs, PresignArgs};
pub(crate) use self::source_store::SourceStoreArgs;
pub(crate) use self::stream::StreamArgs;
pub(crate) use self::transfers::{AbortArgs, AbortTarget, ForgetArgs, ResumeArgs};
pub(crate) use self::tree::{MvArgs, SyncArgs, TreeArgs};
pub(crate) use self::verify::{HashArgs, ReceiptArgs, StatArgs, VerifyArgs};
use crate::bandwidth::{self, BandwidthArg};
use crate::size::{parse_size, parse_size_above_zero};
use crate::target::{Address, Listed, Target};

/// Reliable S3 transfers for files that are too big to fail: in parts, in parallel, every part
/// proven
#[derive(Debug, Parser)]
#[command(name = "haul", version, max_term_width = 100, arg_required_else_help = true)]
#[command(subcommand_value_name = "COMMAND")]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 interrupted, 4 outcome in doubt, \
    5 parts left behind, 6 source changed, 7 not proven, 8 condition not met, \
    9 cannot be proven."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy files and folders to a store, objects to files, or objects to a store
    Cp(Box<CpArgs>),
    /// Copy what is new or changed from a folder or prefix to another
    Sync(Box<SyncArgs>),
    /// Move files: copy, verify, then remove the source
    Mv(Box<MvArgs>),
    /// List the unfinished uploads of a store, with bytes and cost; without an address: haul
    /// transfers
    Uploads(UploadsArgs),
    /// List this machine's unfinished transfers
    Transfers,
    /// Resume unfinished transfers
    Resume(ResumeArgs),
    /// Remove unfinished uploads at their stores
    Abort(AbortArgs),
    /// Drop the record of an unfinished upload whose store or bucket is gone
    Forget(ForgetArgs),
    /// Remove the unfinished uploads of a store that are idle for days
    Sweep(SweepArgs),
    /// Show a bucket's lifecycle rules, or let the store abort unfinished uploads by itself
    Lifecycle(LifecycleArgs),
    /// List buckets, or the objects below a prefix
    Ls(LsArgs),
    /// Show everything that a store tells of an object
    #[command(visible_alias = "head")]
    Stat(StatArgs),
    /// Compare a file or a folder with a store, without downloading it
    Verify(VerifyArgs),
    /// Print the ETag and the checksums that S3 would give to a file
    Hash(HashArgs),
    /// Check a store: permissions, what it verifies and ignores, how fast it is
    Doctor(DoctorArgs),
    /// Make a bucket
    Mb(BucketArgs),
    /// Count the objects and bytes below a prefix, by storage class
    Du(DuArgs),
    /// Write objects to standard output
    Cat(CatArgs),
    /// Print a URL that lets its holder read or write an object for a while
    Presign(PresignArgs),
    /// Remove objects: by key, below a folder, or by a pattern
    Rm(RmArgs),
    /// Remove a bucket
    Rb(RbArgs),
    /// Run the commands of a file, one per line, over one engine
    Run(RunArgs),
    /// Serve a folder of this machine as an S3 endpoint
    Serve(ServeArgs),
    /// Check the folder of haul serve and local://
    Store(FolderArgs),
    /// Show where each value of the configuration comes from, and the named remotes
    Config,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write man pages into a folder
    Man(ManArgs),
}

/// The store and the profile.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreArgs {
    /// URL of the store [default: AWS_ENDPOINT_URL, the profile's, or AWS]
    #[arg(long, global = true, value_name = "URL", alias = "endpoint-url")]
    pub(crate) endpoint: Option<String>,
    /// Region of the store [default: AWS_REGION, the profile's, or us-east-1]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) region: Option<String>,
    /// Profile of ~/.aws/config and ~/.aws/credentials [default: AWS_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Limits and abilities of the store: aws, r2, b2, ceph-rgw, generic, … [default: by the
    /// endpoint and the answers] [env: HAUL_STORE_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) store_profile: Option<StoreKind>,
    /// Bucket in the path: http://host/bucket/key [default but for AWS]
    #[arg(long, global = true, conflicts_with = "virtual_host_style")]
    pub(crate) path_style: bool,
    /// Bucket in the host name: http://bucket.host/key [default for AWS]
    #[arg(long, global = true)]
    pub(crate) virtual_host_style: bool,
    /// PEM file of CAs to trust [default: AWS_CA_BUNDLE, or the system's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Accept every certificate: others may then read and change the bytes
    #[arg(long, global = true, conflicts_with = "ca_bundle")]
    pub(crate) no_verify_ssl: bool,
    /// A store from haul.toml: sets its --endpoint, --profile and so on
    #[arg(long, global = true, value_name = "NAME")]
    #[allow(dead_code)]
    // `config/remotes.rs` replaces this flag with those flags before clap reads the line.
    pub(crate) remote: Option<String>,
    /// Folder of local:// and haul serve [default: $XDG_DATA_HOME/haul/store] [env: HAUL_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) requests: RequestArgs,
}

/// The kind of output.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// One JSON object per line on stdout, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show no bar and no progress lines
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// Print only errors
    #[arg(short, long, global = true, conflicts_with_all = ["json", "verbose"])]
    pub(crate) quiet: bool,
    /// Log requests to stderr; -vv: retries and decisions; -vvv: the wire, without secrets
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Args)]
#[command(override_usage = "haul cp [OPTIONS] <SOURCE>... <TARGET>\n       \
        haul cp [OPTIONS] --from-command <TARGET> -- <COMMAND>...")]
pub(crate) struct CpArgs {
    /// Sources: files, folders with -r, s3://BUCKET/KEY, local://BUCKET/KEY, 's3://BUCKET/*.gz', or
    /// - for standard input
    #[arg(value_name = "SOURCE", value_parser = parse_target())]
    #[arg(required_unless_present = "command")]
    pub(crate) source: Option<Target>,
    /// Target; a bucket, a folder, or a target that ends in / gets the source's name appended
    #[arg(value_name = "TARGET", value_parser = parse_target())]
    #[arg(required_unless_present = "command")]
    pub(crate) target: Option<Target>,
    /// More sources; the last argument is the target
    #[arg(value_name = "TARGET", hide = true, value_parser = parse_target())]
    pub(crate) more: Vec<Target>,
    /// Include folders and prefixes with everything below them
    #[arg(short, long)]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
    /// With --from-command: the command and its arguments
    #[arg(value_name = "COMMAND", last = true)]
    pub(crate) command: Vec<std::ffi::OsString>,
    #[command(flatten)]
    pub(crate) stream: StreamArgs,
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    #[command(flatten)]
    pub(crate) remember: RememberArgs,
    #[command(flatten)]
    pub(crate) object: ObjectOptionArgs,
    #[command(flatten)]
    pub(crate) receipt: ReceiptArgs,
    #[command(flatten)]
    pub(crate) source_store: SourceStoreArgs,
}

/// The handling of interrupted and changed uploads.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Interruptions (uploads)")]
pub(crate) struct RememberArgs {
    /// Keep no journal: a failed or interrupted upload is removed at the store
    #[arg(long)]
    pub(crate) no_journal: bool,
    /// Ctrl-C removes the sent parts, instead of pausing
    #[arg(long)]
    pub(crate) abort_on_interrupt: bool,
    /// Resume an unfinished upload of the key that is at the store and in no journal here, if its
    /// parts match this file
    #[arg(long, conflicts_with = "no_journal")]
    pub(crate) adopt: bool,
    /// If an upload is resumed and the file has changed [default: resend]
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) on_change: Option<OnChangeChoice>,
}

/// How to resume an upload whose file changed between two runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnChangeChoice {
    /// Compare every part and send those that differ
    #[default]
    Resend,
    /// Stop with an error
    Fail,
}

impl From<OnChangeChoice> for haul::OnChange {
    fn from(choice: OnChangeChoice) -> Self {
        match choice {
            OnChangeChoice::Resend => Self::Resend,
            OnChangeChoice::Fail => Self::Fail,
        }
    }
}

/// The division and the proof of the bytes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub(crate) struct TransferArgs {
    /// Size of parts: 8MiB, 64M or bytes; or auto for larger ones on long links [default: by
    /// length, 8MiB at least]
    #[arg(long, value_name = "SIZE|auto", value_parser = PartSizeArg::parse)]
    pub(crate) part_size: Option<PartSizeArg>,
    #[command(flatten)]
    pub(crate) effort: EffortArgs,
    /// Checksum that the store verifies for every part [default: crc64nvme]
    #[arg(long, value_name = "NAME", value_enum, ignore_case = true)]
    #[arg(alias = "checksum-algorithm")]
    pub(crate) checksum: Option<ChecksumChoice>,
    /// Fail if a part cannot be proven to have arrived intact
    #[arg(long)]
    pub(crate) require_proof: bool,
    /// Files smaller than this are sent in one request [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) multipart_threshold: Option<u64>,
}

impl TransferArgs {
    /// Returns the part size in bytes, if one was given.
    pub(crate) fn part_size_bytes(&self) -> Option<u64> {
        self.part_size.and_then(PartSizeArg::bytes)
    }
}

/// The limits of one run; a resumed upload may have others.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub(crate) struct EffortArgs {
    /// Maximum parts in flight: a number, or auto for as many as the link is worth [default: auto]
    #[arg(long, value_name = "N|auto", value_parser = ConcurrencyArg::parse)]
    pub(crate) concurrency: Option<ConcurrencyArg>,
    /// Maximum bytes of parts held in memory [default: 128MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size_above_zero)]
    pub(crate) memory: Option<u64>,
    /// Attempts per request before giving up [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) max_attempts: Option<u32>,
    /// Maximum bytes per second, up and down together: 20MiB/s, a timetable such as
    /// 08:00-18:00=5MiB/s,off, or @FILE, which is read again on SIGUSR1
    #[arg(long, value_name = "LIMIT", value_parser = BandwidthArg::parse)]
    pub(crate) bandwidth: Option<BandwidthArg>,
}

impl EffortArgs {
    /// Returns the engine's limits for this run.
    pub(crate) fn limits(&self) -> EngineOptions {
        self.limits_with(Concurrency::default())
    }

    /// Returns the engine's limits for this run; `auto` is the concurrency unless a number is
    /// given.
    pub(crate) fn limits_with(&self, auto: Concurrency) -> EngineOptions {
        if let Some(limit) = &self.bandwidth {
            bandwidth::follow(limit);
        }
        let defaults = EngineOptions::default();
        EngineOptions {
            concurrency: self.concurrency.map_or(auto, |wanted| wanted.or(auto)),
            memory_budget_bytes: self.memory.unwrap_or(defaults.memory_budget_bytes),
            retry: RetryPolicy {
                attempts_max: self.max_attempts.unwrap_or(defaults.retry.attempts_max),
                ..defaults.retry
            },
            bandwidth: bandwidth::shared(),
            writes_in_place: true,
        }
    }
}

/// The attributes of the object, and the conditions of the write.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Object (uploads and copies)")]
pub(crate) struct ObjectOptionArgs {
    /// Content-Type [default: guessed from the key's extension; of a copy, the source's]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// Cache-Control
    #[arg(long, value_name = "TEXT")]
    pub(crate) cache_control: Option<String>,
    /// Content-Disposition
    #[arg(long, value_name = "TEXT")]
    pub(crate) content_disposition: Option<String>,
    /// Content-Encoding
    #[arg(long, value_name = "TEXT")]
    pub(crate) content_encoding: Option<String>,
    /// Storage class, such as STANDARD_IA
    #[arg(long, value_name = "CLASS")]
    pub(crate) storage_class: Option<String>,
    /// Metadata of the object (x-amz-meta-NAME); may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_metadata)]
    pub(crate) metadata: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) more: AttributeArgs,
    /// Fail if the object exists
    #[arg(long, conflicts_with = "if_match")]
    pub(crate) if_none_match: bool,
    /// Fail unless the object is still this version
    #[arg(long, value_name = "ETAG")]
    pub(crate) if_match: Option<String>,
}

/// A checksum algorithm, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChecksumChoice {
    Crc64nvme,
    Crc32c,
    Crc32,
    Sha1,
    Sha256,
    Sha512,
    Xxhash3,
    Xxhash64,
    Xxhash128,
    Md5,
    None,
}

impl ChecksumChoice {
    /// Returns the engine's algorithm.
    pub(crate) const fn algorithm(self) -> Option<ChecksumAlgorithm> {
        match self {
            Self::Crc64nvme => Some(ChecksumAlgorithm::Crc64Nvme),
            Self::Crc32c => Some(ChecksumAlgorithm::Crc32c),
            Self::Crc32 => Some(ChecksumAlgorithm::Crc32),
            Self::Sha1 => Some(ChecksumAlgorithm::Sha1),
            Self::Sha256 => Some(ChecksumAlgorithm::Sha256),
            Self::Sha512 => Some(ChecksumAlgorithm::Sha512),
            Self::Xxhash3 => Some(ChecksumAlgorithm::Xxhash3),
            Self::Xxhash64 => Some(ChecksumAlgorithm::Xxhash64),
            Self::Xxhash128 => Some(ChecksumAlgorithm::Xxhash128),
            Self::Md5 => Some(ChecksumAlgorithm::Md5),
            Self::None => None,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UploadsArgs {
    /// Uploads to list: s3://BUCKET/PREFIX, s3:// for every bucket, or local://
    #[arg(value_name = "ADDRESS", value_parser = Listed::parse)]
    pub(crate) address: Option<Listed>,
    /// Order: the longest idle first, the largest first, or by key
    #[arg(long, value_name = "BY", value_enum, default_value_t = SortBy::Age)]
    pub(crate) sort: SortBy,
    /// Only uploads that received nothing for this time: 36h, 7d
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub(crate) older_than: Option<Duration>,
    /// A table of prices that overrides the built-in one [default: HAUL_PRICES]
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
}

/// An order of unfinished uploads.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SortBy {
    /// The longest idle first.
    Age,
    /// The largest first.
    Bytes,
    /// By key.
    Key,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SweepArgs {
    /// Uploads to remove: s3://BUCKET or s3://BUCKET/PREFIX
    #[arg(value_name = "ADDRESS", value_parser = Address::parse)]
    pub(crate) address: Address,
    /// Only uploads that received nothing for this time
    #[arg(long, value_name = "AGE", value_parser = parse_age_or_zero, default_value = "7d")]
    pub(crate) older_than: Duration,
    /// Only show what would be removed
    #[arg(long, alias = "dryrun")]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Also uploads of this machine whose source file is gone
    #[arg(long)]
    pub(crate) include_mine: bool,
    /// A table of prices that overrides the built-in one [default: HAUL_PRICES]
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LifecycleArgs {
    /// Bucket: s3://BUCKET
    #[arg(value_name = "BUCKET", value_parser = Address::parse_bucket)]
    pub(crate) bucket: Address,
    /// Install a rule that aborts uploads unfinished after this many days: 7d
    #[arg(long, value_name = "AGE", value_parser = parse_days, conflicts_with = "remove")]
    pub(crate) abort_after: Option<u32>,
    /// Only for keys with this prefix
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<String>,
    /// Remove the rules that haul installed
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BucketArgs {
    /// s3://BUCKET or local://BUCKET
    #[arg(value_name = "BUCKET", value_parser = Address::parse_bucket)]
    pub(crate) bucket: Address,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address and port; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8014")]
    pub(crate) listen: SocketAddr,
    /// Let other machines connect without TLS; bytes then cross the network unencrypted
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// Certificate chain to serve https with, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// More key pairs with their permissions, as TOML; read again on SIGHUP
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Bucket whose objects can be read without keys; may be repeated
    #[arg(long, value_name = "BUCKET")]
    pub(crate) public_read: Vec<haul_parts::Bucket>,
    /// Declare that the folder is on an encrypted volume: x-amz-server-side-encryption: AES256 is
    /// then accepted
    #[arg(long)]
    pub(crate) volume_is_encrypted: bool,
    /// Abort uploads that are unfinished after this time: 36h, 7d
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub(crate) expire_uploads: Option<Duration>,
    /// Address of /health and /metrics, in plain http [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin_listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
#[command(subcommand_value_name = "COMMAND")]
pub(crate) struct FolderArgs {
    #[command(subcommand)]
    pub(crate) command: FolderCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FolderCommand {
    /// Read everything, verify every checksum, and report damage
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The folder [default: --data, HAUL_DATA_DIR, or $XDG_DATA_HOME/haul/store]
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Remove files that nothing refers to; damaged data stays unchanged
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell of the script
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder, such as ~/.local/share/man/man1
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// Parses an argument of `haul cp`, which may be a path that is not UTF-8.
fn parse_target() -> impl TypedValueParser<Value = Target> {
    OsStringValueParser::new().try_map(|text| Target::parse(&text))
}

/// Parses `36h` or `7d`; a day has 24 hours.
fn parse_age(text: &str) -> Result<Duration, String> {
    let span = text.parse::<jiff::Span>().map_err(|_| "write a time such as 36h or 7d")?;
    let age = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
    match age.map(Duration::try_from) {
        Ok(Ok(age)) if !age.is_zero() => Ok(age),
        _ => Err("write a time above zero in weeks, days, hours, minutes or seconds".to_owned()),
    }
}

/// As [`parse_age`], and `0s`.
fn parse_age_or_zero(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" | "0m" | "0h" | "0d" => Ok(Duration::ZERO),
        other => parse_age(other),
    }
}

/// Parses whole days, the unit of lifecycle rules.
fn parse_days(text: &str) -> Result<u32, String> {
    const DAY_SECONDS: u64 = 24 * 3600;
    let seconds = parse_age(text)?.as_secs();
    match u32::try_from(seconds / DAY_SECONDS) {
        Ok(days) if days > 0 && seconds % DAY_SECONDS == 0 => Ok(days),
        _ => Err("write whole days, such as 7d".to_owned()),
    }
}

/// Parses `name=value`; names become lower case, as S3 stores them.
fn parse_metadata(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    // Header values must be ASCII: clients decode other characters differently.
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("{name:?} cannot be the name of a header"));
    }
    if !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
        return Err(format!("the value of {name} must be printable ASCII"));
    }
    Ok((name.to_ascii_lowercase(), value.to_owned()))
}

#[cfg(test)]
mod tests;
