//! Runs Garage 2.5.0 with one node: a real distributed store that is strict about checksums, and
//! that loses an open upload when its key is overwritten.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::daemon::http_get;
use super::{Daemon, REGION, TestStore, free_port, loopback};
use crate::files::random_hex;

const START_LIMIT: Duration = Duration::from_secs(60);

/// Whether Garage syncs before it acknowledges. By default it leaves syncing to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Data and metadata are synced before the response.
    Always,
    /// Neither is synced.
    Never,
}

/// A running Garage.
#[derive(Debug)]
pub struct Garage {
    daemon: Daemon,
    store: TestStore,
    folder: PathBuf,
}

impl Garage {
    /// Starts the given binary with its data in `folder`, which is removed at the end.
    ///
    /// # Errors
    /// Fails if the server does not start.
    pub fn start(binary: &Path, folder: &Path, fsync: Fsync) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let [api, rpc, admin] = [free_port()?, free_port()?, free_port()?];
        let settings = folder.join("garage.toml");
        fs::write(&settings, configuration(folder, [api, rpc, admin], fsync)?)
            .context("write garage.toml")?;
        let store = TestStore {
            endpoint: format!("http://127.0.0.1:{api}"),
            region: REGION.to_owned(),
            access_key: format!("GK{}", random_hex(12)?),
            secret_key: random_hex(32)?,
        };
        let garage = || {
            let mut command = Command::new(binary);
            command.arg("-c").arg(&settings);
            command
        };
        let mut server = garage();
        server.args(["server", "--single-node", "--default-bucket"]).envs([
            ("GARAGE_DEFAULT_ACCESS_KEY", store.access_key.as_str()),
            ("GARAGE_DEFAULT_SECRET_KEY", store.secret_key.as_str()),
            ("GARAGE_DEFAULT_BUCKET", "default"),
        ]);
        let mut daemon = Daemon::start(&server, &folder.join("log"))?;
        daemon.wait_until(START_LIMIT, || http_get(loopback(api), "/"))?;
        // The key appears a moment after the API responds.
        daemon.wait_until(START_LIMIT, || {
            let allowed = garage()
                .args(["key", "allow", "--create-bucket", &store.access_key])
                .output()
                .ok()?;
            allowed.status.success().then_some(())
        })?;
        ensure!(daemon.is_running(), "garage ended: {}", daemon.said());
        Ok(Self { daemon, store, folder: folder.to_owned() })
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Returns the address and keys.
    #[must_use]
    pub fn store(&self) -> &TestStore {
        &self.store
    }
}

fn configuration(folder: &Path, [api, rpc, admin]: [u16; 3], fsync: Fsync) -> Result<String> {
    let fsync = fsync == Fsync::Always;
    let (folder, secret, token) = (folder.display(), random_hex(32)?, random_hex(16)?);
    Ok(format!(
        r#"metadata_dir = "{folder}/meta"
data_dir = "{folder}/data"
db_engine = "lmdb"
metadata_fsync = {fsync}
data_fsync = {fsync}
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secret}"
[s3_api]
s3_region = "{REGION}"
api_bind_addr = "127.0.0.1:{api}"
root_domain = ".s3.garage.local"
[admin]
api_bind_addr = "127.0.0.1:{admin}"
admin_token = "{token}"
"#
    ))
}

impl Drop for Garage {
    fn drop(&mut self) {
        self.daemon.kill();
        // The next run removes what cannot be removed now.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
