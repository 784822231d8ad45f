//! The options of a server: address, folder, region, and all limits by name.
//!
//! Everything that can grow has its limit here, with the unit in its name, so that one page shows
//! how much memory and time clients can use. This file has only the values: each limit is enforced
//! by the code whose resource it limits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use haul_parts::Bucket;
use haul_store::BLOCK_BYTES;

use crate::auth::grants::Grant;
use crate::auth::keys::Secret;

/// The default port of `haul serve`.
pub const DEFAULT_PORT: u16 = 8014;

/// Options for starting a server; see [`start`](crate::start).
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The address to listen on. Port 0 lets the system choose; the default is 127.0.0.1:8014.
    pub listen: SocketAddr,
    /// The folder of the store: data, keys and the address file. Used by one process at a time.
    pub data_dir: PathBuf,
    /// The region that buckets report. Signatures for any region are accepted, because clients of
    /// self-hosted stores rarely set one.
    pub region: String,
    /// The domains before which a bucket may appear in the host name, in addition to path style:
    /// `bucket.localhost`. Clients must resolve the domain to this machine.
    pub domains: Vec<String>,
    /// What a write to a missing bucket does.
    pub auto_create_buckets: AutoCreateBuckets,
    /// Whether the volume of [`data_dir`](Self::data_dir) is encrypted. The server does not check
    /// and encrypts nothing itself: if set, it accepts `x-amz-server-side-encryption: AES256`, and
    /// returns it for every object.
    pub volume_is_encrypted: bool,
    /// The age at which unfinished uploads are aborted, in every bucket and regardless of its
    /// lifecycle. `None`: uploads are kept until a client or a lifecycle rule aborts them.
    pub expire_uploads: Option<Duration>,
    /// The interval between searches for uploads that are due; by default a minute. A new lifecycle
    /// triggers a search at once.
    pub expiry_interval: Duration,
    /// Key pairs in addition to the owner's, which the server generates.
    pub grants: Vec<Grant>,
    /// Buckets whose objects can be read without a signature. Listing them still needs one.
    pub public_read_buckets: Vec<Bucket>,
    /// The certificate and key for `https`; without them, `http`.
    pub tls: Option<TlsPem>,
    /// The address of `/health` and `/metrics`, in plain `http` and open to every client that can
    /// connect. `None`: disabled.
    pub admin_listen: Option<SocketAddr>,
    /// The limits on memory, connections and time.
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

/// Whether the first write into a missing bucket creates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCreateBuckets {
    /// Respond with `NoSuchBucket`, like AWS. The default of `haul serve`.
    Never,
    /// Create the bucket. The default of `local://`, where a separate step would be inconvenient.
    OnFirstWrite,
}

/// Limits on what clients can make the server hold or wait for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The maximum number of connections served at once; more wait in the listen queue of the
    /// system.
    pub connections: usize,
    /// The maximum bytes of request line and headers together; more is answered 400
    /// `RequestHeaderSectionTooLarge`.
    pub header_bytes: usize,
    /// The maximum bytes of an XML document in a request (a Complete of 10,000 parts with SHA-256
    /// needs about 3 MiB).
    pub xml_bytes: usize,
    /// The maximum bytes of one signed aws-chunked chunk, which has to be held whole until its
    /// signature is checked. SDKs send 64 or 128 KiB.
    pub signed_chunk_bytes: usize,
    /// The maximum bytes of bodies in memory for all requests together: 5/12 for blocks on their
    /// way to the disk, a third for bytes held whole (documents, signed chunks), a quarter for
    /// objects on their way out, and in each at least what one request needs. Memory is reserved
    /// for bytes that have arrived, and no key pair gets all of it. Not counted are 32 KiB that
    /// each request may hold besides, the buffers of the system and of a connection (up to three
    /// times 64 KiB each), and up to 24 MiB that wait to be hashed together.
    pub in_flight_bytes: usize,
    /// The maximum time for a client to send its headers, or to start the next request on a kept
    /// connection.
    pub header_timeout: Duration,
    /// The time that a sender may make the server wait before
    /// [`slow_sender_bytes_per_second`](Self::slow_sender_bytes_per_second) applies, and that a
    /// receiver may make no progress.
    pub stall_timeout: Duration,
    /// The minimum average rate of a sender, over the time that we wait for it and after
    /// [`stall_timeout`](Self::stall_timeout); below it the request ends with 400 `RequestTimeout`.
    pub slow_sender_bytes_per_second: u64,
    /// The maximum bytes of a refused body to read and discard, so that the client sees the
    /// response and not a reset.
    pub drain_bytes: u64,
    /// The time that stopping waits for requests in flight before it closes their connections.
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

/// The parts of [`Limits::in_flight_bytes`]. Each kind is freed differently, so they do not wait
/// for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) blocks_bytes: usize,
    pub(crate) held_bytes: usize,
    pub(crate) sends_bytes: usize,
}

/// The number of files that are open besides those of connections: standard streams, listening
/// sockets, the metadata, the lock, the runtime, a folder being synced, connections of the admin
/// address.
const FILES_BESIDE_CONNECTIONS: u64 = 48;
/// A connection is one file itself, and a copy on it reads one and writes another.
const FILES_PER_CONNECTION: u64 = 3;

impl Limits {
    /// Lowers [`connections`](Self::connections) to a number for which `files` open files suffice,
    /// so that every accepted connection can be served.
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
