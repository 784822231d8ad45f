//! Makes all connections to a store.
//!
//! Both planes connect here, and so do the services that credentials come from: there is one
//! resolver, one cache of addresses, one TLS configuration, and one rule about proxies. The planes
//! differ only in their pools: the data plane owns its connections ([`super::data`]), and
//! [`connector`] keeps the SDK's.

mod addresses;
mod answer_limit;
mod certificate;
mod connector;
mod der;
mod error;
mod no_proxy;
mod origin;
mod proxy;
mod race;
mod resolve;
mod socket;
mod survey;
mod tls;
mod tls_reads;
mod tunnel;
mod verify;
pub(super) mod wrong_scheme;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

pub(super) use self::addresses::AVOIDED_FOR;
use self::addresses::AddressBook;
pub(super) use self::answer_limit::{LimitAnswers, answer_bytes_max};
use self::certificate::CertificateProblem;
pub(super) use self::connector::ControlConnections;
pub(crate) use self::der::CertificateFacts;
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::der::read as read_certificate;
pub(super) use self::error::{ConnectError, find};
pub use self::no_proxy::NoProxy;
pub(super) use self::origin::Origin;
pub use self::proxy::{Proxies, Proxy, ProxyError};
pub(super) use self::resolve::Resolver;
use self::socket::Socket;
pub(super) use self::socket::SocketActivity;
pub(super) use self::survey::{AddressLatency, TlsFacts};
pub(super) use self::tls::{Trust, client_config};
use self::tls_reads::{TlsReads, buffered};
use self::wrong_scheme::Heard;
use crate::body::SMALL_SLICE_BYTES;

/// The maximum idle time of a connection: AWS closes idle connections after about five seconds
/// (trap 28).
pub(super) const IDLE_MAX: Duration = Duration::from_secs(4);

/// The time-out for clients of the SDK that set none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The name in `User-Agent`.
pub(super) const USER_AGENT_NAME: &str = concat!("haul/", env!("CARGO_PKG_VERSION"));

/// A byte stream in both directions, on any transport.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {
    /// Returns true if the peer is a proxy that expects requests with whole URLs.
    fn is_forwarded(&self) -> bool;
}

pub(super) type BoxIo = Box<dyn Io>;

impl Io for Socket {
    fn is_forwarded(&self) -> bool {
        Self::is_forwarded(self)
    }
}

/// A tunnel through a proxy: the proxy does not see the requests.
impl Io for hyper_util::rt::TokioIo<hyper::upgrade::Upgraded> {
    fn is_forwarded(&self) -> bool {
        false
    }
}

/// A new connection.
pub(super) struct Link {
    pub(super) io: BoxIo,
    /// The activity of the socket that carries the connection.
    pub(super) progress: SocketActivity,
    /// The address of the next hop: the store, or a proxy in front of it.
    pub(super) address: SocketAddr,
}

/// The maker of connections, shared by everything that uses the network.
pub(super) struct Transport {
    addresses: AddressBook,
    tls: Arc<ClientConfig>,
    proxies: Proxies,
    heard: Heard,
    /// The least time that each host took to accept a connection.
    round_trips: Mutex<HashMap<Origin, Duration>>,
    /// The time without acknowledgements after which a link counts as dead.
    unacknowledged_max: Duration,
}

impl Transport {
    pub(super) fn new(
        resolver: Resolver,
        tls: Arc<ClientConfig>,
        proxies: Proxies,
        unacknowledged_max: Duration,
    ) -> Self {
        let (addresses, heard) = (AddressBook::new(resolver), Heard::default());
        Self { addresses, tls, proxies, heard, round_trips: Mutex::default(), unacknowledged_max }
    }

    /// Returns the least time that a host took to accept a connection, which is one round trip;
    /// `None` before the first connection.
    pub(super) fn round_trip(&self, host: &Origin) -> Option<Duration> {
        self.round_trips().get(host).copied()
    }

    fn round_trips(&self) -> MutexGuard<'_, HashMap<Origin, Duration>> {
        self.round_trips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the proxy for requests to an origin.
    pub(super) fn proxy_of(&self, origin: &Origin) -> Option<&Proxy> {
        self.proxies.of(origin)
    }

    /// Connects to an origin, through its proxy if it has one. The time limit `limit` includes TLS.
    ///
    /// # Errors
    /// [`ConnectError`]; in that case no request was sent.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        limit: Duration,
    ) -> Result<Link, ConnectError> {
        let deadline = Instant::now() + limit;
        let proxy = self.proxies.of(origin);
        let hop = proxy.map_or(origin, Proxy::origin);
        let too_late = |_| ConnectError::TimedOut { to: hop.authority.clone(), after: limit };
        let (tcp, address) =
            timeout_at(deadline, self.dial(hop, limit / 2)).await.map_err(too_late)??;
        let secured = timeout_at(deadline, self.secure((tcp, address), hop, origin, proxy)).await;
        let error = match secured {
            Ok(Ok(link)) => return Ok(link),
            Ok(Err(error)) => error,
            Err(elapsed) => too_late(elapsed),
        };
        self.addresses.avoid(address);
        match error {
            ConnectError::Unreachable { .. } if origin.tls => {
                Err(self.diagnose(origin).await.unwrap_or(error))
            }
            error => Err(error),
        }
    }

    /// Tries this address last for a while, because its connections are slow.
    pub(super) fn avoid(&self, address: SocketAddr) {
        self.addresses.avoid(address);
    }

    /// Returns the address that the next connection to an origin would try first.
    #[cfg(test)]
    pub(super) async fn next_address(&self, origin: &Origin) -> io::Result<SocketAddr> {
        Ok(self.addresses.addresses(&origin.host, origin.port).await?.remove(0))
    }

    /// Connects to one of the host's addresses. Each attempt gets half of the time, so that after
    /// an address that drops packets there is time for the others.
    async fn dial(
        &self,
        hop: &Origin,
        attempt_timeout: Duration,
    ) -> Result<(TcpStream, SocketAddr), ConnectError> {
        let found = self.addresses.addresses(&hop.host, hop.port).await;
        let found =
            found.map_err(|cause| ConnectError::Lookup { host: hop.host.clone(), cause })?;
        let began = Instant::now();
        let dialled = self.addresses.dial(&hop.host, hop.port, found, attempt_timeout).await;
        let dialled = dialled
            .map_err(|cause| ConnectError::Unreachable { to: hop.authority.clone(), cause })?;
        let took = began.elapsed();
        let mut round_trips = self.round_trips();
        let least = round_trips.entry(hop.clone()).or_insert(took);
        *least = took.min(*least);
        drop(round_trips);
        Ok(dialled)
    }

    async fn secure(
        &self,
        (tcp, address): (TcpStream, SocketAddr),
        hop: &Origin,
        origin: &Origin,
        proxy: Option<&Proxy>,
    ) -> Result<Link, ConnectError> {
        let forwarded = proxy.is_some() && !origin.tls;
        let socket = Socket::new(tcp, hop, forwarded, self.unacknowledged_max)
            .map_err(|cause| ConnectError::Unreachable { to: hop.authority.clone(), cause })?;
        let progress = socket.progress();
        let mut io: BoxIo = Box::new(socket);
        if hop.tls {
            io = self.shake_hands(io, hop).await?;
        }
        if let Some(proxy) = proxy.filter(|_| origin.tls) {
            io = tunnel::open(io, origin, proxy).await?;
            io = self.shake_hands(io, origin).await?;
        }
        Ok(Link { io, progress, address })
    }

    async fn shake_hands(&self, io: BoxIo, to: &Origin) -> Result<BoxIo, ConnectError> {
        let name = server_name(to)?;
        match TlsConnector::from(Arc::clone(&self.tls)).connect(name, buffered(io)).await {
            Ok(mut stream) => {
                // Four records are encrypted, and then sent while they are in the cache.
                stream.get_mut().1.set_buffer_limit(Some(SMALL_SLICE_BYTES));
                Ok(Box::new(TlsReads(stream)))
            }
            Err(error) => Err(handshake_error(error, to)),
        }
    }
}

fn server_name(to: &Origin) -> Result<ServerName<'static>, ConnectError> {
    let unusable = |error| ConnectError::Unreachable {
        to: to.authority.clone(),
        cause: io::Error::new(io::ErrorKind::InvalidInput, error),
    };
    ServerName::try_from(to.host.clone()).map_err(unusable)
}

/// Extracts the useful part of a handshake error.
fn handshake_error(error: io::Error, to: &Origin) -> ConnectError {
    match find::<rustls::Error>(&error) {
        Some(rustls::Error::InvalidCertificate(reason)) => {
            ConnectError::Certificate { to: to.clone(), problem: CertificateProblem::of(reason) }
        }
        Some(other) => ConnectError::Tls { to: to.authority.clone(), cause: other.clone() },
        None => match find::<ConnectError>(&error) {
            Some(ConnectError::Scheme { to, speaks }) => {
                ConnectError::Scheme { to: to.clone(), speaks: *speaks }
            }
            _ => ConnectError::Unreachable { to: to.authority.clone(), cause: error },
        },
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}
