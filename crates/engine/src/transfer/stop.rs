//! Carries stop requests from a caller to a transfer.

use tokio::sync::watch;

/// A request to stop a running transfer. A later request counts only if it is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StopRequest {
    /// Stop and stay resumable; parts in flight may still arrive for a few seconds. A transfer
    /// without a journal could not be found again, so it treats this as [`StopRequest::Cancel`].
    Pause,
    /// Pause without waiting for parts in flight.
    PauseNow,
    /// Stop and leave nothing behind, neither at the store nor on disk.
    Cancel,
}

/// A handle that stops one transfer from anywhere; clones stop the same transfer.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<Option<StopRequest>>);

impl Stopper {
    /// Creates the caller's handle and the transfer's receiver.
    pub(crate) fn new() -> (Self, StopSignal) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), StopSignal { receiver, heard: None })
    }

    /// Requests a stop. The transfer then ends by itself, with [`crate::Error::Paused`] or
    /// [`crate::Error::Cancelled`], unless it was already complete.
    pub fn stop(&self, request: StopRequest) {
        self.0.send_if_modified(|current| {
            let stronger = Some(request) > *current;
            *current = (*current).max(Some(request));
            stronger
        });
    }
}

/// The receiving end of stop requests.
#[derive(Clone, Debug)]
pub(crate) struct StopSignal {
    receiver: watch::Receiver<Option<StopRequest>>,
    /// The strongest request so far.
    heard: Option<StopRequest>,
}

impl StopSignal {
    /// Waits for a request that is stronger than the previous ones; never ready if no stronger
    /// request is possible.
    pub(crate) async fn stronger(&mut self) -> StopRequest {
        let heard = self.heard;
        let request =
            self.receiver.wait_for(|request| *request > heard).await.map(|request| *request);
        match request {
            Ok(Some(request)) => {
                self.heard = Some(request);
                request
            }
            _ => std::future::pending().await,
        }
    }
}
