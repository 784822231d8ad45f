//! Carries out the plan of a tree: transfers many files at once, and counts, records and reports
//! them.
//!
//! One loop takes steps from the plan while it has room for them, starts files as the queue allows,
//! and handles their ends. Each file receives a stop directly; the loop only starts no further
//! files.

use std::io::Write;
use std::sync::Arc;

use haul_parts::Bucket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::compare::{CompareBy, Direction};
use super::feed::line_of;
use super::file::{self, Shared, Work};
use super::landing::Landing;
use super::look::{self, Look};
use super::plan::{Planned, Planner, STEPS_WAITING_MAX, Step};
use super::queue::{Length, Limits, Queue};
use super::reach;
use super::removal::{self, Extra, Through};
use super::{
    FAILURES_NAMED_MAX, TreeBase, TreeFailure, TreeOptions, TreeReport, TreeSource, TreeTarget,
};
use crate::error::Error;
use crate::error_text::in_one_line;
use crate::event::Event;
use crate::journal::{EarlierTree, Fingerprint, JournalFolder, TreeBeginning, TreeJournal};
use crate::pace::Resources;
use crate::transfer::Line;
use crate::verify::{HashOptions, Verifier};

/// Maximum number of files in flight that need several parts or requests.
const LONG_AT_ONCE: usize = 4;
/// Maximum number of planned files that wait; the longest of them is started next.
const WAITING_MAX: usize = 1024;
/// The pause between two checks whether a slow reader of events has caught up.
const READER_PAUSE: std::time::Duration = std::time::Duration::from_millis(5);
/// The number of checks after which a reader counts as one that has stopped reading.
const READER_PATIENCE: u32 = 400;
/// Short files in flight for each request that may be in flight: while some files are transferred,
/// others are read, or wait for their sync.
const SHORT_PER_REQUEST: usize = 2;

/// The result of one file.
enum End {
    Copied,
    Unchanged,
    Failed(Error),
    /// The file failed because a store cannot be reached.
    Away(Error),
}

struct Ended {
    work: Work,
    length: Length,
    end: End,
}

/// Runs a tree to its end.
pub(super) async fn run(
    resources: Resources,
    line: Line,
    sources: Vec<TreeSource>,
    target: TreeTarget,
    mut options: TreeOptions,
) -> Result<TreeReport, Error> {
    let direction = direction(&sources, &target)?;
    refuse_endless(&sources, &target, &options)?;
    let failed_names = options.failed_names.take();
    let (journal, earlier) = remember(&resources, &sources, &target, &options)?;
    let is_continued = !earlier.is_empty();
    let several = sources.len() > 1;
    let has_journals = options
        .journal
        .as_ref()
        .is_some_and(|journal| journal.folder.list().map_or(true, |uploads| !uploads.is_empty()));
    let Line { events, progress, mut stop } = line;
    let long_bytes = match direction {
        Direction::Up => options.upload.multipart_threshold_bytes,
        Direction::Down | Direction::Between => 8 << 20,
    };
    let limits = Limits {
        long_bytes,
        short_running_max: resources.gate.most() as usize * SHORT_PER_REQUEST,
        long_running_max: LONG_AT_ONCE,
        waiting_max: WAITING_MAX,
    };
    let objects = options.source_store.as_ref().unwrap_or(&resources.store);
    let verifier =
        Verifier::new(Arc::clone(objects), resources.retry.clone(), HashOptions::default());
    let shared = Arc::new(Shared {
        verifier,
        resources,
        direction,
        target,
        source_bucket: source_bucket(&sources),
        options,
        events,
        progress,
        stop: stop.clone(),
        landing: Landing::start(),
        leftovers: Arc::default(),
        has_journals,
    });
    let (sender, steps) = mpsc::channel(STEPS_WAITING_MAX);
    let planner = Planner::new(Arc::clone(&shared), earlier, sender, several);
    let mut planning = tokio::spawn(planner.plan(sources));
    let mut run = Run {
        shared,
        queue: Queue::new(limits),
        steps: Some(steps),
        running: JoinSet::new(),
        report: TreeReport::default(),
        journal,
        is_continued,
        failed_names,
    };
    let mut patience = READER_PATIENCE;
    loop {
        // A slow reader of events slows the tree down, so that it receives the events of every
        // file.
        while patience > 0 && run.shared.events.is_crowded() {
            patience -= 1;
            tokio::time::sleep(READER_PAUSE).await;
        }
        if patience > 0 || !run.shared.events.is_crowded() {
            patience = READER_PATIENCE;
        }
        run.begin();
        if run.steps.is_none() && run.queue.is_idle() {
            break;
        }
        tokio::select! {
            biased;
            _ = stop.stronger(), if !run.report.stopped => {
                run.report.stopped = true;
                run.begin_no_more();
            }
            ended = run.running.join_next(), if run.queue.running() > 0 => {
                match ended {
                    Some(Ok(ended)) => run.ended(ended),
                    Some(Err(error)) => return Err(Error::Internal(error.to_string())),
                    None => return Err(Error::Internal("a file of a tree was lost".into())),
                }
            }
            step = next(&mut run.steps), if run.queue.has_room() && run.steps.is_some() => {
                match step {
                    Some(step) => run.step(step),
                    None => {
                        run.steps = None;
                        run.shared.progress.all_found();
                    }
                }
            }
        }
    }
    let planned = (&mut planning).await.map_err(|error| Error::Internal(error.to_string()))?;
    run.finish(planned).await
}

async fn next(steps: &mut Option<mpsc::Receiver<Step>>) -> Option<Step> {
    match steps {
        Some(steps) => steps.recv().await,
        None => None,
    }
}

struct Run {
    shared: Arc<Shared>,
    queue: Queue<Work>,
    /// The steps of the plan; `None` once the plan has ended.
    steps: Option<mpsc::Receiver<Step>>,
    running: JoinSet<Ended>,
    report: TreeReport,
    journal: Option<TreeJournal>,
    /// Whether an earlier run of the same tree has recorded files.
    is_continued: bool,
    failed_names: Option<Box<dyn Write + Send + Sync>>,
}

impl Run {
    /// Starts as many files as may be in flight.
    fn begin(&mut self) {
        while let Some((work, length)) = self.queue.start() {
            self.record(TreeJournal::begun, work.fingerprint);
            let shared = Arc::clone(&self.shared);
            self.running.spawn(async move {
                let end = match carry(&shared, &work).await {
                    Ok(end) => end,
                    Err(error) if Box::pin(reach::is_away(&shared, &work, &error)).await => {
                        End::Away(error)
                    }
                    Err(error) => End::Failed(error),
                };
                Ended { work, length, end }
            });
        }
    }

    fn begin_no_more(&mut self) {
        // The plan ends because it cannot deliver its next step.
        self.steps = None;
        self.queue.clear();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Copy(work) => {
                self.shared.progress.file_found(work.entry.size_bytes);
                let size_bytes = work.entry.size_bytes;
                self.queue.push(work, size_bytes);
            }
            Step::Unchanged(size_bytes) => self.report.unchanged.add(size_bytes),
            Step::Resumed(size_bytes) => self.report.resumed.add(size_bytes),
            Step::Warning(message) => self.shared.events.send(Event::Warning { message }),
            Step::Failed(failure) => self.failed(failure),
            Step::Broken(error) if concerns_every_file(&error) => self.pause(error),
            Step::Broken(error) => {
                self.report.ended_by.get_or_insert(error);
                self.steps = None;
            }
        }
    }

    fn ended(&mut self, Ended { work, length, end }: Ended) {
        self.queue.ended(length);
        let progress = &self.shared.progress;
        let size_bytes = work.entry.size_bytes;
        progress.file_ended(matches!(end, End::Failed(_)));
        match end {
            End::Copied => {
                progress.arrived(size_bytes);
                self.report.copied.add(size_bytes);
                self.record(TreeJournal::done, work.fingerprint);
                self.shared.events.send(Event::FileCopied {
                    source: work.source(&self.shared),
                    target: work.target(),
                    size_bytes,
                    dry_run: self.shared.options.dry_run,
                });
            }
            End::Unchanged => {
                progress.arrived(size_bytes);
                self.report.unchanged.add(size_bytes);
                self.record(TreeJournal::done, work.fingerprint);
            }
            // The file ends only because the tree was stopped.
            End::Failed(error) if self.report.stopped && is_stop(&error) => {}
            End::Failed(error) if ends_credentials(&error) => self.pause(error),
            End::Away(error) => self.pause(error),
            End::Failed(error) => {
                let (source, target) = (work.source(&self.shared), work.target());
                self.failed(TreeFailure { name: work.entry.name, source, target, error });
            }
        }
    }

    /// Ends the tree because the store refuses its credentials or cannot be reached: every further
    /// file would fail too. The file is not recorded as done, so the same tree copies it later.
    fn pause(&mut self, error: Error) {
        let report = &self.report;
        let accepted_before = self.is_continued
            || report.copied.files + report.unchanged.files + report.resumed.files > 0;
        self.report.paused = self.journal.is_some() && accepted_before;
        self.report.ended_by.get_or_insert(error);
        self.begin_no_more();
    }

    fn failed(&mut self, failure: TreeFailure) {
        self.report.failed += 1;
        self.shared.events.send(Event::FileFailed {
            source: failure.source.clone(),
            target: failure.target.clone(),
            reason: in_one_line(&failure.error),
        });
        if let Some(names) = &mut self.failed_names
            && let Err(error) = writeln!(names, "{}", line_of(&failure.name))
        {
            let message = format!("the name of a file that failed could not be written: {error}");
            self.shared.events.send(Event::Warning { message });
            self.failed_names = None;
        }
        if self.report.failures.len() < FAILURES_NAMED_MAX {
            self.report.failures.push(failure);
        }
        if self.shared.options.fail_fast && self.report.ended_by.is_none() {
            let problem = "a file failed, and the first one was to end everything".into();
            self.report.ended_by = Some(Error::TreeRefused { problem });
            self.begin_no_more();
        }
    }

    /// Writes a record. The only cost of a failure is one request in a later run.
    fn record(
        &mut self,
        write: fn(&mut TreeJournal, Fingerprint) -> Result<(), crate::journal::JournalError>,
        fingerprint: Option<Fingerprint>,
    ) {
        if self.shared.options.dry_run {
            return;
        }
        if let (Some(journal), Some(fingerprint)) = (&mut self.journal, fingerprint)
            && let Err(error) = write(journal, fingerprint)
        {
            let message = format!("{}; what is done is not remembered", in_one_line(&error));
            self.shared.events.send(Event::Warning { message });
            self.journal = None;
        }
    }

    /// Removes files that only the target has, if everything else has succeeded.
    async fn finish(mut self, planned: Planned) -> Result<TreeReport, Error> {
        self.report.found = planned.any;
        let whole =
            self.report.failed == 0 && self.report.ended_by.is_none() && !self.report.stopped;
        let extra = planned.extra.count();
        match self.shared.options.delete {
            Some(delete) if whole && extra > 0 => {
                if !planned.any && !delete.even_if_source_is_empty {
                    let problem = format!(
                        "the source has no files: the {extra} of the target would all be removed"
                    );
                    self.report.ended_by = Some(Error::TreeRefused { problem });
                } else {
                    self.remove_extra(planned).await;
                }
            }
            Some(_) if extra > 0 && !self.report.stopped => {
                let message = format!(
                    "{extra} extra files of the target were kept, because not everything else \
                     succeeded"
                );
                self.shared.events.send(Event::Warning { message });
            }
            _ => {}
        }
        if let Some(names) = &mut self.failed_names {
            let _ = names.flush();
        }
        let whole =
            self.report.failed == 0 && self.report.ended_by.is_none() && !self.report.stopped;
        if whole
            && let Some(journal) = self.journal.take()
            && let Err(error) = journal.remove()
        {
            self.shared.events.send(Event::Warning { message: in_one_line(&error) });
        }
        Ok(self.report)
    }

    async fn remove_extra(&mut self, planned: Planned) {
        self.shared.events.send(Event::Removing { count: planned.extra.count() });
        let shared = Arc::clone(&self.shared);
        let dry_run = shared.options.dry_run;
        let ended = removal::remove_extra(&shared, planned.extra, |one| match one {
            Extra::Removed(target) => {
                self.report.removed += 1;
                shared.events.send(Event::FileRemoved { target, dry_run });
            }
            Extra::Failed(failure) => self.failed(failure),
        });
        match ended.await {
            Ok(Through::Finished) => {}
            Ok(Through::Stopped) => self.report.stopped = true,
            Err(error) if concerns_every_file(&error) => self.pause(error),
            Err(error) => self.report.ended_by = Some(error),
        }
    }
}

/// Handles one file, from the check of its target to the removal of its source.
async fn carry(shared: &Shared, work: &Work) -> Result<End, Error> {
    if let Some(look) = work.look
        && look::is_there(shared, work, look).await?
    {
        // A move requires a proven copy, and it is unknown whether the copy of an earlier run was
        // proven.
        if !(shared.options.remove_sources && look == Look::Begun) {
            return Ok(End::Unchanged);
        }
    }
    if shared.options.dry_run {
        return Ok(End::Copied);
    }
    let copied = match Box::pin(file::copy(shared, work)).await {
        Ok(copied) => copied,
        Err(error) if is_refused_by_absence(shared, &error) => return Ok(End::Unchanged),
        Err(error) => return Err(error),
    };
    if shared.options.remove_sources {
        removal::remove_source(shared, work, &copied).await?;
    }
    Ok(End::Copied)
}

/// Returns whether the error shows that the target exists although it was expected to be absent.
fn is_refused_by_absence(shared: &Shared, error: &Error) -> bool {
    let Error::Store { source, .. } = error else { return false };
    shared.options.compare == CompareBy::Absence
        && source.kind == crate::remote::StoreErrorKind::PreconditionFailed
}

/// Returns whether the error of a listing, or of the removal of many files, is not of some files
/// only.
fn concerns_every_file(error: &Error) -> bool {
    ends_credentials(error) || reach::is_of_the_way(error)
}

/// Returns whether the error is of the credentials, and not of one file. A signature that does not
/// match may be of one key only, if the store decodes its name in another way.
fn ends_credentials(error: &Error) -> bool {
    match error {
        Error::Paused { source: Some(cause), .. }
        | Error::DownloadPaused { source: Some(cause), .. } => ends_credentials(cause),
        Error::Store { source, .. } => {
            source.kind.ends_the_credentials()
                && source.code.as_deref() != Some("SignatureDoesNotMatch")
        }
        _ => false,
    }
}

fn is_stop(error: &Error) -> bool {
    match error {
        Error::Cancelled { .. } => true,
        Error::Paused { source, .. } | Error::DownloadPaused { source, .. } => source.is_none(),
        _ => false,
    }
}

fn direction(sources: &[TreeSource], target: &TreeTarget) -> Result<Direction, Error> {
    let is_local = |source: &TreeSource| {
        matches!(
            source,
            TreeSource::File { .. }
                | TreeSource::Unusable { .. }
                | TreeSource::Folder { .. }
                | TreeSource::Names { base: TreeBase::Folder(_), .. }
        )
    };
    let local = sources.iter().filter(|source| is_local(source)).count();
    let refuse = |problem: &str| Err(Error::TreeRefused { problem: problem.to_owned() });
    match (local, target) {
        (0, TreeTarget::Folder(_)) => Ok(Direction::Down),
        (0, TreeTarget::Prefix(..)) => Ok(Direction::Between),
        (count, _) if count < sources.len() => {
            refuse("the sources must all be of this machine, or all of one store")
        }
        (_, TreeTarget::Prefix(..)) => Ok(Direction::Up),
        (_, TreeTarget::Folder(_)) => refuse("both sides are of this machine"),
    }
}

fn source_bucket(sources: &[TreeSource]) -> Option<Bucket> {
    sources.iter().find_map(|source| match source {
        TreeSource::Object { object, .. } => Some(object.bucket.clone()),
        TreeSource::Prefix { bucket, .. }
        | TreeSource::Pattern { bucket, .. }
        | TreeSource::Names { base: TreeBase::Prefix(bucket, _), .. } => Some(bucket.clone()),
        _ => None,
    })
}

/// Refuses to copy a prefix below itself: the copy would find its own objects and never end.
fn refuse_endless(
    sources: &[TreeSource],
    target: &TreeTarget,
    options: &TreeOptions,
) -> Result<(), Error> {
    let TreeTarget::Prefix(to, below) = target else { return Ok(()) };
    if options.is_elsewhere() {
        return Ok(());
    }
    let endless = sources.iter().find_map(|source| match source {
        TreeSource::Prefix { bucket, prefix, .. } if bucket == to && below.starts_with(prefix) => {
            Some(prefix)
        }
        _ => None,
    });
    match endless {
        Some(prefix) => Err(Error::TreeRefused {
            problem: format!("s3://{to}/{below} lies below s3://{to}/{prefix}, which is copied"),
        }),
        None => Ok(()),
    }
}

/// Opens the journal of the tree.
fn remember(
    resources: &Resources,
    sources: &[TreeSource],
    target: &TreeTarget,
    options: &TreeOptions,
) -> Result<(Option<TreeJournal>, EarlierTree), Error> {
    let Some(journal) = options.journal.as_ref().filter(|_| !options.dry_run) else {
        return Ok((None, EarlierTree::default()));
    };
    let absolute = |path: &std::path::Path| {
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
    };
    let described = sources.iter().map(|source| match source {
        TreeSource::File { path, name } => format!("{} {name}", absolute(path)),
        TreeSource::Unusable { path } => format!("{} unusable", absolute(path)),
        TreeSource::Folder { path, before } => format!("{}/ {before}", absolute(path)),
        TreeSource::Object { object, name } => format!("{object} {name}"),
        TreeSource::Prefix { bucket, prefix, before } => {
            format!("s3://{bucket}/{prefix} {before}")
        }
        TreeSource::Pattern { bucket, pattern } => format!("s3://{bucket}/{pattern} pattern"),
        TreeSource::Names { base: TreeBase::Folder(path), .. } => {
            format!("{} names", absolute(path))
        }
        TreeSource::Names { base: TreeBase::Prefix(bucket, prefix), .. } => {
            format!("s3://{bucket}/{prefix} names")
        }
    });
    let beginning = TreeBeginning {
        sources: described.collect(),
        target: match target {
            TreeTarget::Folder(path) => absolute(path),
            TreeTarget::Prefix(bucket, prefix) => format!("s3://{bucket}/{prefix}"),
        },
        store: journal.store_name.clone().unwrap_or_else(|| resources.store.endpoint()),
        begun_at: jiff::Timestamp::now().as_second(),
    };
    let kind = if options.remove_sources { "move" } else { "copy" };
    let id = JournalFolder::tree_id(kind, &beginning);
    let (opened, earlier) = journal.folder.open_tree(&id, &beginning)?;
    Ok((Some(opened), earlier))
}
