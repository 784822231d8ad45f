//! Starts real servers, waits for them, and stops them with the test.
//!
//! Each server is a type that owns its processes and its folder; dropping it ends the processes and
//! removes the folder. If the owner is killed instead, the kernel ends the processes ([`Daemon`]),
//! so that no process outlives a run.

mod ceph_conf;
mod daemon;
mod garage;
mod haul_serve;
mod localstack;
mod rgw;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};

pub use daemon::Daemon;
pub use garage::{Fsync, Garage};
pub use haul_serve::HaulServe;
pub use localstack::LocalStack;
pub use rgw::Rgw;

/// The address and keys of a store: everything that a client needs to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestStore {
    /// The address as a URL: `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The access key id.
    pub access_key: String,
    /// The secret key, of a server that lives for one run.
    pub secret_key: String,
}

impl TestStore {
    /// Returns the server that `cargo xtask test` started for all tests: `RGW`, `LOCALSTACK` or
    /// `GARAGE`.
    ///
    /// # Panics
    /// Panics if the server was not started: a test that needs it fails and is never skipped.
    #[must_use]
    pub fn shared(name: &str) -> Self {
        let [endpoint, access_key, secret_key] = ["ENDPOINT", "ACCESS_KEY", "SECRET_KEY"]
            .map(|what| required_variable(&format!("HAUL_TEST_{name}_{what}")));
        Self { endpoint, region: REGION.to_owned(), access_key, secret_key }
    }

    /// Returns the variables through which [`TestStore::shared`] finds this store under `name`.
    #[must_use]
    pub fn variables(&self, name: &str) -> Vec<(String, String)> {
        [
            ("ENDPOINT", &self.endpoint),
            ("ACCESS_KEY", &self.access_key),
            ("SECRET_KEY", &self.secret_key),
        ]
        .map(|(what, value)| (format!("HAUL_TEST_{name}_{what}"), value.clone()))
        .into()
    }

    /// Returns the environment variables from which every S3 client reads keys and region, and
    /// which prevent clients from reading the user's home folder.
    #[must_use]
    pub fn client_variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", self.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key.clone()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_DEFAULT_REGION", self.region.clone()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// Returns the same store behind another address, such as a proxy.
    #[must_use]
    pub fn at(&self, endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), ..self.clone() }
    }
}

/// The region that all servers here use.
pub const REGION: &str = "us-east-1";

/// Returns an environment variable that `cargo xtask test` sets.
///
/// # Panics
/// Panics if the variable is not set.
#[must_use]
pub fn required_variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: this test needs servers and clients, run it through `cargo \
            xtask test` (or take the variables from `cargo xtask servers`)"
        )
    })
}

/// Returns a loopback port that was just free.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr().context("find a free port")?.port())
}

/// Returns a free loopback port for a server that restarts on it. The port is outside the range for
/// outgoing connections, so that none takes it in between.
///
/// # Errors
/// There is none.
pub fn lasting_port() -> Result<u16> {
    const BELOW_EPHEMERAL: std::ops::Range<u32> = 10_000..30_000;
    for _ in 0..100 {
        let random =
            u32::from_str_radix(&crate::files::random_hex(4)?, 16).context("hexadecimal digits")?;
        let port = BELOW_EPHEMERAL.start + random % (BELOW_EPHEMERAL.end - BELOW_EPHEMERAL.start);
        let port = u16::try_from(port).context("below 30,000")?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port between 10,000 and 30,000 is free")
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
