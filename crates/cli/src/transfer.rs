//! Runs one transfer to its end: shows its progress, prints its events, and stops it on a signal.
//!
//! Uses one loop and spawns no tasks. The first signal cancels and *waits* until the engine
//! confirms that nothing is left (P3); the second quits immediately and reports what may be left.

use haul::{Event, Events, StopRequest, Transfer};
use tokio::time::MissedTickBehavior;

use crate::interrupt::Interrupts;
use crate::leftover_notice::{LeftoverNotice, OnInterrupt};
use crate::output::Mode;
use crate::progress::{Snapshot, TICK, View};

/// Runs `transfer` to its end.
pub(crate) async fn drive<R>(
    mut transfer: Transfer<R>,
    mode: Mode,
    view: &mut View,
    interrupts: &mut Interrupts,
    mut leftovers: LeftoverNotice,
) -> anyhow::Result<R> {
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
                    return Err(leftovers.ended(signal).into());
                }
                interrupted = true;
                match leftovers.on_interrupt() {
                    OnInterrupt::Pause => transfer.stop(StopRequest::Pause),
                    OnInterrupt::Abort => transfer.stop(StopRequest::Cancel),
                }
                view.print_above(&leftovers.stopping(signal));
            }
            Some(event) = next(&mut events) => take(&event, mode, view, &mut leftovers),
            result = &mut transfer => break result,
            _ = ticks.tick() => view.tick(snapshot(&transfer)),
        }
    };
    // The engine's task has ended, so the queue of events will end too.
    while let Some(event) = next(&mut events).await {
        take(&event, mode, view, &mut leftovers);
    }
    view.tick(snapshot(&transfer));
    view.finish();
    Ok(result?)
}

fn snapshot<R>(transfer: &Transfer<R>) -> Snapshot {
    let progress = transfer.progress();
    Snapshot {
        moved_bytes: progress.moved_bytes(),
        arrived_bytes: progress.arrived_bytes(),
        parts_in_flight: progress.in_flight(),
        size_bytes: progress.size_bytes(),
    }
}

async fn next(events: &mut Option<Events>) -> Option<Event> {
    events.as_mut()?.next().await
}

fn take(event: &Event, mode: Mode, view: &mut View, leftovers: &mut LeftoverNotice) {
    leftovers.event(event);
    view.event(event);
    mode.event(event);
}
