//! `cargo xtask counts [--bless]`: counts the instructions of some steps under callgrind and
//! compares them with a stored baseline.
//!
//! A count does not depend on the load of a machine, as a time does. It depends on the code that
//! libraries choose for a processor: callgrind presents one of its own, with AVX2 and carry-less
//! multiplication but without SHA instructions and AVX-512, whatever the machine has. So a count of
//! a hash is that of another path than most machines run, and guards our code around it. The
//! program is the example `counts` of `haul-bench` in the profile of the tests, which is built by
//! then.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::cargo::{cargo, metadata, metadata_path, succeed};
use crate::debian;

/// The baseline, from the root of the workspace.
const BASELINE: &str = "crates/bench/counts.json";
/// The difference to the baseline, in percent, from which on a count fails, up or down. Counts of
/// the same program repeat to 0.5 %.
const TOLERANCE_PERCENT: u64 = 5;
/// The function of the example during which callgrind collects.
const COUNTED: &str = "counts::counted";
const ABOUT: &str = "Instructions under callgrind, in the profile of the tests, by architecture. \
                     Written by `cargo xtask counts --bless`. `cpu` lists the features of the \
                     processor that callgrind presents: hashes run on those paths, not on SHA \
                     instructions or AVX-512.";

/// What one run has counted.
struct Counts {
    valgrind: String,
    cpu: String,
    /// Instructions by case.
    cases: BTreeMap<String, u64>,
}

/// Counts, and fails if a count differs from the baseline.
pub(crate) fn compare() -> Result<()> {
    let root = metadata_path(&metadata()?, "workspace_root")?;
    let counts = Counts::take()?;
    let baseline = read_baseline(&root)?;
    let baseline = baseline.get(std::env::consts::ARCH).with_context(|| {
        format!(
            "{BASELINE} has no counts for {}: cargo xtask counts --bless",
            std::env::consts::ARCH
        )
    })?;
    let differences = counts.differences(baseline)?;
    ensure!(
        differences.is_empty(),
        "instructions differ from {BASELINE} by more than {TOLERANCE_PERCENT} %:\n  {}\nif that is \
         intended: cargo xtask counts --bless",
        differences.join("\n  ")
    );
    Ok(())
}

/// Counts, and replaces the baseline of this architecture.
pub(crate) fn bless() -> Result<()> {
    let root = metadata_path(&metadata()?, "workspace_root")?;
    let counts = Counts::take()?;
    let mut baseline = read_baseline(&root).unwrap_or_else(|_| json!({}));
    baseline["about"] = json!(ABOUT);
    baseline[std::env::consts::ARCH] =
        json!({"valgrind": counts.valgrind, "cpu": counts.cpu, "instructions": counts.cases});
    let text = serde_json::to_string_pretty(&baseline)? + "\n";
    fs::write(root.join(BASELINE), text).with_context(|| format!("write {BASELINE}"))
}

fn read_baseline(root: &Path) -> Result<Value> {
    let text = fs::read(root.join(BASELINE)).with_context(|| format!("read {BASELINE}"))?;
    serde_json::from_slice(&text).with_context(|| format!("read {BASELINE}"))
}

impl Counts {
    fn take() -> Result<Self> {
        debian::valgrind()?;
        let (program, folder) = build()?;
        // Files of an earlier run would count.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--quiet", "--combine-dumps=no"])
            .arg(format!("--toggle-collect={COUNTED}"))
            .arg(format!("--dump-after={COUNTED}"))
            .arg(format!("--callgrind-out-file={}/case", folder.display()))
            .arg(&program)
            .output()
            .context("start valgrind")?;
        ensure!(
            output.status.success(),
            "valgrind of {}: {}\n{}",
            program.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut counts = Self { valgrind: version()?, cpu: String::new(), cases: BTreeMap::new() };
        let mut case = 0;
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("cpu", features)) => features.clone_into(&mut counts.cpu),
                Some(("case", name)) => {
                    case += 1;
                    let path = folder.join(format!("case.{case}"));
                    counts.cases.insert(name.to_owned(), total(&path)?);
                }
                _ => bail!("{} printed {line:?}", program.display()),
            }
        }
        Ok(counts)
    }

    /// Prints every count beside the baseline; returns those that differ too much.
    fn differences(&self, baseline: &Value) -> Result<Vec<String>> {
        let known = |name: &str| baseline.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut differences = Vec::new();
        for (name, now) in [("valgrind", &self.valgrind), ("cpu", &self.cpu)] {
            if known(name) != now {
                differences.push(format!("{name}: {now:?}, the baseline has {:?}", known(name)));
            }
        }
        let known = baseline.get("instructions").and_then(Value::as_object);
        let known = known.context("the baseline has no instructions")?;
        for (name, now) in &self.cases {
            let before = known.get(name).and_then(Value::as_u64).unwrap_or(0);
            let line = format!("{name}: {now}, the baseline has {before}");
            crate::say(&format!("counts: {line}"));
            if now.abs_diff(before) * 100 > before * TOLERANCE_PERCENT {
                differences.push(line);
            }
        }
        let gone = known.keys().filter(|name| !self.cases.contains_key(*name));
        differences.extend(gone.map(|name| format!("{name}: not counted any more")));
        Ok(differences)
    }
}

/// Builds the example like the tests, with the features that all crates of the workspace ask for.
/// Returns the program, and a folder for the files of callgrind.
fn build() -> Result<(PathBuf, PathBuf)> {
    let options = ["--workspace", "--locked", "--example", "counts"];
    // The workspace's own profile, whatever a developer's configuration of cargo has. Incremental
    // compilation is its default, and decides what is inlined.
    let profile = [
        ("CARGO_PROFILE_DEV_OPT_LEVEL", "1"),
        ("CARGO_PROFILE_DEV_DEBUG", "line-tables-only"),
        ("CARGO_INCREMENTAL", "1"),
    ];
    succeed(cargo().arg("build").args(options).envs(profile))?;
    let target = metadata_path(&metadata()?, "target_directory")?;
    Ok((target.join("debug/examples/counts"), target.join("counts")))
}

fn version() -> Result<String> {
    let output = Command::new("valgrind").arg("--version").output().context("start valgrind")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns the instructions in a file of callgrind.
fn total(path: &Path) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.or_else(|| text.lines().find_map(|line| line.strip_prefix("summary: ")));
    let total = total.with_context(|| format!("{} has no total", path.display()))?;
    total.trim().parse().with_context(|| format!("{}: {total}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(instructions: u64) -> Counts {
        let cases = BTreeMap::from([("a step".to_owned(), instructions)]);
        Counts { valgrind: "3.19".into(), cpu: "avx2".into(), cases }
    }

    #[test]
    fn a_count_outside_the_tolerance_is_a_difference() {
        let baseline = json!({"valgrind": "3.19", "cpu": "avx2", "instructions": {"a step": 1000}});
        let differences = |instructions| counts(instructions).differences(&baseline).unwrap();
        assert_eq!(differences(1050), [""; 0]);
        assert_eq!(differences(950), [""; 0]);
        assert_eq!(differences(1051), ["a step: 1051, the baseline has 1000"]);
        assert_eq!(differences(949), ["a step: 949, the baseline has 1000"]);
    }

    /// Another processor or another Valgrind explains other counts, so they come first.
    #[test]
    fn another_processor_and_missing_cases_are_differences() {
        let baseline = json!({
            "valgrind": "3.19", "cpu": "avx2 sha", "instructions": {"a step": 1000, "gone": 5}
        });
        let differences = counts(1000).differences(&baseline).unwrap();
        let expected =
            ["cpu: \"avx2\", the baseline has \"avx2 sha\"", "gone: not counted any more"];
        assert_eq!(differences, expected);
        let new = json!({"valgrind": "3.19", "cpu": "avx2", "instructions": {}});
        let differences = counts(1000).differences(&new).unwrap();
        assert_eq!(differences, ["a step: 1000, the baseline has 0"]);
    }
}
