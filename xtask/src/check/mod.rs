//! `cargo xtask check`: forbidden dependencies and words stay absent, and promises name existing
//! tests.
//!
//! The compiler and clippy see items; these rules are about relations that they do not see. Each
//! rule reads `cargo metadata` or the sources as text ([`source`]); a violation names the place and
//! the broken sentence of ARCHITECTURE.md.

mod arrows;
mod dependencies;
mod language;
mod lengths;
mod promises;
mod source;
mod traps;
mod words;

use std::process::Command;

use anyhow::{Result, bail};

use crate::cache::Cache;
use crate::cargo::{metadata, metadata_path, succeed};
use crate::tools;
use source::Tree;

pub(crate) fn check() -> Result<()> {
    let metadata = metadata()?;
    // Licences, bans and sources, by deny.toml; advisories need a network. Must run after `cargo
    // metadata`, which downloads the dependencies of a fresh machine.
    let mut deny = Command::new(tools::cargo_deny(&Cache::open()?)?);
    deny.args(["--offline", "--log-level", "error", "check"]);
    succeed(deny.args(["licenses", "bans", "sources"]))?;
    let root = metadata_path(&metadata, "workspace_root")?;
    let tree = Tree::read(&root)?;
    let mut violations = dependencies::violations(&metadata)?;
    violations.extend(dependencies::compiler_violations(&metadata)?);
    violations.extend(arrows::violations(&tree));
    violations.extend(words::violations(&tree));
    violations.extend(lengths::violations(&tree));
    violations.extend(language::violations(&tree));
    violations.extend(promises::violations(&tree)?);
    violations.extend(traps::violations(&tree)?);
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => {
            crate::say(&format!(
                "check: {} files, every invariant of absence holds",
                tree.files.len()
            ));
            Ok(())
        }
        count => bail!("check: {count} violations"),
    }
}
