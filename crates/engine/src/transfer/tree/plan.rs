//! Makes the decision for each entry of the sources: joins the streams of both sides by name.
//!
//! If the whole target is listed (for a comparison, or for a sync that removes files), both sides
//! are streams in key order, and each step needs only their two heads. Otherwise the target of each
//! file is queried separately, if necessary.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use haul_parts::ObjectRef;
use tokio::sync::mpsc;

use super::compare::{CompareBy, Direction, Verdict, listed};
use super::entry::{Entry, Found, Place};
use super::feed::{Feed, Feeder};
use super::file::{Shared, To, Work};
use super::fold::tells_cases_apart;
use super::look::Look;
use super::names::{self, Collisions};
use super::spool::Spool;
use super::{TreeFailure, TreeSource, TreeTarget};
use crate::error::Error;
use crate::journal::{EarlierTree, Fingerprint, TreeFileState};

/// Maximum number of steps that wait for the run.
pub(super) const STEPS_WAITING_MAX: usize = 256;

/// The decision for one entry.
pub(super) enum Step {
    Copy(Work),
    /// The entry is at the target already.
    Unchanged(u64),
    /// An earlier run has copied it.
    Resumed(u64),
    Failed(TreeFailure),
    Warning(String),
    /// The plan fails here and has no further steps.
    Broken(Error),
}

/// The result of a finished plan.
#[derive(Debug, Default)]
pub(super) struct Planned {
    /// Names that only the target has.
    pub(super) extra: Spool,
    /// Whether the sources had at least one file, selected or not.
    pub(super) any: bool,
}

pub(super) struct Planner {
    shared: Arc<Shared>,
    earlier: EarlierTree,
    steps: mpsc::Sender<Step>,
    planned: Planned,
    /// Hashes of the names of all sources, if there are several.
    names: Option<HashSet<u64>>,
    tells_cases_apart: bool,
    /// Extra files of the target that stay because a link leads to their folder.
    kept_behind_links: u64,
}

/// The run has ended and accepts no more steps.
struct Ended;

impl Planner {
    pub(super) fn new(
        shared: Arc<Shared>,
        earlier: EarlierTree,
        steps: mpsc::Sender<Step>,
        several_sources: bool,
    ) -> Self {
        let tells_cases_apart = match (&shared.target, shared.options.tells_cases_apart) {
            (TreeTarget::Prefix(..), _) => true,
            (_, Some(told)) => told,
            (TreeTarget::Folder(folder), None) => tells_cases_apart(folder),
        };
        Self {
            shared,
            earlier,
            steps,
            planned: Planned::default(),
            names: several_sources.then(HashSet::new),
            tells_cases_apart,
            kept_behind_links: 0,
        }
    }

    /// Plans every source, one after the other.
    pub(super) async fn plan(mut self, sources: Vec<TreeSource>) -> Planned {
        let from = self.feeder(Arc::clone(self.shared.source_store()));
        let to = self.feeder(Arc::clone(&self.shared.resources.store));
        for source in sources {
            let joined = match &source {
                TreeSource::Folder { before, .. } | TreeSource::Prefix { before, .. } => {
                    Some(before.clone())
                }
                TreeSource::Pattern { .. } => Some(String::new()),
                _ => None,
            };
            let options = &self.shared.options;
            let compares = options.compare != CompareBy::Nothing || options.delete.is_some();
            let done = match joined.filter(|_| compares) {
                Some(before) => {
                    let target = to.target(&self.shared.target, &before);
                    self.join(from.source(source).sorted("the source"), target).await
                }
                None => self.each(from.source(source)).await,
            };
            if done.is_err() {
                break;
            }
        }
        self.planned
    }

    fn feeder(&self, store: Arc<dyn crate::remote::Store>) -> Feeder {
        Feeder {
            store,
            retry: self.shared.resources.retry.clone(),
            follow_links: self.shared.options.follow_links,
            moves: self.shared.options.remove_sources,
            depth_max: self.shared.options.filter.depth_max,
        }
    }

    /// Plans the files of a source whose target is not listed.
    async fn each(&mut self, mut source: Feed) -> Result<(), Ended> {
        let mut collisions = Collisions::new(self.tells_cases_apart);
        while let Some(found) = source.next().await {
            match found {
                Found::Entry(entry) => self.decide(entry, None, &mut collisions).await?,
                other => self.report(other).await?,
            }
        }
        Ok(())
    }

    /// Joins source and target by name.
    async fn join(&mut self, mut source: Feed, mut target: Feed) -> Result<(), Ended> {
        let mut collisions = Collisions::new(self.tells_cases_apart);
        let mut there = self.next_of_target(&mut target).await?;
        while let Some(found) = source.next().await {
            let name = match &found {
                Found::Entry(entry) => entry.name.clone(),
                Found::Refused { name, .. } => name.clone(),
                Found::Warning(_) | Found::Broken(_) => {
                    self.report(found).await?;
                    continue;
                }
            };
            while let Some(extra) = there.take_if(|entry| entry.name < name) {
                self.extra(&extra).await?;
                there = self.next_of_target(&mut target).await?;
            }
            let same = there.take_if(|entry| entry.name == name);
            if same.is_some() {
                there = self.next_of_target(&mut target).await?;
            }
            match found {
                Found::Entry(entry) => self.decide(entry, Some(same), &mut collisions).await?,
                other => self.report(other).await?,
            }
        }
        while let Some(extra) = there {
            self.extra(&extra).await?;
            there = self.next_of_target(&mut target).await?;
        }
        match std::mem::take(&mut self.kept_behind_links) {
            0 => Ok(()),
            kept => {
                let what = "extra files are kept: links to folders lead to them";
                self.step(Step::Warning(format!("{kept} {what}"))).await
            }
        }
    }

    async fn next_of_target(&mut self, target: &mut Feed) -> Result<Option<Entry>, Ended> {
        loop {
            match target.next().await {
                Some(Found::Entry(entry)) => return Ok(Some(entry)),
                None => return Ok(None),
                Some(Found::Broken(error)) => self.report(Found::Broken(error)).await?,
                // An entry of the target that cannot be read is neither compared nor removed.
                Some(Found::Refused { .. } | Found::Warning(_)) => {}
            }
        }
    }

    async fn extra(&mut self, entry: &Entry) -> Result<(), Ended> {
        let wanted = self.shared.options.delete.is_some()
            && self.shared.options.filter.takes_name(&entry.name);
        if !wanted {
            return Ok(());
        }
        if entry.is_behind_link {
            self.kept_behind_links += 1;
            return Ok(());
        }
        match self.planned.extra.add(&entry.name) {
            Ok(()) => Ok(()),
            Err(source) => {
                let path = PathBuf::from("the list of what to remove");
                self.report(Found::Broken(Error::TargetUnwritable { path, source })).await
            }
        }
    }

    async fn report(&mut self, found: Found) -> Result<(), Ended> {
        match found {
            Found::Entry(_) => Ok(()),
            Found::Warning(text) => self.step(Step::Warning(text)).await,
            Found::Refused { name, error } => {
                self.planned.any = true;
                if !self.shared.options.filter.takes_name(&name) {
                    return Ok(());
                }
                let source = name.clone();
                let target = String::new();
                self.step(Step::Failed(TreeFailure { name, source, target, error })).await
            }
            Found::Broken(error) => {
                let _ = self.step(Step::Broken(error)).await;
                Err(Ended)
            }
        }
    }

    async fn step(&mut self, step: Step) -> Result<(), Ended> {
        self.steps.send(step).await.map_err(|_| Ended)
    }

    /// Decides about one entry. `there` is the entry at its target; `None` if the target was not
    /// listed.
    async fn decide(
        &mut self,
        entry: Entry,
        there: Option<Option<Entry>>,
        collisions: &mut Collisions,
    ) -> Result<(), Ended> {
        self.planned.any = true;
        if !self.shared.options.filter.takes(&entry) {
            return Ok(());
        }
        let to = match self.to(&entry, collisions) {
            Ok(to) => to,
            Err(reason) => {
                let name = entry.name.clone();
                let error = Error::UnusableName { name: name.clone(), reason };
                let work =
                    Work { entry, to: To::File(PathBuf::new()), look: None, fingerprint: None };
                let source = work.source(&self.shared);
                let target = String::new();
                return self.step(Step::Failed(TreeFailure { name, source, target, error })).await;
            }
        };
        let size_bytes = entry.size_bytes;
        let fingerprint = self
            .shared
            .options
            .journal
            .is_some()
            .then(|| Fingerprint::new(&entry.name, &entry.version()));
        let recorded = fingerprint.map_or(Ok(None), |print| self.earlier.state_of(&print));
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(error) => return self.report(Found::Broken(error.into())).await,
        };
        let begun = recorded == Some(TreeFileState::Begun);
        if recorded == Some(TreeFileState::Done) && is_still_there(&to, size_bytes) {
            return self.step(Step::Resumed(size_bytes)).await;
        }
        let by = self.shared.options.compare;
        let look = match &there {
            _ if self.shared.is_unfinished(&entry, &to) => None,
            // The target was listed and does not exist.
            Some(None) => None,
            Some(Some(there)) => match listed(by, self.shared.direction, &entry, there) {
                Verdict::Same => return self.step(Step::Unchanged(size_bytes)).await,
                Verdict::Differs if begun => Some(Look::Begun),
                Verdict::Differs => None,
                Verdict::Look => Some(Look::By(by)),
            },
            None if begun => Some(Look::Begun),
            None if by == CompareBy::Nothing => None,
            None => Some(Look::By(by)),
        };
        self.step(Step::Copy(Work { entry, to, look, fingerprint })).await
    }

    /// Returns the target of an entry, or the reason why it cannot have one.
    fn to(&mut self, entry: &Entry, collisions: &mut Collisions) -> Result<To, String> {
        let to = match &self.shared.target {
            TreeTarget::Folder(folder) => {
                let path = names::path_below(folder, &entry.name);
                let path = path.map_err(|problem| problem.to_string())?;
                collisions.check(&entry.name).map_err(|problem| problem.to_string())?;
                To::File(path)
            }
            TreeTarget::Prefix(bucket, prefix) => {
                let key = names::key_below(prefix, &entry.name);
                let key = key.map_err(|problem| problem.to_string())?;
                To::Object(ObjectRef { bucket: bucket.clone(), key })
            }
        };
        if let (Place::Object { key, .. }, To::Object(object)) = (&entry.place, &to)
            && self.shared.direction == Direction::Between
            && !self.shared.options.is_elsewhere()
            && self.shared.source_bucket.as_ref() == Some(&object.bucket)
            && *key == object.key
        {
            return Err("it would be copied onto itself".to_owned());
        }
        if let Some(names) = &mut self.names {
            use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
            let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&entry.name);
            if !names.insert(hash) {
                return Err("another source has a file of the same name".to_owned());
            }
        }
        Ok(to)
    }
}

/// Returns whether the target of an earlier run still exists: files on this machine may have been
/// removed since.
fn is_still_there(to: &To, size_bytes: u64) -> bool {
    match to {
        To::Object(_) => true,
        To::File(path) => std::fs::metadata(path).is_ok_and(|found| found.len() == size_bytes),
    }
}
