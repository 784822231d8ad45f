//! The programs that `bench client` measures, each as a whole process: with its own defaults, or
//! all with the same part size and concurrency.

mod peers;
mod sdks;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use haul_testkit::TestStore;

use crate::authority::Authority;
use crate::case::{CONCURRENCY, Case, Job, PART_BYTES, Settings};
use crate::client::{BUCKET, haul};
use crate::null_endpoint::{NullEndpoint, generated};
use crate::options::Options;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// Does the least over one connection ([`crate::floor`]).
    FloorOfOne,
    /// Does the same over several connections, with a thread each.
    FloorOfMany,
    Haul,
    S5cmd,
    Rclone,
    AwsCli,
    /// boto3's transfer manager on the AWS CRT.
    Boto3Crt,
    /// Python's binding of Rust's `object_store`.
    Obstore,
    /// A small program on `aws-sdk-s3-transfer-manager`.
    TransferManager,
}

/// The endpoint and the file of a measurement.
pub(crate) struct Course<'a> {
    pub(crate) options: &'a Options,
    pub(crate) endpoint: &'a NullEndpoint,
    /// `None` for plain HTTP.
    pub(crate) authority: Option<&'a Authority>,
    pub(crate) store: TestStore,
    pub(crate) case: Case,
    pub(crate) settings: Settings,
    /// The file or folder to upload, or the target of downloads.
    pub(crate) path: &'a Path,
    /// The length of the file or the object in bytes, or that of all files.
    pub(crate) bytes: u64,
    pub(crate) home: &'a Path,
}

impl Contestant {
    pub(crate) const ALL: [Self; 9] = [
        Self::FloorOfOne,
        Self::FloorOfMany,
        Self::Haul,
        Self::S5cmd,
        Self::Rclone,
        Self::AwsCli,
        Self::Boto3Crt,
        Self::Obstore,
        Self::TransferManager,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FloorOfOne => "floor, 1",
            Self::FloorOfMany => "floor, 8",
            Self::Haul => "haul",
            Self::S5cmd => "s5cmd",
            Self::Rclone => "rclone",
            Self::AwsCli => "aws-cli",
            Self::Boto3Crt => "boto3-crt",
            Self::Obstore => "obstore",
            Self::TransferManager => "aws-tm",
        }
    }

    pub(crate) fn is_floor(self) -> bool {
        matches!(self, Self::FloorOfOne | Self::FloorOfMany)
    }

    pub(crate) fn is_peer(self) -> bool {
        !self.is_floor() && self != Self::Haul
    }

    /// Returns whether the program takes part in a case.
    pub(crate) fn does(self, case: Case) -> bool {
        match self {
            // A floor program does not retry.
            Self::FloorOfOne | Self::FloorOfMany => {
                !case.is_refused() && !matches!(case.job, Job::Stdin | Job::Copy)
            }
            Self::Boto3Crt | Self::TransferManager => !matches!(case.job, Job::Stdin | Job::Copy),
            _ => true,
        }
    }

    /// Returns the contestants that do the case, and that the options leave in.
    pub(crate) fn measured(case: Case, options: &Options) -> Vec<Self> {
        let installed = |who: &Self| match who {
            Self::Boto3Crt | Self::Obstore => options.sdks.is_some(),
            Self::TransferManager => options.transfer_manager.is_some(),
            _ => true,
        };
        let all = Self::ALL.into_iter().filter(|who| who.does(case)).filter(installed);
        all.filter(|who| !options.leaves_out(who.name())).collect()
    }

    /// Returns the command that does the job of the course. `url` (`s3://bucket/key`) is new.
    pub(crate) fn command(self, course: &Course<'_>, url: &str) -> Result<Command> {
        let mut command = match self {
            Self::FloorOfOne => floor(course, 1)?,
            Self::FloorOfMany => floor(course, CONCURRENCY)?,
            Self::Haul => {
                let mut command = haul(&course.options.haul, &course.store, course.home);
                command.args(["cp", "--quiet"]);
                if course.settings == Settings::Same {
                    let [part_bytes, concurrency] = course.same();
                    command.args(["--part-size", &part_bytes, "--concurrency", &concurrency]);
                }
                if course.case.job == Job::Files {
                    command.arg("--recursive");
                }
                let (from, to) = course.source_and_target(url);
                command.arg(from).arg(to);
                command
            }
            Self::S5cmd => peers::s5cmd(course, url)?,
            Self::Rclone => peers::rclone(course, url),
            Self::AwsCli => peers::aws_cli(course, url)?,
            Self::Boto3Crt => sdks::boto3_crt(course, url)?,
            Self::Obstore => sdks::obstore(course, url)?,
            Self::TransferManager => sdks::transfer_manager(course, url)?,
        };
        if let Some(authority) = course.authority {
            command.env("AWS_CA_BUNDLE", &authority.certificate);
        }
        Ok(command)
    }
}

impl Course<'_> {
    /// Returns the source and the target in the form that `aws s3 cp` takes.
    fn source_and_target(&self, url: &str) -> (OsString, OsString) {
        let path = self.path.as_os_str().to_owned();
        let generated = format!("s3://{BUCKET}/{}", self.generated_key());
        match self.case.job {
            Job::Upload => (path, url.into()),
            Job::Download => (generated.into(), path),
            Job::Files => (with_slash(path), with_slash(url.into())),
            Job::Stdin => ("-".into(), url.into()),
            Job::Copy => (generated.into(), url.into()),
        }
    }

    /// Returns the key of the object that the endpoint generates.
    fn generated_key(&self) -> String {
        generated::key(self.bytes)
    }

    /// Returns part size and concurrency of [`Settings::Same`], as words of a command.
    fn same(&self) -> [String; 2] {
        [PART_BYTES.to_string(), CONCURRENCY.to_string()]
    }
}

fn with_slash(mut path: OsString) -> OsString {
    path.push(OsStr::new("/"));
    path
}

/// Returns this program as a command that runs [`crate::floor`].
fn floor(course: &Course<'_>, connections: u32) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    let what = match course.case.job {
        Job::Download => "download",
        Job::Files => "files",
        _ => "upload",
    };
    let address = course.endpoint.address().to_string();
    command.args(["floor", what, &address, &connections.to_string()]);
    if course.case.job != Job::Files {
        command.arg(PART_BYTES.to_string());
    }
    if course.case.job == Job::Download {
        let path = format!("/{BUCKET}/{}", course.generated_key());
        command.args([path, course.bytes.to_string()]);
    }
    command.arg(course.path).args(course.authority.map(|authority| &authority.certificate));
    Ok(command)
}
