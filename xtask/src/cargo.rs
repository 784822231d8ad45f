//! Runs cargo: the one that started this program.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Returns the cargo that started this program, or the one on the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command with visible output; its failure is an error.
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

/// Returns `cargo metadata` of the workspace, with resolved dependencies.
pub(crate) fn metadata() -> Result<Value> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--locked"]);
    let output = command.output().context("start cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("read cargo metadata")
}

/// Returns a path from `cargo metadata`: `workspace_root` or `target_directory`.
pub(crate) fn metadata_path(metadata: &Value, name: &str) -> Result<PathBuf> {
    let path = metadata.get(name).and_then(Value::as_str);
    Ok(PathBuf::from(path.with_context(|| format!("cargo metadata has no {name}"))?))
}
