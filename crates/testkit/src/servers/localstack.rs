//! Runs LocalStack's S3 and KMS, pinned to 4.14.0: the closest to recorded AWS in error codes,
//! checksums and conditions.
//!
//! Only one test may use it at a time (nextest's test group `localstack`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::daemon::http_get;
use super::{Daemon, REGION, TestStore, free_port, loopback};

const START_LIMIT: Duration = Duration::from_secs(120);

/// A running LocalStack.
#[derive(Debug)]
pub struct LocalStack {
    daemon: Daemon,
    store: TestStore,
    folder: PathBuf,
}

impl LocalStack {
    /// Starts LocalStack from the virtual environment `venv`, with its data in `folder`, which is
    /// removed at the end.
    ///
    /// # Errors
    /// Fails if the server does not start.
    pub fn start(venv: &Path, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let port = free_port()?;
        let mut command = Command::new(venv.join("bin/python"));
        command.args(["-m", "localstack.runtime.main"]).envs([
            // The default gateway ignores the host and binds to all interfaces.
            ("GATEWAY_SERVER", "hypercorn"),
            ("GATEWAY_LISTEN", &format!("127.0.0.1:{port}")),
            ("SERVICES", "s3,kms"),
            ("STRICT_SERVICE_LOADING", "1"),
            ("EAGER_SERVICE_LOADING", "1"),
            ("DISABLE_EVENTS", "1"),
            ("SKIP_SSL_CERT_DOWNLOAD", "1"),
            ("S3_SKIP_SIGNATURE_VALIDATION", "0"),
            ("DNS_ADDRESS", "0"),
        ]);
        command.env("FILESYSTEM_ROOT", folder);
        let mut daemon = Daemon::start(&command, &folder.join("log"))?;
        daemon.wait_until(START_LIMIT, || {
            let health = http_get(loopback(port), "/_localstack/health")?;
            (health.contains(r#""s3": "available""#) || health.contains(r#""s3": "running""#))
                .then_some(())
        })?;
        let store = TestStore {
            endpoint: format!("http://127.0.0.1:{port}"),
            region: REGION.to_owned(),
            access_key: "test".to_owned(),
            secret_key: "test".to_owned(),
        };
        Ok(Self { daemon, store, folder: folder.to_owned() })
    }

    /// Returns the address and keys.
    #[must_use]
    pub fn store(&self) -> &TestStore {
        &self.store
    }
}

impl Drop for LocalStack {
    fn drop(&mut self) {
        self.daemon.kill();
        // The next run removes what cannot be removed now.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
