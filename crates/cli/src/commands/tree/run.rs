//! Runs one tree: opens the stores, handles signals, and shows progress.

use std::sync::Arc;
use std::time::Instant;

use haul::transfer::tree::{TreeOptions, TreeReport, TreeSource, TreeTarget};
use haul::{Engine, EngineOptions, Event, JournalChoice, JournalOptions, StopRequest, Transfer};
use tokio::time::MissedTickBehavior;

use super::Verb;
use super::ends::Ends;
use super::options::{TreeFlags, Way};
use super::outcome::{self, Outcome};
use super::view::TreeView;
use crate::args::StoreArgs;
use crate::commands::copy::{of_local, other_store, reader};
use crate::commands::copy_journal::store_of_source;
use crate::commands::upload::make_bucket_if_promised;
use crate::exit::Exit;
use crate::failure::{Ended, FailureContext};
use crate::interrupt::{Interrupts, Role};
use crate::last_tree::Recording;
use crate::output::Mode;
use crate::progress::TICK;
use crate::state_dir::journal_folder;
use crate::store::{self, OpenedStore};
use crate::target::{Address, Scheme};

/// A tree that is ready to run.
pub(super) struct Running {
    ends: Ends,
    way: Way,
    options: TreeOptions,
    limits: EngineOptions,
    verb: Verb,
    journals: bool,
    abort_on_interrupt: bool,
    failed_to: Option<std::path::PathBuf>,
    /// Whether the same command can be run again: its list of names is not read from a pipe.
    repeatable: bool,
    /// The store that the engine connects to.
    store: StoreArgs,
    /// The flags for reading the source, if they differ from `store`.
    source_store: Option<StoreArgs>,
}

impl Running {
    pub(super) fn new(
        store: &StoreArgs,
        ends: Ends,
        flags: TreeFlags,
    ) -> Result<Self, crate::failure::Usage> {
        let way = match (ends.from, ends.to) {
            (None, _) => Way::Up,
            (_, None) => Way::Down,
            _ => Way::Between,
        };
        let source_store = match (ends.from, ends.to) {
            (Some(from), Some(to)) => {
                let source = flags.source_store.clone();
                other_store(store, source, from, to)?
            }
            _ => None,
        };
        let own = if way == Way::Between && ends.to == Some(Scheme::Local) {
            of_local(store)
        } else {
            store.clone()
        };
        let verb = flags.verb;
        let journals = !flags.remember.no_journal && !flags.tree.dry_run;
        let abort_on_interrupt = flags.remember.abort_on_interrupt;
        let failed_to = flags.tree.failed_to.clone();
        let repeatable = flags.tree.files_from.as_ref().is_none_or(|list| list.as_os_str() != "-");
        let (mut options, limits) = flags.options(way, &store.requests)?;
        let reader = match way {
            Way::Between => reader(&own, source_store.as_ref()),
            Way::Up | Way::Down => None,
        };
        options.copy.source_is_at_target = reader.is_some();
        Ok(Self {
            ends,
            way,
            options,
            limits,
            verb,
            journals,
            abort_on_interrupt,
            failed_to,
            repeatable,
            store: own,
            source_store: source_store.or(reader),
        })
    }

    /// Runs the tree and reports the outcome.
    pub(super) async fn run(self, mode: Mode) -> anyhow::Result<Exit> {
        let Self { ends, way, mut options, limits, verb, journals, store, source_store, .. } = self;
        let Ends { sources, target, from, to, source_text, target_text, address } = ends;
        let own_scheme = match way {
            Way::Down => from,
            Way::Up | Way::Between => to,
        };
        let elsewhere = match &source_store {
            Some(args) => Some(store::open(from.unwrap_or(Scheme::S3), args, mode).await?),
            None => None,
        };
        let opened = match store::open(own_scheme.unwrap_or(Scheme::S3), &store, mode).await {
            Ok(opened) => opened,
            Err(error) => {
                close(elsewhere).await;
                return Err(error);
            }
        };
        options.source_store = elsewhere.as_ref().map(|opened| Arc::clone(&opened.store));
        let dry_run = options.dry_run;
        let deletes = options.delete.is_some();
        let endpoint = opened.store.endpoint();
        let started = Instant::now();
        let mut view = TreeView::new(mode, verb, &source_text, address.scheme == Scheme::Local);
        let can_pause = journals && !self.abort_on_interrupt;
        let recording = (journals && self.repeatable).then(Recording::begin).flatten();
        let report = async {
            if journals {
                let another = elsewhere.as_ref().filter(|_| !options.copy.source_is_at_target);
                options.copy.source_store = store_of_source(another)?;
                options.journal = Some(JournalOptions {
                    folder: journal_folder()?,
                    store_name: Some(opened.connection.store_name()),
                    connection: serde_json::to_value(&opened.connection)?,
                    choice: JournalChoice::OfSource,
                });
            }
            if way != Way::Down && !dry_run {
                make_bucket_if_promised(&opened, &address).await?;
            }
            let engine = opened.engine(limits);
            let tree = start(&engine, sources, target, options);
            let mut interrupts = Interrupts::new(Role::Work)?;
            drive(tree, mode, &mut view, &mut interrupts, can_pause).await
        };
        let report = report.await;
        let elapsed = started.elapsed();
        opened.close().await;
        close(elsewhere).await;
        let context = |address: &Address| {
            let verb = verb.infinitive();
            FailureContext::at(format!("cannot {verb} {source_text} to {target_text}"), address)
                .through(endpoint.clone())
        };
        let is_recorded = recording.is_some();
        if let Some(recording) = recording {
            recording.end(report.as_ref().is_ok_and(is_finished));
        }
        let report = report.map_err(|error| error.context(context(&address)))?;
        let outcome = Outcome {
            verb,
            source: &source_text,
            target: &target_text,
            elapsed,
            dry_run,
            deletes,
            journals,
            is_recorded,
            failed_to: self.failed_to.as_deref(),
            from_store: way != Way::Up,
        };
        outcome::tell(&outcome, report, mode, |error| {
            anyhow::Error::from(error).context(context(&address))
        })
    }
}

/// Returns whether the tree has nothing left to do.
fn is_finished(report: &TreeReport) -> bool {
    report.failed == 0 && report.ended_by.is_none() && !report.stopped
}

fn start(
    engine: &Engine,
    sources: Vec<TreeSource>,
    target: TreeTarget,
    options: TreeOptions,
) -> Transfer<TreeReport> {
    engine.tree(sources, target, options)
}

async fn close(opened: Option<OpenedStore>) {
    if let Some(opened) = opened {
        opened.close().await;
    }
}

async fn drive(
    mut tree: Transfer<TreeReport>,
    mode: Mode,
    view: &mut TreeView,
    interrupts: &mut Interrupts,
    can_pause: bool,
) -> anyhow::Result<TreeReport> {
    let mut events = tree.take_events();
    let mut interrupted = false;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let result = loop {
        let event = async {
            match &mut events {
                Some(events) => events.next().await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            signal = interrupts.next() => {
                if interrupted {
                    view.finish();
                    return Err(at_once(signal, can_pause).into());
                }
                interrupted = true;
                tree.stop(if can_pause { StopRequest::Pause } else { StopRequest::Cancel });
                view.print_above(&format!(
                    "{signal}: waiting for the files on their way; press again to quit immediately"
                ));
            }
            Some(event) = event => take(&event, mode, view),
            result = &mut tree => break result,
            _ = ticks.tick() => view.tick(&tree.progress()),
        }
    };
    if let Some(events) = &mut events {
        while let Some(event) = events.next().await {
            take(&event, mode, view);
        }
    }
    view.tick(&tree.progress());
    view.finish();
    Ok(result?)
}

fn take(event: &Event, mode: Mode, view: &mut TreeView) {
    view.event(event);
    mode.event(event);
}

fn at_once(signal: &str, can_pause: bool) -> Ended {
    Ended {
        exit: Exit::Interrupted,
        code: if can_pause { "Paused" } else { "Interrupted" },
        message: format!("{signal} again: quit immediately"),
        hint: can_pause.then(|| "run the same command again: it sends only what is missing".into()),
    }
}
