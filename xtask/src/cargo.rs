//! Running cargo, the one that started us.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The cargo that started us, or the one on the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command in sight of the user; its failure is ours.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let line = words.join(" ");
    crate::say(&line);
    let status = command.status().with_context(|| format!("start {line}"))?;
    ensure!(status.success(), "{line}: {status}");
    Ok(())
}

/// What `cargo metadata` says of the workspace, its dependencies resolved.
pub(crate) fn metadata() -> Result<Value> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--locked"]);
    let output = command.output().context("start cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("read cargo metadata")
}

/// A path that `cargo metadata` names: `workspace_root` or `target_directory`.
pub(crate) fn metadata_path(metadata: &Value, name: &str) -> Result<PathBuf> {
    let path = metadata.get(name).and_then(Value::as_str);
    Ok(PathBuf::from(path.with_context(|| format!("cargo metadata has no {name}"))?))
}
