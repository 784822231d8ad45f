//! One upload from the command line: what `haul cp` and `haul resume` have in common.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use haul::journal::{JournalFolder, SourceRecord};
use haul::{FileSource, JournalOptions, Source, StoreErrorKind, UploadOptions};

use super::insisted::Insisted;
use super::summary::{self, Journey};
use crate::args::StoreArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Condition, Doing, Usage};
use crate::interrupt::{Interrupts, Role};
use crate::left::{Left, OnInterrupt};
use crate::output::{Mode, visible};
use crate::progress::View;
use crate::state_dir::journal_folder;
use crate::store::{self, Opened};
use crate::target::Address;
use crate::trail::Trail;
use crate::transfer::drive;

/// What is to be sent.
pub(super) struct Sending {
    pub(super) file: Origin,
    pub(super) address: Address,
    pub(super) options: UploadOptions,
    /// What a remembered upload must agree with.
    pub(super) insisted: Insisted,
    /// In a journal, so that it can go on later.
    pub(super) remember: bool,
    /// Instead of pausing.
    pub(super) abort_on_interrupt: bool,
}

/// Where it comes from.
pub(super) enum Origin {
    /// As the command line names it.
    Path(PathBuf),
    /// As a journal remembers it.
    Journal(SourceRecord),
}

impl Origin {
    fn open(&self) -> Result<FileSource, haul::Error> {
        match self {
            Self::Path(path) => FileSource::open(path),
            Self::Journal(source) => FileSource::remembered(source),
        }
    }
}

/// Sends it, and says what came of it. `interrupts` are taken over when there is something to stop, and stay so: whoever
/// sends several files one after the other loses no signal between them.
pub(super) async fn send(
    args: &StoreArgs,
    sending: Sending,
    mode: Mode,
    interrupts: &mut Option<Interrupts>,
) -> anyhow::Result<Exit> {
    let Sending { file, address, mut options, insisted, remember, abort_on_interrupt } = sending;
    let object = address.exact_object().map_err(Usage::from)?;
    let from = match &file {
        Origin::Path(path) => visible(&path.display().to_string()),
        Origin::Journal(source) => visible(&source.path),
    };
    let to = visible(&address.to_string());
    let condition = match (options.if_none_match, &options.if_match) {
        (true, _) => Some(Condition::Absent),
        (false, Some(_)) => Some(Condition::Version),
        (false, None) => None,
    };
    let doing = || Doing::at(format!("cannot copy {from} to {to}"), &address).under(condition);
    let file = file.open().with_context(doing)?;

    let opened = store::open(address.scheme, args, mode).await?;
    let endpoint = opened.store.endpoint();
    let started = Instant::now();
    let mut view = View::new(mode, super::name_of(&from));
    let mut trail =
        Trail::Store { object: object.clone(), endpoint: opened.reach(), profile: args.profile.clone() };
    let report = async {
        if remember {
            let connection = Connection::of(address.scheme, args, &endpoint)?;
            let store_name = connection.store_name();
            // A file whose path is no text has no journal.
            if let Some(source) = Source::identity(&file) {
                let store = store_name.as_deref().unwrap_or(&endpoint);
                let id = JournalFolder::id(&source.path, store, &object);
                let unfinished = journal_folder()?.list().map_err(haul::Error::from)?;
                if let Some(unfinished) = unfinished.iter().find(|unfinished| unfinished.id == id) {
                    insisted.agrees(unfinished)?;
                }
                trail = Trail::Journal(id);
            }
            options.journal = Some(JournalOptions {
                folder: journal_folder()?,
                store_name,
                connection: serde_json::to_value(&connection)?,
            });
        }
        make_bucket_if_promised(&opened, &address).await?;
        let interrupts = match interrupts {
            Some(interrupts) => interrupts,
            None => interrupts.insert(Interrupts::new(Role::Work)?),
        };
        let can_pause = trail.resume().is_some() && !abort_on_interrupt;
        let on_interrupt = if can_pause { OnInterrupt::Pause } else { OnInterrupt::Abort };
        let left = Left::of_upload(on_interrupt, trail.clone());
        let upload = haul::upload(Arc::clone(&opened.store), file, object, options);
        drive(upload, mode, &mut view, interrupts, left).await
    };
    let report = report.await;
    let elapsed = started.elapsed();
    opened.close().await;
    let report = report.with_context(|| doing().through(endpoint).found_by(trail))?;

    let journey = Journey { source: &from, target: &to, elapsed };
    let (line, summary) = summary::uploaded(journey, &report, view.retries());
    mode.event(&summary);
    mode.result(&line);
    Ok(Exit::Done)
}

/// `local://` promises that nobody has to make a bucket; a `haul serve` that runs on the folder promises it not.
async fn make_bucket_if_promised(opened: &Opened, address: &Address) -> Result<(), haul::Error> {
    if !opened.makes_buckets {
        return Ok(());
    }
    match opened.store.create_bucket(&address.bucket).await {
        Err(error) if error.code.as_deref().is_some_and(|code| code.starts_with("BucketAlready")) => Ok(()),
        Err(error) if error.kind == StoreErrorKind::NotImplemented => Ok(()),
        Err(error) => Err(haul::Error::of_store(format!("{}{}", address.scheme, address.bucket), error)),
        Ok(()) => Ok(()),
    }
}
