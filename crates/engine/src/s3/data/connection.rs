//! One HTTP/1.1 connection that we own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::address::Origin;
use super::answer::Answer;
use super::progress::{Progress, Watched};
use super::{Timeouts, broken};
use crate::error::in_one_line;
use crate::payload::PayloadBody;
use crate::store::{Operation, StoreError, StoreErrorKind};

/// An answer to UploadPart or PutObject is a few headers, or an error document.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The kernel asks an idle peer whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

pub(super) struct Connection {
    sender: SendRequest<PayloadBody>,
    progress: Progress,
    used: bool,
    idle_since: Instant,
}

impl Connection {
    pub(super) async fn open(
        origin: &Origin,
        address: SocketAddr,
        tls: &Arc<ClientConfig>,
        timeouts: Timeouts,
    ) -> io::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tune(&tcp, timeouts)?;
        let progress = Progress::new();
        let tcp = Watched::new(tcp, progress.clone());
        let sender = if origin.tls {
            let name = ServerName::try_from(origin.host.clone()).map_err(io::Error::other)?;
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(tls));
            handshake(connector.connect(name, tcp).await?).await?
        } else {
            handshake(tcp).await?
        };
        Ok(Self { sender, progress, used: false, idle_since: Instant::now() })
    }

    pub(super) fn is_reusable(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Whether the peer still listens, as far as is known here.
    pub(super) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub(super) fn idle_for(&self) -> Duration {
        self.idle_since.elapsed()
    }

    /// Sends a request and reads its answer whole. Dropping the future drops the connection with it.
    pub(super) async fn send(
        &mut self,
        operation: Operation,
        request: Request<PayloadBody>,
        timeouts: Timeouts,
    ) -> Result<Answer, StoreError> {
        let reused = std::mem::replace(&mut self.used, true);
        self.progress.mark();
        let sent = watch(self.progress.clone(), timeouts, exchange(&mut self.sender, request)).await;
        self.idle_since = Instant::now();
        sent.map_err(|failure| failure.into_store_error(operation, reused))
    }
}

/// Why there was no answer.
enum ExchangeFailure {
    Http(hyper::Error),
    AnswerTooLong,
    Stalled(Duration),
}

impl ExchangeFailure {
    fn into_store_error(self, operation: Operation, reused: bool) -> StoreError {
        let error = match self {
            Self::Http(error) => {
                let mut failed = broken(operation, in_one_line(&error));
                // Nothing came back on a connection that had been idle: the peer had closed it.
                failed.reused_connection =
                    reused && (error.is_canceled() || error.is_incomplete_message() || error.is_closed());
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
) -> Result<Answer, ExchangeFailure> {
    sender.ready().await.map_err(ExchangeFailure::Http)?;
    let response = sender.send_request(request).await.map_err(ExchangeFailure::Http)?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| {
        match error.downcast::<hyper::Error>() {
            Ok(error) => ExchangeFailure::Http(*error),
            Err(error) => {
                debug_assert!(error.is::<LengthLimitError>());
                ExchangeFailure::AnswerTooLong
            }
        }
    })?;
    Ok(Answer::new(head, body.to_bytes()))
}

/// Ends an exchange on which nothing moves. What is left in the kernel's buffers after the last byte was
/// handed over still has to travel, so the answer has a patience of its own.
async fn watch<T>(
    progress: Progress,
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

fn tune(tcp: &TcpStream, timeouts: Timeouts) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = socket2::SockRef::from(tcp);
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    // Bytes that the peer's kernel does not acknowledge for this long: the link is gone.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(timeouts.idle))?;
    let _ = timeouts;
    Ok(())
}

async fn handshake<T>(io: T) -> io::Result<SendRequest<PayloadBody>>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        http1::Builder::new().handshake(TokioIo::new(io)).await.map_err(io::Error::other)?;
    // Ends with the sender; its error reaches the request that was under way.
    tokio::spawn(connection);
    Ok(sender)
}
