//! The commands of small programs on SDKs: boto3 with the AWS CRT, obstore, and AWS's transfer
//! manager for Rust. For Python, the measured process includes the start of the interpreter.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};
use haul_testkit::python::Venv;

use super::Course;
use crate::case::{Job, Settings};
use crate::client::BUCKET;

const BOTO3_CRT: &str = include_str!("../../python/boto3_crt.py");
const OBSTORE: &str = include_str!("../../python/obstore_copy.py");

pub(super) fn boto3_crt(course: &Course<'_>, url: &str) -> Result<Command> {
    python(course, BOTO3_CRT, url)
}

pub(super) fn obstore(course: &Course<'_>, url: &str) -> Result<Command> {
    python(course, OBSTORE, url)
}

pub(super) fn transfer_manager(course: &Course<'_>, url: &str) -> Result<Command> {
    let program = course.options.transfer_manager.as_ref();
    let mut command = Command::new(program.context("--transfer-manager is missing")?);
    command.env_clear().envs(course.store.client_variables());
    command.env("AWS_ENDPOINT_URL", &course.store.endpoint).args(words(course, url));
    if let Some(authority) = course.authority {
        command.env("SSL_CERT_FILE", &authority.certificate);
    }
    Ok(command)
}

fn python(course: &Course<'_>, script: &str, url: &str) -> Result<Command> {
    let venv = Venv::at(course.options.sdks.as_ref().context("--sdks is missing")?);
    let mut command = venv.command("python", &course.store);
    command.env("BENCH_ENDPOINT", &course.store.endpoint);
    command.arg("-c").arg(script).args(words(course, url));
    Ok(command)
}

/// Returns what all three take: `WHAT PATH BUCKET KEY [PART-BYTES CONCURRENCY]`.
fn words(course: &Course<'_>, url: &str) -> Vec<OsString> {
    let path = course.path.as_os_str().to_owned();
    let key = url.trim_start_matches(&format!("s3://{BUCKET}/")).to_owned();
    let generated = course.generated_key();
    let (what, path, key) = match course.case.job {
        Job::Upload => ("upload", path, key),
        Job::Files => ("upload-folder", path, key),
        Job::Stdin => ("stdin", "-".into(), key),
        Job::Download => ("download", path, generated),
        Job::Copy => ("copy", generated.into(), key),
    };
    let mut words: Vec<OsString> = vec![what.into(), path, BUCKET.into(), key.into()];
    if course.settings == Settings::Same {
        words.extend(course.same().map(OsString::from));
    }
    words
}
