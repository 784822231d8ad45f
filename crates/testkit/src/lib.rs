//! Tools for our tests: real servers, a chaos proxy, files, a Python with the usual S3 clients,
//! measured processes.
//!
//! Nothing here is part of the product, and this crate does not depend on it: `haul` is a binary
//! whose path the caller passes. The tests make the assertions; this crate only creates their
//! environment.
//!
//! `cargo xtask test` starts slow servers once, and tests find them through environment variables
//! ([`TestStore::shared`]). A test without its server fails with a message; it is never skipped.

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
#[cfg(feature = "links")]
pub mod links;

pub use servers::TestStore;
