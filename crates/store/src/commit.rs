//! Implements group commit: one transaction and one sync publish all operations that arrive
//! together.
//!
//! One thread takes the waiting operations, syncs the folders of new files, lets each operation
//! change the tables, commits, and only then returns the results. So one place enforces the order
//! that durability needs (bytes, name, metadata, result), and each operation sees the changes of
//! those before it.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::disk::FolderId;
use crate::meta::Batch;
use crate::open_store::OpenStore;
use crate::{Error, Result};

/// The maximum number of operations per transaction.
const BATCH_JOBS_MAX: usize = 256;
/// The maximum number of removed files that one transaction deletes from the metadata.
const GONE_MAX: usize = 4096;
/// The length of the queue; further callers wait for a place in it.
const QUEUE_JOBS_MAX: usize = 1024;

/// The handle to the commit thread.
#[derive(Debug)]
pub(crate) struct Committer {
    queue: Option<SyncSender<Box<dyn QueuedOperation>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// An operation whose caller waits for the result.
trait QueuedOperation: Send {
    fn folder(&self) -> Option<FolderId>;
    /// Runs the operation; an error is kept for the result.
    fn run(&mut self, batch: &mut Batch<'_>) -> Outcome;
    /// Sends the result; if the transaction failed, a success becomes that failure.
    fn answer(self: Box<Self>, failure: Option<Error>);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    Refused,
}

struct Operation<T, F> {
    folder: Option<FolderId>,
    run: Option<F>,
    result: Option<Result<T>>,
    reply: SyncSender<Result<T>>,
}

impl<T: Send, F: FnOnce(&mut Batch<'_>) -> Result<T> + Send> QueuedOperation for Operation<T, F> {
    fn folder(&self) -> Option<FolderId> {
        self.folder
    }

    fn run(&mut self, batch: &mut Batch<'_>) -> Outcome {
        let Some(run) = self.run.take() else { return Outcome::Refused };
        let result = run(batch);
        let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Refused };
        self.result = Some(result);
        outcome
    }

    fn answer(self: Box<Self>, failure: Option<Error>) {
        let result = match (failure, self.result) {
            (None, Some(result)) => result,
            // A refusal stays a refusal, even if the transaction failed for the other operations.
            (Some(_), Some(Err(refusal))) => Err(refusal),
            (Some(failure), _) => Err(failure),
            (None, None) => Err(Error::Closed),
        };
        // The receiver is gone if the caller's thread died.
        let _ = self.reply.send(result);
    }
}

impl Committer {
    pub(crate) fn start(core: Arc<OpenStore>) -> std::io::Result<Self> {
        let (queue, queued) = sync_channel(QUEUE_JOBS_MAX);
        let thread = std::thread::Builder::new()
            .name("haul-commit".to_owned())
            .spawn(move || run(&core, &queued))?;
        Ok(Self { queue: Some(queue), thread: Mutex::new(Some(thread)) })
    }

    /// Returns whether the thread is running; a panic may have ended it.
    pub(crate) fn is_running(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Runs an operation in the next transaction. When this returns `Ok`, the change is on disk.
    /// `folder` is the folder of a newly linked file: it is synced first.
    pub(crate) fn commit<T: Send + 'static>(
        &self,
        folder: Option<FolderId>,
        operation: impl FnOnce(&mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = sync_channel(1);
        let operation = Operation { folder, run: Some(operation), result: None, reply };
        let queue = self.queue.as_ref().ok_or(Error::Closed)?;
        queue.send(Box::new(operation)).map_err(|_| Error::Closed)?;
        answer.recv().map_err(|_| Error::Closed)?
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.queue.take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The thread panics only because of a bug, and the panic has been reported.
            let _ = thread.join();
        }
    }
}

fn run(core: &OpenStore, queued: &Receiver<Box<dyn QueuedOperation>>) {
    while let Ok(first) = queued.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_JOBS_MAX {
            match queued.try_recv() {
                Ok(operation) => batch.push(operation),
                Err(_) => break,
            }
        }
        let failed = publish(core, &mut batch).err();
        for operation in batch {
            operation.answer(failed.as_ref().map(TransactionFailure::to_error));
        }
    }
}

/// The reason why a whole transaction failed, reported to each of its operations.
enum TransactionFailure {
    StorageFull,
    TooManyOpenFiles,
    ReadOnly(String),
    Given(String),
}

impl TransactionFailure {
    fn to_error(&self) -> Error {
        match self {
            Self::StorageFull => Error::StorageFull,
            Self::TooManyOpenFiles => Error::TooManyOpenFiles,
            Self::ReadOnly(reason) => Error::ReadOnlyAfterSyncFailure { reason: reason.clone() },
            Self::Given(message) => Error::Database { message: message.clone() },
        }
    }
}

fn publish(
    core: &OpenStore,
    queued: &mut [Box<dyn QueuedOperation>],
) -> Result<(), TransactionFailure> {
    core.check_writable().map_err(|error| stop(core, &error))?;
    let folders: BTreeSet<FolderId> =
        queued.iter().filter_map(|operation| operation.folder()).collect();
    for folder in folders {
        core.disk.sync_folder(folder).map_err(|error| {
            match Error::io("syncing a folder")(error) {
                // The folder could not be opened, so there was no sync.
                Error::TooManyOpenFiles => TransactionFailure::TooManyOpenFiles,
                error => stop(core, &error),
            }
        })?;
    }

    let mut transaction = core.database.begin_write().map_err(|error| stop(core, &error.into()))?;
    // With one-phase commit, redb would take a damaged page of the newest state for a torn commit
    // and fall back to the previous state: acknowledged changes would silently disappear. Two
    // phases cost a second sync per transaction.
    transaction.set_two_phase_commit(true);
    let mut batch = Batch::open(&transaction, core.options.clock.now_ms())
        .map_err(|error| stop(core, &error))?;
    for operation in queued {
        let before = batch.writes();
        if operation.run(&mut batch) == Outcome::Refused && batch.writes() != before {
            // A half-finished operation must not be published, and the tables cannot undo only that
            // one.
            return Err(TransactionFailure::Given(
                "another operation of the same transaction failed midway".to_owned(),
            ));
        }
    }
    if batch.writes() == 0 {
        drop(batch);
        return transaction.abort().map_err(|error| stop(core, &error.into()));
    }
    // Delete these with a change that is published anyway. If the commit fails, the next opening
    // finds that the files are gone.
    let gone = core.reaper.take_gone(GONE_MAX);
    batch.removed(&gone).map_err(|error| stop(core, &error))?;
    let mut marks = core.commit_marks();
    let commit = marks.begin();
    batch.name_commit(commit).map_err(|error| stop(core, &error))?;
    let released = batch.into_released();
    // Only opening the store again shows whether a failed commit is on disk.
    transaction.commit().map_err(|error| stop(core, &error.into()))?;
    marks.done(commit);
    drop(marks);
    core.reaper.release(released);
    Ok(())
}

/// Stops all further writes to the store.
fn stop(core: &OpenStore, error: &Error) -> TransactionFailure {
    let full = matches!(error, Error::StorageFull);
    let reason = core.stop_writes(error);
    if full { TransactionFailure::StorageFull } else { TransactionFailure::ReadOnly(reason) }
}
