//! Sends `100 Continue` to a request whose body is empty.
//!
//! hyper sends the interim response when a body is first read, so never for an empty one. AWS sends
//! it for every framing, and clients depend on it: botocore up to 1.43 treats a final response
//! without it as a refusal, keeps the connection, and never sends its next request there.
//!
//! The service requests the interim response and waits until it is written. The final response does
//! not exist before that, so the bytes of the two cannot mix: hyper flushes the connection only
//! after it has written all its bytes, and [`StallingIo`](super::stalling_io::StallingIo) writes
//! the interim response just before it passes that flush on.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use http::{HeaderMap, Version, header};
use hyper::rt::Write;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The interim response of one connection; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interim {
    state: Arc<Mutex<InterimState>>,
}

#[derive(Debug, Default)]
struct InterimState {
    unsent: &'static [u8],
    sender: Option<Waker>,
}

impl Interim {
    /// Sends `100 Continue` and waits until the socket has taken it.
    pub(crate) async fn send_continue(&self) {
        self.state().unsent = CONTINUE;
        poll_fn(|cx| {
            let mut state = self.state();
            if state.unsent.is_empty() {
                return Poll::Ready(());
            }
            state.sender = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Writes the requested response, if any.
    pub(crate) fn poll_write<T: Write>(
        &self,
        mut io: Pin<&mut T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let unsent = self.state().unsent;
            if unsent.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let written = ready!(io.as_mut().poll_write(cx, unsent))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let mut state = self.state();
            state.unsent = &unsent[written..];
            if state.unsent.is_empty()
                && let Some(sender) = state.sender.take()
            {
                sender.wake();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, InterimState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether the client waits for `100 Continue`. HTTP/1.0 has no interim responses.
pub(crate) fn is_expected(version: Version, headers: &HeaderMap) -> bool {
    let expectations = headers.get_all(header::EXPECT).iter();
    version > Version::HTTP_10
        && expectations
            .into_iter()
            .any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
