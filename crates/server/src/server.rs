//! Starts and stops a server: the store's folder, the keys, the socket, and the file with the
//! address for other processes.
//!
//! The lock of the folder decides which process serves it. The file with address and keys is
//! removed after the lock is taken and written once the socket listens; it contains the process id,
//! so the file of a killed server is recognised as stale.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use haul_store::{DiskStore, StoreOptions, side_file};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::Admin;
use crate::auth::access::KeyRing;
use crate::auth::grants::Grant;
use crate::auth::keys::Credentials;
use crate::auth::request_slots::RequestSlots;
use crate::body::gather::BlockRoom;
use crate::body::holding::HeldRoom;
use crate::error::{Error, GrantsError};
use crate::expiry::Expiry;
use crate::front::Front;
use crate::front::verified::{BehindSignature, NoOperations, Operations};
use crate::metrics::Metrics;
use crate::ops::encryption::Volume;
use crate::ops::endpoint::Endpoint;
use crate::ops::object_stream::SendRoom;
use crate::options::{Limits, ServerOptions};
use crate::request::target::Domains;
use crate::service::Service;
use crate::socket::connections;
use crate::socket::connections::ServeConfig;
use crate::socket::tls::Transport;

/// The connections that may wait to be accepted; the kernel lowers it to `net.core.somaxconn`. The
/// default of 128 overflows when a few hundred clients connect at once: some are reset then.
const LISTEN_QUEUE: u32 = 4096;

const KEYS_FILE: &str = "keys.json";
const ENDPOINT_FILE: &str = "endpoint.json";
/// The lock file of the store. The process that holds it has written its id there, where the system
/// lets other processes read it.
const LOCK_FILE: &str = "lock";

/// The maximum number of connections of the admin address served at once.
const ADMIN_CONNECTIONS_MAX: usize = 16;

/// The maximum time to connect to a server on this machine.
const KNOCK_PATIENCE: Duration = Duration::from_secs(1);

/// The maximum number of checks, with a pause after each, while stopping waits for the release of
/// the folder.
const LOCK_LOOKS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The content of a running server's address file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndpointFile {
    /// The URL scheme, `http` or `https`.
    pub scheme: String,
    /// The address that the server listens on.
    pub address: SocketAddr,
    /// The process id of the server.
    pub pid: u32,
    /// The region that the server reports.
    pub region: String,
    /// The access keys of the owner.
    #[serde(flatten)]
    pub credentials: Credentials,
}

impl EndpointFile {
    /// Returns `http://ADDRESS` (with TLS `https://`), reachable from this machine.
    pub fn endpoint(&self) -> String {
        endpoint_url(&self.scheme, self.address)
    }
}

/// A server that runs until it is stopped or dropped.
///
/// Dropping it stops accepting connections, and requests in flight end with the runtime;
/// [`stop`](Self::stop) waits for them.
#[derive(Debug)]
pub struct RunningServer {
    scheme: String,
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    credentials: Arc<Credentials>,
    keys: KeyRing,
    data_dir: PathBuf,
    stop: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
}

/// Opens the folder, listens, and serves in tasks of the current runtime.
///
/// # Errors
/// [`Error::Store`] (with [`haul_store::Error::Locked`] if another process holds the folder),
/// [`Error::Listen`], [`Error::Keys`], [`Error::Grants`], [`Error::Tls`], [`Error::Random`].
pub async fn start(options: ServerOptions) -> Result<RunningServer, Error> {
    let transport = Transport::new(options.tls.as_ref())?;
    let dir = options.data_dir.clone();
    let (store, credentials) = blocking(move || open(&dir)).await?;
    Grant::check_owner_is_not_among(&options.grants, &credentials)?;
    let credentials = Arc::new(credentials);

    let (listener, address) = listen(options.listen).await?;
    let admin = match options.admin_listen {
        Some(wanted) => Some(listen(wanted).await?),
        None => None,
    };
    let scheme = transport.scheme();
    let file = EndpointFile {
        scheme: scheme.to_owned(),
        pid: std::process::id(),
        address,
        region: options.region.clone(),
        credentials: (*credentials).clone(),
    };
    let dir = options.data_dir.clone();
    blocking(move || write_json(&dir, ENDPOINT_FILE, &file)).await?;

    let owner = Grant::owner((*credentials).clone());
    let keys = KeyRing::new(owner, options.grants.clone(), options.public_read_buckets.clone());
    let shares = options.limits.shares();
    let endpoint = Endpoint {
        store: store.clone(),
        keys: keys.clone(),
        region: options.region.as_str().into(),
        scheme,
        auto_create: options.auto_create_buckets,
        volume: if options.volume_is_encrypted { Volume::Encrypted } else { Volume::Unknown },
        expiry_wanted: Arc::default(),
        blocks: BlockRoom::new(shares.blocks_bytes),
        sends: SendRoom::new(shares.sends_bytes),
    };
    let expiry = Expiry {
        store,
        older_than: options.expire_uploads,
        interval: options.expiry_interval,
        wanted: Arc::clone(&endpoint.expiry_wanted),
    };
    let (verifier, operations) = s3_services(endpoint.clone(), &options);
    let metrics = Arc::new(Metrics::default());
    let slots = RequestSlots::new(options.limits.connections);
    let front = Front {
        verifier,
        operations,
        endpoint: endpoint.clone(),
        domains: Domains::new(&options.domains),
        limits: options.limits.clone(),
        slots: slots.clone(),
        held_room: HeldRoom::new(shares.held_bytes),
        metrics: Arc::clone(&metrics),
    };
    let config = ServeConfig {
        transport,
        slots,
        metrics: Arc::clone(&metrics),
        limits: options.limits.clone(),
    };
    let (stop, stopped) = watch::channel(());
    let mut tasks = vec![
        tokio::spawn(connections::serve(listener, Arc::new(front), config, stopped.clone())),
        tokio::spawn(expiry.run(stopped.clone())),
    ];
    let admin_address = admin.as_ref().map(|(_, address)| *address);
    if let Some((listener, _)) = admin {
        // Use separate counters: reading the metrics should not change them.
        let metrics_of_admin = Arc::new(Metrics::default());
        let connections = options.limits.connections.min(ADMIN_CONNECTIONS_MAX);
        let limits = Limits { connections, ..options.limits };
        let slots = RequestSlots::new(connections);
        let config =
            ServeConfig { transport: Transport::Plain, slots, metrics: metrics_of_admin, limits };
        let admin = Arc::new(Admin { endpoint, metrics });
        tasks.push(tokio::spawn(connections::serve(listener, admin, config, stopped)));
    }
    tracing::info!(%address, dir = %options.data_dir.display(), "serving");
    Ok(RunningServer {
        scheme: scheme.to_owned(),
        address,
        admin_address,
        credentials,
        keys,
        data_dir: options.data_dir,
        stop,
        tasks,
    })
}

impl RunningServer {
    /// Returns the address that the server listens on, with the actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns `http://ADDRESS` (with TLS `https://`), reachable from this machine even if it
    /// listens on all interfaces.
    pub fn endpoint(&self) -> String {
        endpoint_url(&self.scheme, self.address)
    }

    /// Returns the address of `/health` and `/metrics`, if enabled.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Returns the owner's keys.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Returns the path of the file with the owner's keys.
    pub fn keys_file(&self) -> PathBuf {
        self.data_dir.join(KEYS_FILE)
    }

    /// Replaces the key pairs of [`ServerOptions::grants`] or of the last call. Requests in flight
    /// keep their permissions. The owner's keys stay.
    ///
    /// # Errors
    /// [`GrantsError::OwnersKey`]; the key pairs stay as they were.
    pub fn replace_grants(&self, grants: Vec<Grant>) -> Result<(), GrantsError> {
        Grant::check_owner_is_not_among(&grants, &self.credentials)?;
        tracing::info!(keys = grants.len(), "key pairs replaced");
        self.keys.replace(grants);
        Ok(())
    }

    /// Stops accepting, waits for requests in flight (up to the grace time of the limits), and
    /// releases the folder.
    pub async fn stop(self) {
        // Remove the file before releasing the lock, because the next holder writes its own file.
        let dir = self.data_dir.clone();
        if let Err(error) = blocking(move || Ok(side_file::remove(&dir, ENDPOINT_FILE)?)).await {
            tracing::warn!(%error, "cannot remove the address file");
        }
        drop(self.stop);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the server failed");
            }
        }
        // An interrupted write may still be on its way out of the store, and the caller of `stop`
        // expects the folder to be free.
        for _ in 0..LOCK_LOOKS {
            let dir = self.data_dir.clone();
            if !matches!(blocking(move || Ok(side_file::is_in_use(&dir)?)).await, Ok(true)) {
                break;
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        tracing::info!(address = %self.address, "stopped");
    }
}

/// Returns the server that holds a folder, if there is one.
///
/// Also returns `None` while that server is still starting: a caller that could not open the folder
/// may retry a moment later. Blocks for at most a second.
///
/// # Errors
/// [`Error::Store`] if the folder cannot be read, [`Error::Keys`] if the file is not one that a
/// server wrote.
pub fn running_endpoint(data_dir: impl AsRef<Path>) -> Result<Option<EndpointFile>, Error> {
    let dir = data_dir.as_ref();
    let Some(file) = read_json::<EndpointFile>(dir, ENDPOINT_FILE)? else { return Ok(None) };
    // Connect first: testing the lock takes it for an instant, and would disturb a server that is
    // starting.
    if TcpStream::connect_timeout(&reachable(file.address), KNOCK_PATIENCE).is_err()
        || !side_file::is_in_use(dir)?
    {
        return Ok(None);
    }
    let holder = side_file::read(dir, LOCK_FILE).ok().flatten();
    let holder = holder.and_then(|pid| String::from_utf8_lossy(&pid).trim().parse::<u32>().ok());
    Ok(holder.is_none_or(|holder| holder == file.pid).then_some(file))
}

async fn listen(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let bad = |source| Error::Listen { address: wanted, source };
    let socket = match wanted {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(bad)?;
    // A restarted server gets its address back at once.
    socket.set_reuseaddr(true).map_err(bad)?;
    socket.bind(wanted).map_err(bad)?;
    let listener = socket.listen(LISTEN_QUEUE).map_err(bad)?;
    let address = listener.local_addr().map_err(bad)?;
    Ok((listener, address))
}

fn open(dir: &Path) -> Result<(DiskStore, Credentials), Error> {
    let store = DiskStore::open(dir, StoreOptions::default())?;
    // The file of a killed server is stale.
    side_file::remove(dir, ENDPOINT_FILE)?;
    let credentials = match read_json(dir, KEYS_FILE)? {
        Some(credentials) => credentials,
        None => {
            let credentials = Credentials::random()?;
            write_json(dir, KEYS_FILE, &credentials)?;
            credentials
        }
    };
    Ok((store, credentials))
}

/// Creates the service that verifies signatures, and the operations behind it.
fn s3_services(endpoint: Endpoint, options: &ServerOptions) -> (S3Service, Operations) {
    let mut config = S3Config::default();
    // A document may be longer after it is rewritten for s3s.
    config.xml_max_body_size = options.limits.xml_bytes * 8;
    let config = Arc::new(StaticConfigProvider::new(Arc::new(config)));
    let keys = endpoint.keys.clone();
    let mut builder = S3ServiceBuilder::new(Service(endpoint));
    builder.set_config(Arc::clone(&config) as _);
    builder.set_host(Domains::new(&options.domains));
    // s3s never asks for a secret here, but decides about access only if it could have verified.
    builder.set_auth(keys.clone());
    builder.set_access(keys.clone());
    let operations = Operations(builder.build());

    let mut builder = S3ServiceBuilder::new(NoOperations);
    builder.set_config(config);
    builder.set_host(Domains::new(&options.domains));
    builder.set_auth(keys);
    builder.set_route(BehindSignature(operations.clone()));
    (builder.build(), operations)
}

fn endpoint_url(scheme: &str, address: SocketAddr) -> String {
    format!("{scheme}://{}", reachable(address))
}

/// Returns an address that this machine can connect to, if the given one means all interfaces.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn read_json<T: serde::de::DeserializeOwned>(
    dir: &Path,
    name: &'static str,
) -> Result<Option<T>, Error> {
    let Some(bytes) = side_file::read(dir, name)? else { return Ok(None) };
    // The error of serde_json may quote the file, so pass on only the position.
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| Error::Keys {
        file: dir.join(name),
        line: error.line(),
        column: error.column(),
    })
}

fn write_json<T: Serialize>(dir: &Path, name: &'static str, value: &T) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("plain values have a JSON form");
    bytes.push(b'\n');
    Ok(side_file::write(dir, name, &bytes)?)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
