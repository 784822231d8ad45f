//! Runs the seeds of `fuzz/`, including inputs that a fuzzer once found, as tests of the crates,
//! with the usual compiler and in every run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Feeds every seed of a target to `take`. All must be accepted except those whose name says that
/// they are refused: a seed that no longer reaches its code is useless to a fuzzer.
///
/// # Errors
/// Fails if there is no seed, or one cannot be read, or is accepted or refused contrary to its
/// name.
pub fn feed(target: &str, take: fn(&[u8]) -> bool) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let seeds = fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
    let mut fed = 0;
    for seed in seeds {
        let path = seed.with_context(|| format!("read {}", folder.display()))?.path();
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let taken = take(&bytes);
        ensure!(taken != name.starts_with("refused"), "{}: taken is {taken}", path.display());
        // Every truncated seed may be accepted or refused, but must not cause a panic.
        for end in 0..bytes.len() {
            take(&bytes[..end]);
        }
        fed += 1;
    }
    ensure!(fed > 0, "{} has no seeds", folder.display());
    Ok(())
}
