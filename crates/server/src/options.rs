//! What a server is started with: address, folder, region, and every limit by its name.
//!
//! Everything that can grow has its limit here, with its unit in the name, so that one page answers
//! "how much can a stranger make this process hold?". Values only: enforcing stands where the thing
//! grows.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use haul_parts::Bucket;
use haul_store::BLOCK_BYTES;

use crate::auth::grants::Grant;
use crate::auth::keys::Secret;

/// The port of `haul serve` when none is given.
pub const DEFAULT_PORT: u16 = 8014;

/// How to start a server; see [`start`](crate::start).
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where to listen. Port 0 lets the system choose; the default is 127.0.0.1:8014.
    pub listen: SocketAddr,
    /// The folder of the store: data, keys and the address file. One process at a time.
    pub data_dir: PathBuf,
    /// The region that buckets say they are in. Signatures for any region are accepted, as clients
    /// of self-hosted stores rarely set one.
    pub region: String,
    /// Domains before which a bucket may stand in the host name, beside the path:
    /// `bucket.localhost`. A domain that is not a name of this machine for its clients does no good
    /// here.
    pub domains: Vec<String>,
    /// What a write into a bucket that does not exist does.
    pub auto_create_buckets: AutoCreateBuckets,
    /// Whether the volume that [`data_dir`](Self::data_dir) lies on is encrypted. The server does
    /// not look and encrypts nothing itself: it takes `x-amz-server-side-encryption: AES256` then,
    /// and says so of every object.
    pub volume_is_encrypted: bool,
    /// Unfinished uploads older than this are aborted, in every bucket and whatever its lifecycle
    /// says. `None`: kept until somebody aborts them or a lifecycle rule does.
    pub expire_uploads: Option<Duration>,
    /// How often uploads are looked through for those whose time has come; every minute. A new
    /// lifecycle is looked at at once.
    pub expiry_interval: Duration,
    /// Key pairs beside the owner's, which are made by the server itself.
    pub grants: Vec<Grant>,
    /// Buckets whose objects anybody may read without a signature. Listing them still needs one.
    pub public_read_buckets: Vec<Bucket>,
    /// A certificate and key to serve `https` with; without, `http`.
    pub tls: Option<TlsPem>,
    /// Where `/health` and `/metrics` are answered, in plain `http` and to anybody who can connect.
    /// `None`: nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// The bounds on memory, connections and patience.
    pub limits: Limits,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
            data_dir: PathBuf::from("haul-data"),
            region: "us-east-1".to_owned(),
            domains: vec!["localhost".to_owned()],
            auto_create_buckets: AutoCreateBuckets::Never,
            volume_is_encrypted: false,
            expire_uploads: None,
            expiry_interval: Duration::from_secs(60),
            grants: Vec::new(),
            public_read_buckets: Vec::new(),
            tls: None,
            admin_listen: None,
            limits: Limits::default(),
        }
    }
}

/// A certificate chain and its private key, as PEM texts.
#[derive(Clone, Debug)]
pub struct TlsPem {
    /// The chain, the server's own certificate first.
    pub certificates: String,
    /// The key, in PKCS#8, PKCS#1 or SEC1 form.
    pub private_key: Secret,
}

/// Whether the first write into a missing bucket makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCreateBuckets {
    /// `NoSuchBucket`, as AWS answers. For `haul serve`.
    Never,
    /// The bucket is made. For `local://`, where nobody wants to make one first.
    OnFirstWrite,
}

/// Bounds on what clients can make the server hold or wait for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections served at once; more wait in the listen queue of the system.
    pub connections: usize,
    /// Bytes of request line and headers together; more is answered 400
    /// `RequestHeaderSectionTooLarge`.
    pub header_bytes: usize,
    /// Bytes of an XML document in a request (a Complete of 10,000 parts with SHA-256 needs about 3
    /// MiB).
    pub xml_bytes: usize,
    /// Bytes of one signed aws-chunked chunk, which has to be held whole until its signature is
    /// checked. SDKs send 64 or 128 KiB.
    pub signed_chunk_bytes: usize,
    /// Bytes of bodies held in memory by all requests together: 5/12 for blocks on their way to the
    /// disk, a third for what is held whole (documents, signed chunks), a quarter for objects on
    /// their way out, and in each at least what one request needs. Room is taken for bytes that are
    /// there, and no key pair gets all of it. Not counted are 32 KiB that each request may hold
    /// besides, what the system and a connection buffer (up to three times 64 KiB each), and up to
    /// 24 MiB that wait to be hashed together.
    pub in_flight_bytes: usize,
    /// How long a client may take to send its headers, or to start the next request on a kept
    /// connection.
    pub header_timeout: Duration,
    /// How long a sender may keep us waiting before
    /// [`slow_sender_bytes_per_second`](Self::slow_sender_bytes_per_second) counts, and how long a
    /// receiver may make no progress.
    pub stall_timeout: Duration,
    /// The rate that a sender owes on the average of the time that we wait for it, after
    /// [`stall_timeout`](Self::stall_timeout); below it the request ends with 400 `RequestTimeout`.
    pub slow_sender_bytes_per_second: u64,
    /// Bytes of a refused body that are read and thrown away so that the client sees the answer and
    /// not a reset.
    pub drain_bytes: u64,
    /// How long stopping waits for requests in flight before it cuts them off.
    pub stop_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            header_bytes: 32 * 1024,
            xml_bytes: 6 * 1024 * 1024,
            signed_chunk_bytes: 512 * 1024,
            in_flight_bytes: 64 * 1024 * 1024,
            header_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            slow_sender_bytes_per_second: 1024,
            drain_bytes: 32 * 1024 * 1024,
            stop_grace: Duration::from_secs(10),
        }
    }
}

/// How [`Limits::in_flight_bytes`] is divided. Each kind comes free in another way, so they do not
/// wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) blocks_bytes: usize,
    pub(crate) held_bytes: usize,
    pub(crate) sends_bytes: usize,
}

/// Files that are open beside those of connections: standard streams, sockets that listen, the
/// metadata, the lock, what the runtime needs, a folder that is being synced, connections of the
/// admin address.
const FILES_BESIDE_CONNECTIONS: u64 = 48;
/// A connection is one file itself, and a copy on it reads one and writes another.
const FILES_PER_CONNECTION: u64 = 3;

impl Limits {
    /// Lowers [`connections`](Self::connections) to what so many open files are enough for, so that
    /// a connection can always be accepted and its request be served.
    pub fn fit_open_files(&mut self, files: u64) {
        let enough_for = files.saturating_sub(FILES_BESIDE_CONNECTIONS) / FILES_PER_CONNECTION;
        let enough_for = usize::try_from(enough_for).unwrap_or(usize::MAX).max(1);
        self.connections = self.connections.min(enough_for);
    }

    pub(crate) fn shares(&self) -> Shares {
        let all = self.in_flight_bytes;
        Shares {
            blocks_bytes: (all / 12 * 5).max(2 * BLOCK_BYTES),
            held_bytes: (all / 3).max(self.xml_bytes).max(self.signed_chunk_bytes),
            sends_bytes: all / 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_stay_below_what_open_files_are_enough_for() {
        for (files, connections) in [(1 << 20, 1024), (1024, 325), (256, 69), (64, 5), (10, 1)] {
            let mut limits = Limits::default();
            limits.fit_open_files(files);
            assert_eq!(limits.connections, connections, "{files}");
        }
    }
}
