//! One HTTP/1.1 connection for requests with bodies.

use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::Timeouts;
use super::answer::Answer;
use super::exchange::{ANSWER_BYTES_MAX, ExchangeFailure, watch};
use super::forwarding::Forwarding;
use super::pool::Pooled;
use super::speed::Speed;
use crate::body::{PayloadBody, SLICE_BYTES, SMALL_SLICE_BYTES};
use crate::remote::{Operation, StoreError};
use crate::s3::transport::{ConnectError, Link, Origin, SocketActivity, Transport};
use crate::s3::wire_log;

pub(super) struct SendConnection {
    sender: SendRequest<PayloadBody>,
    progress: SocketActivity,
    forwarding: Option<Forwarding>,
    used: bool,
    idle_since: Instant,
    speed: Speed,
}

impl SendConnection {
    /// Sends a request and reads its whole answer. Dropping the future closes the connection.
    pub(super) async fn send(
        &mut self,
        operation: Operation,
        mut request: Request<PayloadBody>,
        timeouts: Timeouts,
    ) -> Result<Answer, StoreError> {
        if let Some(forwarding) = &self.forwarding {
            forwarding.address(operation, &mut request)?;
        }
        wire_log::request(request.method(), request.uri(), request.headers());
        let reused = std::mem::replace(&mut self.used, true);
        self.progress.mark();
        self.speed.begin();
        let bytes = request.body().size_hint().exact().unwrap_or(0);
        let own = request.body_mut().timed();
        let asked = watch(self.progress.clone(), timeouts, exchange(&mut self.sender, request));
        let asked = asked.await.map_err(|failure| failure.into_store_error(operation, reused))?;
        let succeeded = asked.status().is_success();
        let read = watch(self.progress.clone(), timeouts, collect(asked)).await;
        let answer = read.map_err(|failure| failure.into_store_error(operation, false))?;
        if succeeded {
            self.speed.sent(bytes, own.total());
        }
        Ok(answer)
    }
}

impl Pooled for SendConnection {
    async fn open(
        transport: &Transport,
        origin: &Origin,
        limit: Duration,
    ) -> Result<Self, ConnectError> {
        let Link { io, progress, address } = transport.connect(origin, limit).await?;
        let forwarding = Forwarding::of(&io, transport, origin);
        // Send one slice at a time: the next one is read when this one has been sent, so both stay
        // in the CPU cache. TLS takes less at a time, so less has to wait for it.
        let waiting_max = if origin.tls { SMALL_SLICE_BYTES } else { SLICE_BYTES };
        let shaken =
            http1::Builder::new().max_buf_size(waiting_max).handshake(TokioIo::new(io)).await;
        let (sender, connection) = shaken.map_err(|error| ConnectError::Unreachable {
            to: origin.authority.clone(),
            cause: std::io::Error::other(error),
        })?;
        // The task ends when the sender is dropped; a request in flight then gets the task's error.
        tokio::spawn(connection);
        let (idle_since, speed) = (Instant::now(), Speed::of(address));
        Ok(Self { sender, progress, forwarding, used: false, idle_since, speed })
    }

    fn is_reusable(&self) -> bool {
        !self.sender.is_closed()
    }

    async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    fn idle_since(&mut self) -> &mut Instant {
        &mut self.idle_since
    }

    fn speed(&mut self) -> &mut Speed {
        &mut self.speed
    }
}

async fn exchange(
    sender: &mut SendRequest<PayloadBody>,
    request: Request<PayloadBody>,
) -> Result<Response<Incoming>, ExchangeFailure> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    wire_log::answer(response.status(), response.headers());
    Ok(response)
}

async fn collect(response: Response<Incoming>) -> Result<Answer, ExchangeFailure> {
    let (head, body) = response.into_parts();
    let body =
        Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| match error
            .downcast::<hyper::Error>(
        ) {
            Ok(error) => ExchangeFailure::from(*error),
            Err(error) => {
                debug_assert!(error.is::<LengthLimitError>());
                ExchangeFailure::AnswerTooLong
            }
        })?;
    Ok(Answer::new(head, body.to_bytes()))
}
