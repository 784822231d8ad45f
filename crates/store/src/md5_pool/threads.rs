//! The hashing threads. They have low priority, so that receiving has precedence when processors
//! are busy.

use std::sync::{Arc, PoisonError};

use super::Shared;

/// The maximum number of threads; also limited by the number of processors.
const THREADS_MAX: usize = 8;
/// Added to the nice value of the threads: they get about a tenth of the usual share when all
/// processors are busy.
const NICER: i32 = 10;

/// The state of the threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Threads {
    #[default]
    NotStarted,
    Running,
    /// No thread could be started: waiting callers hash themselves.
    Refused,
    Ended,
}

/// Starts the threads. They hold the shared state and not the pool, so that the pool can be
/// dropped.
pub(super) fn start(shared: &Arc<Shared>) -> Threads {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let start = |_| {
        let shared = Arc::clone(shared);
        std::thread::Builder::new().name("haul-md5".to_owned()).spawn(move || run(&shared)).ok()
    };
    // Any number of threads above zero suffices.
    if (0..processors.min(THREADS_MAX)).filter_map(start).count() == 0 {
        Threads::Refused
    } else {
        Threads::Running
    }
}

fn run(shared: &Shared) {
    be_nice();
    let mut parts = shared.parts();
    while parts.threads != Threads::Ended {
        parts = match parts.take_group(shared.lanes().streams()) {
            Some(group) => shared.advance(parts, group),
            None => shared.work.wait(parts).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

/// Lowers the priority of the current thread. On Linux, `nice` applies to the thread, not the
/// process.
fn be_nice() {
    // A failure only makes hashing more expensive.
    let _ = rustix::process::nice(NICER);
}
