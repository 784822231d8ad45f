//! One HTTP/1.1 connection of the data plane.

use std::time::Duration;

use http::header::{HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::answer::Answer;
use super::{Timeouts, broken};
use crate::body::{BodyError, PayloadBody, SLICE_BYTES};
use crate::error_text::in_one_line;
use crate::remote::{Operation, StoreError, StoreErrorKind};
use crate::s3::transport::{ConnectError, Link, Origin, Proxy, SocketActivity, Transport, find};
use crate::s3::wire_log;

/// The maximum length of an answer that is read as a whole: a few headers, or an error document.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

pub(super) struct Connection {
    sender: SendRequest<PayloadBody>,
    progress: SocketActivity,
    forwarding: Option<Forwarding>,
    used: bool,
    idle_since: Instant,
}

/// A forwarding proxy: requests need the whole URL, and possibly a password.
struct Forwarding {
    origin_url: String,
    authorization: Option<HeaderValue>,
}

impl Connection {
    pub(super) async fn open(
        transport: &Transport,
        origin: &Origin,
        limit: Duration,
    ) -> Result<Self, ConnectError> {
        let Link { io, progress } = transport.connect(origin, limit).await?;
        let forwarding = io.is_forwarded().then(|| Forwarding {
            origin_url: origin.url(),
            authorization: transport.proxy_of(origin).and_then(Proxy::authorization).cloned(),
        });
        // Send one slice at a time: the next one is read when this one has been sent, so both stay
        // in the CPU cache.
        let shaken =
            http1::Builder::new().max_buf_size(SLICE_BYTES).handshake(TokioIo::new(io)).await;
        let (sender, connection) = shaken.map_err(|error| ConnectError::Unreachable {
            to: origin.authority.clone(),
            cause: std::io::Error::other(error),
        })?;
        // The task ends when the sender is dropped; a request in flight then gets the task's error.
        tokio::spawn(connection);
        Ok(Self { sender, progress, forwarding, used: false, idle_since: Instant::now() })
    }

    pub(super) fn is_reusable(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Returns whether the peer still keeps the connection open, as far as this side knows.
    pub(super) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub(super) fn idle_for(&self) -> Duration {
        self.idle_since.elapsed()
    }

    /// Returns the record of when bytes were last transferred.
    pub(super) fn activity(&self) -> SocketActivity {
        self.progress.clone()
    }

    /// Sends a request and reads its whole answer. Dropping the future closes the connection.
    pub(super) async fn send(
        &mut self,
        operation: Operation,
        request: Request<PayloadBody>,
        timeouts: Timeouts,
    ) -> Result<Answer, StoreError> {
        let asked = self.ask(operation, request, timeouts).await?;
        self.read_whole(operation, asked, timeouts).await
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn ask(
        &mut self,
        operation: Operation,
        mut request: Request<PayloadBody>,
        timeouts: Timeouts,
    ) -> Result<Response<Incoming>, StoreError> {
        if let Some(forwarding) = &self.forwarding {
            forwarding
                .address(&mut request)
                .map_err(|error| broken(operation, error.to_string()))?;
        }
        wire_log::request(request.method(), request.uri(), request.headers());
        let reused = std::mem::replace(&mut self.used, true);
        self.progress.mark();
        let asked = watch(self.progress.clone(), timeouts, exchange(&mut self.sender, request));
        asked.await.map_err(|failure| failure.into_store_error(operation, reused))
    }

    /// Reads a short answer to its end.
    pub(super) async fn read_whole(
        &self,
        operation: Operation,
        asked: Response<Incoming>,
        timeouts: Timeouts,
    ) -> Result<Answer, StoreError> {
        let read = watch(self.progress.clone(), timeouts, collect(asked)).await;
        read.map_err(|failure| failure.into_store_error(operation, false))
    }

    /// Marks the connection as idle: its last answer has been read.
    pub(super) fn rest(&mut self) {
        self.idle_since = Instant::now();
    }
}

impl Forwarding {
    /// Adapts a signed request for the proxy. The signature covers neither the host in the request
    /// line nor this header.
    fn address(&self, request: &mut Request<PayloadBody>) -> Result<(), http::uri::InvalidUri> {
        *request.uri_mut() = format!("{}{}", self.origin_url, request.uri()).parse::<Uri>()?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Ok(())
    }
}

/// The reason why a request got no answer.
enum ExchangeFailure {
    Http(hyper::Error),
    AnswerTooLong,
    Stalled(Duration),
}

impl ExchangeFailure {
    fn into_store_error(self, operation: Operation, reused: bool) -> StoreError {
        let error = match self {
            Self::Http(error) => {
                if let Some(cause) = find::<ConnectError>(&error) {
                    return cause.to_store_error(operation);
                }
                if matches!(find::<BodyError>(&error), Some(BodyError::Source(_))) {
                    let message = "the part cannot be read while it is sent";
                    return StoreError::local(operation, StoreErrorKind::Source, message)
                        .with_source(error);
                }
                let mut failed = broken(operation, in_one_line(&error));
                // An idle connection got no answer because the peer had closed it.
                failed.reused_connection = reused
                    && (error.is_canceled() || error.is_incomplete_message() || error.is_closed());
                failed.with_source(error)
            }
            Self::AnswerTooLong => {
                let message = format!("an answer of more than {ANSWER_BYTES_MAX} bytes");
                StoreError::local(operation, StoreErrorKind::Malformed, message)
            }
            Self::Stalled(time) => StoreError::local(
                operation,
                StoreErrorKind::Timeout,
                format!("no byte moved for {} seconds", time.as_secs()),
            ),
        };
        StoreError { outcome_unknown: true, ..error }
    }
}

async fn exchange(
    sender: &mut SendRequest<PayloadBody>,
    request: Request<PayloadBody>,
) -> Result<Response<Incoming>, ExchangeFailure> {
    sender.ready().await.map_err(ExchangeFailure::Http)?;
    let response = sender.send_request(request).await.map_err(ExchangeFailure::Http)?;
    wire_log::answer(response.status(), response.headers());
    Ok(response)
}

async fn collect(response: Response<Incoming>) -> Result<Answer, ExchangeFailure> {
    let (head, body) = response.into_parts();
    let body =
        Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| match error
            .downcast::<hyper::Error>(
        ) {
            Ok(error) => ExchangeFailure::Http(*error),
            Err(error) => {
                debug_assert!(error.is::<LengthLimitError>());
                ExchangeFailure::AnswerTooLong
            }
        })?;
    Ok(Answer::new(head, body.to_bytes()))
}

/// Ends an exchange that makes no progress. When the last byte has been handed over, the kernel's
/// buffers still have to be transferred, so the answer has its own time-out.
async fn watch<T>(
    progress: SocketActivity,
    timeouts: Timeouts,
    exchange: impl Future<Output = Result<T, ExchangeFailure>>,
) -> Result<T, ExchangeFailure> {
    let patience = timeouts.idle.max(timeouts.answer);
    tokio::pin!(exchange);
    loop {
        let deadline = progress.last() + patience;
        tokio::select! {
            done = &mut exchange => return done,
            () = tokio::time::sleep_until(deadline) => {
                if progress.last() + patience <= Instant::now() {
                    return Err(ExchangeFailure::Stalled(patience));
                }
            }
        }
    }
}
