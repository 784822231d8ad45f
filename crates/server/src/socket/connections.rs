//! Accepts connections and serves each with hyper's HTTP/1, within limits.
//!
//! Connections beyond the limit wait in the listen queue: a permit is taken before the accept. When
//! the server stops, every connection may finish its current request, and the rest are closed after
//! the grace time. Does not know about S3.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use s3s::Body;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::auth::request_slots::RequestSlots;
use crate::metrics::Metrics;
use crate::options::Limits;
use crate::socket::interim::Interim;
use crate::socket::stalling_io::StallingIo;
use crate::socket::tls::Transport;

/// The pause after an accept error such as "too many open files", which an immediate retry cannot
/// cure.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(50);
/// The bytes to read from a connection at once. A sending connection holds up to three of these
/// buffers (hyper's, one in transit, one being copied into a block), which adds up with hundreds of
/// connections; with much smaller buffers, the system calls cost more than that saves. hyper also
/// ends a request head at this size (431) before our own limit applies, and buffers as much of a
/// response.
const READ_MAX_BYTES: usize = 64 << 10;
/// The maximum number of header lines of one request.
const HEADER_LINES: usize = 256;

/// The future of a response.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// Responds to the requests of every connection.
pub(crate) trait Handler: Send + Sync + 'static {
    fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answer;
}

/// Settings shared by all connections of one listener.
#[derive(Clone)]
pub(crate) struct ServeConfig {
    pub(crate) transport: Transport,
    pub(crate) slots: RequestSlots,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
}

/// Serves until `stop` is set or its sender is dropped.
pub(crate) async fn serve<A: Handler>(
    listener: TcpListener,
    handler: Arc<A>,
    config: ServeConfig,
    mut stop: watch::Receiver<()>,
) {
    let limits = &config.limits;
    let permits = Arc::clone(config.slots.connections());
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            accepted = accept(&listener, &permits) => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let (stream, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_ERROR_PAUSE).await;
                continue;
            }
        };
        let connection = one(stream, Arc::clone(&handler), config.clone(), graceful.watcher());
        connections.spawn(async move {
            // A connection that the peer broke off needs no warning; errors of requests are logged
            // with them.
            if let Err(error) = connection.await {
                tracing::debug!(error, "connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    let finished = async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    };
    if tokio::time::timeout(limits.stop_grace, finished).await.is_err() {
        tracing::warn!(grace = ?limits.stop_grace, "cutting off connections that did not finish in \
            time");
    }
    connections.shutdown().await;
}

/// Serves one connection, from the handshake to its end.
async fn one<A: Handler>(
    stream: TcpStream,
    handler: Arc<A>,
    config: ServeConfig,
    watcher: Watcher,
) -> Result<(), String> {
    let ServeConfig { transport, metrics, limits, slots: _ } = config;
    let _open = Open::new(&metrics);
    let stream = transport
        .connect(stream, limits.header_timeout)
        .await
        .map_err(|error| error.to_string())?;
    let interim = Interim::default();
    let io = StallingIo::new(
        TokioIo::new(stream),
        limits.stall_timeout,
        Arc::clone(&metrics),
        interim.clone(),
    );
    let answer = |mut request: Request<Incoming>| {
        request.extensions_mut().insert(interim.clone());
        handler.answer(request)
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(HEADER_LINES)
        .max_buf_size(READ_MAX_BYTES.max(2 * limits.header_bytes))
        .serve_connection(io, service_fn(answer));
    watcher.watch(connection).await.map_err(|error| error.to_string())
}

/// Counts an open connection until it is dropped.
struct Open<'a>(&'a Metrics);

impl<'a> Open<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.connections.fetch_add(1, Relaxed);
        Self(metrics)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}
