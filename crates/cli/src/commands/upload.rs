//! One upload: the parts that `haul cp` and `haul resume` share.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use haul::source::FileRecord;
use haul::{
    EngineOptions, FileSource, JournalChoice, JournalOptions, ObjectRef, Source, StoreErrorKind,
    UploadOptions,
};

use super::pinned_flags::PinnedFlags;
use super::receipt::{self, ReceiptFile};
use super::summary::{self, Journey};
use crate::args::StoreArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Condition, FailureContext, Usage};
use crate::interrupt::{Interrupts, Role};
use crate::leftover_notice::{LeftoverNotice, OnInterrupt};
use crate::output::{Mode, visible};
use crate::progress::View;
use crate::state_dir::journal_folder;
use crate::store::{self, OpenedStore};
use crate::target::Address;
use crate::transfer::drive;
use crate::upload_locator::UploadLocator;

/// The arguments of one upload.
pub(super) struct Sending {
    pub(super) file: UploadSource,
    pub(super) address: Address,
    pub(super) options: UploadOptions,
    pub(super) limits: EngineOptions,
    /// The journal of the upload.
    pub(super) journal: Remembering,
    /// If true, an interrupt aborts the upload instead of pausing it.
    pub(super) abort_on_interrupt: bool,
    /// The file for the receipt, if one is requested.
    pub(super) receipt: Option<ReceiptFile>,
}

/// The journal of an upload.
pub(super) enum Remembering {
    /// No journal.
    Nothing,
    /// The journal for this source and target, whose options must agree with the flags.
    OfSource(Box<PinnedFlags>),
    /// The journal with this id, at the store that it records.
    Given { id: String, connection: Box<Connection> },
}

/// The source of an upload.
pub(super) enum UploadSource {
    /// A path from the command line.
    Path(PathBuf),
    /// A source recorded in a journal.
    Journal(FileRecord),
}

impl UploadSource {
    fn open(&self) -> Result<FileSource, haul::Error> {
        match self {
            Self::Path(path) => Ok(FileSource::open(path)?),
            Self::Journal(source) => Ok(FileSource::remembered(source)?),
        }
    }
}

/// Uploads the source and reports the result. Starts to handle `interrupts` when there is something
/// to stop, and keeps handling them: a caller that sends several files in a row loses no signal in
/// between.
pub(super) async fn send(
    args: &StoreArgs,
    sending: Sending,
    mode: Mode,
    interrupts: &mut Option<Interrupts>,
) -> anyhow::Result<Exit> {
    let Sending { file, address, mut options, limits, journal, abort_on_interrupt, receipt } =
        sending;
    let object = address.exact_object().map_err(Usage::from)?;
    let from = match &file {
        UploadSource::Path(path) => visible(&path.display().to_string()),
        UploadSource::Journal(source) => visible(&source.path.display().to_string()),
    };
    let to = visible(&address.to_string());
    let condition = Condition::of(&options);
    let context =
        || FailureContext::at(format!("cannot copy {from} to {to}"), &address).under(condition);
    let file = file.open().with_context(|| match &journal {
        Remembering::Given { id, .. } => context().hinting(format!(
            "if the file was moved or renamed: haul resume {id} --source PATH; haul abort {id} \
             removes what arrived"
        )),
        _ => context(),
    })?;

    let opened = match &journal {
        Remembering::Given { connection, .. } => {
            store::open_recorded(connection, args, mode).await?
        }
        _ => store::open(address.scheme, args, mode).await?,
    };
    let endpoint = opened.store.endpoint();
    let started = Instant::now();
    let mut view = View::of_source(mode, super::name_of(&from), from.clone()).of_address(&to);
    let mut locator = UploadLocator::Store {
        object: object.clone(),
        endpoint: opened.reach.clone(),
        profile: args.profile.clone(),
    };
    let report = async {
        if let Some((choice, id)) = choice(&journal, &file, &opened, &object)? {
            locator = id.map_or(locator.clone(), UploadLocator::Journal);
            options.journal = Some(JournalOptions {
                folder: journal_folder()?,
                store_name: Some(opened.connection.store_name()),
                connection: serde_json::to_value(&opened.connection)?,
                choice,
            });
        }
        make_bucket_if_promised(&opened, &address).await?;
        let interrupts = match interrupts {
            Some(interrupts) => interrupts,
            None => interrupts.insert(Interrupts::new(Role::Work)?),
        };
        let can_pause = locator.resume().is_some() && !abort_on_interrupt;
        let on_interrupt = if can_pause { OnInterrupt::Pause } else { OnInterrupt::Abort };
        let leftovers = LeftoverNotice::of_upload(on_interrupt, locator.clone());
        let engine = opened.engine(limits);
        let upload = engine.upload(file, object, options);
        drive(upload, mode, &mut view, interrupts, leftovers).await
    };
    let report = report.await;
    let elapsed = started.elapsed();
    let receipt = receipt::write(receipt, report.as_ref().ok(), opened.store.as_ref()).await;
    opened.close().await;
    let report = report.with_context(|| context().through(endpoint).found_by(locator))?;

    let journey = Journey { source: &from, target: &to, elapsed };
    let (line, summary) = summary::uploaded(journey, &report, view.retries());
    mode.event(&summary);
    mode.result(&line);
    receipt?;
    Ok(Exit::Done)
}

/// Returns the engine's journal choice, and the journal's id, if this kind of source can have a
/// journal.
fn choice(
    journal: &Remembering,
    file: &FileSource,
    opened: &OpenedStore,
    object: &ObjectRef,
) -> anyhow::Result<Option<(JournalChoice, Option<String>)>> {
    let pinned = match journal {
        Remembering::Nothing => return Ok(None),
        Remembering::Given { id, .. } => {
            return Ok(Some((JournalChoice::Given(id.clone()), Some(id.clone()))));
        }
        Remembering::OfSource(pinned) => pinned,
    };
    let Some(source) = Source::identity(file) else {
        return Ok(Some((JournalChoice::OfSource, None)));
    };
    let found = journal_folder()?.find(&source, &opened.connection.store_name(), object);
    let found = found.map_err(haul::Error::from)?;
    if let Some(unfinished) = &found.summary {
        pinned.agrees(unfinished)?;
    }
    Ok(Some((JournalChoice::OfSource, Some(found.id))))
}

/// Creates the bucket for `local://`, unless a running `haul serve` holds the folder.
pub(super) async fn make_bucket_if_promised(
    opened: &OpenedStore,
    address: &Address,
) -> Result<(), haul::Error> {
    if !opened.makes_buckets {
        return Ok(());
    }
    match opened.store.create_bucket(&address.bucket).await {
        Err(error)
            if error.code.as_deref().is_some_and(|code| code.starts_with("BucketAlready")) =>
        {
            Ok(())
        }
        Err(error) if error.kind == StoreErrorKind::NotImplemented => Ok(()),
        Err(error) => Err(haul::Error::of_store(address.bucket.clone(), error)),
        Ok(()) => Ok(()),
    }
}
