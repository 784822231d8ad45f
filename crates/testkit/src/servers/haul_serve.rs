//! Runs `haul serve` as a user does: the binary, a data folder, a free loopback port.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Daemon, REGION, TestStore};
use crate::process::Signal;

const START_LIMIT: Duration = Duration::from_secs(30);
const SERVE: [&str; 3] = ["serve", "--json", "--data"];
const ANY_PORT: &str = "127.0.0.1:0";

/// A running `haul serve`.
#[derive(Debug)]
pub struct HaulServe {
    daemon: Daemon,
    store: TestStore,
    log: PathBuf,
    /// The arguments for a restart: all but the address.
    again: Vec<OsString>,
    data: PathBuf,
}

impl HaulServe {
    /// Starts `binary` with its data in `data`. The folder is kept: the caller owns it and may
    /// start another server on it later.
    ///
    /// # Errors
    /// Fails if the server does not start.
    pub fn start(binary: &Path, data: &Path) -> Result<Self> {
        Self::start_with(binary, data, &[])
    }

    /// Starts on a fixed port, for restarts.
    ///
    /// # Errors
    /// Fails if the server does not start.
    pub fn start_at(binary: &Path, data: &Path, port: u16) -> Result<Self> {
        Self::run(words(binary, data, &[]), data, &format!("127.0.0.1:{port}"))
    }

    /// Starts on any port with additional arguments.
    ///
    /// # Errors
    /// Fails if the server does not start.
    pub fn start_with(binary: &Path, data: &Path, more: &[&str]) -> Result<Self> {
        Self::run(words(binary, data, more), data, ANY_PORT)
    }

    /// Starts with SIGHUP ignored, as under `nohup`.
    ///
    /// # Errors
    /// Fails if the server does not start.
    pub fn start_under_nohup(binary: &Path, data: &Path, more: &[&str]) -> Result<Self> {
        let mut all = vec![OsString::from("nohup")];
        all.extend(words(binary, data, more));
        Self::run(all, data, ANY_PORT)
    }

    /// Starts with these soft and hard limits of open files.
    ///
    /// # Errors
    /// Fails if the server does not start.
    pub fn start_with_open_files(binary: &Path, data: &Path, soft: u64, hard: u64) -> Result<Self> {
        let script = format!(r#"ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@""#);
        let mut all: Vec<OsString> = ["sh", "-c", &script, "sh"].map(OsString::from).into();
        all.extend(words(binary, data, &[]));
        Self::run(all, data, ANY_PORT)
    }

    /// Starts with a umask, in the syntax of `umask`.
    ///
    /// # Errors
    /// Fails if the server does not start.
    pub fn start_with_umask(binary: &Path, data: &Path, umask: &str) -> Result<Self> {
        let script = format!(r#"umask {umask} && exec "$@""#);
        let mut all: Vec<OsString> = ["sh", "-c", &script, "sh"].map(OsString::from).into();
        all.extend(words(binary, data, &[]));
        Self::run(all, data, ANY_PORT)
    }

    /// Sets the soft limit of open files of the running server, and returns the previous one. Open
    /// files stay open.
    ///
    /// # Errors
    /// Fails if the process is gone.
    pub fn limit_open_files(&self, soft: u64) -> Result<u64> {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};

        let pid = Pid::from_raw(i32::try_from(self.id())?).context("process 0")?;
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.id()))?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        // The line has soft limit, hard limit and unit; a hard limit that is not a number means no
        // limit.
        let hard =
            line.and_then(|line| line.split_whitespace().nth(1)).and_then(|hard| hard.parse().ok());
        let before =
            prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(soft), maximum: hard })?;
        Ok(before.current.unwrap_or(u64::MAX))
    }

    /// Kills the server as `kill -9` does, and restarts it on the same folder and port.
    ///
    /// # Errors
    /// Fails if the server does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let address = self.store.endpoint.trim_start_matches("http://").to_owned();
        *self = Self::run(std::mem::take(&mut self.again), &self.data, &address)?;
        Ok(())
    }

    /// Starts on a separate disk of `disk_bytes`: a tmpfs in a mount namespace that ends with the
    /// server, so that nothing stays mounted. Needs root.
    ///
    /// # Errors
    /// Fails if the server does not start.
    pub fn start_on_small_disk(binary: &Path, data: &Path, disk_bytes: u64) -> Result<Self> {
        std::fs::create_dir_all(data).with_context(|| format!("create {}", data.display()))?;
        let script =
            format!(r#"mount -t tmpfs -o size={disk_bytes} haul-test "$1" && shift && exec "$@""#);
        let mut all: Vec<OsString> =
            ["unshare", "--mount", "--", "sh", "-c", &script, "sh"].map(OsString::from).into();
        all.push(data.into());
        all.extend(words(binary, data, &[]));
        Self::run(all, data, ANY_PORT)
    }

    /// Starts at the server's end of a link, with TLS and this certificate.
    ///
    /// # Errors
    /// Fails if the server does not start.
    #[cfg(feature = "links")]
    pub fn start_on_link(
        binary: &Path,
        data: &Path,
        link: &crate::links::Link,
        certificate: &crate::network::Certificate,
    ) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(words(binary, data, &[]).into_iter().skip(1));
        command.arg("--tls-cert").arg(&certificate.certificate);
        command.arg("--tls-key").arg(&certificate.key);
        let command = link.on(crate::links::Host::Server, &command);
        let all = [command.get_program()].into_iter().chain(command.get_args());
        let all = all.map(OsString::from).collect();
        Self::run(all, data, &format!("{}:0", link.server_address()))
    }

    fn run(words: Vec<OsString>, data: &Path, listen: &str) -> Result<Self> {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["--listen", listen]);
        // The log is beside the data folder, because the content of the folder belongs to the
        // server.
        let log = PathBuf::from(format!("{}.log", data.display()));
        let from = std::fs::metadata(&log).map_or(0, |log| log.len());
        let mut daemon = Daemon::start(&command, &log)?;
        let listening = || events(&log, from).into_iter().find(|said| said["event"] == "listening");
        let told = daemon.wait_until(START_LIMIT, listening)?;
        let field = |name: &str| -> Result<String> {
            let text = told.get(name).and_then(Value::as_str);
            Ok(text
                .with_context(|| format!("haul serve did not say its {name}: {told}"))?
                .to_owned())
        };
        let store = TestStore {
            endpoint: field("endpoint")?,
            region: REGION.to_owned(),
            access_key: field("access_key_id")?,
            secret_key: secret_key(daemon.id(), &field("keys_file")?)?,
        };
        Ok(Self { daemon, store, log, again: words, data: data.to_owned() })
    }

    /// Returns the address and keys.
    #[must_use]
    pub fn store(&self) -> &TestStore {
        &self.store
    }

    /// Returns the process id, for measurements.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Kills the server as `kill -9` does.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Sends a signal to the server.
    ///
    /// # Errors
    /// Fails if the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.daemon.signal(signal)
    }

    /// Waits until the server has ended by itself, with success.
    ///
    /// # Errors
    /// Fails if the server has not ended within `limit`.
    pub fn ended(&mut self, limit: Duration) -> Result<()> {
        self.daemon.ended(limit)
    }

    /// Waits until the server has printed a JSON line with this `event`, and returns the last one.
    ///
    /// # Errors
    /// Fails if there is no such line within `limit`.
    pub fn event(&mut self, name: &str, limit: Duration) -> Result<Value> {
        let log = self.log.clone();
        self.daemon.wait_until(limit, || {
            events(&log, 0).into_iter().rev().find(|said| said["event"] == name)
        })
    }

    /// Returns the output of the server so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.daemon.said()
    }
}

/// Reads the owner's secret, which is in a file and never in the output. Reads through the server's
/// mounts, because its disk may be mounted only for the server.
fn secret_key(server: u32, keys_file: &str) -> Result<String> {
    let file = format!("/proc/{server}/root{keys_file}");
    let keys = std::fs::read(&file).with_context(|| format!("read {file}"))?;
    let keys: Value = serde_json::from_slice(&keys).with_context(|| format!("read {file}"))?;
    Ok(keys["secret_access_key"].as_str().context("no secret access key")?.to_owned())
}

/// Returns the command without its address.
fn words(binary: &Path, data: &Path, more: &[&str]) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![binary.into()];
    words.extend(SERVE.map(OsString::from));
    words.push(data.into());
    words.extend(more.iter().map(OsString::from));
    words
}

/// Returns the complete lines of JSON after the first `from` bytes, skipping standard error in the
/// same file.
fn events(log: &Path, from: u64) -> Vec<Value> {
    let said = std::fs::read(log).unwrap_or_default();
    let said = usize::try_from(from).ok().and_then(|from| said.get(from..)).unwrap_or_default();
    let whole = said.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &said[..end]);
    whole
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}
