//! The commands of s5cmd, rclone and the AWS CLI.

use std::ffi::{OsStr, OsString};
use std::process::Command;

use anyhow::{Context, Result};
use haul_testkit::python::Venv;

use super::Course;
use crate::case::{CONCURRENCY, Job, PART_BYTES, Settings};

pub(super) fn s5cmd(course: &Course<'_>, url: &str) -> Result<Command> {
    let mut command = venv(course).s5cmd(&course.store)?;
    command.args(["--endpoint-url", &course.store.endpoint, "--log", "error"]);
    command.arg(if course.case.job == Job::Stdin { "pipe" } else { "cp" });
    if course.settings == Settings::Same {
        let part_mib = (PART_BYTES >> 20).to_string();
        command.args(["--part-size", &part_mib, "--concurrency", &CONCURRENCY.to_string()]);
    }
    let (from, to) = course.source_and_target(url);
    if course.case.job != Job::Stdin {
        command.arg(from);
    }
    command.arg(to);
    Ok(command)
}

pub(super) fn rclone(course: &Course<'_>, url: &str) -> Command {
    let mut command = venv(course).command("rclone", &course.store);
    command
        .env("RCLONE_CONFIG_NULL_TYPE", "s3")
        .env("RCLONE_CONFIG_NULL_PROVIDER", "Other")
        .env("RCLONE_CONFIG_NULL_ENV_AUTH", "true")
        .env("RCLONE_CONFIG_NULL_ENDPOINT", &course.store.endpoint);
    command.args(["--config", "/dev/null", "--s3-no-check-bucket"]);
    if let Some(authority) = course.authority {
        command.arg("--ca-cert").arg(&authority.certificate);
    }
    if course.settings == Settings::Same {
        let [part_bytes, concurrency] = course.same();
        let part_bytes = format!("{part_bytes}B");
        command.args(["--s3-chunk-size", &part_bytes, "--s3-upload-concurrency", &concurrency]);
        command.args(["--multi-thread-chunk-size", &part_bytes]);
        command.args(["--multi-thread-streams", &concurrency]);
    }
    let (from, to) = course.source_and_target(url);
    match course.case.job {
        Job::Stdin => command.arg("rcat").arg(remote(&to)),
        Job::Files => command.arg("copy").arg(from).arg(remote(&to)),
        _ => command.arg("copyto").arg(remote(&from)).arg(remote(&to)),
    };
    command
}

/// Returns rclone's form of an address.
fn remote(address: &OsStr) -> OsString {
    match address.to_str().and_then(|address| address.strip_prefix("s3://")) {
        Some(path) => format!("null:{path}").into(),
        None => address.to_owned(),
    }
}

pub(super) fn aws_cli(course: &Course<'_>, url: &str) -> Result<Command> {
    let mut command = venv(course).command("aws", &course.store);
    command.args(["s3", "cp", "--quiet", "--endpoint-url", &course.store.endpoint]);
    if course.settings == Settings::Same {
        // These settings have no options.
        let file = course.home.join("aws-config");
        let settings = format!(
            "[default]\ns3 =\n  multipart_chunksize = {PART_BYTES}\n  max_concurrent_requests = \
             {CONCURRENCY}\n"
        );
        std::fs::write(&file, settings).context("write the settings of the AWS CLI")?;
        command.env("AWS_CONFIG_FILE", file);
    }
    let (from, to) = course.source_and_target(url);
    command.arg(from).arg(to);
    match course.case.job {
        Job::Files => command.arg("--recursive"),
        // Without it, parts of 8 MiB would be too small for the stream.
        Job::Stdin => command.args(["--expected-size", &course.bytes.to_string()]),
        _ => &mut command,
    };
    Ok(command)
}

fn venv(course: &Course<'_>) -> Venv {
    Venv::at(&course.options.venv)
}
