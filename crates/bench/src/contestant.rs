//! The programs that upload the file in `bench client`, each as a whole process with its own
//! defaults.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use haul_testkit::Store;
use haul_testkit::python::Venv;

use crate::authority::Authority;
use crate::client::haul;
use crate::null_endpoint::NullEndpoint;
use crate::options::Options;

/// The part size of the floor programs: haul's own for a file of a few GiB.
const FLOOR_PART_BYTES: u64 = 8 << 20;
/// The connections of the second floor program: as many as haul has parts in flight.
const FLOOR_CONNECTIONS: &str = "8";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// One connection: read, hash and write, one after the other.
    FloorOfOne,
    /// The same over several connections, with a thread each.
    FloorOfMany,
    Haul,
    S5cmd,
    Rclone,
    AwsCli,
}

/// The endpoint and the file of the uploads.
pub(crate) struct Course<'a> {
    pub(crate) options: &'a Options,
    pub(crate) endpoint: &'a NullEndpoint,
    /// `None` for plain HTTP.
    pub(crate) authority: Option<&'a Authority>,
    pub(crate) store: Store,
    pub(crate) file: &'a Path,
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

    pub(crate) fn is_floor(self) -> bool {
        matches!(self, Self::FloorOfOne | Self::FloorOfMany)
    }

    /// Returns the command that uploads the file to this URL (`s3://bucket/key`).
    pub(crate) fn command(self, course: &Course<'_>, url: &str) -> Result<Command> {
        let (store, file, endpoint) = (&course.store, course.file, course.store.endpoint.as_str());
        let venv = Venv::at(&course.options.venv);
        let authority: Option<&PathBuf> = course.authority.map(|authority| &authority.certificate);
        let mut command = match self {
            Self::FloorOfOne => floor(course, "1")?,
            Self::FloorOfMany => floor(course, FLOOR_CONNECTIONS)?,
            Self::Haul => {
                let mut command = haul(&course.options.haul, store, course.home);
                command.args(["cp", "--quiet"]).arg(file).arg(url);
                command
            }
            Self::S5cmd => {
                let mut command = venv.s5cmd(store)?;
                command.args(["--endpoint-url", endpoint, "cp"]).arg(file).arg(url);
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
                let remote = format!("null:{}", url.trim_start_matches("s3://"));
                command.arg("copyto").arg(file).arg(remote);
                command
            }
            Self::AwsCli => {
                let mut command = venv.command("aws", store);
                command
                    .args(["s3", "cp", "--quiet", "--endpoint-url", endpoint])
                    .arg(file)
                    .arg(url);
                command
            }
        };
        if let Some(authority) = authority {
            command.env("AWS_CA_BUNDLE", authority);
        }
        Ok(command)
    }
}

/// Returns this program as a command that runs [`crate::floor`].
fn floor(course: &Course<'_>, connections: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    command.args(["floor", &course.endpoint.address().to_string(), connections]);
    command.arg(FLOOR_PART_BYTES.to_string()).arg(course.file);
    command.args(course.authority.map(|authority| &authority.certificate));
    Ok(command)
}
