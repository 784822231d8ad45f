//! The clients that load a server: a file in parts of 16 MiB, or many short files.

use std::process::Command;

use anyhow::{Context, Result};
use haul_testkit::TestStore;
use haul_testkit::python::Venv;

use super::{BUCKET, IN_FLIGHT, PART_BYTES, Place};
use crate::client::haul;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Haul,
    S5cmd,
    Rclone,
    AwsCli,
}

/// How a client uploads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) client: Client,
    pub(super) in_flight: u32,
    /// Sends payloads that are not part of the signature; haul always does.
    pub(super) unsigned: bool,
    pub(super) tls: bool,
    /// Uploads the folder of many files at the client's defaults, instead of the file.
    pub(super) files: bool,
}

impl Client {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Haul => "haul",
            Self::S5cmd => "s5cmd",
            Self::Rclone => "rclone",
            Self::AwsCli => "aws-cli",
        }
    }
}

impl Load {
    pub(super) fn of(client: Client) -> Self {
        Self { client, in_flight: IN_FLIGHT, unsigned: false, tls: false, files: false }
    }

    pub(super) fn command(self, place: &Place<'_>, store: &TestStore) -> Result<Command> {
        let mut command = match self.client {
            Client::Haul => self.haul(place, store),
            Client::S5cmd => self.s5cmd(place, store)?,
            Client::Rclone => self.rclone(place, store),
            Client::AwsCli => self.aws_cli(place, store)?,
        };
        if self.tls {
            command.env("AWS_CA_BUNDLE", &place.authority.certificate);
        }
        Ok(command)
    }

    fn haul(self, place: &Place<'_>, store: &TestStore) -> Command {
        let mut command = haul(&place.options.haul, store, place.folder);
        command.args(["cp", "--quiet"]);
        if self.files {
            command.arg("--recursive");
        } else {
            command.args(["--part-size", &PART_BYTES.to_string()]);
            command.args(["--concurrency", &self.in_flight.to_string()]);
        }
        let (from, to) = self.source_and_target(place);
        command.args([from, to]);
        command
    }

    fn s5cmd(self, place: &Place<'_>, store: &TestStore) -> Result<Command> {
        let mut command = Venv::at(&place.options.venv).s5cmd(store)?;
        command.args(["--endpoint-url", &store.endpoint, "--log", "error", "cp"]);
        if !self.files {
            command.args(["--part-size", &(PART_BYTES >> 20).to_string()]);
            command.args(["--concurrency", &self.in_flight.to_string()]);
        }
        let (from, to) = self.source_and_target(place);
        command.args([from, to]);
        Ok(command)
    }

    fn rclone(self, place: &Place<'_>, store: &TestStore) -> Command {
        let mut command = Venv::at(&place.options.venv).command("rclone", store);
        command
            .env("RCLONE_CONFIG_NULL_TYPE", "s3")
            .env("RCLONE_CONFIG_NULL_PROVIDER", "Other")
            .env("RCLONE_CONFIG_NULL_ENV_AUTH", "true")
            .env("RCLONE_CONFIG_NULL_ENDPOINT", &store.endpoint);
        command.args(["--config", "/dev/null", "--s3-no-check-bucket"]);
        if self.tls {
            command.arg("--ca-cert").arg(&place.authority.certificate);
        }
        command.arg(format!("--s3-use-unsigned-payload={}", self.unsigned));
        command.args(["--s3-chunk-size", &format!("{PART_BYTES}B")]);
        command.args(["--s3-upload-concurrency", &self.in_flight.to_string()]);
        let (from, to) = self.source_and_target(place);
        let to = to.replacen("s3://", "null:", 1);
        command.args([if self.files { "copy" } else { "copyto" }, &from, &to]);
        command
    }

    fn aws_cli(self, place: &Place<'_>, store: &TestStore) -> Result<Command> {
        let mut command = Venv::at(&place.options.venv).command("aws", store);
        // These settings have no options.
        let file = place.folder.join("aws-config");
        let settings = format!(
            "[default]\ns3 =\n  multipart_chunksize = {PART_BYTES}\n  max_concurrent_requests = \
             {}\n",
            self.in_flight
        );
        std::fs::write(&file, settings).context("write the settings of the AWS CLI")?;
        command.env("AWS_CONFIG_FILE", file);
        command.args(["s3", "cp", "--quiet", "--endpoint-url", &store.endpoint]);
        if self.files {
            command.arg("--recursive");
        }
        let (from, to) = self.source_and_target(place);
        command.args([from, to]);
        Ok(command)
    }

    fn source_and_target(self, place: &Place<'_>) -> (String, String) {
        if self.files {
            return (format!("{}/", place.tree.display()), format!("s3://{BUCKET}/tree/"));
        }
        (place.file.display().to_string(), format!("s3://{BUCKET}/file"))
    }
}
