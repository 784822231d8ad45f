//! `haul cp SOURCE TARGET`: copies a file into a store, an object into a file, or an object into a
//! store.
//!
//! Refuses impossible requests before sending anything. The transfer itself is the engine's work.

use std::path::Path;

use haul::parts::limits::PUT_OBJECT_MAX_BYTES;
use haul::{EngineOptions, ObjectAttributes, StreamOptions, Unfinished, UploadOptions};

use super::copy::{Copying, copy};
use super::download::{self, DownloadJournal, Fetching, fetch};
use super::pinned_flags::PinnedFlags;
use super::receipt::ReceiptFile;
use super::stream::{self, StreamOrigin, StreamSending};
use super::stream_journal::StreamMemory;
use super::tree;
use super::upload::{Remembering, Sending, UploadSource, send};
use crate::args::{
    CpArgs, ObjectOptionArgs, PartSizeArg, ReceiptArgs, RememberArgs, RequestArgs, StoreArgs,
    StreamArgs, TransferArgs,
};
use crate::exit::Exit;
use crate::failure::Usage;
use crate::object_attributes::attributes;
use crate::output::Mode;
use crate::size::human_size;
use crate::target::{Address, Target};

/// Runs the copy.
pub(crate) async fn run(store: &StoreArgs, args: CpArgs, mode: Mode) -> anyhow::Result<Exit> {
    if !args.stream.from_command {
        let words = words(&args)?;
        if tree::is_tree(&words, args.recursive, &args.tree) {
            refuse_flags_of_streams(&args.stream)?;
            refuse_receipts_of_trees(&args.receipt)?;
            return Box::pin(tree::copy(store, words, args, mode)).await;
        }
    }
    let sides = sides(&args)?;
    let receipt = ReceiptFile::of(&args.receipt)?;
    if receipt.is_some() && !is_upload(&sides) {
        return Err(Usage::new(
            "--receipt is for uploads; this is a download or a copy",
            "leave it out; haul verify compares a file with an object",
        )
        .into());
    }
    if !matches!(sides, Sides::Stream(_)) {
        refuse_flags_of_streams(&args.stream)?;
    }
    if let Sides::Two(Target::Store(from), Target::Store(to)) = &sides {
        let copying = Copying::of(store, from, to, args)?;
        return Box::pin(copy(store, copying, mode, &mut None)).await;
    }
    args.source_store.refuse_unless_copied()?;
    store.requests.refuse_unless_copied()?;
    let CpArgs { transfer, remember, object, stream, command, .. } = args;
    let (source, target) = match sides {
        Sides::Two(source, target) => (source, target),
        Sides::Stream(address) => {
            let origin = if stream.from_command {
                StreamOrigin::Command(command)
            } else {
                StreamOrigin::Stdin
            };
            stream::refuse_flags_of_files(&remember)?;
            let memory = StreamMemory {
                resume: stream.resume,
                pinned: PinnedFlags::of(&transfer, &attributes(&object, &store.requests)?),
                abort_on_interrupt: remember.abort_on_interrupt,
            };
            let limits = transfer.effort.limits();
            let mut upload = upload_options(&transfer, object, &store.requests)?;
            let content_type = &mut upload.attributes.content_type;
            *content_type =
                content_type.take().or_else(|| guess_content_type(&address.key, Path::new("")));
            let options = stream_options(stream, &origin, upload);
            let sending = StreamSending { origin, address, options, limits, memory, receipt };
            return Box::pin(stream::send(store, sending, mode)).await;
        }
    };
    match (source, target) {
        (Target::Path(path), Target::Store(address)) => {
            let pinned = PinnedFlags::of(&transfer, &attributes(&object, &store.requests)?);
            let limits = transfer.effort.limits();
            let mut options = upload_options(&transfer, object, &store.requests)?;
            options.on_change = remember.on_change.unwrap_or_default().into();
            refuse_adoption_with_protection(&remember, &options)?;
            options.unfinished =
                if remember.adopt { Unfinished::Adopt } else { Unfinished::Report };
            let options = (options, limits, pinned);
            upload(store, &path, &address, options, &remember, receipt, mode).await
        }
        (Target::Store(address), Target::Path(path)) => {
            let limits = download_limits(&transfer, &remember, &object)?;
            let fetching = Fetching {
                target: download::FileTarget::Path(address.file_for(&path).map_err(Usage::from)?),
                address,
                part_size_bytes: transfer.part_size_bytes(),
                limits,
                remembered: if remember.no_journal {
                    DownloadJournal::No
                } else {
                    DownloadJournal::ByTarget
                },
                abort_on_interrupt: remember.abort_on_interrupt,
            };
            Box::pin(fetch(store, fetching, mode, &mut None)).await
        }
        (Target::Stream, _) => Err(Usage::new(
            "a stream goes into a store",
            "write s3://BUCKET/KEY or local://BUCKET/KEY as the target",
        )
        .into()),
        (Target::Store(_), Target::Stream) if mode == Mode::Json => Err(Usage::new(
            "the object and what --json prints would both go to standard output",
            "leave --json out, or name a file",
        )
        .into()),
        (Target::Store(address), Target::Stream) => {
            let fetching = Fetching {
                target: download::FileTarget::Stdout,
                address,
                part_size_bytes: transfer.part_size_bytes(),
                limits: download_limits(&transfer, &remember, &object)?,
                remembered: DownloadJournal::No,
                abort_on_interrupt: true,
            };
            Box::pin(fetch(store, fetching, mode, &mut None)).await
        }
        (Target::Path(_), Target::Stream) => Err(Usage::new(
            "both are of this machine",
            "one side must be s3://BUCKET/KEY or local://BUCKET/KEY",
        )
        .into()),
        (Target::Store(_), Target::Store(_)) => {
            unreachable!("copies between stores are taken above")
        }
        (Target::Path(_), Target::Path(_)) => Err(Usage::new(
            "both are files of this machine",
            "one side must be s3://BUCKET/KEY or local://BUCKET/KEY",
        )
        .into()),
    }
}

/// The two sides of a copy.
enum Sides {
    /// A file or object, and its target.
    Two(Target, Target),
    /// A stream, uploaded to this address.
    Stream(Address),
}

/// Returns the sources and the target. The arguments after `--` are the command of
/// `--from-command`; without that flag they are sources, as with every program.
fn words(args: &CpArgs) -> Result<Vec<Target>, Usage> {
    let named = [&args.source, &args.target].into_iter().flatten().chain(&args.more);
    let mut words: Vec<Target> = named.cloned().collect();
    if !args.stream.from_command {
        for word in &args.command {
            words.push(Target::parse(word)?);
        }
    }
    Ok(words)
}

/// Refuses `--receipt` for more than one object.
fn refuse_receipts_of_trees(receipt: &ReceiptArgs) -> Result<(), Usage> {
    match receipt.receipt {
        Some(_) => Err(Usage::new(
            "--receipt is for one file; this copies several",
            "leave it out: haul verify DIR s3://BUCKET/PREFIX proves the whole folder",
        )),
        None => Ok(()),
    }
}

/// Returns whether the source is local and the target is in a store.
fn is_upload(sides: &Sides) -> bool {
    matches!(sides, Sides::Stream(_) | Sides::Two(Target::Path(_), Target::Store(_)))
}

fn sides(args: &CpArgs) -> Result<Sides, Usage> {
    let named = words(args)?;
    if args.stream.from_command {
        return match <[Target; 1]>::try_from(named) {
            Ok([Target::Store(address)]) => Ok(Sides::Stream(address)),
            _ => Err(Usage::new(
                "--from-command takes one address, where the output goes, and the command behind \
                 --",
                "haul cp --from-command s3://BUCKET/KEY -- COMMAND",
            )),
        };
    }
    match <[Target; 2]>::try_from(named) {
        Ok([Target::Stream, Target::Store(address)]) => Ok(Sides::Stream(address)),
        Ok([source, target]) => Ok(Sides::Two(source, target)),
        Err(_) => Err(Usage::new(
            "haul cp takes one SOURCE and one TARGET",
            "with --from-command the words behind -- are the command",
        )),
    }
}

fn stream_options(
    stream: StreamArgs,
    origin: &StreamOrigin,
    upload: UploadOptions,
) -> StreamOptions {
    let defaults = StreamOptions::default();
    // With a given size of parts, an expected length may be too long; they grow in time instead.
    let is_free = upload.part_size_bytes.is_none() && stream.size.is_none();
    let of_origin = || origin.expected_size_bytes().filter(|_| is_free);
    StreamOptions {
        size_bytes: stream.size,
        expected_size_bytes: stream.expected_size.or_else(of_origin),
        spool_dir: stream.spool_dir.unwrap_or(defaults.spool_dir),
        upload,
        ..defaults
    }
}

fn refuse_flags_of_streams(stream: &StreamArgs) -> Result<(), Usage> {
    let given = [
        (stream.size.is_some(), "--size"),
        (stream.expected_size.is_some(), "--expected-size"),
        (stream.spool_dir.is_some(), "--spool-dir"),
        (stream.resume, "--resume"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, name)) => Err(Usage::new(
            format!("{name} is for streams"),
            "leave it out, or write - as the source: haul cp - s3://BUCKET/KEY",
        )),
        None => Ok(()),
    }
}

async fn upload(
    args: &StoreArgs,
    path: &Path,
    address: &Address,
    (mut options, limits, pinned): (UploadOptions, EngineOptions, PinnedFlags),
    remember: &RememberArgs,
    receipt: Option<ReceiptFile>,
    mode: Mode,
) -> anyhow::Result<Exit> {
    if path.is_dir() {
        return Err(Usage::new(
            format!("{} is a folder", path.display()),
            "add -r to copy it with everything below it",
        )
        .into());
    }
    let address = address.for_file(path).map_err(Usage::from)?;
    let content_type = &mut options.attributes.content_type;
    *content_type = content_type.take().or_else(|| guess_content_type(&address.key, path));
    keep_mtime(&mut options.attributes, path);
    let sending = Sending {
        file: UploadSource::Path(path.to_owned()),
        address,
        options,
        limits,
        journal: if remember.no_journal {
            Remembering::Nothing
        } else {
            Remembering::OfSource(Box::new(pinned))
        },
        abort_on_interrupt: remember.abort_on_interrupt,
        receipt,
    };
    Box::pin(send(args, sending, mode, &mut None)).await
}

/// Refuses `--adopt` with flags of protection: an adopted upload keeps what its first request asked
/// for, so the object might lack the protection without notice.
fn refuse_adoption_with_protection(
    remember: &RememberArgs,
    options: &UploadOptions,
) -> Result<(), Usage> {
    let mut protection = options.attributes.protection.clone();
    // Without the right key no part of such an upload can be sent.
    protection.customer_key_md5 = None;
    if !remember.adopt || protection.is_empty() {
        return Ok(());
    }
    Err(Usage::new(
        "--adopt continues an upload whose access, encryption and lock were decided at its start",
        "leave the flags of protection out, or --adopt",
    ))
}

pub(super) fn upload_options(
    transfer: &TransferArgs,
    object: ObjectOptionArgs,
    requests: &RequestArgs,
) -> Result<UploadOptions, Usage> {
    let defaults = UploadOptions::default();
    let multipart_threshold_bytes =
        transfer.multipart_threshold.unwrap_or(defaults.multipart_threshold_bytes);
    if multipart_threshold_bytes > PUT_OBJECT_MAX_BYTES {
        return Err(Usage::new(
            format!(
                "a multipart threshold of {} is too large",
                human_size(multipart_threshold_bytes)
            ),
            format!("one request takes at most {}", human_size(PUT_OBJECT_MAX_BYTES)),
        ));
    }
    Ok(UploadOptions {
        part_size_bytes: transfer.part_size_bytes(),
        part_size_by_round_trip: transfer.part_size == Some(PartSizeArg::Auto),
        multipart_threshold_bytes,
        checksum: transfer
            .checksum
            .map_or(defaults.checksum, crate::args::ChecksumChoice::algorithm),
        require_proof: transfer.require_proof,
        attributes: attributes(&object, requests)?,
        if_none_match: object.if_none_match,
        if_match: object.if_match.map(Into::into),
        ..defaults
    })
}

/// Returns the limits of a download and refuses options that it would silently ignore.
pub(super) fn download_limits(
    transfer: &TransferArgs,
    remember: &RememberArgs,
    object: &ObjectOptionArgs,
) -> Result<EngineOptions, Usage> {
    let given = [
        (transfer.checksum.is_some(), "--checksum"),
        (transfer.require_proof, "--require-proof"),
        (transfer.multipart_threshold.is_some(), "--multipart-threshold"),
        (remember.adopt, "--adopt"),
        (remember.on_change.is_some(), "--on-change"),
        (object.content_type.is_some(), "--content-type"),
        (object.cache_control.is_some(), "--cache-control"),
        (object.content_disposition.is_some(), "--content-disposition"),
        (object.content_encoding.is_some(), "--content-encoding"),
        (object.storage_class.is_some(), "--storage-class"),
        (!object.metadata.is_empty(), "--metadata"),
        (object.if_none_match, "--if-none-match"),
        (object.if_match.is_some(), "--if-match"),
    ];
    let first = given.iter().find(|(given, _)| *given).map(|(_, name)| *name);
    match first.or_else(|| object.more.first()) {
        Some(name) => Err(Usage::new(
            format!("{name} is for uploads; this is a download"),
            "leave it out: the store's own checksums verify a download",
        )),
        None => Ok(transfer.effort.limits()),
    }
}

/// Adds the file's modification time as metadata `mtime`, as rclone does. An explicit
/// `--metadata mtime=…` takes precedence.
fn keep_mtime(attributes: &mut ObjectAttributes, path: &Path) {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    if let Some(value) = modified.ok().and_then(haul::transfer::mtime_value) {
        attributes.metadata.entry(haul::transfer::MTIME_METADATA.to_owned()).or_insert(value);
    }
}

/// Guesses the content type by the extension of the key, which readers see; else by that of the
/// file.
pub(super) fn guess_content_type(key: &str, path: &Path) -> Option<String> {
    let guess = mime_guess::from_path(key).first().or_else(|| mime_guess::from_path(path).first());
    guess.map(|mime| mime.essence_str().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn cp(line: &str) -> (TransferArgs, ObjectOptionArgs) {
        let args = cp_args(line);
        (args.transfer, args.object)
    }

    fn cp_args(line: &str) -> CpArgs {
        let cli = Cli::try_parse_from(format!("haul cp a s3://bucket/b {line}").split_whitespace())
            .unwrap();
        match cli.command {
            Command::Cp(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_flags_the_engines_defaults_hold() {
        let (transfer, object) = cp("");
        let given = upload_options(&transfer, object, &RequestArgs::default()).unwrap();
        assert_eq!(format!("{given:?}"), format!("{:?}", UploadOptions::default()));
    }

    #[test]
    fn flags_reach_the_engine() {
        let (transfer, object) =
            cp("--part-size 64M --concurrency 3 --memory 1GiB --checksum none --max-attempts 2 \
             --metadata Owner=me --storage-class GLACIER --if-match abc --require-proof");
        let limits = transfer.effort.limits();
        let given = upload_options(&transfer, object, &RequestArgs::default()).unwrap();
        assert_eq!(given.part_size_bytes, Some(64 << 20));
        assert_eq!((limits.concurrency, limits.memory_budget_bytes), (3.into(), 1 << 30));
        assert_eq!((given.checksum, given.require_proof), (None, true));
        assert_eq!(limits.retry.attempts_max, 2);
        assert_eq!(given.attributes.metadata["owner"], "me");
        assert_eq!(given.attributes.storage_class.as_deref(), Some("GLACIER"));
        assert_eq!(given.if_match, Some("\"abc\"".into()));
    }

    #[test]
    fn a_threshold_above_what_one_request_takes_is_refused() {
        let (transfer, object) = cp("--multipart-threshold 6GiB");
        let refused = upload_options(&transfer, object, &RequestArgs::default()).unwrap_err();
        insta::assert_snapshot!(refused, @"a multipart threshold of 6.0 GiB is too large");
    }

    #[test]
    fn an_option_that_a_download_would_ignore_is_refused() {
        let options = |line: &str| {
            let CpArgs { transfer, remember, object, .. } = cp_args(line);
            download_limits(&transfer, &remember, &object)
        };
        insta::assert_snapshot!(options("--if-match abc").unwrap_err(), @"--if-match is for \
            uploads; this is a download");
        insta::assert_snapshot!(options("--adopt").unwrap_err(), @"--adopt is for uploads; this is \
            a download");
        assert_eq!(options("--max-attempts 3").unwrap().retry.attempts_max, 3);
    }

    #[test]
    fn content_types_come_from_the_key_then_from_the_file() {
        let guess = |key: &str, path: &str| guess_content_type(key, Path::new(path));
        assert_eq!(guess("a/photo.jpg", "tmp1234").as_deref(), Some("image/jpeg"));
        assert_eq!(guess("backup", "notes.txt").as_deref(), Some("text/plain"));
        assert_eq!(guess("backup", "tmp1234"), None);
    }
}
