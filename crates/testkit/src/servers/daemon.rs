//! A server process: writes its output to a file and lets callers wait until it is ready. Dropping
//! it kills the process, and the kernel kills the process if its parent dies first.
//!
//! The kernel does so through `setpriv --pdeathsig` (util-linux). The signal is bound to the
//! *thread* that started the server, so start it on a thread that lives as long as the server
//! should.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{Signal, run_by, send};

const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const SAID_BYTES: usize = 4000;

/// A running server process.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`, with its output appended to the file `log`.
    ///
    /// # Errors
    /// Fails if the process cannot be started.
    pub fn start(command: &Command, log: &Path) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let said = File::options().create(true).append(true).open(log);
        let said = said.with_context(|| format!("open {}", log.display()))?;
        let mut command = dies_with_its_parent(command);
        command.stdin(Stdio::null());
        command.stdout(said.try_clone().context("second handle of the log")?).stderr(said);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { child, name, log: log.to_owned() })
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the output of the process so far.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read(&self.log)
            .map(|said| String::from_utf8_lossy(&said).into_owned())
            .unwrap_or_default()
    }

    /// Returns whether the process is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Polls `ready` until it returns a value.
    ///
    /// # Errors
    /// Fails if the process ends, or after `limit`; the error contains the end of the output.
    pub fn wait_until<T>(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let end = Instant::now() + limit;
        loop {
            if let Some(value) = ready() {
                return Ok(value);
            }
            if !self.is_running() {
                bail!("{} ended before it was ready; it said:\n{}", self.name, self.last_words());
            }
            if Instant::now() > end {
                bail!(
                    "{} was not ready after {limit:?}; it said:\n{}",
                    self.name,
                    self.last_words()
                );
            }
            thread::sleep(ASK_AGAIN_AFTER);
        }
    }

    /// Kills the process, as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        // An error means that the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// Fails if the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.child.id(), signal).with_context(|| format!("signal {}", self.name))
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    /// Fails if the process does not end within `limit`, or ends without success; the error
    /// contains the end of the output.
    pub fn ended(&mut self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            match self.child.try_wait().with_context(|| format!("wait for {}", self.name))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    bail!("{} ended with {status}; it said:\n{}", self.name, self.last_words())
                }
                None if Instant::now() > end => {
                    bail!(
                        "{} did not end within {limit:?}; it said:\n{}",
                        self.name,
                        self.last_words()
                    )
                }
                None => thread::sleep(ASK_AGAIN_AFTER),
            }
        }
    }

    fn last_words(&self) -> String {
        let said = self.said();
        let mut start = said.len().saturating_sub(SAID_BYTES);
        while !said.is_char_boundary(start) {
            start += 1;
        }
        said[start..].to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Wraps the command so that the kernel kills it when the thread that started it ends.
pub(super) fn dies_with_its_parent(command: &Command) -> Command {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--pdeathsig", "KILL", "--"]);
    run_by(setpriv, command)
}

/// Returns the body of the response to `GET path`; `None` without a response.
pub(super) fn http_get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT).ok()?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}
