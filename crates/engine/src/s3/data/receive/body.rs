//! The body of an answer while it arrives, and the connection that it is read from.
//!
//! The connection returns to its pool after the last byte of the body, and only then: the rest of
//! an unread body would be mistaken for the next answer. A body is read only on request, so a slow
//! reader slows the store down; time without a read request does not count as silence of the store.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep};

use super::connection::GetConnection;
use super::framing::Framing;
use crate::body::SLICE_BYTES;
use crate::error_text::in_one_line;
use crate::remote::{Operation, ReadBody, StoreError, StoreErrorKind};
use crate::s3::data::broken;
use crate::s3::data::pool::ConnectionPool;
use crate::s3::transport::SocketActivity;

/// The least room of a buffer for one read of a reader that gives none.
const ROOM_BYTES_MIN: usize = 32 * 1024;

/// The bytes of one answer to GetObject.
pub(in crate::s3::data) struct ReceivedBody {
    /// `None` once the body has ended, or failed.
    connection: Option<(GetConnection, Arc<ConnectionPool<GetConnection>>)>,
    framing: Framing,
    /// The number of bytes still to be skipped at the beginning.
    skipped_bytes: u64,
    /// The number of bytes read so far.
    read_bytes: u64,
    /// The time for which the store was waited for.
    waited: Duration,
    patience: Patience,
    /// The rest of a buffer for readers that give none.
    spare: BytesMut,
}

impl ReceivedBody {
    pub(in crate::s3::data) fn new(
        framing: Framing,
        connection: GetConnection,
        pool: Arc<ConnectionPool<GetConnection>>,
        skipped_bytes: u64,
        idle_timeout: Duration,
    ) -> Self {
        let patience = Patience::new(connection.activity(), idle_timeout);
        // Everything before the head was a wait.
        let waited = connection.speed.elapsed();
        let (connection, spare) = (Some((connection, pool)), BytesMut::new());
        let mut this =
            Self { connection, framing, skipped_bytes, read_bytes: 0, waited, patience, spare };
        // An empty body is already at its end.
        this.check_end();
        this
    }

    /// Returns the connection to the pool if the whole body has been read.
    fn check_end(&mut self) {
        if self.framing.is_ended()
            && let Some((mut connection, pool)) = self.connection.take()
        {
            connection.speed.received(self.read_bytes, self.waited);
            pool.check_in(connection);
        }
    }

    fn failed(&mut self, error: io::Error) -> StoreError {
        self.connection = None;
        let message = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the connection was closed within the body".into(),
            _ => in_one_line(&error),
        };
        broken(Operation::GetObject, message).with_source(error)
    }

    /// Reads bytes without regard to those to be skipped.
    fn poll_framed(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), StoreError>> {
        let Some((connection, _)) = &mut self.connection else { return Poll::Ready(Ok(())) };
        let before = buffer.filled().len();
        match self.framing.poll_read(&mut connection.io, context, buffer) {
            Poll::Ready(Ok(())) => {
                self.read_bytes += (buffer.filled().len() - before) as u64;
                self.waited += self.patience.waited();
                self.check_end();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.failed(error))),
            Poll::Pending => {
                let stalled = ready!(self.patience.poll(context));
                self.connection = None;
                Poll::Ready(Err(stalled))
            }
        }
    }

    fn poll_skip(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StoreError>> {
        let mut bytes = [0; 4 * 1024];
        while self.skipped_bytes > 0 && self.connection.is_some() {
            let most = usize::try_from(self.skipped_bytes).unwrap_or(usize::MAX).min(bytes.len());
            let mut buffer = ReadBuf::new(&mut bytes[..most]);
            ready!(self.poll_framed(context, &mut buffer))?;
            self.skipped_bytes -= buffer.filled().len() as u64;
        }
        Poll::Ready(Ok(()))
    }
}

impl ReadBody for ReceivedBody {
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), StoreError>> {
        if self.skipped_bytes > 0 {
            ready!(self.poll_skip(context))?;
        }
        self.poll_framed(context, buffer)
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>> {
        // A short object came with its head.
        if self.skipped_bytes == 0
            && let Some((connection, _)) = &mut self.connection
        {
            let taken = self.framing.take_ahead(&mut connection.io);
            if let Some(bytes) = taken.map_err(|error| self.failed(error))? {
                self.read_bytes += bytes.len() as u64;
                self.check_end();
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
        if self.connection.is_none() {
            return Poll::Ready(None);
        }
        let left = match self.framing {
            Framing::Length(left) => usize::try_from(left).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        if self.spare.len() < left.min(ROOM_BYTES_MIN) {
            self.spare = BytesMut::zeroed(left.min(SLICE_BYTES));
        }
        let mut spare = std::mem::take(&mut self.spare);
        let mut buffer = ReadBuf::new(&mut spare);
        let read = self.poll_read(context, &mut buffer);
        let count = buffer.filled().len();
        let bytes = spare.split_to(count).freeze();
        self.spare = spare;
        ready!(read)?;
        Poll::Ready(if bytes.has_remaining() { Some(Ok(bytes)) } else { None })
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

    /// Records that bytes have arrived, and returns for how long they were waited for.
    fn waited(&mut self) -> Duration {
        self.since.take().map_or(Duration::ZERO, |since| since.elapsed())
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
