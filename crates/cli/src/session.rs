//! What the lines of `haul run` share: opened stores, one engine for each, and the number of the
//! line that prints.
//!
//! A task-local value: every line is a task of its own that carries its session and its number.
//! Commands do not know of it. [`crate::store::open`] asks for the session, and so does
//! [`OpenedStore::engine`]; outside a session both make their own.

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
    /// By what they were opened with.
    stores: Mutex<HashMap<String, SharedStore>>,
}

struct SharedStore {
    opened: OpenedStore,
    engine: Engine,
}

impl Session {
    /// A session whose engines have these limits.
    pub(crate) fn new(limits: EngineOptions) -> Arc<Self> {
        Arc::new(Self { limits, stores: Mutex::default() })
    }

    /// Runs the command of a line in this session.
    pub(crate) async fn line<T>(self: &Arc<Self>, number: u64, work: impl Future<Output = T>) -> T {
        LINE.scope(Line { session: Arc::clone(self), number }, work).await
    }

    /// The store of this name, which the first that asks opens.
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

    /// Ends the stores. No line may run any more.
    pub(crate) async fn close(&self) {
        for (_, shared) in self.stores.lock().await.drain() {
            shared.engine.close().await;
            shared.opened.close().await;
        }
    }
}

/// The session of this task, if it is a line of one.
pub(crate) fn current() -> Option<Arc<Session>> {
    LINE.try_with(|line| Arc::clone(&line.session)).ok()
}

/// The number of the line that this task carries out.
pub(crate) fn line_number() -> Option<u64> {
    LINE.try_with(|line| line.number).ok()
}
