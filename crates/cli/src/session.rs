//! The state that the lines of `haul run` share: opened stores, one engine for each, and the number
//! of the line that prints.
//!
//! The session is a task-local value: each line is a separate task with its session and its number.
//! Commands are unaware of it. [`crate::store::open`] and [`OpenedStore::engine`] use the session;
//! outside a session each creates a new store or engine.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use haul::{Engine, EngineOptions};
use tokio::sync::Mutex;

use crate::store::OpenedStore;

tokio::task_local! {
    static LINE: Line;
}

#[derive(Clone)]
struct Line {
    session: Arc<Session>,
    number: u64,
}

/// Stores that several commands use at the same time.
pub(crate) struct Session {
    limits: EngineOptions,
    /// The open stores, by the arguments that they were opened with.
    stores: Mutex<HashMap<String, SharedStore>>,
}

struct SharedStore {
    opened: OpenedStore,
    engine: Engine,
}

impl Session {
    /// Creates a session whose engines have these limits.
    pub(crate) fn new(limits: EngineOptions) -> Arc<Self> {
        Arc::new(Self { limits, stores: Mutex::default() })
    }

    /// Runs the command of a line in this session.
    pub(crate) async fn line<T>(self: &Arc<Self>, number: u64, work: impl Future<Output = T>) -> T {
        LINE.scope(Line { session: Arc::clone(self), number }, work).await
    }

    /// Returns the store with this name, opened by the first caller.
    pub(crate) async fn store<Opening>(
        &self,
        name: String,
        open: impl FnOnce() -> Opening,
    ) -> anyhow::Result<OpenedStore>
    where
        Opening: Future<Output = anyhow::Result<OpenedStore>>,
    {
        let mut stores = self.stores.lock().await;
        if let Some(shared) = stores.get(&name) {
            return Ok(shared.opened.share(shared.engine.clone()));
        }
        let opened = open().await?;
        let engine = Engine::new(Arc::clone(&opened.store), self.limits.clone());
        let share = opened.share(engine.clone());
        stores.insert(name, SharedStore { opened, engine });
        Ok(share)
    }

    /// Closes the stores. Must only be called when no line is running.
    pub(crate) async fn close(&self) {
        for (_, shared) in self.stores.lock().await.drain() {
            shared.engine.close().await;
            shared.opened.close().await;
        }
    }
}

/// Returns the session of this task, if the task is a line.
pub(crate) fn current() -> Option<Arc<Session>> {
    LINE.try_with(|line| Arc::clone(&line.session)).ok()
}

/// Returns the number of the line that this task runs.
pub(crate) fn line_number() -> Option<u64> {
    LINE.try_with(|line| line.number).ok()
}
