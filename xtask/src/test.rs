//! `cargo xtask test`: everything that a change must pass.

use anyhow::{Result, bail};

use crate::cache::Cache;
use crate::cargo::{cargo, succeed};
use crate::servers::{Needs, Range, Servers};
use crate::{check, counts, tools};

/// The parts to run.
#[derive(Debug)]
pub(crate) struct Options {
    range: Range,
    nextest_arguments: Vec<String>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self { range: Range::Usual, nextest_arguments: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--full" => options.range = Range::Full,
                "--" => {
                    options.nextest_arguments =
                        words.by_ref().map(|word| (*word).to_owned()).collect();
                }
                other => bail!("test does not know {other}\n{}", crate::USAGE),
            }
        }
        Ok(options)
    }
}

pub(crate) fn test(options: &Options) -> Result<()> {
    let cache = Cache::open()?;
    let needs = Needs::meet(&cache, options.range)?;
    let nextest = tools::Nextest::find(&cache)?;

    succeed(cargo().args(["fmt", "--all", "--check"]))?;
    check::check()?;
    succeed(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    // Compile before the servers start: they would only wait, and take memory from rustc.
    succeed(cargo().args(["test", "--doc", "--workspace", "--locked"]))?;
    succeed(nextest.command()?.args(["run", "--workspace", "--locked", "--no-run"]))?;

    counts::compare()?;

    let servers = Servers::start(&cache, needs)?;
    let mut nextest = nextest.command()?;
    nextest.args(["run", "--workspace", "--locked"]);
    if options.range == Range::Full {
        nextest.args(["--profile", "full"]);
    }
    nextest.args(&options.nextest_arguments);
    // Last, because readers of the log look for its closing lines.
    succeed(nextest.envs(servers.variables()).envs(hermetic()))
}

/// Settings of the user that must not affect the tests.
fn hermetic() -> [(&'static str, &'static str); 3] {
    [
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
}
