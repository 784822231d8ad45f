//! Hashes bytes as they pass, with one algorithm or with several in one pass.
//!
//! Bytes should be read from memory once: [`MultiHasher`] walks its input in blocks small enough to
//! stay in the first cache levels and feeds each block to every algorithm before it takes the next
//! one. MD5 of many streams at once is in [`lanes`](crate::lanes).

use std::hash::Hasher as _;

use crc_fast::CrcAlgorithm;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use twox_hash::{XxHash3_64, XxHash3_128, XxHash64};

use super::{Checksum, ChecksumAlgorithm};
use crate::lanes::Md5Stream;

/// The block that [`MultiHasher`] feeds to one algorithm after the other: half of a usual 32 KiB L1
/// cache.
pub const MULTI_HASHER_BLOCK_BYTES: usize = 16 * 1024;

/// A running checksum over one stream of bytes.
#[derive(Clone)]
pub struct Hasher {
    algorithm: ChecksumAlgorithm,
    state: HasherState,
}

#[derive(Clone)]
enum HasherState {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
    Xxhash3(XxHash3_64),
    Xxhash64(XxHash64),
    Xxhash128(XxHash3_128),
    Md5(Md5Stream),
}

impl Hasher {
    /// Creates the checksum of no bytes.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        let crc = |crc_algorithm| HasherState::Crc(crc_fast::Digest::new(crc_algorithm));
        let state = match algorithm {
            ChecksumAlgorithm::Crc64Nvme => crc(CrcAlgorithm::Crc64Nvme),
            ChecksumAlgorithm::Crc32c => crc(CrcAlgorithm::Crc32Iscsi),
            ChecksumAlgorithm::Crc32 => crc(CrcAlgorithm::Crc32IsoHdlc),
            ChecksumAlgorithm::Sha1 => HasherState::Sha1(Sha1::new()),
            ChecksumAlgorithm::Sha256 => HasherState::Sha256(Sha256::new()),
            ChecksumAlgorithm::Sha512 => HasherState::Sha512(Sha512::new()),
            ChecksumAlgorithm::Xxhash3 => HasherState::Xxhash3(XxHash3_64::new()),
            ChecksumAlgorithm::Xxhash64 => HasherState::Xxhash64(XxHash64::with_seed(0)),
            ChecksumAlgorithm::Xxhash128 => HasherState::Xxhash128(XxHash3_128::new()),
            ChecksumAlgorithm::Md5 => HasherState::Md5(Md5Stream::new()),
        };
        Self { algorithm, state }
    }

    /// Computes the checksum of `bytes`.
    pub fn checksum(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Checksum {
        let mut hasher = Self::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Returns the algorithm of this checksum.
    pub const fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            HasherState::Crc(digest) => digest.update(bytes),
            HasherState::Sha1(digest) => digest.update(bytes),
            HasherState::Sha256(digest) => digest.update(bytes),
            HasherState::Sha512(digest) => digest.update(bytes),
            HasherState::Xxhash3(digest) => digest.write(bytes),
            HasherState::Xxhash64(digest) => digest.write(bytes),
            HasherState::Xxhash128(digest) => digest.write(bytes),
            HasherState::Md5(stream) => stream.update(bytes),
        }
    }

    /// Returns the checksum of all bytes added.
    pub fn finish(self) -> Checksum {
        let of = |digest: &[u8]| Checksum::from_bytes(self.algorithm, digest);
        let checksum = match self.state {
            HasherState::Crc(digest) => {
                return Checksum::from_crc(self.algorithm, digest.finalize());
            }
            HasherState::Sha1(digest) => of(&digest.finalize()),
            HasherState::Sha256(digest) => of(&digest.finalize()),
            HasherState::Sha512(digest) => of(&digest.finalize()),
            HasherState::Xxhash3(digest) => of(&digest.finish().to_be_bytes()),
            HasherState::Xxhash64(digest) => of(&digest.finish().to_be_bytes()),
            HasherState::Xxhash128(digest) => of(&digest.finish_128().to_be_bytes()),
            HasherState::Md5(stream) => of(&stream.finish()),
        };
        checksum.expect("the digest of an algorithm has the length of that algorithm")
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Several running checksums over the same bytes.
#[derive(Clone, Debug)]
pub struct MultiHasher {
    hashers: Vec<Hasher>,
}

impl MultiHasher {
    /// Creates the checksums of no bytes; an algorithm named twice runs once.
    pub fn new(algorithms: impl IntoIterator<Item = ChecksumAlgorithm>) -> Self {
        let mut hashers: Vec<Hasher> = Vec::new();
        for algorithm in algorithms {
            if hashers.iter().all(|hasher| hasher.algorithm != algorithm) {
                hashers.push(Hasher::new(algorithm));
            }
        }
        Self { hashers }
    }

    /// Adds the next bytes, block by block.
    pub fn update(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(MULTI_HASHER_BLOCK_BYTES) {
            for hasher in &mut self.hashers {
                hasher.update(block);
            }
        }
    }

    /// Returns one checksum per algorithm, in the order they were named.
    pub fn finish(self) -> Vec<Checksum> {
        self.hashers.into_iter().map(Hasher::finish).collect()
    }
}
