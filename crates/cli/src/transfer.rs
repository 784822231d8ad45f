//! Runs one transfer to its end: shows how far it is, passes its events on, and ends it when a signal says so.
//!
//! One loop, no tasks of its own. The first signal cancels and *waits* until the engine confirms that nothing is left
//! (P3); the second ends at once and says what may be left.

use std::future::Future;
use std::io;

use haul::{Event, Events};
use tokio::time::MissedTickBehavior;

use crate::exit::Exit;
use crate::failure::Ended;
use crate::interrupt::Interrupts;
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

/// What the first signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// The parts in flight may still arrive; then it says how to go on.
    Pause,
    /// What was sent is removed.
    Abort,
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

impl Transfer for haul::download::Download {
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
        haul::download::Download::cancel(self);
    }
}

/// What may be left at the store when the process ends now.
#[derive(Debug, Default)]
struct Left {
    upload_id: Option<String>,
}

impl Left {
    fn event(&mut self, event: &Event) {
        match event {
            Event::UploadCreated { upload_id } | Event::Resumed { upload_id, .. } => {
                self.upload_id = Some(upload_id.to_string());
            }
            Event::Aborted | Event::Paused { .. } | Event::Completed { .. } => self.upload_id = None,
            _ => {}
        }
    }

    /// The end by a second signal.
    fn ended(self, signal: &str, on_interrupt: OnInterrupt) -> Ended {
        match self.upload_id {
            // The journal remembers it.
            Some(_) if on_interrupt == OnInterrupt::Pause => Ended {
                exit: Exit::Interrupted,
                code: "Paused",
                message: format!("{signal} again: ended at once; what arrived is kept"),
                hint: Some("run the same command again, or haul resume; haul uploads lists it".to_owned()),
            },
            Some(upload_id) => Ended {
                exit: Exit::LeftBehind,
                code: "LeftBehind",
                message: format!("{signal} again: parts of upload {upload_id} may be left at the store"),
                hint: Some(
                    "abort it with: aws s3api abort-multipart-upload --bucket BUCKET --key KEY --upload-id ID".to_owned(),
                ),
            },
            None => Ended {
                exit: Exit::Interrupted,
                code: "Interrupted",
                message: format!("{signal} again: ended at once"),
                hint: None,
            },
        }
    }
}

/// Drives `transfer` to its end.
pub(crate) async fn drive<T: Transfer>(
    mut transfer: T,
    mode: Mode,
    view: &mut View,
    interrupts: &mut Interrupts,
    on_interrupt: OnInterrupt,
) -> anyhow::Result<T::Report> {
    let mut events = transfer.take_events();
    let mut left = Left::default();
    let mut interrupted = false;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let result = loop {
        tokio::select! {
            biased;
            signal = interrupts.next() => {
                if interrupted {
                    view.finish();
                    return Err(left.ended(signal, on_interrupt).into());
                }
                interrupted = true;
                match on_interrupt {
                    OnInterrupt::Pause => {
                        transfer.pause();
                        view.say(&format!("{signal}: waiting for the parts in flight; once more ends at once"));
                    }
                    OnInterrupt::Abort => {
                        transfer.cancel();
                        view.say(&format!("{signal}: removing what was sent; once more ends at once"));
                    }
                }
            }
            Some(event) = next(&mut events) => take(&event, mode, view, &mut left)?,
            result = &mut transfer => break result,
            _ = ticks.tick() => view.tick(transfer.snapshot()),
        }
    };
    // The engine's task is over, so the queue has an end.
    while let Some(event) = next(&mut events).await {
        take(&event, mode, view, &mut left)?;
    }
    view.tick(transfer.snapshot());
    view.finish();
    Ok(result?)
}

async fn next(events: &mut Option<Events>) -> Option<Event> {
    events.as_mut()?.next().await
}

fn take(event: &Event, mode: Mode, view: &mut View, left: &mut Left) -> io::Result<()> {
    left.event(event);
    view.event(event);
    mode.event(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_signal_says_what_may_be_left() {
        let mut left = Left::default();
        left.event(&Event::UploadCreated { upload_id: "abc".parse().unwrap() });
        let ended = left.ended("Ctrl-C", OnInterrupt::Abort);
        assert_eq!(ended.exit, Exit::LeftBehind);
        insta::assert_snapshot!(ended, @"Ctrl-C again: parts of upload abc may be left at the store");

        let mut left = Left { upload_id: Some("abc".into()) };
        left.event(&Event::Aborted);
        assert_eq!(left.ended("Ctrl-C", OnInterrupt::Abort).exit, Exit::Interrupted);
    }
}
