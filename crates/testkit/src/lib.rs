//! For our tests only: real servers, a chaos proxy, files, a Python with the usual S3 clients,
//! measured processes.
//!
//! Nothing here is part of the product and nothing of the product is known here: `haul` is a binary
//! whose path the caller gives. What a test asserts stays in the test; this crate only makes the
//! world it runs in.
//!
//! Servers that are slow to start are started once by `cargo xtask test` and found through
//! environment variables ([`Store::shared`]); a test that does not find them fails and says so, it
//! never skips.

pub mod files;
pub mod network;
pub mod process;
pub mod python;
pub mod random;
pub mod scripted;
pub mod seeds;
pub mod servers;

#[cfg(feature = "chaos")]
pub mod chaos;

pub use servers::Store;
