//! The threads that hash: of low priority, so that receiving goes first where processors are
//! scarce, and parts meet.

use std::sync::{Arc, PoisonError};

use super::Shared;
use super::measured::LANES;

/// The most threads; there are no more than processors.
const THREADS_MAX: usize = 8;
/// How much nicer than the others the threads are: about a tenth of their share where all are busy.
const NICER: i32 = 10;

/// What became of the threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Threads {
    #[default]
    NotStarted,
    Running,
    /// None could be started: who waits hashes.
    Refused,
    Ended,
}

/// They hold what is shared and not the pool, so that the pool can end.
pub(super) fn start(shared: &Arc<Shared>) -> Threads {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let start = |_| {
        let shared = Arc::clone(shared);
        std::thread::Builder::new().name("haul-md5".to_owned()).spawn(move || run(&shared)).ok()
    };
    // Whoever is started is enough.
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
        parts = match parts.take_group(LANES.streams()) {
            Some(group) => shared.advance(parts, group),
            None => shared.work.wait(parts).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

/// Lowers the priority of this thread. On Linux `nice` is of the thread, not of the process.
fn be_nice() {
    // Without, it works as well and costs more.
    let _ = rustix::process::nice(NICER);
}
