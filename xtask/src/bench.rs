//! `cargo xtask bench client|server|tree|bandwidth|links|endpoint`: builds the measured programs in
//! release mode and runs `haul-bench` with them.

use std::process::Command;

use anyhow::Result;

use crate::cache::Cache;
use crate::cargo::{cargo, metadata, metadata_path, succeed};
use crate::{debian, tools};

/// Measures `haul serve` without the servers for comparison: Garage takes 40 minutes to build.
const ALONE: &str = "--alone";

pub(crate) fn bench(what: &str, options: &[&str]) -> Result<()> {
    let cache = Cache::open()?;
    let venv = tools::peers(&cache)?;
    succeed(cargo().args([
        "build",
        "--release",
        "--locked",
        "--package",
        "haul-cli",
        "--package",
        "haul-bench",
    ]))?;
    let built = metadata_path(&metadata()?, "target_directory")?.join("release");
    let mut command = Command::new(built.join("haul-bench"));
    command.arg(what).arg("--haul").arg(built.join("haul")).arg("--venv").arg(venv);
    let (alone, options): (Vec<&str>, Vec<&str>) =
        options.iter().partition(|option| **option == ALONE);
    if what == "server" && alone.is_empty() {
        command.arg("--s3s-fs").arg(tools::s3s_fs(&cache)?);
        command.arg("--garage").arg(tools::garage(&cache)?);
    }
    if what == "links" {
        debian::iproute2()?;
    }
    if what == "client" {
        command.arg("--sdks").arg(tools::sdks(&cache)?);
        command.arg("--transfer-manager").arg(tools::transfer_manager(&cache)?);
    }
    command.args(options);
    succeed(&mut command)
}
