//! Installs Debian packages: Ceph's gateway, which no other source offers, a clock that is wrong on
//! purpose, shells, restic, Valgrind, and the tools that make network namespaces.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::succeed;

const CEPH_PACKAGES: [&str; 3] = ["radosgw", "ceph-mon", "ceph-osd"];
const CEPH_VERSION: &str = "16.2.";

/// Installs the parts of Ceph that one gateway needs, if they are missing.
pub(crate) fn ceph() -> Result<()> {
    let missing: Vec<&str> =
        CEPH_PACKAGES.into_iter().filter(|package| installed_version(package).is_none()).collect();
    if !missing.is_empty() {
        install(&missing).with_context(|| {
            format!(
                "Ceph RGW {CEPH_VERSION}x cannot be had: it comes from the Debian packages {}",
                CEPH_PACKAGES.join(", ")
            )
        })?;
    }
    for package in CEPH_PACKAGES {
        let version = installed_version(package)
            .with_context(|| format!("{package} is still not installed"))?;
        ensure!(
            version.starts_with(CEPH_VERSION),
            "{package} {version} is installed, but the tests know what Ceph {CEPH_VERSION}x \
             answers (Debian 12 has it)"
        );
    }
    Ok(())
}

/// Installs `faketime`, with which a test runs `haul` with a wrong clock.
pub(crate) fn faketime() -> Result<()> {
    if installed_version("faketime").is_none() {
        install(&["faketime"])
            .context("faketime cannot be had: it comes from the Debian package of that name")?;
    }
    Ok(())
}

/// Installs `openssl`, with which tests create certificates like most people do.
pub(crate) fn openssl() -> Result<()> {
    if installed_version("openssl").is_none() {
        install(&["openssl"])
            .context("openssl cannot be had: it comes from the Debian package of that name")?;
    }
    Ok(())
}

/// Installs `strace`, with which a test sees in which order a download is written, renamed and
/// synced.
pub(crate) fn strace() -> Result<()> {
    if installed_version("strace").is_none() {
        install(&["strace"])
            .context("strace cannot be had: it comes from the Debian package of that name")?;
    }
    Ok(())
}

/// Installs `ip` and `tc`, with which tests and `bench links` make links between namespaces.
pub(crate) fn iproute2() -> Result<()> {
    if installed_version("iproute2").is_none() {
        install(&["iproute2"])
            .context("iproute2 cannot be had: it comes from the Debian package of that name")?;
    }
    Ok(())
}

/// Installs Valgrind, whose callgrind counts instructions.
pub(crate) fn valgrind() -> Result<()> {
    if installed_version("valgrind").is_none() {
        install(&["valgrind"])
            .context("valgrind cannot be had: it comes from the Debian package of that name")?;
    }
    Ok(())
}

/// Installs zsh and fish, in which tests complete command lines.
pub(crate) fn shells() -> Result<()> {
    for shell in ["zsh", "fish"] {
        if installed_version(shell).is_none() {
            install(&[shell]).with_context(|| {
                format!("{shell} cannot be had: it comes from the Debian package of that name")
            })?;
        }
    }
    Ok(())
}

/// Installs restic, a client of our endpoint.
pub(crate) fn restic() -> Result<()> {
    if installed_version("restic").is_none() {
        install(&["restic"])
            .context("restic cannot be had: it comes from the Debian package of that name")?;
    }
    Ok(())
}

fn installed_version(package: &str) -> Option<String> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status} ${Version}", package])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.strip_prefix("installed ").map(str::to_owned)
}

fn install(packages: &[&str]) -> Result<()> {
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("this machine has no apt-get");
    }
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let hint = "apt-get failed; it must run as root, and reach Debian's packages";
    succeed(apt().args(["update", "--quiet"])).context(hint)?;
    succeed(apt().args(["install", "--quiet", "--yes", "--no-install-recommends"]).args(packages))
        .context(hint)
}
