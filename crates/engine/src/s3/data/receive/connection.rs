//! One HTTP/1.1 connection for requests whose answers have bodies.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::buffered::BufferedIo;
use super::framing::Framing;
use super::head::{ReceivedHead, request_head, take_head};
use crate::remote::{Operation, StoreError};
use crate::s3::data::Timeouts;
use crate::s3::data::answer::Answer;
use crate::s3::data::exchange::{ANSWER_BYTES_MAX, ExchangeFailure, watch};
use crate::s3::data::forwarding::Forwarding;
use crate::s3::data::pool::Pooled;
use crate::s3::data::speed::Speed;
use crate::s3::transport::{ConnectError, Link, Origin, SocketActivity, Transport};
use crate::s3::wire_log;

pub(in crate::s3::data) struct GetConnection {
    pub(super) io: BufferedIo,
    progress: SocketActivity,
    forwarding: Option<Forwarding>,
    used: bool,
    /// Whether the connection can be used again after the current answer.
    keeps_alive: bool,
    idle_since: Instant,
    pub(super) speed: Speed,
}

impl GetConnection {
    /// Returns the record of when bytes were last transferred.
    pub(super) fn activity(&self) -> SocketActivity {
        self.progress.clone()
    }

    /// Sends a request without a body and reads the head of its answer.
    pub(in crate::s3::data) async fn ask<B>(
        &mut self,
        operation: Operation,
        mut request: Request<B>,
        timeouts: Timeouts,
    ) -> Result<ReceivedHead, StoreError> {
        if let Some(forwarding) = &self.forwarding {
            forwarding.address(operation, &mut request)?;
        }
        wire_log::request(request.method(), request.uri(), request.headers());
        let reused = std::mem::replace(&mut self.used, true);
        // It is not used again if this is dropped on the way.
        self.keeps_alive = false;
        self.progress.mark();
        self.speed.begin();
        let head = request_head(&request);
        let asked = watch(self.progress.clone(), timeouts, exchange(&mut self.io, &head)).await;
        let answer = asked.map_err(|failure| failure.into_store_error(operation, reused))?;
        wire_log::answer(answer.parts.status, &answer.parts.headers);
        self.keeps_alive = answer.keeps_alive;
        Ok(answer)
    }

    /// Reads a short answer to its end.
    pub(in crate::s3::data) async fn read_whole(
        &mut self,
        operation: Operation,
        head: ReceivedHead,
        timeouts: Timeouts,
    ) -> Result<Answer, StoreError> {
        let keeps_alive = std::mem::replace(&mut self.keeps_alive, false);
        let read = collect(&mut self.io, head.framing);
        let read = watch(self.progress.clone(), timeouts, read).await;
        let body = read.map_err(|failure| failure.into_store_error(operation, false))?;
        self.keeps_alive = keeps_alive;
        Ok(Answer::new(head.parts, body))
    }
}

impl Pooled for GetConnection {
    async fn open(
        transport: &Transport,
        origin: &Origin,
        limit: Duration,
    ) -> Result<Self, ConnectError> {
        let Link { io, progress, address } = transport.connect(origin, limit).await?;
        let forwarding = Forwarding::of(&io, transport, origin);
        Ok(Self {
            io: BufferedIo::new(io),
            progress,
            forwarding,
            used: false,
            keeps_alive: true,
            idle_since: Instant::now(),
            speed: Speed::of(address),
        })
    }

    fn is_reusable(&self) -> bool {
        self.keeps_alive
    }

    async fn is_ready(&mut self) -> bool {
        self.io.is_silent()
    }

    fn idle_since(&mut self) -> &mut Instant {
        &mut self.idle_since
    }

    fn speed(&mut self) -> &mut Speed {
        &mut self.speed
    }
}

async fn exchange(io: &mut BufferedIo, request: &[u8]) -> Result<ReceivedHead, ExchangeFailure> {
    // If the request cannot be sent, the store may have answered nevertheless.
    let sent = io.send(request).await;
    let mut unanswered = true;
    loop {
        match take_head(&mut io.ahead) {
            Ok(Some(head)) => return Ok(head),
            Ok(None) => {}
            Err(message) => {
                let error = io::Error::new(io::ErrorKind::InvalidData, message).into();
                return Err(ExchangeFailure::Connection { error, unanswered: false });
            }
        }
        let read = poll_fn(|context| io.poll_ahead(context)).await;
        let error = match (read, &sent) {
            (Ok(0), Ok(())) => closed(if unanswered {
                "the connection was closed before the answer"
            } else {
                "the connection was closed within the head of the answer"
            }),
            (Ok(0) | Err(_), Err(error)) => io::Error::new(error.kind(), error.to_string()),
            (Ok(_), _) => {
                unanswered = false;
                continue;
            }
            (Err(error), Ok(())) => error,
        };
        return Err(ExchangeFailure::Connection { error: error.into(), unanswered });
    }
}

async fn collect(io: &mut BufferedIo, mut framing: Framing) -> Result<Bytes, ExchangeFailure> {
    let mut body = vec![];
    let mut bytes = vec![0; 8 * 1024];
    loop {
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = poll_fn(|context| framing.poll_read(io, context, &mut buffer));
        if let Err(error) = read.await {
            let error = Box::new(error);
            return Err(ExchangeFailure::Connection { error, unanswered: false });
        }
        if buffer.filled().is_empty() {
            return Ok(body.into());
        }
        body.extend_from_slice(buffer.filled());
        if body.len() > ANSWER_BYTES_MAX {
            return Err(ExchangeFailure::AnswerTooLong);
        }
    }
}

fn closed(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}
