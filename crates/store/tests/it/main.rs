//! The store by its public face: real files in real folders.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod basics;
mod fixture;
mod power;
mod sim_disk;
