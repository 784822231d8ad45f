//! A copy from store to store: `haul cp s3://a/k s3://b/k`.

use std::sync::Arc;
use std::time::Instant;

use haul::{CopyOptions, EngineOptions, Error as EngineError, Subject};

use super::copy_journal::RememberedCopy;
use super::pinned_flags::PinnedFlags;
use super::summary::{self, Journey};
use super::upload::make_bucket_if_promised;
use crate::args::{CpArgs, SourceStoreArgs, StoreArgs};
use crate::exit::Exit;
use crate::failure::{Condition, FailureContext, Usage};
use crate::interrupt::{Interrupts, Role};
use crate::leftover_notice::{LeftoverNotice, OnInterrupt};
use crate::object_attributes::attributes;
use crate::output::{Mode, visible};
use crate::progress::View;
use crate::store::{self, OpenedStore};
use crate::target::{Address, Scheme};
use crate::transfer::drive;
use crate::upload_locator::UploadLocator;

/// The arguments of one copy.
pub(super) struct Copying {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) options: CopyOptions,
    pub(super) limits: EngineOptions,
    /// The store of the source, if it differs from the target's.
    pub(super) source_store: Option<StoreArgs>,
    /// The journal, so that the copy can be resumed later.
    pub(super) journal: RememberedCopy,
    /// If true, an interrupt aborts the copy instead of pausing it.
    pub(super) abort_on_interrupt: bool,
}

impl Copying {
    /// Creates the copy of a command line.
    pub(super) fn of(
        store: &StoreArgs,
        from: &Address,
        to: &Address,
        args: CpArgs,
    ) -> Result<Self, Usage> {
        refuse_what_copies_ignore(&args)?;
        let CpArgs { transfer, object, source_store, remember, .. } = args;
        from.exact_object().map_err(Usage::from)?;
        let attributes = attributes(&object, &store.requests)?;
        Ok(Self {
            to: to.for_key(from).map_err(Usage::from)?,
            from: from.clone(),
            source_store: other_store(store, source_store, from.scheme, to.scheme)?,
            limits: transfer.effort.limits(),
            journal: if remember.no_journal {
                RememberedCopy::No
            } else {
                RememberedCopy::ByPlace(Box::new(PinnedFlags::of(&transfer, &attributes)))
            },
            abort_on_interrupt: remember.abort_on_interrupt,
            options: CopyOptions {
                part_size_bytes: transfer.part_size_bytes(),
                require_proof: transfer.require_proof,
                if_none_match: object.if_none_match,
                if_match: object.if_match.clone().map(Into::into),
                attributes,
                on_change: remember.on_change.unwrap_or_default().into(),
                ..CopyOptions::default()
            },
        })
    }
}

/// Copies, and reports the outcome. `interrupts` as for [`super::upload::send`].
pub(super) async fn copy(
    args: &StoreArgs,
    copying: Copying,
    mode: Mode,
    interrupts: &mut Option<Interrupts>,
) -> anyhow::Result<Exit> {
    let Copying { from, to, mut options, limits, source_store, journal, abort_on_interrupt } =
        copying;
    let (source, target) =
        (from.exact_object().map_err(Usage::from)?, to.exact_object().map_err(Usage::from)?);
    let (from_text, to_text) = (visible(&from.to_string()), visible(&to.to_string()));
    let condition = match (options.if_none_match, &options.if_match) {
        (true, _) => Some(Condition::Absent),
        (false, Some(_)) => Some(Condition::Version),
        (false, None) => None,
    };
    let args_of_target = if to.scheme == Scheme::Local { of_local(args) } else { args.clone() };
    let opened_source = match (&source_store, journal.source()) {
        (_, Some(connection)) => {
            // The profile of the target does not apply to the source.
            let named = args.profile.clone().filter(|_| connection.profile().is_none());
            let requests = args.requests.of_source();
            let args = StoreArgs { profile: named, store_profile: None, requests, ..args.clone() };
            Some(store::open_recorded(connection, &args, mode).await?)
        }
        (Some(args), None) => Some(store::open(from.scheme, args, mode).await?),
        (None, None) => None,
    };
    let opened_reader = match &opened_source {
        Some(_) => None,
        None => open_reader(&journal, from.scheme, &args_of_target, mode).await?,
    };
    options.source_is_at_target = opened_reader.is_some();
    let opened = match journal.target() {
        Some(connection) => store::open_recorded(connection, args, mode).await,
        None => store::open(to.scheme, &args_of_target, mode).await,
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => {
            close(opened_source).await;
            close(opened_reader).await;
            return Err(error);
        }
    };
    let endpoint = opened.store.endpoint();
    let source_endpoint =
        opened_source.as_ref().map_or_else(|| endpoint.clone(), |it| it.store.endpoint());
    let mut locator = UploadLocator::Store {
        object: target.clone(),
        endpoint: opened.reach.clone(),
        profile: args.profile.clone(),
    };
    let started = Instant::now();
    let mut view =
        View::of_source(mode, super::name_of(&from_text), from_text.clone()).of_address(&to_text);
    let report = async {
        make_bucket_if_promised(&opened, &to).await?;
        if let Some((id, remembered)) =
            journal.of_copy((&source, opened_source.as_ref()), (&target, &opened))?
        {
            locator = UploadLocator::Journal(id);
            options.source_store = remembered.source_store;
            options.journal = Some(remembered.journal);
        }
        let interrupts = match interrupts {
            Some(interrupts) => interrupts,
            None => interrupts.insert(Interrupts::new(Role::Work)?),
        };
        let can_pause = locator.resume().is_some() && !abort_on_interrupt;
        let on_interrupt = if can_pause { OnInterrupt::Pause } else { OnInterrupt::Abort };
        let notice = LeftoverNotice::of_upload(on_interrupt, locator.clone());
        let engine = opened.engine(limits);
        let copy = match opened_source.as_ref().or(opened_reader.as_ref()) {
            Some(elsewhere) => {
                engine.copy_from(Arc::clone(&elsewhere.store), source.clone(), target, options)
            }
            None => engine.copy(source.clone(), target, options),
        };
        drive(copy, mode, &mut view, interrupts, notice).await
    };
    let report = report.await;
    let elapsed = started.elapsed();
    opened.close().await;
    close(opened_source).await;
    close(opened_reader).await;
    let report = report.map_err(|error| {
        let action = format!("cannot copy {from_text} to {to_text}");
        let doing = if concerns(&error, &source) {
            FailureContext::at(action, &from).through(source_endpoint)
        } else {
            FailureContext::at(action, &to).through(endpoint).under(condition).found_by(locator)
        };
        error.context(doing)
    })?;

    let journey = Journey { source: &from_text, target: &to_text, elapsed };
    let (line, summary) = summary::copied(journey, &report, view.retries());
    mode.event(&summary);
    mode.result(&line);
    Ok(Exit::Done)
}

/// Opens the connection that reads the source in the store of the target, if one is needed.
async fn open_reader(
    journal: &RememberedCopy,
    scheme: Scheme,
    args: &StoreArgs,
    mode: Mode,
) -> anyhow::Result<Option<OpenedStore>> {
    let reader = reader(args, None);
    let Some(recorded) = journal.target() else {
        return match &reader {
            Some(args) => Ok(Some(store::open(scheme, args, mode).await?)),
            None => Ok(None),
        };
    };
    match (reader, recorded.without_owner()) {
        (None, None) => Ok(None),
        (_, without_owner) => {
            let requests = args.requests.of_source();
            let args = StoreArgs { requests, ..args.clone() };
            let recorded = without_owner.as_ref().unwrap_or(recorded);
            Ok(Some(store::open_recorded(recorded, &args, mode).await?))
        }
    }
}

async fn close(opened: Option<OpenedStore>) {
    if let Some(opened) = opened {
        opened.close().await;
    }
}

/// Returns whether the error comes from the source.
fn concerns(error: &anyhow::Error, source: &haul::ObjectRef) -> bool {
    match error.downcast_ref::<EngineError>() {
        Some(EngineError::Store { subject, .. }) => *subject == Subject::from(source),
        Some(EngineError::ObjectChanged { object, .. }) => object == source,
        _ => false,
    }
}

/// Returns the flags of a connection that reads the source in the store of the target, if that
/// needs other request headers. `elsewhere`: the store of the source, if it is another.
pub(super) fn reader(store: &StoreArgs, elsewhere: Option<&StoreArgs>) -> Option<StoreArgs> {
    let needed = elsewhere.is_none() && store.requests.differ_for_source();
    needed.then(|| StoreArgs { requests: store.requests.of_source(), ..store.clone() })
}

/// Returns the store of the source, if it differs from the target's. Refuses `--source-endpoint`
/// and `--source-profile` for a `local://` source.
pub(super) fn other_store(
    store: &StoreArgs,
    source: SourceStoreArgs,
    from: Scheme,
    to: Scheme,
) -> Result<Option<StoreArgs>, Usage> {
    let SourceStoreArgs { source_endpoint, source_profile, .. } = source;
    let given = source_endpoint.is_some() || source_profile.is_some();
    let store_of_source = StoreArgs { requests: store.requests.of_source(), ..store.clone() };
    match (from, given) {
        (Scheme::Local, true) => Err(Usage::new(
            "--source-endpoint and --source-profile belong to s3://, and the source is local://",
            "leave them out, or write s3:// for the store that they name",
        )),
        (Scheme::Local, false) if to == Scheme::Local => Ok(None),
        (Scheme::Local, false) => Ok(Some(of_local(&store_of_source))),
        (Scheme::S3, false) if to == Scheme::S3 => Ok(None),
        // `--endpoint` and `--profile` can only belong to the `s3://` side.
        (Scheme::S3, false) => Ok(Some(store_of_source)),
        (Scheme::S3, true) => Ok(Some(StoreArgs {
            endpoint: source_endpoint,
            profile: source_profile.or_else(|| store.profile.clone()),
            // The flag belongs to the target.
            store_profile: None,
            region: None,
            ..store_of_source
        })),
    }
}

/// Removes the flags that name a store over the network.
pub(super) fn of_local(store: &StoreArgs) -> StoreArgs {
    StoreArgs {
        endpoint: None,
        profile: None,
        store_profile: None,
        virtual_host_style: false,
        ca_bundle: None,
        no_verify_ssl: false,
        ..store.clone()
    }
}

/// Refuses options that copies would silently ignore.
fn refuse_what_copies_ignore(args: &CpArgs) -> Result<(), Usage> {
    let given = [
        (args.transfer.checksum.is_some(), "--checksum"),
        (args.transfer.multipart_threshold.is_some(), "--multipart-threshold"),
        (args.remember.adopt, "--adopt"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, name)) => Err(Usage::new(
            format!("{name} is for uploads; this is a copy from store to store"),
            "leave it out: the copy is cut and checked as its source is",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};
    use crate::target::Target;

    fn copying(line: &str) -> Result<Copying, Usage> {
        let cli = Cli::try_parse_from(format!("haul cp {line}").split_whitespace()).unwrap();
        let Command::Cp(args) = cli.command else { panic!("it is no cp") };
        let (Some(Target::Store(from)), Some(Target::Store(to))) =
            (args.source.clone(), args.target.clone())
        else {
            panic!("both sides are stores")
        };
        Copying::of(&cli.store, &from, &to, *args)
    }

    #[test]
    fn a_copy_into_a_folder_takes_the_name_of_its_source() {
        let to = |line: &str| copying(line).map(|copying| copying.to.to_string());
        assert_eq!(to("s3://aaa/x/y.bin s3://bbb").unwrap(), "s3://bbb/y.bin");
        assert_eq!(to("s3://aaa/x/y.bin s3://bbb/z/").unwrap(), "s3://bbb/z/y.bin");
        assert_eq!(to("s3://aaa/x/y.bin s3://bbb/z").unwrap(), "s3://bbb/z");
        assert!(to("s3://aaa/x/ s3://bbb/z/").is_err());
        assert!(to("s3://aaa s3://bbb/z").is_err());
    }

    #[test]
    fn two_stores_are_told_apart_by_schemes_and_flags() {
        let source = |line: &str| copying(line).unwrap().source_store;
        assert!(source("s3://aaa/k s3://bbb/k").is_none());
        assert!(source("local://aaa/k local://bbb/k").is_none());
        let endpoint = |line: &str| source(line).unwrap().endpoint;
        assert_eq!(
            endpoint("s3://aaa/k local://bbb/k --endpoint http://h:1").as_deref(),
            Some("http://h:1")
        );
        assert_eq!(endpoint("local://aaa/k s3://bbb/k --endpoint http://h:1"), None);
        let flags =
            "s3://aaa/k s3://bbb/k --endpoint http://h:1 --source-endpoint http://h:2 --profile p";
        assert_eq!(endpoint(flags).as_deref(), Some("http://h:2"));
        assert_eq!(source(flags).unwrap().profile.as_deref(), Some("p"));
        assert!(copying("local://aaa/k s3://bbb/k --source-profile p").is_err());
    }

    #[test]
    fn an_option_that_a_copy_would_ignore_is_refused() {
        let refused = |line: &str| copying(&format!("s3://aaa/k s3://bbb/k {line}")).err().unwrap();
        insta::assert_snapshot!(refused("--adopt"), @"--adopt is for uploads; this is a copy from \
            store to store");
        insta::assert_snapshot!(refused("--checksum crc32c"), @"--checksum is for uploads; this is \
            a copy from store to store");
    }
}
