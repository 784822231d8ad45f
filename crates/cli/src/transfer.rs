//! Runs one transfer to its end: shows how far it is, passes its events on, and ends it when a signal says so.
//!
//! One loop, no tasks of its own. The first signal cancels and *waits* until the engine confirms that nothing is left
//! (P3); the second ends at once and says what may be left.

use std::future::Future;

use haul::{Event, Events};
use tokio::time::MissedTickBehavior;

use crate::interrupt::Interrupts;
use crate::left::{Left, OnInterrupt};
use crate::output::Mode;
use crate::progress::{Snapshot, TICK, View};

/// A running transfer, whatever its direction.
pub(crate) trait Transfer: Future<Output = Result<Self::Report, haul::Error>> + Unpin {
    /// What it comes to.
    type Report;
    /// Its events, once.
    fn take_events(&mut self) -> Option<Events>;
    /// How far it is.
    fn snapshot(&self) -> Snapshot;
    /// Asks it to end; it then ends by itself.
    fn cancel(&self);
    /// Asks it to stop and be resumable; what cannot be resumed is cancelled.
    fn pause(&self) {
        self.cancel();
    }
}

impl Transfer for haul::Upload {
    type Report = haul::UploadReport;

    fn take_events(&mut self) -> Option<Events> {
        haul::Upload::take_events(self)
    }

    fn snapshot(&self) -> Snapshot {
        let progress = self.progress();
        Snapshot {
            moved_bytes: progress.sent_bytes(),
            arrived_bytes: progress.arrived_bytes(),
            parts_in_flight: progress.parts_in_flight(),
            size_bytes: None,
        }
    }

    fn cancel(&self) {
        self.canceller().cancel();
    }

    fn pause(&self) {
        self.canceller().pause();
    }
}

impl Transfer for haul::transfer::download::Download {
    type Report = haul::DownloadReport;

    fn take_events(&mut self) -> Option<Events> {
        None
    }

    fn snapshot(&self) -> Snapshot {
        let progress = self.progress();
        let arrived_bytes = progress.arrived_bytes();
        // The store's answer to HEAD is the start; before it the size reads 0.
        let size_bytes = Some(progress.size_bytes()).filter(|size| *size > 0);
        Snapshot { moved_bytes: arrived_bytes, arrived_bytes, parts_in_flight: 0, size_bytes }
    }

    fn cancel(&self) {
        haul::transfer::download::Download::cancel(self);
    }
}

/// Drives `transfer` to its end.
pub(crate) async fn drive<T: Transfer>(
    mut transfer: T,
    mode: Mode,
    view: &mut View,
    interrupts: &mut Interrupts,
    mut left: Left,
) -> anyhow::Result<T::Report> {
    let mut events = transfer.take_events();
    let mut interrupted = false;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let result = loop {
        tokio::select! {
            biased;
            signal = interrupts.next() => {
                if interrupted {
                    view.finish();
                    return Err(left.ended(signal).into());
                }
                interrupted = true;
                match left.on_interrupt() {
                    OnInterrupt::Pause => transfer.pause(),
                    OnInterrupt::Abort => transfer.cancel(),
                }
                view.say(&left.stopping(signal));
            }
            Some(event) = next(&mut events) => take(&event, mode, view, &mut left),
            result = &mut transfer => break result,
            _ = ticks.tick() => view.tick(transfer.snapshot()),
        }
    };
    // The engine's task is over, so the queue has an end.
    while let Some(event) = next(&mut events).await {
        take(&event, mode, view, &mut left);
    }
    view.tick(transfer.snapshot());
    view.finish();
    Ok(result?)
}

async fn next(events: &mut Option<Events>) -> Option<Event> {
    events.as_mut()?.next().await
}

fn take(event: &Event, mode: Mode, view: &mut View, left: &mut Left) {
    left.event(event);
    view.event(event);
    mode.event(event);
}
