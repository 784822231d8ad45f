//! The socket that carries every connection: it records when bytes move, and detects the protocol
//! of its peer.
//!
//! Activity is recorded at the socket, not at the body: a slice of 256 KiB may take minutes on a
//! bad link, and every byte that the socket accepts meanwhile is progress. The first byte of a peer
//! shows whether the port speaks https instead of http, or the reverse: no TLS record begins like
//! an HTTP answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::error::{ConnectError, Protocol};
use super::origin::Origin;

/// The interval of the kernel's keep-alive probes to an idle peer.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A record of when a byte last moved on a connection.
#[derive(Clone, Debug)]
pub(in crate::s3) struct SocketActivity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    last_ms: AtomicU64,
}

impl SocketActivity {
    fn new() -> Self {
        Self(Arc::new(Inner { began: Instant::now(), last_ms: AtomicU64::new(0) }))
    }

    /// Records that a byte moved now.
    pub(in crate::s3) fn mark(&self) {
        let now_ms = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Returns the time when a byte last moved.
    pub(in crate::s3) fn last(&self) -> Instant {
        self.0.began + Duration::from_millis(self.0.last_ms.load(Ordering::Relaxed))
    }
}

/// A TCP connection to the next hop: the store, or a proxy in front of it.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: TcpStream,
    progress: SocketActivity,
    /// The peer, as long as its first byte has not been examined.
    unheard: Option<Origin>,
    forwarded: bool,
}

impl Socket {
    /// Wraps a new connection to `hop`. `forwarded`: the peer is a proxy that forwards plain
    /// requests. `unacknowledged_max`: the link counts as dead if the peer's kernel acknowledges
    /// nothing for this long.
    pub(super) fn new(
        tcp: TcpStream,
        hop: &Origin,
        forwarded: bool,
        unacknowledged_max: Duration,
    ) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let options = socket2::SockRef::from(&tcp);
        let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        options.set_tcp_keepalive(&keepalive)?;
        #[cfg(target_os = "linux")]
        options.set_tcp_user_timeout(Some(unacknowledged_max))?;
        let _ = unacknowledged_max;
        Ok(Self { tcp, progress: SocketActivity::new(), unheard: Some(hop.clone()), forwarded })
    }

    pub(super) fn progress(&self) -> SocketActivity {
        self.progress.clone()
    }

    pub(super) fn is_forwarded(&self) -> bool {
        self.forwarded
    }

    fn marked<R>(&self, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if let Poll::Ready(Ok(_)) = &polled {
            self.progress.mark();
        }
        polled
    }

    /// Fails if the first byte belongs to the other protocol.
    fn listen_to(&mut self, first: u8) -> io::Result<()> {
        let Some(hop) = self.unheard.take() else { return Ok(()) };
        let speaks = match (hop.tls, first) {
            (true, b'H') => Protocol::PlainHttp,
            // An alert or a handshake record.
            (false, 0x15 | 0x16) => Protocol::Tls,
            _ => return Ok(()),
        };
        Err(io::Error::new(io::ErrorKind::InvalidData, ConnectError::Scheme { to: hop, speaks }))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(context, buffer);
        if self.unheard.is_some()
            && let Some(first) = buffer.filled().get(before)
        {
            self.listen_to(*first)?;
        }
        self.marked(polled)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.marked(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(context, slices);
        self.marked(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
