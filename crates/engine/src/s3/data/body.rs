//! The body of an answer while it arrives, and the connection that it is read from.
//!
//! The connection returns to its pool after the last byte of the body, and only then: the rest of
//! an unread body would be mistaken for the next answer. A body is read only on request, so a slow
//! reader slows the store down; time without a read request does not count as silence of the store.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_core::Stream;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, Sleep};

use super::broken;
use super::connection::Connection;
use super::pool::ReturnTo;
use crate::error_text::in_one_line;
use crate::remote::{Operation, StoreError, StoreErrorKind};
use crate::s3::transport::SocketActivity;

/// The bytes of one answer to GetObject.
pub(super) struct ReceivedBody {
    body: Incoming,
    /// `None` once the body has ended, or failed.
    connection: Option<(Connection, ReturnTo)>,
    /// The number of bytes still to be skipped at the beginning.
    skipped_bytes: u64,
    patience: Patience,
}

impl ReceivedBody {
    pub(super) fn new(
        body: Incoming,
        connection: Connection,
        pool: ReturnTo,
        skipped_bytes: u64,
        idle_timeout: Duration,
    ) -> Self {
        let patience = Patience::new(connection.activity(), idle_timeout);
        let mut this = Self { body, connection: Some((connection, pool)), skipped_bytes, patience };
        // An empty body is already at its end.
        this.check_end();
        this
    }

    /// Returns the connection to the pool if the whole body has been read.
    fn check_end(&mut self) {
        if self.body.is_end_stream()
            && let Some((connection, pool)) = self.connection.take()
        {
            pool.check_in(connection);
        }
    }

    fn failed(&mut self, error: StoreError) -> Poll<Option<Result<Bytes, StoreError>>> {
        self.connection = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for ReceivedBody {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, StoreError>>> {
        let this = &mut *self;
        while this.connection.is_some() {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.patience.waited();
                    this.check_end();
                    // Trailers are not bytes of the object.
                    let Ok(mut bytes) = frame.into_data() else { continue };
                    let skipped =
                        usize::try_from(this.skipped_bytes).unwrap_or(usize::MAX).min(bytes.len());
                    bytes.advance(skipped);
                    this.skipped_bytes -= skipped as u64;
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let failed = broken(Operation::GetObject, in_one_line(&error));
                    return this.failed(failed.with_source(error));
                }
                Poll::Ready(None) => {
                    this.check_end();
                    this.connection = None;
                }
                Poll::Pending => {
                    let Poll::Ready(stalled) = this.patience.poll(context) else {
                        return Poll::Pending;
                    };
                    return this.failed(stalled);
                }
            }
        }
        Poll::Ready(None)
    }
}

/// The time-out for the next byte. Its timer is reset when it expires, not with every byte.
struct Patience {
    activity: SocketActivity,
    limit: Duration,
    /// The time at which the reader began to wait.
    since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    fn new(activity: SocketActivity, limit: Duration) -> Self {
        Self { activity, limit, since: None, timer: Box::pin(tokio::time::sleep(limit)) }
    }

    /// Records that bytes have arrived.
    fn waited(&mut self) {
        self.since = None;
    }

    /// Returns an error if nothing has arrived for too long; otherwise it is pending.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<StoreError> {
        let since = *self.since.get_or_insert_with(Instant::now);
        while self.timer.as_mut().poll(context).is_ready() {
            let deadline = since.max(self.activity.last()) + self.limit;
            if deadline <= Instant::now() {
                let seconds = self.limit.as_secs();
                let message = format!("no byte moved for {seconds} seconds");
                return Poll::Ready(StoreError::local(
                    Operation::GetObject,
                    StoreErrorKind::Timeout,
                    message,
                ));
            }
            self.timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
