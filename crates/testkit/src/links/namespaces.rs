//! Network namespaces by `ip netns`, named after the process that made them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

use crate::process::{Signal, run_by, send};

/// The beginning of every name; the process id follows.
const PREFIX: &str = "haul-";
const SETTINGS: &str = "/etc/netns";

/// A network namespace; removed on drop.
#[derive(Debug)]
pub(super) struct Name(String);

impl Name {
    /// Creates a namespace for this role.
    pub(super) fn create(role: &str) -> Result<Self> {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{role}", std::process::id());
        ip(&["netns", "add", &name])
            .context("create a network namespace; this needs root and the package iproute2")?;
        Ok(Self(name))
    }

    pub(super) fn word(&self) -> &str {
        &self.0
    }

    /// Returns the command, run in this namespace, with `PATH` and the variables that it sets.
    /// `ip` replaces itself by the program, so that the process id is the program's.
    pub(super) fn exec(&self, command: &Command) -> Command {
        let mut wrapped = Command::new("ip");
        // Whether the command clears the environment cannot be seen.
        wrapped.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        wrapped.args(["netns", "exec", &self.0]);
        run_by(wrapped, command)
    }

    /// Returns the folder whose files `ip netns exec` mounts over those of `/etc`.
    pub(super) fn settings_folder(&self) -> PathBuf {
        Path::new(SETTINGS).join(&self.0)
    }

    pub(super) fn write_hosts(&self, lines: &str) -> Result<()> {
        let folder = self.settings_folder();
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        fs::write(folder.join("hosts"), lines).context("write the hosts of a namespace")
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Removes the namespaces of processes that no longer run, and ends what still runs in them: it was
/// started there by those processes.
///
/// # Errors
/// Fails if `ip` is missing.
pub fn remove_leftovers() -> Result<()> {
    let listed = output(Command::new("ip").args(["netns", "list"]))?;
    for name in listed.lines().filter_map(|line| line.split_whitespace().next()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let owner = owner.and_then(|owner| owner.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists()) {
            let left = output(Command::new("ip").args(["netns", "pids", name])).unwrap_or_default();
            for id in left.lines().filter_map(|line| line.trim().parse().ok()) {
                // It may have ended meanwhile.
                let _ = send(id, Signal::KILL);
            }
            remove(name);
        }
    }
    Ok(())
}

fn remove(name: &str) {
    // Another process may remove the same leftover; there is nothing else to do about an error.
    let _ = ip(&["netns", "delete", name]);
    let _ = fs::remove_dir_all(Path::new(SETTINGS).join(name));
    // Only if it is empty.
    let _ = fs::remove_dir(SETTINGS);
}

/// Runs `ip` with these words.
pub(super) fn ip(words: &[&str]) -> Result<()> {
    output(Command::new("ip").args(words)).map(drop)
}

/// Runs `tc` with these words.
pub(super) fn tc(words: &[&str]) -> Result<()> {
    output(Command::new("tc").args(words)).map(drop)
}

/// Writes a setting below `/proc/sys`, as it is in the namespace.
pub(super) fn write_setting(name: &Name, setting: &str, value: &str) -> Result<()> {
    let mut write = Command::new("sh");
    write.args(["-c", r#"echo "$2" > "/proc/sys/$1""#, "sh", setting, value]);
    output(&mut name.exec(&write)).map(drop)
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
