//! Creates files for tests: random bytes, generated faster than a disk can write them, and their
//! SHA-256.
//! The bytes are random, so that stores and file systems cannot compress or deduplicate them; they
//! depend on a seed, so that a failing test is repeatable.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::random::Random;

/// One mebibyte, in bytes.
pub const MIB: u64 = 1024 * 1024;

const SLICE_BYTES: usize = 1024 * 1024;

/// Writes `length_bytes` random bytes to `path` and returns their SHA-256 in hex.
///
/// # Errors
/// The file cannot be created or written.
pub fn write_random(path: &Path, length_bytes: u64, seed: u64) -> Result<String> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut file = BufWriter::with_capacity(SLICE_BYTES, file);
    let (mut random, mut hash) = (Random::new(seed), Sha256::new());
    let mut slice = vec![0; SLICE_BYTES];
    let mut left = length_bytes;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(SLICE_BYTES).min(SLICE_BYTES);
        random.fill(&mut slice[..now]);
        hash.update(&slice[..now]);
        file.write_all(&slice[..now]).with_context(|| format!("write {}", path.display()))?;
        left -= now as u64;
    }
    file.flush().with_context(|| format!("write {}", path.display()))?;
    Ok(hex::encode(hash.finalize()))
}

/// Returns the SHA-256 of a file, in hex.
///
/// # Errors
/// The file cannot be opened or read.
pub fn sha256(path: &Path) -> Result<String> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    sha256_of(file).with_context(|| format!("read {}", path.display()))
}

fn sha256_of(mut bytes: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut slice = vec![0; SLICE_BYTES];
    loop {
        match bytes.read(&mut slice)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&slice[..read]),
        }
    }
}

/// Returns a random name of `bytes` bytes in hex, from the system's random source: for keys and
/// secrets of servers that live for one run.
///
/// # Errors
/// The system has no random source.
pub fn random_hex(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .context("read /dev/urandom")?;
    Ok(hex::encode(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_has_the_hash_that_was_returned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("random");
        let hash = write_random(&path, 3 * MIB + 5, 7).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 3 * MIB + 5);
        assert_eq!(sha256(&path).unwrap(), hash);
        assert_ne!(write_random(&path, 3 * MIB + 5, 8).unwrap(), hash);
    }
}
