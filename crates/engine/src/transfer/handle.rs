//! The caller's handle of a running transfer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use super::progress::Progress;
use super::stop::{StopRequest, StopSignal, Stopper};
use crate::error::Error;
use crate::event::{EventSender, Events};
use crate::pace::Resources;

/// A running transfer, which is a future of its report.
///
/// The transfer runs on its own task, whether it is awaited or not. If it is dropped before its
/// end, it is paused; without a journal it is cancelled, and its task removes the sent parts.
/// [`crate::Engine::close`] waits for that.
#[derive(Debug)]
#[must_use = "a transfer that is dropped is stopped"]
pub struct Transfer<R> {
    task: JoinHandle<Result<R, Error>>,
    stopper: Stopper,
    events: Option<Events>,
    progress: Progress,
    finished: bool,
}

/// The channels that connect a running transfer to its handle.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) events: EventSender,
    pub(crate) progress: Progress,
    pub(crate) stop: StopSignal,
}

impl<R: Send + 'static> Transfer<R> {
    /// Starts `work` on a task. Must be called inside a tokio runtime.
    pub(crate) fn start<W>(resources: &Resources, work: impl FnOnce(Line) -> W) -> Self
    where
        W: Future<Output = Result<R, Error>> + Send + 'static,
    {
        let (events, receiver) = EventSender::new();
        let progress = Progress::new(resources.meter.of_transfer());
        let (stopper, stop) = Stopper::new();
        let running = resources.running();
        let work = work(Line { events, progress: progress.clone(), stop });
        let task = tokio::spawn(async move {
            let report = work.await;
            drop(running);
            report
        });
        Self { task, stopper, events: Some(receiver), progress, finished: false }
    }
}

impl<R> Transfer<R> {
    /// Returns the events from the beginning, as a stream; `None` if they were taken before.
    pub fn take_events(&mut self) -> Option<Events> {
        self.events.take()
    }

    /// Returns a view of the progress.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Requests a stop. The transfer then ends by itself, so the caller should await it.
    pub fn stop(&self, request: StopRequest) {
        self.stopper.stop(request);
    }

    /// Returns a handle that can stop the transfer from elsewhere.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }
}

impl<R> Future for Transfer<R> {
    type Output = Result<R, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(context).map(|ended| {
            self.finished = true;
            ended.unwrap_or_else(|error| Err(Error::Internal(error.to_string())))
        })
    }
}

impl<R> Drop for Transfer<R> {
    fn drop(&mut self) {
        if !self.finished {
            self.stopper.stop(StopRequest::PauseNow);
        }
    }
}
