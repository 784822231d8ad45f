//! `haul serve` as a user starts it: the binary, a data folder, a free loopback port.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Daemon, REGION, Store};

const START_LIMIT: Duration = Duration::from_secs(30);
const SERVE: [&str; 5] = ["serve", "--json", "--listen", "127.0.0.1:0", "--data"];

/// A running `haul serve`.
#[derive(Debug)]
pub struct HaulServe {
    daemon: Daemon,
    store: Store,
}

impl HaulServe {
    /// Starts `binary` with its data in `data`, which stays: the caller owns it and may start another on it later.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(binary: &Path, data: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(SERVE).arg(data);
        Self::run(&command, data)
    }

    /// The same, on a disk of its own of `disk_bytes`: a tmpfs in a mount namespace that ends with the server, so that
    /// nothing stays mounted whatever happens. Needs root.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_on_small_disk(binary: &Path, data: &Path, disk_bytes: u64) -> Result<Self> {
        std::fs::create_dir_all(data).with_context(|| format!("create {}", data.display()))?;
        let script = format!(r#"mount -t tmpfs -o size={disk_bytes} haul-test "$1" && shift && exec "$@""#);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "sh", "-c", &script, "sh"]).arg(data);
        command.arg(binary).args(SERVE).arg(data);
        Self::run(&command, data)
    }

    fn run(command: &Command, data: &Path) -> Result<Self> {
        // Beside the data, not in it: what is in the folder is the server's own.
        let log = PathBuf::from(format!("{}.log", data.display()));
        let from = std::fs::metadata(&log).map_or(0, |log| log.len());
        let mut daemon = Daemon::start(command, &log)?;
        let told = daemon.wait_until(START_LIMIT, || first_line(&log, from))?;
        let field = |name: &str| -> Result<String> {
            let text = told.get(name).and_then(Value::as_str);
            Ok(text.with_context(|| format!("haul serve did not say its {name}: {told}"))?.to_owned())
        };
        let store = Store {
            endpoint: field("endpoint")?,
            region: REGION.to_owned(),
            access_key: field("access_key_id")?,
            secret_key: field("secret_access_key")?,
        };
        Ok(Self { daemon, store })
    }

    /// Where it answers.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The process id, for measuring it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Everything it has said so far, the line with its keys included.
    #[must_use]
    pub fn said(&self) -> String {
        self.daemon.said()
    }
}

/// The first whole line of JSON after the first `from` bytes: standard error goes to the same file.
fn first_line(log: &Path, from: u64) -> Option<Value> {
    let said = std::fs::read(log).ok()?;
    let said = said.get(usize::try_from(from).ok()?..)?;
    let (whole, _) = said.split_at(said.iter().rposition(|byte| *byte == b'\n')?);
    whole
        .split(|byte| *byte == b'\n')
        .find_map(|line| serde_json::from_slice::<Value>(line).ok().filter(Value::is_object))
}
