//! `cargo xtask fuzz [--seconds N] [TARGET…]`: runs the targets of `fuzz/` one after the other,
//! each for some time.
//!
//! It needs a nightly compiler and cargo-fuzz, which a test run does not: so a test run only feeds
//! the seeds. Findings are kept under `fuzz/artifacts/TARGET`; the smallest form of each becomes a
//! seed, and with that a test.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{metadata, metadata_path, succeed};

const SECONDS: u64 = 60;
/// Longer inputs find nothing new here and are slow.
const INPUT_BYTES_MAX: u32 = 4096;

/// The targets to run, and the time for each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    seconds: u64,
    targets: Vec<String>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self { seconds: SECONDS, targets: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--seconds" => {
                    let text = words.next().context("--seconds wants a number")?;
                    options.seconds = text.parse().with_context(|| format!("--seconds {text}"))?;
                }
                option if option.starts_with('-') => {
                    bail!("unknown option {option}; fuzz takes --seconds N and names of targets")
                }
                target => options.targets.push(target.to_owned()),
            }
        }
        Ok(options)
    }
}

pub(crate) fn fuzz(options: &Options) -> Result<()> {
    let root = metadata_path(&metadata()?, "workspace_root")?;
    let folder = root.join("fuzz");
    let known = targets(&folder)?;
    for target in &options.targets {
        ensure!(
            known.contains(target),
            "there is no target {target}; there are: {}",
            known.join(", ")
        );
    }
    let chosen = if options.targets.is_empty() { &known } else { &options.targets };
    let mut found = Vec::new();
    for target in chosen {
        let corpus = format!("corpus/{target}");
        std::fs::create_dir_all(folder.join(&corpus))
            .with_context(|| format!("create fuzz/{corpus}"))?;
        let mut run = cargo_fuzz(&folder);
        run.args(["run", target, &corpus, &format!("seeds/{target}"), "--"]);
        run.arg(format!("-max_total_time={}", options.seconds));
        run.args([format!("-max_len={INPUT_BYTES_MAX}"), "-print_final_stats=1".to_owned()]);
        // A finding does not stop the other targets.
        if succeed(&mut run).is_err() {
            found.push(target.as_str());
        }
    }
    ensure!(found.is_empty(), "found something: {}; see fuzz/artifacts", found.join(", "));
    Ok(())
}

/// Returns the targets: every file of `fuzz/fuzz_targets`.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.join("fuzz_targets");
    let files = std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
    let names = files.filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

/// Returns the command of the nightly toolchain, whatever toolchain runs this.
fn cargo_fuzz(folder: &Path) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz"]).current_dir(folder);
    // The environment of the cargo that started us does not fit another toolchain, nor does its
    // target folder.
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTC", "RUSTDOC", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    if let Some(target) = std::env::var_os("HAUL_FUZZ_TARGET_DIR") {
        command.env("CARGO_TARGET_DIR", target);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_any_order() {
        let options = Options::parse(&["etag", "--seconds", "5", "names"]).unwrap();
        assert_eq!(options, Options { seconds: 5, targets: vec!["etag".into(), "names".into()] });
        assert_eq!(Options::parse(&[]).unwrap().seconds, SECONDS);
        assert!(Options::parse(&["--seconds"]).is_err());
        assert!(Options::parse(&["--minutes", "1"]).is_err());
    }

    /// A target missing from the manifest would never be built, and one without seeds never run in
    /// a test.
    #[test]
    fn every_target_is_in_the_manifest_and_has_seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let targets = targets(&folder).unwrap();
        assert!(targets.len() >= 12, "{targets:?}");
        for target in targets {
            assert!(
                manifest.contains(&format!("name = \"{target}\"")),
                "{target} is not in the manifest"
            );
            let seeds = std::fs::read_dir(folder.join("seeds").join(&target)).unwrap();
            assert!(seeds.count() > 0, "{target} has no seeds");
        }
    }
}
