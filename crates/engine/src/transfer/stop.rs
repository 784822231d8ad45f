//! How a caller stops a transfer, and how the transfer hears of it.

use tokio::sync::watch;

/// What a caller asks of a running transfer. A later request counts only if it is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StopRequest {
    /// Stop and be resumable: what is in flight may still arrive for a few seconds. A transfer
    /// without a journal could not be found again: for it this is [`StopRequest::Cancel`].
    Pause,
    /// The same, without waiting for what is in flight.
    PauseNow,
    /// End and leave nothing behind, neither at the store nor on disk.
    Cancel,
}

/// Stops one transfer from anywhere; clones stop the same one.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<Option<StopRequest>>);

impl Stopper {
    /// A handle, and what the transfer listens to.
    pub(crate) fn new() -> (Self, StopSignal) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), StopSignal { receiver, heard: None })
    }

    /// Asks the transfer to stop; it then ends by itself, with [`crate::Error::Paused`] or
    /// [`crate::Error::Cancelled`], unless it was complete already.
    pub fn stop(&self, request: StopRequest) {
        self.0.send_if_modified(|current| {
            let stronger = Some(request) > *current;
            *current = (*current).max(Some(request));
            stronger
        });
    }
}

/// Hears what a caller asks.
#[derive(Clone, Debug)]
pub(crate) struct StopSignal {
    receiver: watch::Receiver<Option<StopRequest>>,
    /// The strongest request so far.
    heard: Option<StopRequest>,
}

impl StopSignal {
    /// The next request that is stronger than those heard before; never ready when none can come
    /// any more.
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
