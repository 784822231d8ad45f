//! Files for tests: random bytes made faster than a disk takes them, and their SHA-256.
//!
//! Random, because stores and file systems must not get away with compressing or deduplicating; from a seed, because a
//! failing test must be repeatable.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// One mebibyte, in bytes.
pub const MIB: u64 = 1024 * 1024;

const SLICE_BYTES: usize = 1024 * 1024;

/// xoshiro256++ by Blackman and Vigna, seeded through splitmix64 as they advise. Not for secrets.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The same seed gives the same bytes, on every machine.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut mixed = seed;
        let mut next = || {
            mixed = mixed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = mixed;
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^ (word >> 31)
        };
        Self { state: [next(), next(), next(), next()] }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let word = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let mut mixed = [a, b ^ a, c ^ a, d ^ b];
        mixed[0] ^= mixed[3];
        mixed[2] ^= b << 17;
        mixed[3] = mixed[3].rotate_left(45);
        mixed[1] = b ^ c ^ a;
        self.state = mixed;
        word
    }

    /// Fills `slice` with the next bytes.
    pub fn fill(&mut self, slice: &mut [u8]) {
        for word in slice.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            word.copy_from_slice(&bytes[..word.len()]);
        }
    }
}

/// Writes `length_bytes` random bytes to `path` and returns their SHA-256 in hex.
///
/// # Errors
/// When the file cannot be created or written.
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

/// The SHA-256 of a file, in hex.
///
/// # Errors
/// When the file cannot be opened or read.
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

/// A random name of `bytes` bytes in hex, from the system: for keys and secrets of servers that live for one run.
///
/// # Errors
/// When the system has no random source.
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
    fn the_generator_is_xoshiro256_plus_plus() {
        // First words of the reference implementation for the state 1, 2, 3, 4.
        let mut random = Random { state: [1, 2, 3, 4] };
        let words: Vec<u64> = (0..4).map(|_| random.next_u64()).collect();
        assert_eq!(words, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

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
